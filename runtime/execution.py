"""One run under way: starts the steps that may start, repeats the bodies of loops, and says how the run ended.

What needs no waiting is done at once and recorded without being waited for. A step that sends is durable as ``running``
before the call. A step that writes runs inside the journal's transaction, together with its own record: exactly once.
What was recorded before a restart is not done again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson
from sqlmodel import Session, col, delete

from nodes.spec import AnotherRound, EachItem, NodeError
from runtime import limits, run_ends
from runtime.calls import Calls
from runtime.context import RunContext
from runtime.expressions import ExpressionError, Scope, Value
from runtime.graph import FlowPlan, PlanNode
from runtime.loops import Attempt, Frame, Loop, numbers
from runtime.records import Place, Records
from runtime.retries import delay_s
from runtime.stepping import Stepping, run_error, step_error
from runtime.steps import Outcome, StepFailed, prepare
from storage.journal_rows import RunWrite, StepWrite
from storage.journal_runs import RunState, StepState
from storage.tables import RunRow, from_us

if TYPE_CHECKING:
    from runtime.executor import Executor

INLINE_STEPS = 50  # steps without a pause in which other runs go on
STOPPED = {"message": "It was stopped, because another step of the run failed.", "code": "step.stopped"}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run left the executor: an ended status, or ``waiting`` until *wake_us* (None: until a person acts)."""

    status: str
    wake_us: int | None = None


