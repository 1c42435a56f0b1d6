"""One step of a run: whether it is new or goes on where it was, and how a node that need not be awaited is called."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from nodes.spec import NodeError, Suspended
from runtime import limits
from runtime.awaited_steps import carry_out
from runtime.context import StepContext
from runtime.expressions import TooMuchInPlace
from runtime.graph import PlanNode
from runtime.loops import Attempt, Frame
from runtime.records import Place
from runtime.scope import Scope
from runtime.steps import (
    Outcome,
    Prepared,
    StepFailed,
    answer,
    input_hash,
    prepare,
    prepare_elsewhere,
    unexpected,
)
from runtime.suspending import Suspending
from storage.journal_rows import succeeded
from storage.journal_runs import StepState
from storage.tables import to_us

if TYPE_CHECKING:
    from runtime.execution import Execution

PINNED = orjson.dumps({"kind": "pinned"}).decode()


class Stepping:
    """The steps of one *run*."""

    def __init__(self, run: Execution) -> None:
        self._run = run
        self._shared = run.shared
        self._state = run.state
        self._records = run.records
        self._calls = run.calls
        self._of_suspended: Suspending | None = None
        self.moment = 0  # when the last step succeeded, or the steps before the next pause began

    @property
    def _suspending(self) -> Suspending:
        if self._of_suspended is None:  # most runs have none
            self._of_suspended = Suspending(self._run)
        return self._of_suspended

    def _suspend(self, attempt: Attempt, wanted: Suspended) -> None:
        self._suspending.suspend(attempt, wanted)

    def close(self) -> None:
        """Let go of the run, so that nothing refers to it in a circle when it has ended."""
        self._of_suspended = None
        del self._run

    def close_waits(self, frame: Frame, nodes: list[str]) -> None:
        """Forget what these steps of a round wait for."""
        self._suspending.close(frame, nodes)

    async def look_at_what_came(self) -> None:
        """Go on with the suspended steps that something has come for."""
        await self._suspending.look_at_what_came()

    def take_up(self, frame: Frame, node: PlanNode) -> None:
        """Do a step that needs no waiting, or begin what has to be awaited to do it."""
        run = self._run
        if not run.recorded and not self._state.is_test:
            if node.is_plain:
                if self._do_plain(frame, node):
                    return
            elif node.type.kind == "trigger":
                self._put_new(frame, node, "out", None, self._payload_text, self.moment)
                run.decide(frame, node, "out", run.payload)
                return
        found = run.recorded.pop(Place(node.id, frame.iteration), None) if run.recorded else None
        number = 1 if found is None else self._attempt_after(frame, node, found)
        if number is None:
            return
        started = self._shared.now_us()
        if self._is_called(node):
            self._start(frame, node, number, started, found)
            return
        attempt = Attempt(frame, node, number, started)
        if node.type.kind == "trigger":
            self._pass_on_payload(attempt)
        elif node.is_disabled:
            self._records.put_skipped(attempt.place, node.passes_on)
            run.fire(frame, node, node.passes_on)
        elif node.pinned is not None:
            output = node.pinned.output
            pinned = None if output is None else orjson.dumps(output).decode()
            if node.type.is_returning:
                run.returned = pinned
            run.succeed(attempt, Outcome(node.pinned.port, output, pinned, PINNED))
        else:
            message = "This step has no output yet. Run up to here first."
            run.fail(attempt, NodeError(message, code="test.output_missing"))

    def _pass_on_payload(self, attempt: Attempt) -> None:
        self._run.succeed(attempt, Outcome("out", self._run.payload, self._payload_text))

    @property
    def _payload_text(self) -> str:
        """The payload as JSON: masked as it is, for it is opened again with the event."""
        return self._state.payload_text or orjson.dumps(self._state.payload).decode()

    def _put_new(
        self, frame: Frame, node: PlanNode, port: str, input: str | None, output: str | None, started: int
    ) -> None:
        """Record a step that had no row, and has succeeded now."""
        self.moment = self._shared.now_us()
        self._records.put(
            succeeded(self._state.id, node.id, frame.iteration, port, input, output, started, self.moment)
        )

    def _do_plain(self, frame: Frame, node: PlanNode) -> bool:
        """Do a new step that neither waits nor touches anything: the quick way of ``_start``.

        Return False, and nothing has happened, where its parameters cannot be made: ``_start`` finds out why.
        """
        kind, started = node.type, self.moment
        try:
            values = node.params.evaluate_in_place(frame.scope)
            params, given = kind.validate(values), orjson.dumps(values)
        except TooMuchInPlace:
            attempt = Attempt(frame, node, 1, started)
            self._run.agenda.begin(attempt, self._start_later(attempt, frame.scope, None))
            return True
        except Exception:
            return False
        if len(given) > limits.OUTPUT_BYTES:
            return False
        try:
            context = StepContext(self._calls.common, node.id, frame.iteration)
            done = answer(kind.run(params, context))  # type: ignore[misc,arg-type]
        except Exception as error:
            attempt = Attempt(frame, node, 1, started, given.decode())
            self._run.fail(attempt, self._calls.as_node_error(error, node))
            return True
        if not isinstance(done, Outcome):
            self._suspending.suspend(Attempt(frame, node, 1, started, given.decode()), done)
            return True
        port, output, text, _effect, _sealed = done
        if kind.is_returning:
            self._run.returned = text
        self._put_new(frame, node, port, given.decode(), text, started)
        self._run.decide(frame, node, port, output)
        return True

    def _is_called(self, node: PlanNode) -> bool:
        if node.type.kind == "trigger" or node.is_disabled:
            return False
        if not self._state.is_test:
            return True
        only = None if self._state.scope is None else self._state.scope.get("only")
        return node.pinned is None and only in (None, node.id)

    def _start(self, frame: Frame, node: PlanNode, number: int, started: int, found: StepState | None) -> None:
        scope = frame.scope
        if node.type.is_asked_each_round:
            scope = replace(scope, item=None, index=0)
        if found is not None and node.type.body_port is not None and found.started_us is not None:
            started = found.started_us  # a loop goes on where it was
        attempt = Attempt(frame, node, number, started)
        try:
            prepared = prepare(node, scope)
        except Exception as error:
            self._not_prepared(attempt, error)
            return
        if prepared is None:
            self._run.agenda.begin(attempt, self._start_later(attempt, scope, found))
        elif (work := self._call(attempt, prepared, found)) is not None:
            self._run.agenda.begin(attempt._replace(text=prepared.text), work)

    async def _start_later(self, attempt: Attempt, scope: Scope, found: StepState | None) -> None:
        """Do what ``_start`` does once the parameters are evaluated in another process."""
        frame, node, flow_id = attempt.frame, attempt.node, self._state.flow_id
        try:
            prepared = await prepare_elsewhere(node, scope, self._shared.evaluator, flow_id)
        except Exception as error:
            self._not_prepared(attempt, error)
            return
        if self._run.has_failed or frame.error is not None:
            return  # meanwhile nothing more is to be started
        if self._shared.is_stopping:
            if found is not None:
                self._run.recorded[attempt.place] = found
            self._run.agenda.ready.append((frame, node.id))
        elif (work := self._call(attempt, prepared, found)) is not None:
            await work

    def _not_prepared(self, attempt: Attempt, error: Exception) -> None:
        """Fail a step whose parameters could not be made."""
        if not isinstance(error, StepFailed):
            self._run.fail(attempt, unexpected(error, self._state.id, attempt.node.type))
            return
        if error.secrets:
            self._records.keep_secret(error.secrets)
        self._run.fail(attempt._replace(text=error.text), error.error)
        self._run.look_at_failed(attempt.node, error.error)

    def _call(self, attempt: Attempt, prepared: Prepared, found: StepState | None) -> Coroutine[Any, Any, None] | None:
        """Call a node that need not be awaited; return the work for one that has to be."""
        frame, node = attempt.frame, attempt.node
        if prepared.secrets:
            self._records.keep_secret(prepared.secrets)
        attempt = attempt._replace(text=prepared.text)
        if node.type.effect != "none" or node.type.is_async:
            if found is None or not self._is_another(node, prepared, found):
                return carry_out(self._run, attempt, prepared, found, self._suspend)
            self._leave_to_a_person(frame, node, found)
            return None
        try:
            done = answer(self._calls.inline(node, prepared, frame.iteration))
        except Exception as error:
            self._run.fail(attempt, self._calls.as_node_error(error, node))
            return None
        if not isinstance(done, Outcome):
            self._suspending.suspend(attempt, done)
            return None
        if node.type.is_returning:
            self._run.returned = done.text
        self._run.succeed(attempt, done)
        return None

    def _attempt_after(self, frame: Frame, node: PlanNode, found: StepState) -> int | None:
        """Return which attempt of a recorded step is next, or None when it is settled, or waits, as it was recorded."""
        status, place = found.status, Place(node.id, frame.iteration)
        if status == "waiting" and not found.error:
            self._suspending.look_again(frame, node, found)
        elif status == "waiting":
            retry_at = to_us(datetime.fromisoformat((found.error or {})["retry_at"]))
            if retry_at <= self._shared.now_us():
                return found.attempt + 1
            self._run.wait_until(frame, node.id, retry_at, found)
        elif status == "planned" or (status == "running" and self._may_repeat(node)):
            return found.attempt
        elif status in ("running", "unknown"):
            self._leave_to_a_person(frame, node, found)
        elif status == "skipped" and (found.port is not None or node.is_disabled):  # it was passed over
            self._run.fire(frame, node, found.port)
        elif found.port is not None:
            self._run.decide(frame, node, found.port, self._output_of(node, found))
        else:
            self._run.told.add(place)
            if status == "failed":  # otherwise it was given up with its round, whose failure comes up as well
                self._run.stop(frame, self._first_error(frame, node, found))
        return None

    def _first_error(self, frame: Frame, node: PlanNode, found: StepState) -> dict[str, Any]:
        """Return the error of the step that failed first, of those that were recorded as failed in this round."""
        failed = [(found, node)]
        for node_id in frame.walk.order:
            other = self._run.recorded.get(Place(node_id, frame.iteration))
            if other is not None and other.status == "failed" and other.port is None:
                failed.append((other, self._run.plan.nodes[node_id]))
        first, of_node = min(failed, key=lambda each: each[0].ended_us or 0)
        return run_error(first.error or {}, of_node)

    def _leave_to_a_person(self, frame: Frame, node: PlanNode, found: StepState) -> None:
        """Do not repeat a step of which nobody knows whether it took place."""
        place = Place(node.id, frame.iteration)
        self._run.agenda.held[frame, node.id] = None
        self._run.told.add(place)
        if found.status == "running":
            self._records.put_unknown(place, found)

    def _is_another(self, node: PlanNode, prepared: Prepared, found: StepState) -> bool:
        """Whether an effect that was under way would now be called with another input under the same key."""
        if node.type.effect != "send" or found.status != "running" or self._state.is_simulated:
            return False
        return found.input_hash is not None and found.input_hash != input_hash(prepared.text)

    def _may_repeat(self, node: PlanNode) -> bool:
        return node.is_repeatable or node.type.effect != "send" or self._state.is_simulated

    def _output_of(self, node: PlanNode, found: StepState) -> Any:
        if node.type.kind == "trigger" and self._run.payload is not self._state.payload:
            return self._run.payload
        return found.output if found.sealed is None else self._records.opened(found.sealed, found.output)


def step_error(error: NodeError, node: PlanNode) -> dict[str, Any]:
    """Return what is recorded of a step's error."""
    told = {"message": error.message, "code": error.code, "step": node.id}
    return told if error.param is None else told | {"param": error.param}


def run_error(shape: dict[str, Any], node: PlanNode) -> dict[str, Any]:
    """Return a step's error as that of its run, or of its round."""
    return {"message": f"{node.name}: {shape.get('message', '')}", "code": shape.get("code"), "node": node.id}
