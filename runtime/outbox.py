"""The outbox: an event's row and one run row for each published trigger that waits for it.

This is the only place that knows which flows an event starts. ``record`` does it in a session; ``Subscriptions``
does the same for the journal's writer, which keeps the subscriptions in memory.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from sqlmodel import Session, col, select

from runtime import wording
from runtime.chains import Chains
from runtime.errors import Invalid, Problem
from runtime.event_ids import new_id
from runtime.intake import Intake, Subscriber
from runtime.rules import read_rules
from runtime.sealing import BLANK
from storage.journal_rows import EventSeed, RunSeed
from storage.journal_waits import Execute, offer
from storage.tables import EventRow, RunRow, Subscription, to_us

PHASED = "auth.password_reset"  # two events share this name; the one that asks for a reset brings a token
PHASE = "phase"


class NewEvent(NamedTuple):
    """An event that is handed in. Four fields say what led to it.

    *digest* is what an event of the same *id* must have in common with this one; None: name and payload.
    """

    name: str
    payload: dict[str, Any]
    id: str | None = None
    root_id: str | None = None
    parent_run: int | None = None
    depth: int = 0
    path: tuple[str, ...] = ()
    digest: str | None = None


def seed(event: NewEvent) -> EventSeed:
    """Return *event* as it is stored, with an id of its own unless the sender chose one.

    Raises Invalid for a payload that is no JSON object and for a name that is no text.
    """
    try:
        text = orjson.dumps(event.payload).decode()
    except (TypeError, ValueError) as error:
        raise Invalid(Problem("event.payload_invalid", "The payload is not a JSON object.")) from error
    try:
        f"{event.name}{event.id}".encode()
    except UnicodeEncodeError as error:
        message = "The event's name or id holds characters that cannot be stored."
        raise Invalid(Problem("event.name_invalid", message)) from error
    event_id = event.id or new_id()
    digest = event.digest or _digest(event) if event.id else None
    root = event.root_id or event_id
    return EventSeed(
        *(event_id, event.name, event.payload, text, digest, root, event.parent_run, event.depth, tuple(event.path))
    )


def record(
    session: Session,
    event_name: str,
    payload: dict[str, Any],
    *,
    id: str | None = None,
    causality: NewEvent | None = None,
    sealed: str | None = None,
    now: datetime | None = None,
    chains: Chains | None = None,
) -> tuple[str, list[int]]:
    """Write an event and the runs it starts in the session's transaction; return its id and the runs that are due.

    These are the started ones, and those that were suspended and may have waited for it.

    *causality* carries root, parent run, depth and path where a run caused the event; *chains* stops what goes round.
    *sealed* is the payload locked, where *payload* has its secrets masked; it is kept only if there is a run to open
    it.
    An id that was seen before writes nothing and returns the runs of the first time; raises Invalid
    (``event.id_reused``) where it came with another name or payload.
    """
    cause = causality or NewEvent(event_name, payload)
    event = seed(NewEvent(event_name, payload, id, cause.root_id, cause.parent_run, cause.depth, cause.path))
    if event.digest and (known := session.get(EventRow, event.id)) is not None:
        if known.digest != event.digest:
            raise id_reused(event.id)
        ids = session.exec(select(RunRow.id).where(RunRow.event_id == event.id)).all()
        return event.id, [run_id for run_id in ids if run_id is not None]
    moment = now or datetime.now(UTC)
    runs = [_run_row(run, event.id, moment) for run in _runs_for(session, event, chains)]
    session.flush()
    woken = offer(executing(session), [(event.id, event.name, event.payload)], to_us(moment)).get(event.id, [])
    is_awaited = bool(woken) or any(run.status == "queued" for run in runs)
    kept = sealed if sealed is None or is_awaited else BLANK
    session.add(_event_row(event, moment, kept))
    session.add_all(runs)
    session.flush()
    return event.id, [run.id for run in runs if run.id is not None and run.status == "queued"] + woken


def call(
    session: Session,
    event: NewEvent,
    subscriber: Subscriber,
    now: datetime,
    *,
    called_by: int | None,
    chains: Chains | None = None,
    sealed: str | None = None,
) -> RunRow:
    """Write an event that starts one flow alone, and its run; one that is refused is recorded as failed.

    *sealed* is the payload locked, where that of *event* has its secrets masked.
    """
    stored = seed(event)
    session.flush()
    run = _run_row(_intake_for(session, [subscriber], chains).called(subscriber, stored), stored.id, now)
    run.called_by = called_by
    session.add(_event_row(stored, now, sealed))
    session.add(run)
    session.flush()
    return run


def executing(session: Session) -> Execute:
    """Return what runs SQL statements in the session's transaction."""

    def execute(statement: str, values: Sequence[Any]) -> Sequence[Any]:
        found = session.connection().exec_driver_sql(statement, tuple(values))
        return found.fetchall() if found.returns_rows else ()

    return execute


def start(session: Session, starts: Sequence[tuple[NewEvent, Subscriber]], now: datetime) -> int:
    """Write events that start one flow each, whoever else listens, and their runs; return how many may begin.

    An event of an id that has been written before is left out, with its run.
    """
    seeds = {event.id: (event, subscriber) for event, subscriber in ((seed(event), each) for event, each in starts)}
    known = set(session.exec(select(EventRow.id).where(col(EventRow.id).in_(seeds))).all())
    fresh = [each for event_id, each in seeds.items() if event_id not in known]
    if not fresh:
        return 0
    session.flush()
    intake = _intake_for(session, [subscriber for _event, subscriber in fresh], None)
    runs = []
    for event, subscriber in fresh:
        (run,) = intake.runs_of([subscriber], event)
        runs.append(_run_row(run, event.id, now))
        session.add(_event_row(event, now))
    session.add_all(runs)
    session.flush()
    return sum(run.status == "queued" for run in runs)


