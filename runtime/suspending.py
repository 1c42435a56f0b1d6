"""Steps that do not end with the call of their node: they wait, call another flow, or repeat a body."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from sqlmodel import Session

from nodes.spec import AnotherRound, AwaitApproval, AwaitEvent, CallFlow, EachItem, NodeError, Sleep, Suspended
from runtime import waits
from runtime.expressions import ExpressionError, Scope, compile_condition
from runtime.graph import PlanNode
from runtime.loops import Attempt, Frame
from runtime.outbox import executing
from runtime.records import Place
from runtime.run_ends import Due, close_waits, forget
from runtime.run_secrets import text_of
from runtime.steps import Outcome, outcome, took_too_long
from storage.journal_rows import StepWrite
from storage.journal_runs import StepState
from storage.journal_waits import OfferedEvent, WaitState, come, offered
from storage.tables import RunRow, StepRow, WaitRow, from_us, to_us

if TYPE_CHECKING:
    from runtime.execution import Execution

TIMED_OUT = "timeout"  # the port of what has waited long enough
log = logging.getLogger("pulsewire.suspending")


class Suspending:
    """The suspended steps of one *run*."""

    def __init__(self, run: Execution) -> None:
        self._run = run
        self._shared = run.shared
        self._waits = {Place(wait.node, wait.iteration): wait for wait in run.state.waits}

    def suspend(self, attempt: Attempt, wanted: Suspended) -> None:
        """Do what the node has asked for."""
        if isinstance(wanted, EachItem | AnotherRound):
            self._run.looping.begin(attempt, wanted)
        elif self._run.state.is_simulated:
            self._run.succeed(attempt, simulated(wanted))
        elif isinstance(wanted, Sleep):
            self._sleep(attempt, wanted)
        else:
            self._run.agenda.begin(attempt, self._open(attempt, wanted))

    def look_again(self, frame: Frame, node: PlanNode, found: StepState) -> None:
        """Go on with a suspended step for which the time has come, or what it waited for."""
        attempt = _attempt(frame, node, found)
        until = _own_end(attempt, found)
        is_late = until is not None and until <= self._shared.now_us()
        wait = self._waits.get(Place(node.id, frame.iteration))
        if (found.effect or {}).get("kind") == "delay" and is_late:
            text = orjson.dumps(found.output).decode()
            self._run.succeed(attempt, Outcome("out", found.output, text))
        elif wait is not None and (is_late or wait.resolution is not None or wait.events):
            self._run.agenda.begin(attempt, self._resume(attempt, found, wait))
        elif (limit := _limit(attempt)) is not None and limit <= self._shared.now_us():
            self._run.agenda.begin(attempt, self._give_up(attempt, found, wait))
        else:
            self._hold(attempt, found)

    def _hold(self, attempt: Attempt, found: StepState) -> None:
        """Look at the step again when its moment comes, or its own time is over."""
        self._run.wait_until(attempt.frame, attempt.node.id, _sooner(_own_end(attempt, found), _limit(attempt)), found)

    async def look_at_what_came(self) -> None:
        """Go on with the suspended steps that something has come for, or that a person has settled."""
        run, held = self._run, self._run.agenda.held
        unknown = [key for key in held if Place(key[1], key[0].iteration) not in run.recorded]

        def work(session: Session) -> tuple[tuple[list[WaitState], list[StepRow]], None]:
            session.get_one(RunRow, run.state.id).wake_at = None  # what comes from now on sets it again
            rows = [session.get(StepRow, (run.state.id, node, frame.iteration)) for frame, node in unknown]
            settled = [row for row in rows if row is not None and row.status not in ("running", "unknown")]
            return (come(executing(session), run.state.id), settled), None

        waits, settled = await self._shared.journal.transact(run.state.id, run.state.epoch, work)
        if run.has_failed:
            return
        keys = {Place(node, frame.iteration): (frame, node) for frame, node in held}
        for wait in waits:
            place = Place(wait.node, wait.iteration)
            self._waits[place] = wait
            if place in keys:
                run.agenda.go_on(*keys[place])
        for row in settled:
            place = Place(row.node, row.iteration)
            run.recorded[place] = _state(row)
            run.told.discard(place)
            if place in keys:
                run.agenda.go_on(*keys[place])

    def close(self, frame: Frame, nodes: list[str]) -> None:
        """Forget what these steps of a round wait for, which do not go on."""
        waits = [wait for node in nodes if (wait := self._waits.pop(Place(node, frame.iteration), None)) is not None]
        if waits and frame.loop is not None:
            self._run.agenda.begin(frame.loop.attempt, self._close([wait.id for wait in waits]))

    async def _close(self, wait_ids: list[int]) -> None:
        state, now = self._run.state, self._shared.clock()

        def work(session: Session) -> tuple[Due, None]:
            rows = [row for wait_id in wait_ids if (row := session.get(WaitRow, wait_id)) is not None]
            return close_waits(session, rows, now), None

        self._shared.follow(await self._shared.journal.transact(state.id, state.epoch, work))

    def _sleep(self, attempt: Attempt, wanted: Sleep) -> None:
        done = outcome(wanted.output)
        effect = {"kind": "delay", "until": wanted.until.isoformat()}
        self._record(attempt, effect, done)
        self._wait(attempt, effect, done.output)

    def _record(self, attempt: Attempt, effect: dict[str, Any], done: Outcome | None = None) -> None:
        self._run.records.put(self._row(attempt, effect, done))

    def _row(self, attempt: Attempt, effect: dict[str, Any], done: Outcome | None = None) -> StepWrite:
        return self._run.records.row(
            *(attempt.place, attempt.number, "waiting"),
            started=attempt.started,
            input=attempt.text,
            output=None if done is None else done.text,
            effect=orjson.dumps(effect).decode(),
        )

    def _wait(self, attempt: Attempt, effect: dict[str, Any], output: Any = None) -> None:
        again = StepState(*attempt.place, attempt.number, "waiting", None, output, None, effect, attempt.started)
        self._hold(attempt, again)

    async def _open(self, attempt: Attempt, wanted: AwaitEvent | AwaitApproval | CallFlow) -> None:
        """Record what the step waits for, in one transaction with the step."""
        place, state, now = attempt.place, self._run.state, self._shared.clock()
        until = None if isinstance(wanted, CallFlow) or wanted.until is None else wanted.until.isoformat()
        effect: dict[str, Any] = {"kind": _kind(wanted), "until": until}

        secrets = self._run.records.secrets
        if secrets is not None and isinstance(wanted, AwaitApproval):
            wanted = replace(wanted, title=secrets.shown(wanted.title), message=secrets.shown(wanted.message))

        def work(session: Session) -> tuple[tuple[int, list[int]], StepWrite]:
            due: list[int] = []
            if isinstance(wanted, AwaitEvent):
                if secrets is not None:
                    secrets.refuse(dict(wanted.match), "What a run waits for")
                effect["event"] = wanted.event
                wait = waits.open_event(session, state.id, place, wanted, now)
            elif isinstance(wanted, AwaitApproval):
                effect["title"] = wanted.title
                token = self._run.calls.approval_token(*place)
                last = _sooner(None if wanted.until is None else to_us(wanted.until), _limit(attempt))
                asked = replace(wanted, until=None if last is None else from_us(last))
                wait = waits.open_approval(session, state.id, place, asked, token, now)
            else:
                cause = self._run.calls.cause(waits.CALLED)
                sealing = None if secrets is None else secrets.event
                wait, called = waits.open_call(
                    *(session, place, wanted, cause, self._shared.types, now, self._shared.platform.chains, sealing)
                )
                effect.update(flow=wanted.flow, run=called)
                due = [called]
            return (wait, due), self._run.records.shown(self._row(attempt, effect))

        try:
            wait_id, due = await self._shared.journal.transact(state.id, state.epoch, work)
        except NodeError as error:
            self._run.fail(attempt, error)
            return
        self._run.has_waits = True
        self._waits[place] = WaitState(wait_id, *place, _kind(wanted), None)
        self._wait(attempt, effect)
        self._shared.due(due)

    async def _resume(self, attempt: Attempt, found: StepState, wait: WaitState) -> None:
        """Let the step go on, if what came is what it waits for."""
        until = _own_end(attempt, found)
        resolution, wait.events = await self._look(attempt, wait, until, wait.events)
        while wait.events:
            resolution, wait.events = await self._look(attempt, wait, until, wait.events)
        if resolution is None:
            self._hold(attempt, found)
            return
        self._waits.pop(attempt.place, None)
        if "error" in resolution:
            self._run.failed(attempt, _error(resolution))
        else:
            output = resolution["output"]
            if wait.kind == "run":
                output = self._run.records.opened(resolution.get("sealed"), output)
            self._run.decide(attempt.frame, attempt.node, resolution["port"], output)

    async def _give_up(self, attempt: Attempt, found: StepState, wait: WaitState | None) -> None:
        """Fail a step that has waited for longer than its time-out, unless something has come at the last moment."""
        state, now = self._run.state, self._shared.clock()

        def work(session: Session) -> tuple[Due | None, None]:
            row = None if wait is None else session.get(WaitRow, wait.id)
            if row is None:
                return Due([], []), None
            if row.resolution is not None or offered(executing(session), row.id or 0):
                return None, None
            return close_waits(session, [row], now), None

        due = await self._shared.journal.transact(state.id, state.epoch, work)
        if due is None and wait is not None:
            await self._resume(attempt, found, wait)
            return
        self._waits.pop(attempt.place, None)
        self._run.fail(attempt, took_too_long(attempt.node))
        if due is not None:
            self._shared.follow(due)

    async def _look(
        self, attempt: Attempt, wait: WaitState, until: int | None, events: Sequence[OfferedEvent]
    ) -> tuple[dict[str, Any] | None, list[OfferedEvent]]:
        """Return how the step goes on, and record it; or None, and the events that are to be looked at next."""
        state, now = self._run.state, self._shared.clock()
        last = _sooner(until, _limit(attempt))
        came = await self._first_of([event for event in events if last is None or event[-1] <= last], attempt)

        def work(session: Session) -> tuple[tuple[dict[str, Any] | None, list[OfferedEvent]], StepWrite | None]:
            row = session.get(WaitRow, wait.id)
            resolution = came if row is None else row.resolution or came
            if resolution is None:
                waits.drop_events(session, wait.id, [event_id for event_id, *_ in events])  # they were not the one
                if more := offered(executing(session), wait.id):  # they came before the time was up
                    return (None, more), None
            if resolution is None and until is not None and until <= to_us(now):
                resolution = {"port": TIMED_OUT, "output": None}
            if resolution is None:
                return (None, []), None
            if row is not None:
                forget(session, row, now)
            return (resolution, []), self._run.records.shown(self._gone_on(attempt, resolution, now))

        return await self._shared.journal.transact(state.id, state.epoch, work)

    def _gone_on(self, attempt: Attempt, resolution: dict[str, Any], now: datetime) -> StepWrite:
        """Return the row of a step that goes on as *resolution* says."""
        if "error" in resolution:
            return self._run.failure(attempt, _error(resolution))
        output, sealed = resolution["output"], resolution.get("sealed")
        text, blank = (None, None) if output is None else text_of(output)
        row = self._run.records.row(
            *(attempt.place, attempt.number, "succeeded"),
            started=attempt.started,
            ended=to_us(now),
            port=resolution["port"],
            output=text,
        )
        return row._replace(sealed=sealed or blank)

    async def _first_of(self, events: Sequence[OfferedEvent], attempt: Attempt) -> dict[str, Any] | None:
        """Return how the step goes on with the first event that meets its condition, or None."""
        node = attempt.node
        name = next(iter(node.type.late_params), None)
        where = node.raw_params.get(name) if name is not None else None
        for event_id, event, masked, sealed, _came in events:
            payload = masked if sealed is None else self._run.records.opened(sealed, masked)
            try:
                if not where or await self._holds(where, attempt.frame.scope.with_item(payload)):
                    output = {"event_id": event_id, "name": event, "payload": payload}
                    return {"port": "out", "output": output}
            except ExpressionError as error:
                log.info("run %d: an event did not fit the condition: %s", self._run.state.id, error.code)
        return None

    async def _holds(self, condition: str, scope: Scope) -> bool:
        value = compile_condition(condition)
        return await self._shared.evaluator.value_of(value, scope, self._run.state.flow_id) is True


def _attempt(frame: Frame, node: PlanNode, found: StepState) -> Attempt:
    return Attempt(frame, node, found.attempt, found.started_us or 0)


def _state(row: StepRow) -> StepState:
    started = None if row.started_at is None else to_us(row.started_at)
    return StepState(
        *(row.node, row.iteration, row.attempt, row.status, row.port, row.output, row.error, row.effect, started),
        *(row.sealed, row.input_hash),
    )


def _limit(attempt: Attempt) -> int | None:
    """Return when a step has taken longer than it may."""
    limit_s = attempt.node.timeout_s
    return None if limit_s is None else attempt.started + int(limit_s * 1e6)


def _sooner(*moments_us: int | None) -> int | None:
    return min((moment for moment in moments_us if moment is not None), default=None)


def _error(resolution: dict[str, Any]) -> NodeError:
    error = resolution["error"]
    return NodeError(str(error.get("message")), code=str(error.get("code")))


def _own_end(attempt: Attempt, found: StepState) -> int | None:
    """Return when the waiting ends by itself; None where it does not, or the step's time-out comes before."""
    text, limit = (found.effect or {}).get("until"), _limit(attempt)
    until = None if text is None else to_us(datetime.fromisoformat(text))
    return None if until is not None and limit is not None and limit < until else until


def _kind(wanted: Suspended) -> str:
    return {AwaitEvent: "event", AwaitApproval: "approval", CallFlow: "run"}[type(wanted)]


def simulated(wanted: Suspended) -> Outcome:
    """Return what a suspended step comes to in a simulated run, where nothing waits and no other flow is called."""
    port, output, effect = "out", dict[str, Any](), dict[str, Any]()
    match wanted:
        case Sleep():
            output = wanted.output.model_dump(mode="json")
            effect = {"kind": "delay", "until": wanted.until.isoformat()}
        case AwaitEvent():
            output = {"event_id": "simulated", "name": wanted.event, "payload": dict(wanted.match)}
            effect = {"kind": "event", "event": wanted.event, "match": dict(wanted.match)}
        case AwaitApproval():
            port = "approved"
            output = {"approved": True, "by": "simulated", "comment": "", "decided_at": None}
            effect = {"kind": "approval", "title": wanted.title, "message": wanted.message}
        case CallFlow():
            output = {"run": None, "output": None}
            effect = {"kind": "run", "flow": wanted.flow, "input": dict(wanted.input)}
    return Outcome(port, output, orjson.dumps(output).decode(), orjson.dumps(effect).decode())
