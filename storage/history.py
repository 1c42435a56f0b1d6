"""The runs that are kept, and removing the oldest: in turns so short that nobody else waits long for the writer.

An event stays while a run or a wait refers to it. One whose sender chose its id, or that a run caused, also stays for
a day, so that it is known when it comes again and counts among what its cause has led to.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Exists, LargeBinary, cast, exists, func, literal_column, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import Session, and_, col, delete, or_, select

from storage.tables import EventRow, RunRow, Setting, StepRow, WaitEvent, WaitRow

CLEARING = "retention_clearing"  # the setting that holds the runs whose steps are still to be removed
RUN_BYTES = 500  # what the rows of a run and its event take beside their texts, with their places in the indexes
STEP_BYTES = 60
SAMPLES = 100  # runs looked at to estimate what all runs of a flow take
HAS_ENDED = col(RunRow.ended_at).is_not(None)  # as the partial index has it
ROWID = literal_column("event.rowid", BigInteger)


@dataclass(frozen=True)
class Kept:
    """How much of one flow's history stays; None sets no limit."""

    ended_after: datetime | None
    runs: int | None
    bytes: int | None


@dataclass(frozen=True)
class OldRun:
    """A run that may go; *steps* and *text_bytes* tell how much work that is."""

    id: int
    ended_at: datetime
    steps: int
    text_bytes: int


@dataclass(frozen=True)
class Ended:
    """How many ended runs a flow has, and when the first of them ended."""

    count: int
    first_at: datetime


def ended(session: Session) -> dict[str, Ended]:
    """Return what there is of each flow that has ended runs, also of those that were deleted; reads an index alone."""
    counted = select(RunRow.flow_id, func.count(), func.min(RunRow.ended_at)).where(HAS_ENDED)
    found = session.exec(counted.group_by(col(RunRow.flow_id)))
    return {flow_id: Ended(count, first_at) for flow_id, count, first_at in found if first_at is not None}


def surplus(session: Session, flow_id: str, found: Ended, kept: Kept, used_bytes: int) -> int:
    """Return how many of the flow's ended runs, the oldest, are more than *kept*.

    *used_bytes* is what the whole database takes: below the limit of one flow there is no need to estimate.
    """
    more = 0
    if kept.ended_after is not None and found.first_at < kept.ended_after:
        old = select(func.count()).select_from(RunRow).where(RunRow.flow_id == flow_id)
        more = session.exec(old.where(col(RunRow.ended_at) < kept.ended_after)).one()
    if kept.runs is not None:
        more = max(more, found.count - kept.runs)
    if kept.bytes is not None and used_bytes > kept.bytes and found.count > more:
        more = max(more, found.count - _fitting(session, flow_id, found.count, kept.bytes))
    return more


def oldest(
    session: Session, flow_id: str, before: datetime, limit: int, after: tuple[datetime, int] | None
) -> list[OldRun]:
    """Return up to *limit* runs that ended before a time, in the order of their ends; *after* is the last one seen."""
    ended = (col(RunRow.ended_at), col(RunRow.id))
    query = select(*ended).where(RunRow.flow_id == flow_id, HAS_ENDED, col(RunRow.ended_at) < before)
    if after is not None:
        query = query.where(tuple_(*ended) > after)
    found = session.exec(query.order_by(*ended).limit(limit)).all()
    sizes = _sizes(session, [run_id for _, run_id in found if run_id is not None])
    return [OldRun(run_id, at, *sizes[run_id]) for at, run_id in found if at is not None and run_id is not None]


def remove(session: Session, run_ids: Collection[int], event_before: datetime) -> int:
    """Remove ended runs with their steps, waits and events; return how many.

    Left alone: those given up as dead, which wait for a person, those that an open run retries, and those that were
    called by a run that is still open.
    """
    found = _removable(session, run_ids)
    ids, events = list(found), {event for event in found.values() if event is not None}
    session.exec(delete(StepRow).where(col(StepRow.run_id).in_(ids)))
    _remove_rows(session, ids, events, event_before)
    return len(ids)


def remove_large(session: Session, run_id: int, event_before: datetime) -> int:
    """Remove an ended run, and note that its steps are to be cleared; return how many runs that were."""
    found = _removable(session, [run_id])
    if found:
        noted = session.get(Setting, CLEARING) or Setting(key=CLEARING, value={"runs": []})
        noted.value = {"runs": [*noted.value["runs"], *found]}
        session.add(noted)
        _remove_rows(session, list(found), {event for event in found.values() if event is not None}, event_before)
    return len(found)


def to_clear(session: Session) -> list[int]:
    """Return the runs that were removed while some of their steps were left."""
    noted = session.get(Setting, CLEARING)
    return list(noted.value["runs"]) if noted else []


def clear_steps(session: Session, run_id: int, limit: int) -> bool:
    """Remove up to *limit* steps of a run that is no more; return whether that were the last."""
    key = (col(StepRow.run_id), col(StepRow.node), col(StepRow.iteration))
    some = select(*key).where(StepRow.run_id == run_id).limit(limit)
    if session.connection().execute(delete(StepRow).where(tuple_(*key).in_(some))).rowcount == limit:
        return False
    noted = session.get_one(Setting, CLEARING)
    noted.value = {"runs": [each for each in noted.value["runs"] if each != run_id]}
    session.add(noted)
    return True