def listens(session: Session, event_name: str, known: Mapping[str, Any]) -> bool:
    """Return whether a live flow may be started by an event of this name whose payload has the values *known*."""
    return any(
        all(key not in known or known[key] == value for key, value in subscriber.match.items())
        for subscriber in _subscribers(session, event_name)
    )


def _runs_for(session: Session, event: EventSeed, chains: Chains | None) -> list[RunSeed]:
    heard = _matching(_subscribers(session, event.name), event)
    if not heard:
        return []
    session.flush()
    return _intake_for(session, heard, chains).runs_of(heard, event)


def _intake_for(session: Session, subscribers: Sequence[Subscriber], chains: Chains | None) -> Intake:
    intake = _intake(session, chains)
    intake.set_rules(read_rules(intake.cursor, {each.flow_id for each in subscribers}))
    return intake


def _intake(session: Session, chains: Chains | None) -> Intake:
    """Return the one that counts for the session's transaction."""
    transaction = session.get_transaction()
    known, intake = session.info.get("intake", (None, None))
    if intake is None or known is not transaction:
        raw = session.connection().connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        intake = Intake(chains or Chains(_wall_us))
        intake.begin(raw.cursor())
        session.info["intake"] = (session.get_transaction(), intake)
    assert isinstance(intake, Intake)
    return intake


def _matching(subscribers: Iterable[Subscriber], event: EventSeed) -> list[Subscriber]:
    found = [
        each
        for each in subscribers
        if not each.match or all(_has(event, key, value) for key, value in each.match.items())
    ]
    if event.name == "flow.run_failed":  # a flow that hears of failed runs does not hear of its own
        found = [each for each in found if each.flow_id != event.payload.get("flow")]
    return found


def _has(event: EventSeed, key: str, value: Any) -> bool:
    if key == PHASE and event.name == PHASED:
        return bool(value == ("requested" if "token" in event.payload else "completed"))
    return key in event.payload and event.payload[key] == value


def id_reused(event_id: str) -> Invalid:
    """Return the refusal of an event id that came back with something else."""
    message = f"An event with the id “{wording.shown(event_id, 100)}” exists with another name or payload."
    return Invalid(Problem("event.id_reused", f"{message} Send a new id."))


class Subscriptions:
    """The journal's view of the triggers that hear events, read again whenever another process has committed."""

    def __init__(self, chains: Chains) -> None:
        self._by_event: dict[str, list[Subscriber]] = {}
        self._intake = Intake(chains)
        self._chains = chains

    def refresh(self, cursor: sqlite3.Cursor) -> None:
        """Read the subscriptions anew, in the cursor's transaction."""
        found: dict[str, list[Subscriber]] = {}
        for event, flow_id, version, node, match in cursor.execute(
            "SELECT event, flow_id, version, node, match FROM subscription ORDER BY flow_id, node"
        ):
            found.setdefault(event, []).append(Subscriber(flow_id, version, node, orjson.loads(match)))
        self._by_event = found
        self._read_rules(cursor)

    def begin(self, cursor: sqlite3.Cursor) -> None:
        """Route in the cursor's transaction from now on."""
        self._intake.begin(cursor)
        if self._chains.has_paused:
            self._read_rules(cursor)

    def route(self, event: EventSeed) -> list[RunSeed]:
        """Return the runs that *event* starts."""
        heard = self._by_event.get(event.name)
        return self._intake.runs_of(_matching(heard, event), event) if heard else []

    def held(self) -> Mapping[str, bool]:
        """Return the flows whose runs may have to wait, and whether each is paused."""
        return {flow_id: rule.is_paused for flow_id, rule in self._intake.rules.items()}

    def _read_rules(self, cursor: sqlite3.Cursor) -> None:
        self._chains.has_paused = False
        self._intake.set_rules(read_rules(cursor))


def _subscribers(session: Session, event_name: str) -> list[Subscriber]:
    rows: Sequence[Subscription] = session.exec(
        select(Subscription)
        .where(Subscription.event == event_name)
        .order_by(col(Subscription.flow_id), col(Subscription.node))
    ).all()
    return [Subscriber(row.flow_id, row.version, row.node, row.match) for row in rows]


def _event_row(event: EventSeed, moment: datetime, sealed: str | None = None) -> EventRow:
    return EventRow(
        id=event.id,
        name=event.name,
        payload=event.payload,
        digest=event.digest,
        root_id=event.root_id,
        parent_run=event.parent_run,
        depth=event.depth,
        path=list(event.path),
        sealed=sealed,
        created_at=moment,
    )


def _run_row(run: RunSeed, event_id: str, moment: datetime) -> RunRow:
    error = None if run.error is None else orjson.loads(run.error)
    return RunRow(
        flow_id=run.flow_id,
        version=run.version,
        trigger=run.trigger,
        event_id=event_id,
        status="queued" if error is None else "failed",
        error=error,
        created_at=moment,
        ended_at=None if error is None else moment,
    )


def _wall_us() -> int:
    return time.time_ns() // 1000


def _digest(event: NewEvent) -> str:
    return hashlib.sha256(orjson.dumps([event.name, event.payload], option=orjson.OPT_SORT_KEYS)).hexdigest()
