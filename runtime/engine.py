"""The engine: accepts events durably, works on the runs they start, and takes up open runs after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from backend import one_time_tokens
from nodes import spec
from nodes.spec import NodeType
from runtime import dispatcher, engine_rows, limits, outbox, recovery, trial_rows
from runtime.admission import Admission
from runtime.backlog import Backlog, read_backlog, reading
from runtime.dispatcher import InProcess
from runtime.engine_api import Accepted, EngineApi, EngineStatus, RunResponse, TestRequest
from runtime.engine_refusals import busy, not_begun, storage_unavailable, too_many_runs, unavailable
from runtime.engine_rows import OPEN
from runtime.errors import Invalid, RuntimeFault
from runtime.executor import Executor
from runtime.journal_api import Dispatcher, Journal
from runtime.outbox import NewEvent
from runtime.plans import Plans
from runtime.platform import Platform, build_platform
from runtime.responses import Responses
from runtime.retention import Sweeper
from runtime.scheduler import Scheduler
from runtime.seal_sweep import SealSweep
from runtime.settings import Settings
from runtime.under_way import UnderWay
from runtime.veil import veiled
from runtime.version import version
from runtime.watchers import Watchers
from storage import lease
from storage.database import Database
from storage.errors import StorageError
from storage.journal import QueueFull, SqliteJournal
from storage.journal_events import EventIdReused, Refused, TooManyRuns
from storage.journal_rows import EventSeed, StoredEvent
from storage.journal_runs import started
from storage.lease import Standing
from storage.tables import to_us

__all__ = ["Accepted", "Engine", "EngineApi", "EngineStatus", "NewEvent", "TestRequest"]

SWEEP_S = 60.0  # between two looks for locked values that nobody needs any more
POLL_S = 1.0  # a safety net: whoever commits a run also sends a wake message
log = logging.getLogger("pulsewire.engine")


def _utcnow() -> datetime:
    return datetime.now(UTC)


def _wall_us() -> int:
    return time.time_ns() // 1000


class Engine:
    """One for a database. Start it in the event loop that will call it."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        types: Mapping[str, NodeType] | None = None,
        *,
        platform: Platform | None = None,
        clock: Callable[[], datetime] = _utcnow,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._now_us = _wall_us if clock is _utcnow else lambda: to_us(clock())
        self._types = spec.load() if types is None else types
        self._platform = platform or build_platform(database, settings)
        router = outbox.Subscriptions(self._platform.chains)
        self._journal: Journal = SqliteJournal(database, router, self._now_us, queue_limit=limits.QUEUE_RUNS)
        self._seal_sweep = SealSweep(database, self._journal.call, self._platform.seals)
        self._dispatcher: Dispatcher = InProcess(
            lambda run_ids: self._under_way.claim(run_ids), self._now_us, lambda run_id: self._executor.tell(run_id)
        )
        self._admission = Admission(database, self._journal.call, self._now_us, self._dispatcher.submit)
        self._responses = Responses(database, self._platform.seals, self._types, self._dispatcher.works_on)
        self._scheduler = Scheduler(database, self._journal.call, clock, self._look_for_runs)
        self.sweeper = Sweeper(
            *(database, self._journal.call, clock),
            is_full=lambda: self._journal.is_full,
            is_idle=lambda: self._dispatcher.open_runs == 0,
        )
        self._started_at = clock()
        self._version = version()
        self._watchers = Watchers(database)
        self._under_way = UnderWay(
            *(self._journal, self._dispatcher, self._admission, Plans(database, self._types)),
            *(self._responses, self._watchers, self._now_us),
        )
        self._background: list[asyncio.Task[None]] = []
        self._is_ready = False

    @property
    def database_path(self) -> Path:
        return self._database.path

    @property
    def broken(self) -> asyncio.Event:
        """Set when the database can no longer be written: nothing helps but a restart."""
        return self._journal.broken

    async def start(self, over: Standing | None = None) -> None:
        """Take the lease, open the journal and begin with the runs that are open; new ones can be accepted then.

        Raises LeaseHeld when the lease to be taken is no longer as *over* says, and StorageError.
        """
        self._started_at = self._clock()
        self._lease = await asyncio.to_thread(recovery.take_over, self._database, self._started_at, over)
        await self._journal.start(self._lease)
        await asyncio.to_thread(self._responses.start)
        self.installation = await self._journal.call(engine_rows.installation)
        self._executor = Executor(
            self._journal,
            self._platform,
            self._types,
            environment=self._settings.environment,
            installation=self.installation,
            now_us=self._now_us,
            due=self._dispatcher.submit,
            answered=self._responses.answered,
            paused=self._under_way.tell_waiters,
            ended=self._under_way.let_go,
        )
        self._under_way.executor = self._executor
        await self._recover()
        self._background = [
            asyncio.create_task(self._dispatcher.watch_clock()),
            asyncio.create_task(self._poll_forever()),
            asyncio.create_task(self._sweep_forever()),
            asyncio.create_task(self._scheduler.run()),
            asyncio.create_task(self.sweeper.run_forever()),
            asyncio.create_task(self._admission.run()),
        ]
        self._is_ready = True

    async def stop(self, grace_s: float = 30) -> None:
        """Begin nothing new, let steps under way end within *grace_s*; the rest goes on at the next start."""
        if not self._is_ready:
            return
        self._is_ready = False
        self._executor.stop()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        ending = self._journal.call(lambda session: lease.end(session, self._lease))
        ending.add_done_callback(lambda done: done.cancelled() or done.exception())  # a full disk may keep it away
        await self._dispatcher.stop(grace_s)
        await self._executor.evaluator.close()
        await self._journal.stop()
        await self._platform.close()
        self._watchers.close()
        self._responses.close()

    async def accept(self, events: Sequence[NewEvent]) -> list[Accepted]:
        """Store events and the runs they start, all or none of them; return after the commit.

        Raises Invalid (``event.id_reused``, ``event.payload_invalid``), TooLarge and Unavailable.
        """
        (answer,) = await self.accept_groups([events])
        if isinstance(answer, RuntimeFault):
            raise answer
        return answer

    async def accept_groups(self, groups: Sequence[Sequence[NewEvent]]) -> list[list[Accepted] | RuntimeFault]:
        """Do ``accept`` for several callers in one commit; what is refused of one does not touch the others."""
        if not self._is_ready:
            raise unavailable("engine.stopping", "The engine is starting or stopping. Send the event again.")
        if self._dispatcher.open_runs >= limits.QUEUE_RUNS:
            raise busy()
        seeds: list[list[EventSeed] | Invalid] = []
        for group in groups:
            try:
                seeds.append([veiled(outbox.seed(event), self._platform.seals) for event in group])
            except Invalid as error:
                seeds.append(error)
        sound = [group for group in seeds if isinstance(group, list)]
        try:
            # whoever called may be gone before the commit; the runs that it claims begin nevertheless
            begun: asyncio.Future[list[list[Accepted] | RuntimeFault]] = asyncio.get_running_loop().create_future()
            stored = self._journal.accept(sound, claims=self._dispatcher.room > 0)
            stored.add_done_callback(partial(self._begin_all, begun))
            found = iter(await begun)
        except QueueFull as error:
            raise unavailable("engine.busy", f"{error} Nothing was accepted. Send the event later.") from error
        except StorageError as error:
            raise storage_unavailable(error) from error
        return [group if isinstance(group, Invalid) else next(found) for group in seeds]

    async def start_test(self, request: TestRequest) -> int:
        """Start a test run and return its id; raises Unavailable."""
        if not self._is_ready:
            raise unavailable("engine.stopping", "The engine is starting or stopping. Try again.")
        if self._journal.is_full:
            raise unavailable("storage.full", "The disk is full. Free some space and try again.")
        try:
            run_id = await self._journal.call(lambda session: trial_rows.insert(session, request, self._clock()))
        except StorageError as error:
            raise storage_unavailable(error) from error
        self._dispatcher.submit([run_id])
        return run_id

    async def wait(self, run_id: int, timeout_s: float) -> bool:
        """Return whether the run has ended, or has come to a point where a person must act, within *timeout_s*."""
        return await self._watchers.settled(run_id, timeout_s)

    async def wait_response(self, run_id: int, timeout_s: float) -> RunResponse:
        """Return what a run answers, as soon as it is durable, or that it ended without; or how it is after the time.

        Raises Unavailable.
        """
        return await self._responses.wait(run_id, timeout_s)

    async def wake(self) -> None:
        """Look for runs that someone else has committed, and for schedules."""
        self._scheduler.poke()
        await self._look_for_runs()

    async def _look_for_runs(self, *, is_start: bool = False) -> None:
        found = await asyncio.to_thread(self._backlog, is_start)
        self._admission.update(found.rules, found.held)
        for run_id, flow_id in found.due:
            self._dispatcher.submit([run_id], flow_id)
        for moment_us, run_id, flow_id in found.coming:
            if not self._dispatcher.works_on(run_id):
                self._dispatcher.wake_at(moment_us, run_id, flow_id)

    def _backlog(self, is_start: bool) -> Backlog:
        with reading(self._database) as cursor:
            most, ahead_us = limits.QUEUE_RUNS, dispatcher.AHEAD_US
            return read_backlog(cursor, self._now_us(), most, ahead_us=ahead_us, is_start=is_start)

    async def cancel(self, run_id: int) -> bool:
        """Stop a run; False when it had ended or does not exist."""
        now = self._clock()
        try:
            due = await self._journal.call(lambda session: engine_rows.cancel(session, run_id, now))
        except StorageError as error:
            raise storage_unavailable(error) from error
        if due is None:
            return False
        self._dispatcher.submit(due.runs)
        self._under_way.let_go([run_id, *due.ended])
        return True

    async def status(self) -> EngineStatus:
        return EngineStatus(
            ready=self._is_ready and not self.broken.is_set(),
            open_runs=self._dispatcher.open_runs,
            workers=1,
            storage_full=self._journal.is_full,
            started_at=self._started_at.isoformat(),
            version=self._version,
        )

    async def sweep(self) -> None:
        """Blank the locked values that nobody needs any more, and forget tokens that have expired.

        The engine does so by itself every minute.
        """
        now = self._clock()
        await self._seal_sweep.sweep(now)
        await self._journal.call(lambda session: one_time_tokens.sweep(session, now))

    def _begin_all(
        self,
        begun: asyncio.Future[list[list[Accepted] | RuntimeFault]],
        stored: asyncio.Future[list[list[StoredEvent] | Refused]],
    ) -> None:
        if (error := stored.exception()) is None:
            answers = [self._begun(answer) for answer in stored.result()]
            if not begun.done():
                begun.set_result(answers)
        elif not begun.done():
            begun.set_exception(error)

    def _begun(self, stored: list[StoredEvent] | Refused) -> list[Accepted] | RuntimeFault:
        """Return what the caller is told; also when the runs of what was stored cannot be begun."""
        try:
            return self._begin(stored)
        except Exception as error:  # raised here, it would reach the event loop and leave the caller waiting
            log.error("beginning with what was accepted failed with %s", type(error).__name__)
            if isinstance(stored, list):
                self._take_up_later(stored)
            return not_begun()

    def _take_up_later(self, stored: list[StoredEvent]) -> None:
        """Let the dispatcher claim the runs anew: nobody else looks at one that is claimed and not worked on."""
        for run in [run for event in stored for run in event.runs if run.status in OPEN and not run.seed.is_held]:
            with contextlib.suppress(Exception):  # then the next start takes it up
                self._dispatcher.submit([run.id], run.seed.flow_id)

    def _begin(self, stored: list[StoredEvent] | Refused) -> list[Accepted] | RuntimeFault:
        if isinstance(stored, EventIdReused):
            return outbox.id_reused(stored.event_id)
        if isinstance(stored, TooManyRuns):
            return too_many_runs() if stored.is_for_good else busy()
        for event in stored:
            if event.is_duplicate:
                continue
            if event.woken:
                self._dispatcher.submit(event.woken)
            for run in event.runs:
                flow_id = run.seed.flow_id
                if run.seed.is_held:
                    self._admission.offer(flow_id)
                elif run.status == "running" and self._dispatcher.room > 0 and self._dispatcher.may_begin(flow_id):
                    self._under_way.begin(started(event, run))
                elif run.status in OPEN:  # it waits for a place as a row, claimed or not
                    self._dispatcher.submit([run.id], flow_id)
        return [Accepted(event.seed.id, event.is_duplicate, [run.id for run in event.runs]) for event in stored]

    async def ended(self, run_id: int) -> None:
        """Return when a run that this engine works on has left it; at once when it is not worked on."""
        if self._dispatcher.works_on(run_id):
            await self._watchers.next(run_id)

    async def _recover(self) -> None:
        self._dispatcher.suspect(await self._journal.call(recovery.suspects))
        await self._look_for_runs(is_start=True)

    async def _poll_forever(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.wake()
            except Exception as error:
                log.error("looking for new runs failed with %s", type(error).__name__)

    async def _sweep_forever(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception as error:
                log.error("blanking what has expired failed with %s", type(error).__name__)
            await asyncio.sleep(SWEEP_S)
