"""Which runs are worked on now, which wait for a place, and which for their time; all in this process's event loop."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from runtime import limits
from runtime.fair_queue import FairQueue
from storage.journal_runs import RunState

RUNS_AT_ONCE = 2_000  # held in memory; more wait as rows
BYTES_AT_ONCE = 64 * limits.PAYLOAD_BYTES  # of their payloads and recorded outputs as JSON; in memory they are more
CLAIM_AT_ONCE = 200
SHARE = 3  # a flow may have as many times more runs at work as there is room left
TICK_S = 1.0  # the longest time between two looks at the clock
AHEAD_US = 5_000_000  # a run that waits longer is a row only; whoever reads the rows every second names it in time
log = logging.getLogger("pulsewire.dispatcher")


class Quarantine:
    """Lets suspects through one at a time; everyone else passes."""

    def __init__(self) -> None:
        self.suspects: set[int] = set()
        self._inside: int | None = None
        self._outside: deque[int] = deque()

    @property
    def waiting(self) -> int:
        return len(self._outside)

    def enter(self, run_id: int) -> bool:
        """Return whether the run may go on; a suspect that may not is kept until ``leave`` names it."""
        if run_id not in self.suspects or self._inside == run_id:
            return True
        if self._inside is None:
            self._inside = run_id
            return True
        if run_id not in self._outside:
            self._outside.append(run_id)
        return False

    def leave(self, run_id: int) -> list[int]:
        """Return who may come next when *run_id* was the one inside."""
        if self._inside != run_id:
            return []
        self._inside = None
        return [self._outside.popleft()] if self._outside else []


class InProcess:
    """*claim* makes open runs this process's and calls ``begin`` for each; *now_us* tells the time.

    *tell* lets a run that is worked on look at what has come for it, and returns False when it will not.
    """

    def __init__(
        self, claim: Callable[[list[int]], Awaitable[None]], now_us: Callable[[], int], tell: Callable[[int], bool]
    ) -> None:
        self._claim = claim
        self._now_us = now_us
        self._tell = tell
        self._active: dict[int, asyncio.Future[None]] = {}
        self._of_flow: dict[str, int] = {}  # how many of them
        self._again: set[int] = set()  # under way, and something has come that they do not look at any more
        self._queue = FairQueue()
        self._claiming: set[int] = set()
        self._quarantine = Quarantine()
        self._bytes = 0  # of the active runs together
        self._claim_at_once = CLAIM_AT_ONCE
        self._pump: asyncio.Task[None] | None = None
        self._timers: list[tuple[int, int, str]] = []
        self._wakes: dict[int, int] = {}  # when each run does; a timer of another time has been overtaken
        self._timers_changed = asyncio.Event()
        self._is_open = True

    @property
    def room(self) -> int:
        """How many more runs may begin at once; none while others wait for their turn."""
        if self._queue or not self._is_open or self._bytes >= BYTES_AT_ONCE:
            return 0
        return RUNS_AT_ONCE - len(self._active) - len(self._claiming)

    def may_begin(self, flow_id: str, more: int = 0) -> bool:
        """Return whether the flow may begin a run beside *more* others: some room is always left for other flows."""
        room = RUNS_AT_ONCE - len(self._active) - len(self._claiming) - more
        if not flow_id:  # of whom it is not known here whose they are
            return room > RUNS_AT_ONCE // (SHARE + 1)
        return self._of_flow.get(flow_id, 0) + more < SHARE * room

    @property
    def open_runs(self) -> int:
        return len(self._active) + len(self._queue) + len(self._claiming) + self._quarantine.waiting

    @property
    def timers(self) -> int:
        """How many runs are held here that wait for their time."""
        return len(self._timers)

    def suspect(self, run_ids: Iterable[int]) -> None:
        """Let these work one at a time, because one of them may be what stops engines."""
        self._quarantine.suspects.update(run_ids)

    def submit(self, run_ids: Iterable[int], flow_id: str = "") -> None:
        """Put committed runs of a flow into the queue; one that is worked on looks at what has come for it."""
        for run_id in run_ids:
            if run_id in self._active:
                if not self._tell(run_id):
                    self._again.add(run_id)
            elif run_id in self._queue or run_id in self._claiming:
                continue
            elif self._quarantine.enter(run_id):
                self._queue.push(run_id, flow_id)
        if self._queue and self._is_open and (self._pump is None or self._pump.done()):
            self._pump = asyncio.create_task(self._claim_queued())

    def begin(self, run: RunState, work: Coroutine[Any, Any, None]) -> None:
        """Work on a claimed run; after ``stop`` it is left to the next start."""
        if not self._is_open:
            work.close()
            return
        self._keep(run, asyncio.create_task(work))

    def hold(self, run: RunState, work: asyncio.Future[None], then: Callable[[asyncio.Future[None]], None]) -> None:
        """Count a run as worked on until *work* is done; *then* is told of it."""
        self._keep(run, work, then)

    def _keep(
        self, run: RunState, work: asyncio.Future[None], then: Callable[[asyncio.Future[None]], None] | None = None
    ) -> None:
        self._active[run.id] = work
        self._wakes.pop(run.id, None)
        self._of_flow[run.flow_id] = self._of_flow.get(run.flow_id, 0) + 1
        self._bytes += run.size_bytes
        work.add_done_callback(partial(self._ended, run, then))

    def works_on(self, run_id: int) -> bool:
        """Return whether the run is worked on, or will be."""
        work = self._active.get(run_id)
        return (work is not None and not work.done()) or run_id in self._queue or run_id in self._claiming

    def wake_at(self, moment_us: int, run_id: int, flow_id: str = "") -> None:
        """Submit the run when its time has come, if that is soon; otherwise it has to be named again."""
        if moment_us > self._now_us() + AHEAD_US or self._wakes.get(run_id, moment_us + 1) <= moment_us:
            return
        self._wakes[run_id] = moment_us
        heapq.heappush(self._timers, (moment_us, run_id, flow_id))
        self._timers_changed.set()

    def cancel(self, run_id: int) -> None:
        """Stop working on a run."""
        if isinstance(task := self._active.get(run_id), asyncio.Task):
            task.cancel()

    async def watch_clock(self) -> None:
        """Submit runs whose time has come; looks often enough to survive a jump of the clock."""
        while True:
            self._timers_changed.clear()
            now = self._now_us()
            while self._timers and self._timers[0][0] <= now:
                moment_us, run_id, flow_id = heapq.heappop(self._timers)
                if self._wakes.get(run_id) == moment_us:
                    del self._wakes[run_id]
                    self.submit([run_id], flow_id)
            wait_s = min(TICK_S, (self._timers[0][0] - now) / 1e6) if self._timers else None
            try:
                async with asyncio.timeout(wait_s):
                    await self._timers_changed.wait()
            except TimeoutError:
                continue

    async def stop(self, grace_s: float) -> None:
        """Begin nothing new, give what is under way *grace_s* to end, then stop it where it is."""
        self._is_open = False
        if self._pump is not None:
            await asyncio.wait([self._pump], timeout=grace_s)
        if self._active:
            _, late = await asyncio.wait(self._active.values(), timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _ended(
        self, run: RunState, then: Callable[[asyncio.Future[None]], None] | None, work: asyncio.Future[None]
    ) -> None:
        run_id, flow_id = run.id, run.flow_id
        self._bytes -= run.size_bytes
        if self._of_flow[flow_id] > 1:
            self._of_flow[flow_id] -= 1
        else:
            del self._of_flow[flow_id]
        if self._active.get(run_id) is work:
            del self._active[run_id]
            if next_in := self._quarantine.leave(run_id):
                self.submit(next_in)
        if run_id in self._again:
            self._again.discard(run_id)
            self.submit([run_id], flow_id)
        elif self._queue:
            self.submit(())
        if then is not None:
            then(work)

    async def _claim_queued(self) -> None:
        while self._queue and self._is_open and len(self._active) < RUNS_AT_ONCE and self._bytes < BYTES_AT_ONCE:
            taken = self._queue.pop(self._batch_size(), self.may_begin)
            batch = [run_id for run_id, _flow_id in taken]
            if not batch:  # those that wait have their share; whoever ends asks again
                return
            self._claiming.update(batch)
            try:
                await self._claim(batch)
            except Exception as error:  # they stay in the queue
                log.error("taking up runs failed with %s", type(error).__name__)
                self._claim_at_once = 1  # one of them may be more than memory holds
                self._claiming.difference_update(batch)
                for run_id, flow_id in taken:
                    self._queue.push(run_id, flow_id)
                await asyncio.sleep(TICK_S)
            else:
                self._claim_at_once = CLAIM_AT_ONCE
                for run_id in batch:  # one that has ended meanwhile was not begun
                    if run_id not in self._active:
                        self.submit(self._quarantine.leave(run_id))
            finally:
                self._claiming.difference_update(batch)

    def _batch_size(self) -> int:
        """Return how many runs may be claimed together, of which nobody knows yet how large they are."""
        fits = (BYTES_AT_ONCE - self._bytes) // limits.PAYLOAD_BYTES
        return max(1, min(self._claim_at_once, fits))
