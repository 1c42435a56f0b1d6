"""The loops of a run: their rounds are started and closed, until the loop has ended or is stopped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from nodes.spec import AnotherRound, EachItem, NodeError
from runtime.loops import Attempt, Frame, Loop
from runtime.scope import Scope
from runtime.steps import Prepared, StepFailed, prepare, prepare_elsewhere

if TYPE_CHECKING:
    from runtime.execution import Execution

STOPPED = {"message": "It was stopped, because another step of the run failed.", "code": "step.stopped"}


class Looping:
    """The loops of one *run*."""

    def __init__(self, run: Execution) -> None:
        self._run = run
        self._loops: set[Loop] = set()

    def close(self) -> None:
        """Let go of the run, so that nothing refers to it in a circle when it has ended."""
        del self._run

    def begin(self, attempt: Attempt, wanted: EachItem | AnotherRound) -> None:
        """Repeat the body of a loop step."""
        loop = Loop(attempt, wanted if isinstance(wanted, EachItem) else None)
        self._loops.add(loop)
        loop.frame.active += 1
        records = self._run.records
        records.put(records.row(attempt.place, attempt.number, "running", started=attempt.started, input=attempt.text))
        if isinstance(wanted, AnotherRound):
            self._next_round(loop, wanted)
        else:
            self._pump(loop)

    def settle(self, frame: Frame) -> None:
        """Close a round in which nothing can happen any more."""
        loop = frame.loop
        if loop is None or frame.is_closed or (frame.active if frame.error is not None else frame.walk.open):
            return
        frame.is_closed = True
        if frame.error is not None:
            self._run.give_up(frame)
        loop.close(frame)
        if self._run.has_failed:
            return
        if loop.failure is not None:
            for other in list(loop.running):
                self._stop_round(other, STOPPED)
                self.settle(other)
            if not loop.running and loop in self._loops:
                self._end_loop(loop)
        elif loop.items is None:
            if (wanted := self._asked_again(loop, frame.outputs)) is not None:
                self._next_round(loop, wanted)
        else:
            self._pump(loop)

    def stop(self, frame: Frame, error: dict[str, Any]) -> None:
        """Start nothing more in a round."""
        self._stop_round(frame, error)
        self.settle(frame)

    def stop_all(self) -> None:
        """Record of every loop that its run has ended."""
        for loop in self._loops:
            self._record_stopped(loop)
            for frame in loop.running:
                self._run.record_skipped(frame, frame.walk.rest())

    def _pump(self, loop: Loop) -> None:
        """Start rounds as long as there is room; end the loop after the last one."""
        assert loop.items is not None
        is_empty = not self._run.plan.bodies[loop.node.id].order
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
        is_empty = not self._run.plan.bodies[loop.node.id].order
        while wanted.is_wanted and loop.failure is None:
            if loop.next >= wanted.most:
                message = f"The condition still holds after {wanted.most:,} rounds, which is the most that is allowed."
                loop.failure = {"message": message, "code": "loop.bound_reached"}
                break
            number, loop.next = loop.next, loop.next + 1
            if not is_empty:
                self._start_round(loop, number, loop.last)
                return
            loop.take(number, None)
            if (again := self._asked_again(loop, loop.frame.outputs)) is None:
                return
            wanted = again
        self._end_loop(loop)

    def _start_round(self, loop: Loop, number: int, item: Any) -> None:
        outputs = dict(loop.frame.outputs)
        scope = replace(loop.frame.scope, action=outputs, item=item, index=number)
        frame = Frame(self._run.plan.bodies[loop.node.id], scope, outputs, loop, number)
        loop.running.add(frame)
        self._run.fire(frame, loop.node, loop.node.type.body_port)

    def _asked_again(self, loop: Loop, outputs: dict[str, Any]) -> AnotherRound | None:
        """Ask a loop after a round, which came to *outputs*, whether it wants another; None: it is asked later."""
        scope = replace(loop.frame.scope, action=outputs, item=loop.last, index=loop.next)
        try:
            prepared = prepare(loop.node, scope)
        except StepFailed as failure:
            return self._not_asked(loop, failure)
        if prepared is None:
            self._run.agenda.begin(loop.attempt, self._ask_later(loop, scope))
            return None
        return self._asked(loop, prepared)

    async def _ask_later(self, loop: Loop, scope: Scope) -> None:
        """Ask a loop as soon as its condition is evaluated in another process, and go on with it."""
        shared, flow_id = self._run.shared, self._run.state.flow_id
        try:
            wanted = self._asked(loop, await prepare_elsewhere(loop.node, scope, shared.evaluator, flow_id))
        except StepFailed as failure:
            wanted = self._not_asked(loop, failure)
        if not self._run.has_failed:
            self._next_round(loop, wanted)

    def _asked(self, loop: Loop, prepared: Prepared) -> AnotherRound:
        wanted = self._run.calls.inline(loop.node, prepared, loop.frame.iteration)
        assert isinstance(wanted, AnotherRound)
        return wanted

    def _not_asked(self, loop: Loop, failure: StepFailed) -> AnotherRound:
        loop.failure = {"message": failure.error.message, "code": failure.error.code}
        self._run.look_at_failed(loop.node, failure.error)
        return AnotherRound(False, 0)

    def _stop_round(self, frame: Frame, error: dict[str, Any]) -> None:
        frame.error = frame.error or error
        for loop in [loop for loop in self._loops if loop.frame is frame]:
            loop.failure = loop.failure or error
            for inner in list(loop.running):
                self._stop_round(inner, error)
                self.settle(inner)

    def _end_loop(self, loop: Loop) -> None:
        self._loops.discard(loop)
        attempt = loop.attempt._replace(text=None)
        loop.frame.active -= 1
        if loop.frame.error is not None or self._run.has_failed:
            self._record_stopped(loop)
            self.settle(loop.frame)
        elif loop.failure is not None:
            which = f"Item {loop.failure['index'] + 1}: " if "index" in loop.failure and loop.items is not None else ""
            error = NodeError(f"{which}{loop.failure.get('message')}", code=str(loop.failure.get("code")))
            self._run.fail(attempt, error)
        else:
            self._run.succeed(attempt, loop.outcome())

    def _record_stopped(self, loop: Loop) -> None:
        place, records = loop.attempt.place, self._run.records
        self._run.told.add(place)
        error = {**STOPPED, "step": place.node}
        ended = self._run.shared.now_us()
        row = records.row(place, loop.attempt.number, "failed", started=loop.attempt.started, ended=ended)
        records.put(row._replace(error=orjson.dumps(error).decode()))
