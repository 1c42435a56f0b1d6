"""One run under way: starts the steps that may start, repeats the bodies of loops, and says how the run ended.

What needs no waiting is done at once and recorded without being waited for. A step that sends is durable as ``running``
before the call. A step that writes runs inside the journal's transaction, together with its own record: exactly once.
What was recorded before a restart is not done again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlmodel import Session, col, delete

from nodes.spec import NodeError
from runtime import limits, run_ends, wording
from runtime.agenda import Agenda
from runtime.calls import Calls
from runtime.context import RunContext
from runtime.evaluator import STOPPED
from runtime.expressions import ExpressionError, Scope, Value
from runtime.graph import FlowPlan, PlanNode
from runtime.looping import Looping
from runtime.loops import Attempt, Frame, numbers
from runtime.methods import REFUSED
from runtime.records import Place, Records
from runtime.retries import delay_s
from runtime.run_secrets import text_of
from runtime.stepping import Stepping, run_error, step_error
from runtime.steps import Outcome
from storage.journal_rows import RunWrite, StepWrite
from storage.journal_runs import RunState, StepState
from storage.tables import RunRow, from_us

if TYPE_CHECKING:
    from runtime.executor import Executor

INLINE_STEPS = 50  # steps without a pause in which other runs go on
STAY_FROM = 100  # steps: a run that waits in a loop stays in memory for some times what walking it anew would cost
STAY_S = 0.01  # for each of them
STAY_MOST_S = 60.0


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
        self.records = Records(shared.journal, state, shared.platform.seals, shared.now_us)
        self.calls = Calls(RunContext(shared.platform, state, shared.installation, shared.clock, self.records))
        self.recorded = {Place(step.node, step.iteration): step for step in state.steps} if state.steps else {}
        self.payload = state.payload
        if state.sealed is not None or state.is_retry or state.event_id is None:
            self.payload = self.records.opened(state.sealed, state.payload, is_usable=not state.is_retry)
        outputs: dict[str, Any] = {}
        flow = {"id": plan.flow_id, "name": plan.name, "version": state.version}
        scope = Scope.of_run(self.payload, outputs, shared.environment, flow, state.id, state.started_us)
        self.told: set[Place] = set()  # steps whose failed or unknown end is recorded
        self.has_waits = bool(state.waits)
        self.returned = self._returned_before()  # the run's output as JSON
        deadline = None if plan.timeout_s is None else state.started_us + int(plan.timeout_s * 1e6)
        self.agenda = Agenda(shared.now_us, deadline)
        self._top = Frame(plan.parts[state.trigger], scope, outputs)
        self._error: dict[str, Any] | None = None
        self._steps = 0
        self._stops = 0  # expressions that took too much
        self._stepping = Stepping(self)
        self._of_loops: Looping | None = None
        self.agenda.ready.append((self._top, state.trigger))

    @property
    def has_failed(self) -> bool:
        """Whether nothing more is started, because the run ends with an error."""
        return self._error is not None

    @property
    def looping(self) -> Looping:
        if self._of_loops is None:  # most runs have none
            self._of_loops = Looping(self)
        return self._of_loops

    async def filtered(self, where: Value) -> Ended | None:
        """Return None when the run's event passes its trigger's filter; otherwise the run is gone."""
        try:
            if await self.shared.evaluator.value_of(where, self._top.scope, self.state.flow_id):
                return None
        except ExpressionError as error:
            trigger = self.plan.nodes[self.state.trigger]
            failure = NodeError(f"“Filter”: {error.message}", code=error.code, param="filter")
            self.fail(Attempt(self._top, trigger, 1, self.shared.now_us()), failure)
            self.look_at_failed(trigger, failure)
            return await self._finish()
        if not self.state.is_test:
            await self.shared.journal.call(lambda session: _remove(session, self.state.id))
            return Ended("removed")
        return await self._finish()

    def walk_through(self) -> asyncio.Future[None] | None:
        """Do what needs no waiting. Return the future of the run's end, or None when ``go`` has more to do."""
        self._look_at_the_clock()
        rows, end = self.records.hold(), None
        try:
            self._advance()
            if not (self._top.walk.open or not self.agenda.is_empty or self.has_failed or self._must_tell):
                self._close()
                write = RunWrite(self.state.id, "succeeded", None, None, self.shared.now_us(), self._output)
                end = self.shared.journal.finish(self.state.epoch, write, rows)
        finally:
            if end is None:
                self.records.release()
                if rows:
                    self.shared.journal.put_soon(self.state.epoch, *rows)
        return end

    async def go(self) -> Ended | None:
        """Walk until nothing can go on; None when the engine stops before that."""
        agenda = self.agenda
        self.shared.going[self.state.id] = agenda
        try:
            self._look_at_the_clock()
            while True:
                self._advance()
                self._look_at_the_clock()
                if agenda.has_come and not self.has_failed and not self.shared.is_stopping:
                    agenda.has_come = False
                    await self._stepping.look_at_what_came()
                elif agenda.ready and not self.shared.is_stopping:
                    await self._pause()
                elif agenda.is_busy:
                    await agenda.wait()
                elif agenda.ready:
                    return None
                elif (ended := await self._end()) is not None:
                    return ended
                for frame in agenda.take_ended():
                    self._settle(frame)
        finally:
            del self.shared.going[self.state.id]
            agenda.cut_off()
            self._close()

    async def _pause(self) -> None:
        """Give others their turn, other branches too, and the disk its time."""
        self.agenda.start()
        if self.shared.journal.is_behind:
            await self.shared.journal.barrier()
        else:
            await asyncio.sleep(0)

    def _close(self) -> None:
        """Let nothing refer to the run in a circle."""
        self._stepping.close()
        if self._of_loops is not None:
            self._of_loops.close()

    def _returned_before(self) -> str | None:
        """Return what the run has returned so far, also from rounds that are not walked again."""
        if not self.state.steps:
            return None
        nodes = self.plan.nodes
        found = [
            step
            for step in self.state.steps
            if step.status == "succeeded" and step.node in nodes and nodes[step.node].type.is_returning
        ]
        last = max(found, key=lambda step: (step.started_us or 0, numbers(step.iteration)), default=None)
        if last is None:
            return None
        return text_of(last.output if last.sealed is None else self.records.opened(last.sealed, last.output))[0]

    @property
    def _must_tell(self) -> bool:
        """Whether somebody is told in the transaction that ends the run."""
        return self.has_waits or self.state.called_by is not None

    @property
    def _output(self) -> str | None:
        return self.records.shown_text(self.returned)

    def _advance(self) -> None:
        ready, nodes, take_up = self.agenda.ready, self.plan.nodes, self._stepping.take_up
        self._stepping.moment = self.shared.now_us()
        for _ in range(INLINE_STEPS):
            if not ready or self.shared.is_stopping:
                return
            frame, node_id = ready.popleft()
            if frame.error is None:
                self._steps += 1
                if self._steps > limits.RUN_STEPS:
                    self._end_endless()
                else:
                    take_up(frame, nodes[node_id])

    def _end_endless(self) -> None:
        message = f"The run has more than {limits.RUN_STEPS:,} steps. Let a loop have fewer rounds."
        self._fail_with({"message": message, "code": "run.too_many_steps", "node": None})

    def _look_at_the_clock(self) -> None:
        """Take up what waited until now; end a run that has taken too long."""
        if self.agenda.is_late and not self.has_failed:
            message = f"The run did not end within {wording.seconds(self.plan.timeout_s or 0)}."
            self._fail_with({"message": message, "code": "run.timeout", "node": None})
            self.agenda.cut_off()
        self.agenda.take_due()

    def _fail_with(self, error: dict[str, Any]) -> None:
        self._error = self._error or error
        self.agenda.end()

    def _settle(self, frame: Frame) -> None:
        if frame.loop is not None:
            self.looping.settle(frame)

    async def _end(self) -> Ended | None:
        """End the run, or let it wait; None when what it waits for has come already."""
        if self.agenda.held and not self.has_failed:
            wake = self.agenda.next_us
            await self._become("waiting", wake)
            if not await self._stays():
                return Ended("waiting", wake)
            await self._become("running", None)  # durable before the rows are looked at: what comes later tells again
            self.agenda.tell()  # what came before: the row no longer says that the run is to look
            return None
        if self._top.walk.open and not self.has_failed:
            raise RuntimeError("steps of the run are left, and nothing leads to them")
        return await self._finish()

    async def _become(self, status: str, wake_us: int | None) -> None:
        write = RunWrite(self.state.id, status, None, wake_us, None, self._output)
        await self.shared.journal.finish(self.state.epoch, write)

    async def _stays(self) -> bool:
        """Wait for what comes, where to walk through long loops again would cost more; return whether it has come."""
        has_come = self.agenda.has_come
        if not has_come and self._steps >= STAY_FROM and any(frame.loop for frame, _node in self.agenda.held):
            with self.shared.staying(self.state) as may_stay:
                has_come = may_stay and await self.agenda.stay(min(STAY_MOST_S, STAY_S * self._steps))
        return has_come and not self.shared.is_stopping

    async def _finish(self) -> Ended:
        if self._of_loops is not None:
            self._of_loops.stop_all()
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
        returned = None if self.returned is None else orjson.loads(self.returned)
        answer, sealed = self.records.event({"run": state.id, "output": returned})

        def work(session: Session) -> tuple[run_ends.Due, None]:
            run = session.get_one(RunRow, state.id)
            if error is not None:
                run_ends.end_steps(session, state.id, now, "stopped", self.agenda.under_way)
            return run_ends.end(session, run, status, now, error=error, output=answer["output"], sealed=sealed), None

        self.shared.follow(await self.shared.journal.transact(state.id, state.epoch, work))
        return Ended(status)

    # what a step came to

    def wait_until(self, frame: Frame, node_id: str, moment_us: int | None, found: StepState) -> None:
        """Look at a step again at *moment_us*; None: when the run is taken up anew."""
        self.recorded[Place(node_id, frame.iteration)] = found
        self.agenda.held[frame, node_id] = moment_us

    def succeed(self, attempt: Attempt, found: Outcome) -> None:
        """Record a step that has succeeded, and go on at its port."""
        frame, node, number, started, input = attempt
        port, output, text, effect, sealed = found
        ended = self._stepping.moment = self.shared.now_us()
        self.records.put(
            StepWrite(
                self.state.id, node.id, frame.iteration, number, "succeeded", port, input, text, None, effect,
                started, ended, sealed,
            )
        )  # fmt: skip
        self.decide(frame, node, port, output)

    def fail(self, attempt: Attempt, error: NodeError) -> None:
        """Record a step that has failed; it is tried again, passed over, or stops the run or its round."""
        delay = delay_s(attempt.node, attempt.number, error)
        if delay is not None and not self.has_failed and attempt.frame.error is None:
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

    def look_at_failed(self, node: PlanNode, error: NodeError) -> None:
        """Note what an expression tried; end a run whose expressions took too much too often."""
        if error.code == REFUSED:
            self.shared.escapes.note(self.state.flow_id, self.state.id, node.id)
        elif error.code in STOPPED:
            self._stops += 1
            if self._stops > limits.EXPRESSION_STOPS:
                message = f"More than {limits.EXPRESSION_STOPS} expressions of the run took too much work."
                self._fail_with({"message": message, "code": "run.too_much_work", "node": node.id})

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
            self._fail_with(error)
        else:
            self.looping.stop(frame, error)

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
        if frame.error is None and self._error is None:
            for node_id in ready:
                self.agenda.ready.append((frame, node_id))
        if skipped:
            self.record_skipped(frame, skipped)
        if frame.loop is not None:
            self.looping.settle(frame)

    def give_up(self, frame: Frame) -> None:
        """Let nothing more happen in a round that has failed."""
        self.agenda.forget(frame)
        nodes = frame.walk.rest()
        self.record_skipped(frame, nodes)
        if self.has_waits and not self.has_failed:  # the end of the run forgets them all
            self._stepping.close_waits(frame, nodes)

    def record_skipped(self, frame: Frame, nodes: list[str]) -> None:
        """Record that these steps do not take place, however far they had come."""
        for node_id in nodes:
            place = Place(node_id, frame.iteration)
            found = self.recorded.pop(place, None)
            if found is None and place not in self.told and place not in self.agenda.under_way:
                self.records.put_skipped(place)
            elif found is not None and found.status == "running":
                self.told.add(place)
                self.records.put_unknown(place, found)
            elif found is not None and found.status in ("waiting", "planned"):  # it will not go on
                self.records.put_given_up(place, found)


def _going_on(node: PlanNode, error: NodeError) -> tuple[str | None, dict[str, Any] | None]:
    """Return port and output at which the flow goes on when *node* has failed; no port: it does not."""
    if node.on_error == "port":
        return "error", {"message": error.message, "code": error.code, "step": node.id}
    return ("out" if node.on_error == "continue" else None), None


def _remove(session: Session, run_id: int) -> None:
    session.exec(delete(RunRow).where(col(RunRow.id) == run_id))
