"""Starts the runs of schedules whose time has come. The rows of the database say when that is, and nothing else does.

One look at the clock takes what is due in few transactions, each of which writes the event, its run and when the
schedule is due next: what was started is never started again, by this engine after a restart or by another one beside
it. An event's id is made of the time it is due for, so that the database refuses a second one.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import to_thread
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import and_, or_
from sqlmodel import Session, col, select

from runtime import outbox
from runtime.catch_up import Firing, again, passed
from runtime.errors import ScheduleError
from runtime.intake import Subscriber
from runtime.outbox import NewEvent
from runtime.run_views import moment
from runtime.schedules import Timetable, local_time
from storage.database import Database
from storage.tables import Flow, Schedule

EVENT = "schedule.due"
TICK_S = 1.0  # the longest time between two looks at the clock, so that a jump is noticed
AGAIN_S = 0.05  # from a look that found something to the next one
ROWS_AT_ONCE = 500  # schedules that are read together
RUNS_AT_ONCE = 250  # of one transaction, which other writes wait for
log = logging.getLogger("pulsewire.scheduler")


@dataclass(frozen=True)
class Move:
    """What is to become of a schedule, unless it has changed since it was read."""

    row: Schedule  # as it was read
    next_due_at: datetime | None
    firings: tuple[Firing, ...] = ()
    is_repeated: bool = False


class Scheduler:
    """*call* runs a function in a transaction of the journal, *started* is awaited after runs were committed."""

    def __init__(
        self,
        database: Database,
        call: Callable[[Callable[[Session], int]], Awaitable[int]],
        clock: Callable[[], datetime],
        started: Callable[[], Awaitable[None]],
    ) -> None:
        self._database = database
        self._call = call
        self._clock = clock
        self._started = started
        self._poked = asyncio.Event()
        self._seen: datetime | None = None  # the clock at the last look; None: not looked yet

    async def run(self) -> None:
        """Look whenever a schedule is due, and at least every second; whatever goes wrong is tried again."""
        while True:
            self._poked.clear()
            try:
                wait_s = await self.look()
            except Exception as error:
                log.error("looking for schedules that are due failed with %s", type(error).__name__)
                wait_s = TICK_S
            try:
                async with asyncio.timeout(wait_s):
                    await self._poked.wait()
            except TimeoutError:
                continue

    def poke(self) -> None:
        """Look soon: somebody may have published a schedule."""
        self._poked.set()

    async def look(self) -> float:
        """Start what is due and return in how many seconds to look again."""
        now = self._clock()
        if self._seen is None or now < self._seen:
            await self._settle(now)
        self._seen = now
        while True:
            due, ahead = await to_thread(self._read, now)
            if not due:
                return TICK_S if ahead is None else min(TICK_S, (ahead - now).total_seconds())
            moves = await to_thread(lambda rows: [_move(row, now, _fired) for row in rows], due)
            for part in _in_parts(moves):
                if await self._call(partial(_commit, moves=part, now=now)):
                    await self._started()
            if len(due) < ROWS_AT_ONCE:
                return AGAIN_S

    async def _settle(self, now: datetime) -> None:
        """Make schedules due as the clock says now, which may have been set back since they were written."""

        def read() -> list[Move]:
            is_ahead = or_(col(Schedule.next_due_at).is_(None), col(Schedule.next_due_at) > now)
            with self._database.read() as session:
                rows = session.exec(select(Schedule).where(is_ahead)).all()
            moves = [_move(row, now, _settled) for row in rows]
            return [move for move in moves if move.next_due_at != move.row.next_due_at]

        moves = await to_thread(read)
        if moves:
            log.warning("the clock has changed: %d schedules are due at other times than they were to be", len(moves))
        for part in _in_parts(moves):
            await self._call(partial(_commit, moves=part, now=now))

    def _read(self, now: datetime) -> tuple[list[Schedule], datetime | None]:
        """Return the schedules of live flows that are due; of none, when the first will be."""
        is_live = and_(col(Flow.id) == Schedule.flow_id, col(Flow.state) == "published")
        first = select(Schedule.next_due_at).join(Flow, is_live).where(col(Schedule.next_due_at).is_not(None))
        due = select(Schedule).join(Flow, is_live).where(col(Schedule.next_due_at) <= now)
        order = col(Schedule.next_due_at)
        with self._database.read() as session:
            ahead = session.exec(first.order_by(order).limit(1)).first()
            if ahead is None or ahead > now:
                return [], ahead
            return list(session.exec(due.order_by(order).limit(ROWS_AT_ONCE)).all()), ahead


def _move(row: Schedule, now: datetime, move: Callable[[Schedule, datetime], Move]) -> Move:
    """Return what *move* says; a schedule that cannot be computed rests, and keeps no other one from its time."""
    try:
        return move(row, now)
    except Exception as error:
        reason = str(error) if isinstance(error, ScheduleError) else type(error).__name__
        log.error("the schedule %s of the flow %s is not due any more: %s", row.node, row.flow_id, reason)
        return Move(row, None)


def _fired(row: Schedule, now: datetime) -> Move:
    assert row.next_due_at is not None
    found = passed(Timetable.of(row.spec), row.spec["missed"], row.next_due_at, now)
    return Move(row, found.next_due_at, found.firings)


def _settled(row: Schedule, now: datetime) -> Move:
    next_due_at, is_repeated = again(Timetable.of(row.spec), row.next_due_at, row.last_due_at, now)
    return Move(row, next_due_at, is_repeated=is_repeated)


def _in_parts(moves: Iterable[Move]) -> Iterator[list[Move]]:
    """Divide *moves* so that the runs of each part fit into one transaction."""
    part: list[Move] = []
    runs = 0
    for move in moves:
        if part and runs + len(move.firings) > RUNS_AT_ONCE:
            yield part
            part, runs = [], 0
        part.append(move)
        runs += len(move.firings)
    if part:
        yield part


def _commit(session: Session, moves: Sequence[Move], now: datetime) -> int:
    """Make those moves whose schedules are as they were read; return how many runs may begin."""
    flow_ids = {move.row.flow_id for move in moves}
    query = select(Schedule, Flow.state).join(Flow, col(Flow.id) == Schedule.flow_id)
    found = session.exec(query.where(col(Schedule.flow_id).in_(flow_ids))).all()
    current = {(row.flow_id, row.node): (row, state) for row, state in found}
    starts: list[tuple[NewEvent, Subscriber]] = []
    for move in moves:
        row, state = current.get((move.row.flow_id, move.row.node), (None, ""))
        if row is None or not _is_same(row, move.row) or (move.firings and state != "published"):
            continue
        starts += [(_event(row, firing), Subscriber(row.flow_id, row.version, row.node, {})) for firing in move.firings]
        row.next_due_at = move.next_due_at
        row.generation += move.is_repeated
        if move.firings:
            row.last_due_at = move.firings[-1].due_at
        session.add(row)
    return outbox.start(session, starts, now)


def _is_same(row: Schedule, read: Schedule) -> bool:
    return (row.next_due_at, row.generation, row.spec) == (read.next_due_at, read.generation, read.spec)


def _event(row: Schedule, firing: Firing) -> NewEvent:
    due_at = moment(firing.due_at)
    local = local_time(Timetable.of(row.spec), firing.due_at).isoformat()
    payload = {"due_at": due_at, "local_time": local, "missed": firing.missed}
    return NewEvent(EVENT, payload, f"schedule:{row.flow_id}:{row.node}:{row.generation}:{due_at}")