class Execution:
    """One run under way."""

    def __init__(self, shared: Executor, state: RunState, plan: FlowPlan) -> None:
        self.shared = shared
        self.state = state
        self.plan = plan
        self.now = from_us(state.started_us)
        self.records = Records(shared.journal, state, shared.platform.seals, shared.now_us)
        context = RunContext(shared.platform, state, shared.installation, self.now, shared.clock, self.records)
        self.calls = Calls(context)
        self.recorded = {Place(step.node, step.iteration): step for step in state.steps}
        self.payload = state.payload
        if state.sealed is not None or state.is_retry or state.event_id is None:
            self.payload = self.records.opened(state.sealed, state.payload, is_usable=not state.is_retry)
        outputs: dict[str, Any] = {}
        scope = Scope(
            param=self.payload,
            action=outputs,
            var={},
            env=shared.environment,
            flow={"id": plan.flow_id, "name": plan.name, "version": state.version},
            run={"id": state.id, "started_at": self.now.isoformat().replace("+00:00", "Z")},
            now=self.now,
        )
        self.told: set[Place] = set()  # steps whose failed or unknown end is recorded
        self.blocked: set[Frame] = set()  # where a step's outcome is unknown or it waits without an end
        self.has_waits = bool(state.waits)
        self.returned = self._returned_before()  # the run's output as JSON
        self._top = Frame(plan.parts[state.trigger], scope, outputs)
        self._ready: deque[tuple[Frame, str]] = deque([(self._top, state.trigger)])
        self._begun: list[tuple[Frame, Awaitable[None]]] = []  # steps that have to be awaited
        self._tasks: set[asyncio.Task[None]] = set()
        self._due: dict[tuple[Frame, str], int] = {}  # when a step is looked at again
        self._loops: set[Loop] = set()
        self._error: dict[str, Any] | None = None
        self._steps = 0
        self._stepping = Stepping(self)
        self._deadline = None if plan.timeout_s is None else state.started_us + int(plan.timeout_s * 1e6)

    async def filtered(self, where: Value) -> Ended | None:
        """Return None when the run's event passes its trigger's filter; otherwise the run is gone."""
        try:
            if where.evaluate(self._top.scope):
                return None
        except ExpressionError as error:
            trigger = self.plan.nodes[self.state.trigger]
            failure = NodeError(f"“Filter”: {error.message}", code=error.code, param="filter")
            self.fail(Attempt(self._top, trigger, 1, self.shared.now_us()), failure)
            return await self._end()
        if not self.state.is_test:
            await self.shared.journal.call(lambda session: _remove(session, self.state.id))
            return Ended("removed")
        return await self._end()

    def walk_through(self) -> asyncio.Future[None] | None:
        """Do what needs no waiting. Return the future of the run's end, or None when ``go`` has more to do."""
        self._advance()
        if self._ready or self._begun or self._due or self.blocked or self._error or self._must_tell:
            return None
        if self._top.walk.open:
            self.record_skipped(self._top, self._top.walk.rest())
        self._stepping.close()
        write = RunWrite(self.state.id, "succeeded", None, None, self.shared.now_us(), self._output)
        return self.shared.journal.finish(self.state.epoch, write)

    async def go(self) -> Ended | None:
        """Walk until nothing can go on; None when the engine stops before that."""
        try:
            while True:
                self._advance()
                self._look_at_the_clock()
                if self._ready and not self.shared.is_stopping:
                    await self._pause()
                elif self._begun or self._tasks:
                    await self._wait()
                elif self._ready:
                    return None
                else:
                    return await self._end()
        finally:
            for task in self._tasks:
                task.cancel()
            self._stepping.close()

    async def _pause(self) -> None:
        """Give others their turn, and the disk its time."""
        if self.shared.journal.is_behind:
            await self.shared.journal.barrier()
        else:
            await asyncio.sleep(0)

    def _returned_before(self) -> str | None:
        """Return what the run has returned so far, also from rounds that are not walked again."""
        nodes = self.plan.nodes
        found = [
            step
            for step in self.state.steps
            if step.status == "succeeded" and step.node in nodes and nodes[step.node].type.is_returning
        ]
        last = max(found, key=lambda step: (step.started_us or 0, numbers(step.iteration)), default=None)
        return None if last is None else orjson.dumps(last.output).decode()

    @property
    def _must_tell(self) -> bool:
        """Whether somebody is told in the transaction that ends the run."""
        return self.has_waits or self.state.called_by is not None

    @property
    def _output(self) -> str | None:
        return self.records.shown_text(self.returned)

    def _advance(self) -> None:
        done = 0
        while self._ready and self._error is None and not self.shared.is_stopping and done < INLINE_STEPS:
            frame, node_id = self._ready.popleft()
            if frame.error is None:
                self._count()
                self._stepping.take_up(frame, self.plan.nodes[node_id])
            done += 1
        if self._error is not None:
            self._ready.clear()

    def _count(self) -> None:
        self._steps += 1
        if self._steps > limits.RUN_STEPS:
            message = f"The run has more than {limits.RUN_STEPS:,} steps. Let a loop have fewer rounds."
            self._error = {"message": message, "code": "run.too_many_steps", "node": None}

    def _look_at_the_clock(self) -> None:
        """Take up what waited until now; end a run that has taken too long."""
        now = self.shared.now_us()
        if self._deadline is not None and now >= self._deadline and self._error is None:
            message = f"The run did not end within {self.plan.timeout_s:g} seconds."
            self._error = {"message": message, "code": "run.timeout", "node": None}
            self._ready.clear()
            for task in self._tasks:
                task.cancel()
        for key in [key for key, due in self._due.items() if due <= now and self._error is None]:
            del self._due[key]
            self._ready.append(key)

    async def _wait(self) -> None:
        if len(self._begun) == 1 and not self._tasks and not self._due and self._deadline is None:
            frame, work = self._begun.pop()  # the only thing to do: no task of its own
            await self._within(frame, work)
            return
        for frame, work in self._begun:
            self._tasks.add(asyncio.ensure_future(self._within(frame, work)))
        self._begun.clear()
        moments = list(self._due.values()) if self._error is None else []
        if self._deadline is not None and self._error is None:
            moments.append(self._deadline)
        timeout = max(0.0, (min(moments) - self.shared.now_us()) / 1e6) if moments else None
        done, self._tasks = await asyncio.wait(self._tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled():
                task.result()

    async def _within(self, frame: Frame, work: Awaitable[None]) -> None:
        await work
        frame.active -= 1
        self._settle(frame)

    async def _end(self) -> Ended:
        if self._error is None and (self._due or self.blocked):
            wake = min([*self._due.values(), *([] if self._deadline is None else [self._deadline])], default=None)
            await self.shared.journal.finish(
                self.state.epoch, RunWrite(self.state.id, "waiting", None, wake, None, self._output)
            )
            return Ended("waiting", wake)
        for loop in self._loops:
            self._record_stopped(loop)
            for frame in loop.running:
                self.record_skipped(frame, frame.walk.rest())
        self.record_skipped(self._top, self._top.walk.rest())
        status = "succeeded" if self._error is None else "failed"
        if self._must_tell or self._error is not None:
            return await self._end_and_tell(status)
        write = RunWrite(self.state.id, status, None, None, self.shared.now_us(), self._output)
        await self.shared.journal.finish(self.state.epoch, write)
        return Ended(status)

    async def _end_and_tell(self, status: str) -> Ended:
        state, now = self.state, self.shared.clock()
        error = self.records.shown_error(self._error)
        output = None if self._output is None else orjson.loads(self._output)

        def work(session: Session) -> tuple[list[int], None]:
            run = session.get_one(RunRow, state.id)
            if error is not None:
                run_ends.end_steps(session, state.id, now, "stopped")
            return run_ends.end(session, run, status, now, error=error, output=output), None

        self.shared.due(await self.shared.journal.transact(state.id, state.epoch, work))
        return Ended(status)

    # what a step came to

    def begin(self, frame: Frame, work: Awaitable[None]) -> None:
        """Await *work*, a step of *frame*."""
        frame.active += 1
        self._begun.append((frame, work))

    def wait_until(self, frame: Frame, node_id: str, moment_us: int | None, found: StepState) -> None:
        """Look at a step again at *moment_us*; None: when the run is taken up anew."""
        self.recorded[Place(node_id, frame.iteration)] = found
        if moment_us is None:
            self.blocked.add(frame)
        else:
            self._due[(frame, node_id)] = moment_us

    def succeed(self, attempt: Attempt, found: Outcome) -> None:
        """Record a step that has succeeded, and go on at its port."""
        frame, node, number, started, text = attempt
        self.records.put(
            StepWrite(
                *(self.state.id, node.id, frame.iteration, number, "succeeded", found.port, text, found.text, None),
                *(found.effect, started, self.shared.now_us()),
            )
        )
        self.decide(frame, node, found.port, found.output)

    def fail(self, attempt: Attempt, error: NodeError) -> None:
        """Record a step that has failed; it is tried again, passed over, or stops the run or its round."""
        delay = delay_s(attempt.node, attempt.number, error)
        if delay is not None and self._error is None and attempt.frame.error is None:
            self._try_again(attempt, error, delay)
            return
        self.records.put(self.failure(attempt, error))
        self.failed(attempt, error)

    def failure(self, attempt: Attempt, error: NodeError) -> StepWrite:
        """Return the row of a step that has failed and is not tried again."""
        port, output = _going_on(attempt.node, error)
        return self.records.row(
            *(attempt.place, attempt.number, "failed"),
            started=attempt.started,
            ended=self.shared.now_us(),
            input=attempt.text,
            port=port,
            output=None if output is None else orjson.dumps(output).decode(),
            error=step_error(error, attempt.node),
        )

    def failed(self, attempt: Attempt, error: NodeError) -> None:
        """Go on after a step of which ``failure`` is recorded."""
        port, output = _going_on(attempt.node, error)
        if port is not None:
            self.decide(attempt.frame, attempt.node, port, output)
            return
        self.told.add(attempt.place)
        self.stop(attempt.frame, run_error(step_error(error, attempt.node), attempt.node))

    def _try_again(self, attempt: Attempt, error: NodeError, delay: float) -> None:
        place, due = attempt.place, self.shared.now_us() + int(delay * 1e6)
        waiting = step_error(error, attempt.node) | {"retry_at": from_us(due).isoformat()}
        again = StepState(*place, attempt.number, "waiting", None, None, waiting, None, attempt.started)
        self.wait_until(attempt.frame, attempt.node.id, due, again)
        row = self.records.row(
            *(place, attempt.number, "waiting"), started=attempt.started, input=attempt.text, error=waiting
        )
        self.records.put(row)

    def stop(self, frame: Frame, error: dict[str, Any]) -> None:
        """Start nothing more: in the run, or in one round of a loop."""
        if frame.loop is None:
            self._error = self._error or error
        else:
            self._stop_round(frame, error)
            self._settle(frame)

    def decide(self, frame: Frame, node: PlanNode, port: str, output: Any) -> None:
        """Go on at *port*, with *output* for what follows."""
        frame.outputs[node.id] = output
        if frame.loop is not None and not frame.walk.leads_on(node.id, port):
            frame.leaves[node.id] = output
        self.fire(frame, node, port)

    def fire(self, frame: Frame, node: PlanNode, port: str | None) -> None:
        """Go on at *port*."""
        ready: list[str] = []
        skipped = frame.walk.fire(node.id, port, ready)
        if frame.error is None:
            for node_id in ready:
                self._ready.append((frame, node_id))
        if skipped:
            self.record_skipped(frame, skipped)
        if frame.loop is not None:
            self._settle(frame)

    def record_skipped(self, frame: Frame, nodes: list[str]) -> None:
        """Record that these steps do not take place, however far they had come."""
        for node_id in nodes:
            place = Place(node_id, frame.iteration)
            found = self.recorded.pop(place, None)
            if found is None and place not in self.told:
                self.records.put_skipped(place)
            elif found is not None and found.status == "running":
                self.told.add(place)
                self.records.put_unknown(place, found)
            elif found is not None and found.status in ("waiting", "planned"):  # it will not go on
                self.records.put_given_up(place, found)

    # loops

    def loop(self, attempt: Attempt, wanted: EachItem | AnotherRound) -> None:
        """Repeat the body of a loop step."""
        loop = Loop(attempt, wanted if isinstance(wanted, EachItem) else None)
        self._loops.add(loop)
        loop.frame.active += 1
        self.records.put(
            self.records.row(attempt.place, attempt.number, "running", started=attempt.started, input=attempt.text)
        )
        if isinstance(wanted, AnotherRound):
            self._next_round(loop, wanted)
        else:
            self._pump(loop)

    def _pump(self, loop: Loop) -> None:
        """Start rounds as long as there is room; end the loop after the last one."""
        assert loop.items is not None
        is_empty = not self.plan.bodies[loop.node.id].order
        while loop.failure is None and loop.next < len(loop.items) and len(loop.running) < loop.parallel:
            number, loop.next = loop.next, loop.next + 1
            if is_empty:
                loop.take(number, None)
            else:
                self._start_round(loop, number, loop.items[number])
        if not loop.running:
            self._end_loop(loop)

    def _next_round(self, loop: Loop, wanted: AnotherRound) -> None:
        """Start another round, or end the loop."""
        is_empty = not self.plan.bodies[loop.node.id].order
        while wanted.is_wanted and loop.failure is None:
            if loop.next >= wanted.most:
                message = f"The condition still holds after {wanted.most:,} rounds, which is the most that is allowed."
                loop.failure = {"message": message, "code": "loop.bound_reached"}
                break
            number, loop.next = loop.next, loop.next + 1
            if not is_empty:
                self._start_round(loop, number, loop.results[-1] if loop.results else None)
                return
            loop.take(number, None)
            wanted = self._asked_again(loop, loop.frame.outputs)
        self._end_loop(loop)

    def _start_round(self, loop: Loop, number: int, item: Any) -> None:
        outputs = dict(loop.frame.outputs)
        scope = replace(loop.frame.scope, action=outputs, item=item, index=number)
        frame = Frame(self.plan.bodies[loop.node.id], scope, outputs, loop, number)
        loop.running.add(frame)
        self.fire(frame, loop.node, loop.node.type.body_port)

    def _settle(self, frame: Frame) -> None:
        """Close a round in which nothing can happen any more."""
        loop = frame.loop
        if loop is None or frame.is_closed or (frame.active if frame.error is not None else frame.walk.open):
            return
        frame.is_closed = True
        if frame.error is not None:
            for key in [key for key in self._due if key[0] is frame]:
                del self._due[key]
            self.blocked.discard(frame)
            self.record_skipped(frame, frame.walk.rest())
        loop.close(frame)
        if self._error is not None:
            return
        if loop.failure is not None:
            for other in list(loop.running):
                self._stop_round(other, STOPPED)
                self._settle(other)
            if not loop.running and loop in self._loops:
                self._end_loop(loop)
        elif loop.items is None:
            self._next_round(loop, self._asked_again(loop, frame.outputs))
        else:
            self._pump(loop)

    def _asked_again(self, loop: Loop, outputs: dict[str, Any]) -> AnotherRound:
        """Ask a loop after a round, which came to *outputs*, whether it wants another."""
        scope = replace(loop.frame.scope, action=outputs, item=loop.results[-1], index=loop.next)
        try:
            wanted = self.calls.inline(loop.node, prepare(loop.node, scope), loop.frame.iteration)
        except StepFailed as failure:
            loop.failure = {"message": failure.error.message, "code": failure.error.code}
            return AnotherRound(False, 0)
        assert isinstance(wanted, AnotherRound)
        return wanted

    def _stop_round(self, frame: Frame, error: dict[str, Any]) -> None:
        frame.error = frame.error or error
        for loop in [loop for loop in self._loops if loop.frame is frame]:
            loop.failure = loop.failure or error
            for inner in list(loop.running):
                self._stop_round(inner, error)
                self._settle(inner)

    def _end_loop(self, loop: Loop) -> None:
        self._loops.discard(loop)
        attempt = loop.attempt._replace(text=None)
        loop.frame.active -= 1
        if loop.frame.error is not None or self._error is not None:
            self._record_stopped(loop)
            self._settle(loop.frame)
        elif loop.failure is not None:
            which = f"Item {loop.failure['index'] + 1}: " if "index" in loop.failure and loop.items is not None else ""
            self.fail(attempt, NodeError(f"{which}{loop.failure.get('message')}", code=str(loop.failure.get("code"))))
        else:
            self.succeed(attempt, Outcome(loop.node.passes_on or "done", *loop.output()))

    def _record_stopped(self, loop: Loop) -> None:
        place, ended = loop.attempt.place, self.shared.now_us()
        self.told.add(place)
        error = {**STOPPED, "step": place.node}
        row = self.records.row(place, loop.attempt.number, "failed", started=loop.attempt.started, ended=ended)
        self.records.put(row._replace(error=orjson.dumps(error).decode()))


def _going_on(node: PlanNode, error: NodeError) -> tuple[str | None, dict[str, Any] | None]:
    """Return port and output at which the flow goes on when *node* has failed; no port: it does not."""
    if node.on_error == "port":
        return "error", {"message": error.message, "code": error.code, "step": node.id}
    return ("out" if node.on_error == "continue" else None), None


def _remove(session: Session, run_id: int) -> None:
    session.exec(delete(RunRow).where(col(RunRow.id) == run_id))
