"""Removes runs that are kept no longer, and gives the room back to the disk; the engine does so all the time.

It reads beside the writer and removes in short turns of it. Stopped or killed, it goes on from what it finds: nothing
is remembered but the runs of which only steps are left.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlmodel import select

from runtime.retention_rules import KEY, limits_of_flows, rules_in
from runtime.turns import REST, Call, NotNow, Pace, Turns
from storage import history, space
from storage.database import Database
from storage.errors import StorageError
from storage.history import OldRun
from storage.tables import Setting

SWEEP_S = 30.0  # between two looks for what is kept no longer; after as long a sweep ends and looks anew
LOOK_S = 2.0  # between two looks whether somebody has changed the rules
READ_AHEAD = 1_000  # runs looked at before some of them are removed
EVENTS_AHEAD = 5_000
EVENTS_AT_ONCE = 200
KEPT_AT_LEAST = timedelta(minutes=5)  # after its end, so that whoever started a run finds what came of it
EVENT_KEPT = timedelta(days=1)  # at least; see storage/history.py
SPARE = 0.1  # of the file stays free: what is removed now is needed again soon
SPARE_BYTES = 8_000_000
LOG_BYTES = 1_000_000  # a log that is longer is brought into the file when nothing runs
LARGE_LOG_BYTES = 100_000_000  # a log that is longer also when something does
BYTES_AS_ROW = 2_000  # of text are as much work to remove as a row
log = logging.getLogger("pulsewire.retention")


@dataclass
class Swept:
    """What a sweep came to; *longest_s* is its longest turn, *is_done* False where there is more to do at once."""

    runs: int = 0
    events: int = 0
    bytes_given_back: int = 0
    turns: int = 0
    longest_s: float = 0.0
    is_done: bool = True


class Sweeper:
    """Works on *database*, writes by *call*; *is_full* tells that the disk has no room, *is_idle* that nothing runs."""

    def __init__(
        self,
        database: Database,
        call: Call,
        clock: Callable[[], datetime],
        *,
        is_full: Callable[[], bool],
        is_idle: Callable[[], bool],
    ) -> None:
        self._database = database
        self._clock = clock
        self._is_full = is_full
        self._is_idle = is_idle
        self._turns = Turns(call, is_full)
        self._of_runs = Pace(1_000, 10_000)  # in rows, see _work
        self._of_steps = Pace(30, 5_000)
        self._of_pages = Pace(50, 5_000)
        self._lock = asyncio.Lock()
        self._last_event = 0  # up to here every event is referred to; it goes with the last run that does

    async def run_forever(self) -> None:
        """Sweep every half minute, and as soon as the rules were changed."""
        while True:
            try:
                rules = await asyncio.to_thread(self._stored_rules)
                if (await self.sweep()).is_done:
                    await self._rest(rules)
            except Exception as error:
                log.error("removing old runs failed with %s", type(error).__name__)
                await asyncio.sleep(LOOK_S)

    async def _rest(self, rules: Any) -> None:
        """Return when it is time, or the rules are others."""
        until = time.monotonic() + SWEEP_S
        while time.monotonic() < until:
            await asyncio.sleep(LOOK_S)
            if await asyncio.to_thread(self._stored_rules) != rules:
                return

    async def sweep(self) -> Swept:
        """Remove what is kept no longer, and give its room back. One sweep waits for the other."""
        async with self._lock:
            return await self._sweep()

    async def _sweep(self) -> Swept:
        swept, now = Swept(), self._clock()
        self._turns.begin(SWEEP_S)
        try:
            await self._clear()
            await self._remove_runs(await asyncio.to_thread(self._surplus, now), now, swept)
            await self._remove_events(now, swept)
            await self._give_back(swept)
        except NotNow:
            swept.is_done = self._is_full()  # then there is no use in going on at once
        await asyncio.to_thread(self._shorten_log)
        swept.turns, swept.longest_s = self._turns.count, self._turns.longest_s
        return swept

    # runs

    def _surplus(self, now: datetime) -> dict[str, int]:
        """Return for each flow how many of its oldest runs are kept no longer."""
        room = space.measure(self._database)
        used = room.file_bytes + room.log_bytes - room.free_bytes
        with self._database.read() as session:
            rules, limits = rules_in(session), limits_of_flows(session)
            found = {
                flow_id: history.surplus(session, flow_id, ended, rules.of_flow(limits.get(flow_id)).kept(now), used)
                for flow_id, ended in history.ended(session).items()
            }
        return {flow_id: count for flow_id, count in found.items() if count}

    async def _remove_runs(self, surplus: dict[str, int], now: datetime, swept: Swept) -> None:
        """Remove so many of each flow's runs, those of all flows in the order in which they stand in the file."""
        last: dict[str, tuple[datetime, int]] = {}
        while surplus:
            found = sorted(await asyncio.to_thread(self._oldest, surplus, now, last), key=lambda run: run.id)
            while found:
                turn = self._turn_of(found)
                found = found[len(turn) :]
                swept.runs += await self._remove(turn, now)

    def _oldest(self, surplus: dict[str, int], now: datetime, last: dict[str, tuple[datetime, int]]) -> list[OldRun]:
        """Return the next runs of each flow in proportion to its *surplus*, which tells what is left then."""
        found, share = list[OldRun](), READ_AHEAD / sum(surplus.values())
        with self._database.read() as session:
            for flow_id, count in list(surplus.items()):
                limit = min(count, int(count * share) + 1)
                some = history.oldest(session, flow_id, now - KEPT_AT_LEAST, limit, last.get(flow_id))
                if some:
                    last[flow_id] = (some[-1].ended_at, some[-1].id)
                surplus[flow_id] = count - limit if len(some) == limit else 0
                found += some
        for flow_id in [flow_id for flow_id, count in surplus.items() if count <= 0]:
            del surplus[flow_id]
        return found

    def _turn_of(self, found: list[OldRun]) -> list[OldRun]:
        """Return as many of the runs as fit into one turn, at least one."""
        work, count = _work(found[0]), 1
        while count < len(found) and (work := work + _work(found[count])) <= self._of_runs.size:
            count += 1
        return found[:count]

    async def _remove(self, turn: list[OldRun], now: datetime) -> int:
        first = turn[0]
        if first.steps > 1 and _work(first) > self._of_runs.size:  # then it is alone
            removed = await self._turns.take(
                partial(history.remove_large, run_id=first.id, event_before=now - EVENT_KEPT)
            )
            await self._clear()
            return removed
        ids = [run.id for run in turn]
        return await self._turns.take(
            partial(history.remove, run_ids=ids, event_before=now - EVENT_KEPT), self._of_runs
        )

    async def _clear(self) -> None:
        """Remove the steps of runs that are gone."""
        for run_id in await asyncio.to_thread(self._to_clear):
            is_clear = False
            while not is_clear:
                some = partial(history.clear_steps, run_id=run_id, limit=self._of_steps.size)
                is_clear = await self._turns.take(some, self._of_steps)

    def _to_clear(self) -> list[int]:
        with self._database.read() as session:
            return history.to_clear(session)

    # events that started nothing, or that nothing is left of

    async def _remove_events(self, now: datetime, swept: Swept) -> None:
        while True:
            begun = time.perf_counter()
            unused, last = await asyncio.to_thread(self._unused, now)
            await asyncio.sleep((time.perf_counter() - begun) * REST)  # after a start there are many to look at
            for start in range(0, len(unused), EVENTS_AT_ONCE):
                ids = unused[start : start + EVENTS_AT_ONCE]
                swept.events += await self._turns.take(
                    partial(history.remove_events, event_ids=ids, event_before=now - EVENT_KEPT)
                )
            if last == self._last_event:
                return
            self._last_event = last

    def _unused(self, now: datetime) -> tuple[list[str], int]:
        with self._database.read() as session:
            return history.unused_events(session, self._last_event, now - EVENT_KEPT, now, EVENTS_AHEAD)

    # the disk

    async def _give_back(self, swept: Swept) -> None:
        room = await asyncio.to_thread(space.measure, self._database)
        free, spare = (size // room.page_bytes for size in (room.free_bytes, max(SPARE_BYTES, room.file_bytes * SPARE)))
        while room.can_shrink and free > spare:
            some = partial(_cut, pages=int(min(self._of_pages.size, free - spare)))
            left = await self._turns.take(some, self._of_pages)
            swept.bytes_given_back += int(free - left) * room.page_bytes
            if left >= free:
                return
            free = left

    def _shorten_log(self) -> None:
        size = space.size_of(space.log_of(self._database.path))
        if size > LARGE_LOG_BYTES or (size > LOG_BYTES and self._is_idle()):
            try:
                space.shorten_log(self._database.path)
            except StorageError as error:
                log.warning("the log beside the database could not be shortened: %s", error)

    def _stored_rules(self) -> Any:
        with self._database.read() as session:
            return session.exec(select(Setting.value).where(Setting.key == KEY)).first()


def _cut(session: Any, pages: int) -> int:
    return space.give_back(session.connection(), pages)


def _work(run: OldRun) -> int:
    """Return how much there is to do to remove a run, in rows."""
    return 3 + run.steps + run.text_bytes // BYTES_AS_ROW
