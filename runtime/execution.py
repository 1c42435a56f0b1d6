"""One run under way: starts the steps that may start, records each, and says how the run ended.

A step without effect is recorded and not waited for. A step that sends is durable as ``running`` before the call.
A step that writes runs inside the journal's transaction, together with its own record: exactly once.
What was recorded before a restart is not done again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from sqlmodel import Session, col, delete

from nodes.spec import NodeError
from runtime.calls import Calls
from runtime.expressions import ExpressionError, Scope, Value
from runtime.graph import FlowPlan, PlanNode
from runtime.records import Records
from runtime.retries import delay_s
from runtime.steps import Outcome, Prepared, StepFailed, prepare, unexpected
from runtime.walk import Walk
from storage.journal import Fenced
from storage.journal_rows import RunWrite, StepWrite
from storage.journal_runs import RunState, StepState
from storage.tables import RunRow, from_us, to_us

if TYPE_CHECKING:
    from runtime.executor import Executor

INLINE_STEPS = 50  # steps without a pause in which other runs go on


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run left the executor: an ended status, or ``waiting`` until *wake_us* (None: until a person acts)."""

    status: str
    wake_us: int | None = None


class Execution:
    """One run under way."""

    def __init__(self, shared: Executor, state: RunState, plan: FlowPlan) -> None:
        self._shared = shared
        self._journal = shared.journal
        self._state = state
        self._plan = plan
        self._walk = Walk(plan, state.trigger)
        self._now = from_us(state.started_us)
        self._records = Records(shared.journal, state, shared.platform.seals, shared.now_us)
        self._calls = Calls(shared.platform, state, self._now, shared.installation, self._records)
        self._recorded = {step.node: step for step in state.steps if step.iteration == ""}
        self._outputs: dict[str, Any] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._due: dict[str, int] = {}  # node -> when its next attempt starts
        self._told: set[str] = set()  # nodes whose failed or unknown step is recorded
        self._is_blocked = False  # a step's outcome is unknown, a person has to say
        self._error: dict[str, Any] | None = None
        self._payload = state.payload
        if state.sealed is not None or state.is_retry or state.event_id is None:
            self._payload = self._records.opened(state.sealed, state.payload, is_usable=not state.is_retry)
        self._scope = Scope(
            param=self._payload,
            action=self._outputs,
            var={},
            item=None,
            index=None,
            env=shared.environment,
            flow={"id": plan.flow_id, "name": plan.name, "version": state.version},
            run={"id": state.id, "started_at": self._now.isoformat().replace("+00:00", "Z")},
            now=self._now,
        )

    async def filtered(self, where: Value) -> Ended | None:
        """Return None when the run's event passes its trigger's filter; otherwise the run is gone."""
        try:
            if where.evaluate(self._scope):
                return None
        except ExpressionError as error:
            trigger = self._plan.nodes[self._state.trigger]
            failure = NodeError(f"“Filter”: {error.message}", code=error.code, param="filter")
            self._fail(trigger, 1, self._shared.now_us(), failure, None)
            return await self._end()
        if not self._state.is_test:
            await self._journal.call(lambda session: _remove(session, self._state.id))
            return Ended("removed")
        return await self._end()

    async def go(self) -> Ended | None:
        """Walk until nothing can go on; None when the engine stops before that."""
        try:
            while True:
                await self._start_ready()
                self._start_due()
                if self._tasks:
                    await self._wait()
                elif self._walk.ready and self._shared.is_stopping:
                    return None
                elif not self._walk.ready:
                    return await self._end()
        finally:
            for task in self._tasks:
                task.cancel()

    async def _start_ready(self) -> None:
        done_inline = 0
        while self._walk.ready and self._error is None and not self._shared.is_stopping:
            node = self._plan.nodes[self._walk.ready.popleft()]
            waited = self._take_up(node)
            if waited is None:
                done_inline += 1
                if done_inline % INLINE_STEPS == 0:
                    await asyncio.sleep(0)
            elif self._walk.ready or self._tasks or self._due:
                self._tasks.add(asyncio.ensure_future(waited))
            else:  # the only thing to do: no task of its own
                await waited
        if self._error is not None:
            self._walk.ready.clear()

    def _start_due(self) -> None:
        """Start the next attempt of steps whose delay has passed."""
        now = self._shared.now_us()
        for node_id in [node_id for node_id, due in self._due.items() if due <= now and self._error is None]:
            del self._due[node_id]
            self._walk.ready.append(node_id)

    async def _wait(self) -> None:
        if self._walk.ready and not self._shared.is_stopping:
            return
        timeout = None
        if self._due and self._error is None:
            timeout = max(0.0, (min(self._due.values()) - self._shared.now_us()) / 1e6)
        done, self._tasks = await asyncio.wait(self._tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _end(self) -> Ended:
        state = self._state
        if self._error is None and (self._due or self._is_blocked):
            wake = min(self._due.values(), default=None)
            await self._journal.finish(state.epoch, RunWrite(state.id, "waiting", None, wake, None))
            return Ended("waiting", wake)
        self._record_skipped(self._walk.rest())
        error = self._records.shown_error(self._error)
        return await self._shared.end(state, "succeeded" if error is None else "failed", error)

    # one step

    def _take_up(self, node: PlanNode) -> Awaitable[None] | None:
        """Do a step that needs no waiting, or return what has to be awaited to do it."""
        found = self._recorded.pop(node.id, None)
        attempt = 1 if found is None else self._attempt_after(node, found)
        if attempt is None:
            return None
        notes = {"repeated_after_crash": True} if found is not None and found.status == "running" else None
        if node.type.kind == "trigger":
            now = self._shared.now_us()
            text = orjson.dumps(self._state.payload).decode()  # masked as it is; it is opened again with the event
            self._succeed(node, 1, now, None, Outcome("out", self._payload, text))
            return None
        started = self._shared.now_us()
        try:
            prepared = prepare(node, self._scope)
        except StepFailed as failure:
            if failure.secrets:
                self._records.keep_secret(failure.secrets)
            self._fail(node, attempt, started, failure.error, failure.text)
            return None
        except Exception as error:
            self._fail(node, attempt, started, unexpected(error, self._state.id, node.type), None)
            return None
        if prepared.secrets:
            self._records.keep_secret(prepared.secrets)
        return self._call(node, attempt, started, prepared, notes)

    def _attempt_after(self, node: PlanNode, found: StepState) -> int | None:
        """Return which attempt of a recorded step is next, or None when it is settled as it was recorded."""
        status = found.status
        if status == "waiting":
            retry_at = datetime.fromisoformat((found.error or {}).get("retry_at", self._now.isoformat()))
            if to_us(retry_at) <= self._shared.now_us():
                return found.attempt + 1
            self._due[node.id] = to_us(retry_at)
            self._recorded[node.id] = found
        elif status == "running" and (node.type.is_repeatable or node.type.effect != "send" or self._is_simulated):
            return found.attempt
        elif status in ("running", "unknown"):
            self._is_blocked = True
            if status == "running":
                self._told.add(node.id)
                self._records.put_unknown(node.id, found)
        elif found.port is not None:
            self._decide(node, found.port, self._output_of(node, found))
        elif status == "failed":
            self._told.add(node.id)
            self._error = _run_error(found.error or {}, node)
        else:
            return 1  # skipped in the run that this one retries
        return None

    def _output_of(self, node: PlanNode, found: StepState) -> Any:
        if node.type.kind == "trigger" and self._payload is not self._state.payload:
            return self._payload
        return found.output if found.sealed is None else self._records.opened(found.sealed, found.output)

    @property
    def _is_simulated(self) -> bool:
        return self._state.is_simulated

    def _call(
        self, node: PlanNode, attempt: int, started: int, prepared: Prepared, notes: dict[str, Any] | None
    ) -> Awaitable[None] | None:
        effect = node.type.effect
        if effect == "none" and not node.type.is_async:
            try:
                found = self._calls.inline(node, prepared)
            except Exception as error:
                self._fail(node, attempt, started, self._calls.as_node_error(error, node), prepared.text)
            else:
                self._succeed(node, attempt, started, prepared.text, found)
            return None
        return self._waited(node, attempt, started, prepared, notes)

    async def _waited(
        self, node: PlanNode, attempt: int, started: int, prepared: Prepared, notes: dict[str, Any] | None
    ) -> None:
        try:
            if self._is_simulated and node.type.effect in ("write", "send"):
                found = await asyncio.to_thread(self._calls.simulated, node, prepared)
            elif node.type.effect == "write":
                await self._transact(node, attempt, started, prepared)
                return
            elif node.type.effect == "send":
                found = await self._send(node, attempt, started, prepared, notes)
            elif node.type.is_async:
                async with self._shared.outside:
                    found = await self._calls.awaited(node, prepared)
            else:
                found = await asyncio.to_thread(self._calls.reading, node, prepared)
        except Fenced:
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # nobody cancelled the step: something that its node waited for was, inside the node
            self._fail(node, attempt, started, unexpected(error, self._state.id, node.type), prepared.text)
        except Exception as error:
            self._fail(node, attempt, started, self._calls.as_node_error(error, node), prepared.text)
        else:
            self._succeed(node, attempt, started, prepared.text, found)

    async def _send(
        self, node: PlanNode, attempt: int, started: int, prepared: Prepared, notes: dict[str, Any] | None
    ) -> Outcome:
        async with self._shared.outside:
            effect = None if notes is None else orjson.dumps(notes).decode()
            # the queue is in order: this row is durable only after everything the run did before
            await self._journal.put(
                self._state.epoch,
                self._records.shown(
                    self._records.row(node.id, attempt, "running", started=started, input=prepared.text, effect=effect)
                ),
            )
            return await self._calls.awaited(node, prepared)

    async def _transact(self, node: PlanNode, attempt: int, started: int, prepared: Prepared) -> None:
        given = await self._calls.before(node, prepared)

        def work(session: Session) -> tuple[tuple[Outcome, list[int]], StepWrite]:
            found, emitted = self._calls.writing(node, prepared, session, given)
            row = self._records.row(
                *(node.id, attempt, "succeeded"),
                started=started,
                input=prepared.text,
                port=found.port,
                output=found.text,
            )
            return (found, emitted), self._records.shown(row._replace(ended_at=self._shared.now_us()))

        found, emitted = await self._journal.transact(self._state.id, self._state.epoch, work)
        if emitted:
            self._shared.emitted(emitted)
        self._decide(node, found.port, found.output)

    # what a step came to

    def _succeed(self, node: PlanNode, attempt: int, started: int, text: str | None, found: Outcome) -> None:
        row = self._records.row(
            *(node.id, attempt, "succeeded"),
            started=started,
            input=text,
            port=found.port,
            output=found.text,
            effect=found.effect,
            ended=self._shared.now_us(),
        )
        self._records.put(row)
        self._decide(node, found.port, found.output)

    def _fail(self, node: PlanNode, attempt: int, started: int, error: NodeError, text: str | None) -> None:
        now = self._shared.now_us()
        told: dict[str, Any] = {"message": error.message, "code": error.code, "step": node.id}
        shape = told if error.param is None else told | {"param": error.param}
        row = self._records.row(node.id, attempt, "failed", started=started, input=text, ended=now)
        delay = delay_s(node, attempt, error)
        if delay is not None and self._error is None:
            due = now + int(delay * 1e6)
            waiting = shape | {"retry_at": from_us(due).isoformat()}
            self._due[node.id] = due
            self._recorded[node.id] = StepState(node.id, "", attempt, "waiting", None, None, waiting, None, started)
            self._records.put(row._replace(status="waiting", error=_json(waiting), ended_at=None))
            return
        port, output = {"continue": ("out", None), "port": ("error", told)}.get(node.on_error, (None, None))
        row = row._replace(error=_json(shape), port=port, output=_json(output) if output else None)
        self._records.put(row)
        if port is None:
            self._told.add(node.id)
            self._error = self._error or _run_error(shape, node)
        else:
            self._decide(node, port, output)

    def _decide(self, node: PlanNode, port: str, output: Any) -> None:
        self._outputs[node.id] = output
        self._record_skipped(self._walk.fire(node.id, port))

    def _record_skipped(self, nodes: list[str]) -> None:
        for node_id in nodes:
            found = self._recorded.pop(node_id, None)
            if found is None and node_id not in self._told:
                self._records.put_skipped(node_id)
            elif found is not None and found.status == "running":
                self._told.add(node_id)
                self._records.put_unknown(node_id, found)
            elif found is not None and found.status == "waiting":  # it will not be tried again
                self._records.put_given_up(node_id, found)


def _remove(session: Session, run_id: int) -> None:
    session.exec(delete(RunRow).where(col(RunRow.id) == run_id))


def _run_error(shape: Mapping[str, Any], node: PlanNode) -> dict[str, Any]:
    return {"message": f"{node.name}: {shape.get('message', '')}", "code": shape.get("code"), "node": node.id}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