def unused_events(session: Session, after: int, before: datetime, now: datetime, limit: int) -> tuple[list[str], int]:
    """Return the events among the next *limit* that started nothing or have nothing left, and where to go on.

    *after* is the rowid of the last one seen: events are numbered in the order in which they were accepted. Those from
    *before* on are too young; where one is reached, the place to go on is in front of it. A time after *now* is of
    a clock that was wrong.
    """
    is_next = after < ROWID
    last = select(func.max(ROWID)).select_from(EventRow)
    some = select(ROWID).select_from(EventRow).where(is_next).order_by(ROWID).limit(1).offset(limit - 1)
    end = session.scalar(some) or session.scalar(last) or 0
    is_young = col(EventRow.created_at).between(before, now)
    young = select(func.min(ROWID)).select_from(EventRow).where(is_next, end >= ROWID, is_young)
    if (first_young := session.scalar(young)) is not None:
        end = first_young - 1
    unused = select(EventRow.id).where(is_next, end >= ROWID, ~or_(*_references()))
    return list(session.exec(unused)), max(after, end)


def remove_events(session: Session, event_ids: Collection[str], event_before: datetime) -> int:
    """Remove those events that nothing refers to and that need not be remembered; return how many."""
    newest = select(func.max(ROWID)).select_from(EventRow).scalar_subquery()  # its number must not be given again
    is_forgotten = or_(
        and_(col(EventRow.digest).is_(None), EventRow.depth == 0), col(EventRow.created_at) < event_before
    )
    gone = delete(EventRow).where(col(EventRow.id).in_(event_ids), newest > ROWID, is_forgotten)
    return session.connection().execute(gone.where(~or_(*_references()))).rowcount


def _removable(session: Session, run_ids: Collection[int]) -> dict[int, str | None]:
    """Return the events of those runs that may go, by run."""
    other, caller = aliased(RunRow), aliased(RunRow)
    is_retried = exists().where(col(other.parent_run) == col(RunRow.id), col(other.ended_at).is_(None))
    is_awaited = exists().where(
        col(WaitRow.id) == col(RunRow.called_by), col(caller.id) == col(WaitRow.run_id), col(caller.ended_at).is_(None)
    )
    query = select(RunRow.id, RunRow.event_id).where(col(RunRow.id).in_(run_ids), HAS_ENDED, ~col(RunRow.is_dead))
    found = session.exec(query.where(~is_retried, ~is_awaited)).all()
    return {run_id: event_id for run_id, event_id in found if run_id is not None}


def _remove_rows(session: Session, run_ids: list[int], events: set[str], event_before: datetime) -> None:
    waits = session.exec(select(WaitRow.id).where(col(WaitRow.run_id).in_(run_ids))).all()
    if waits:
        of_waits = col(WaitEvent.wait_id).in_(waits)
        events |= set(session.exec(select(WaitEvent.event_id).where(of_waits)))
        session.exec(delete(WaitEvent).where(of_waits))
        session.exec(delete(WaitRow).where(col(WaitRow.id).in_(waits)))
    session.exec(delete(RunRow).where(col(RunRow.id).in_(run_ids)))
    if events:
        remove_events(session, events, event_before)


def _references() -> tuple[Exists, Exists]:
    return (
        exists().where(col(RunRow.event_id) == col(EventRow.id)),
        exists().where(col(WaitEvent.event_id) == col(EventRow.id)),
    )


def _fitting(session: Session, flow_id: str, total: int, limit: int) -> int:
    """Return how many of the newest runs take about *limit* bytes, by the sizes of some at even distances."""
    every = -(-total // SAMPLES)
    place = func.row_number().over(order_by=col(RunRow.ended_at).desc())
    numbered = select(RunRow.id, place.label("place")).where(RunRow.flow_id == flow_id, HAS_ENDED).subquery()
    sample = select(numbered.c.id).where(numbered.c.place % every == every // 2).order_by(numbered.c.place)
    ids = list(session.exec(sample))
    sizes, taken = _sizes(session, ids), 0
    for index, run_id in enumerate(ids):
        steps, text_bytes = sizes[run_id]
        size = every * (RUN_BYTES + STEP_BYTES * steps + text_bytes)
        if taken + size > limit:
            return index * every + (limit - taken) * every // size
        taken += size
    return total


def _sizes(session: Session, run_ids: list[int]) -> dict[int, tuple[int, int]]:
    """Return for each run its number of steps, and the bytes of its texts, its event's and its steps'."""
    of_run = select(RunRow.id, _length(RunRow.payload, RunRow.output, RunRow.error, RunRow.document, EventRow.payload))
    of_run = of_run.outerjoin(EventRow, col(EventRow.id) == RunRow.event_id).where(col(RunRow.id).in_(run_ids))
    texts = func.sum(_length(StepRow.input, StepRow.output, StepRow.error, StepRow.effect, StepRow.sealed))
    of_steps = select(StepRow.run_id, func.count(), texts).where(col(StepRow.run_id).in_(run_ids))
    steps = {run_id: (count, size) for run_id, count, size in session.exec(of_steps.group_by(col(StepRow.run_id)))}
    found = dict.fromkeys(run_ids, (0, 0))
    for run_id, size in session.exec(of_run):
        count, more = steps.get(run_id or 0, (0, 0))
        found[run_id or 0] = (count, size + more)
    return found


def _length(*columns: Any) -> ColumnElement[int]:
    """Return the bytes of these texts together."""
    none = literal_column("0", BigInteger)
    return sum((func.coalesce(func.length(cast(column, LargeBinary)), 0) for column in columns), none)
