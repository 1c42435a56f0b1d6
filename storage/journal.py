"""The journal: every hot write of the engine goes through one thread, which commits whatever has gathered.

Writers append to a queue and await a future; the writer thread takes all that is there, applies it in one
``BEGIN IMMEDIATE`` transaction and resolves the futures after the commit. The queue is in order: a write that is
durable makes everything queued before it durable too.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from sqlmodel import Session

from storage.database import Database
from storage.errors import StorageError
from storage.journal_events import Refused
from storage.journal_rows import EventSeed, Router, RunWrite, StepWrite, StoredEvent, size_of
from storage.journal_runs import RunState
from storage.journal_writer import Claim, Claimed, Entry, Fenced, Kind, RunChange, Writer
from storage.lease import Keeper, Lease, LeaseLost

__all__ = ["Fenced", "QueueFull", "SqliteJournal"]

Result = TypeVar("Result")
BACKLOG_CHARS = 8_000_000  # of step rows that wait to be written, until runs with many steps wait, too
ARRIVING_CHARS = 64_000_000  # of payloads to be written; more are refused
log = logging.getLogger("pulsewire.journal")


class QueueFull(StorageError):
    """More work waits to be written than may be kept in memory; nothing was accepted."""


class SqliteJournal:
    """One writer thread on one connection. Call it from the event loop that started it."""

    def __init__(self, database: Database, router: Router, now_us: Callable[[], int], *, queue_limit: int) -> None:
        self._writer = Writer(database, router, now_us, self._settled)
        self._now_us = now_us
        self._queue_limit = queue_limit
        self._fresh: list[Entry] = []  # of this tick of the loop
        self._open: dict[int, Entry] = {}  # of these, the one that takes a run's further steps
        self._pending = 0
        self._arriving = 0  # characters of payloads that are not durable yet
        self._backlog = 0  # characters of step rows that are not durable yet
        self._is_closed = False
        self.broken = asyncio.Event()  # the database can no longer be written

    @property
    def is_full(self) -> bool:
        """Whether the disk has no room; noticed again by itself when it has."""
        return self._writer.is_full

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be written that whoever can wait should let it be written first."""
        return self._backlog > BACKLOG_CHARS

    async def start(self, lease: Lease) -> None:
        """Open the connection and begin to write, as long as *lease* is the engine's."""
        self._writer.lease = Keeper(lease, self._now_us)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_forever, name="journal", daemon=True)
        self._thread.start()
        is_open, is_broken = asyncio.create_task(self.barrier()), asyncio.create_task(self.broken.wait())
        await asyncio.wait([is_open, is_broken], return_when=asyncio.FIRST_COMPLETED)
        is_broken.cancel()
        if self.broken.is_set():
            await asyncio.gather(is_open, return_exceptions=True)
            raise StorageError("The database cannot be opened for writing.")

    async def stop(self) -> None:
        """Write what is queued and close; while the disk is full, what cannot be written is left to recovery."""
        self._flush()
        self._is_closed = True
        self._writer.queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._give_up()

    def accept(
        self, groups: Sequence[Sequence[EventSeed]], *, claims: bool
    ) -> asyncio.Future[list[list[StoredEvent] | Refused]]:
        """Store events and the runs they start; the future is done after the commit.

        A group is stored whole or not at all; its place in the answer holds what was stored, or why not.
        *claims*: the runs are this engine's at once (status ``running``, epoch 1).
        Raises StorageFull, StorageBusy or QueueFull, and then nothing was stored.
        """
        if self._pending > self._queue_limit or self._arriving > ARRIVING_CHARS:
            raise QueueFull("More work is waiting to be written than fits in memory.")
        self._arriving += _size(groups)
        return self._add(Kind.ACCEPT, (groups, claims))

    async def claim(self, run_ids: Collection[int]) -> list[RunState]:
        """Make open runs this engine's: epoch + 1, with their steps so far. Ended runs are left out."""
        return (await self.take_up(run_ids, run_ids)).states

    async def take_up(self, run_ids: Collection[int], admitted: Collection[int]) -> Claimed:
        """Do ``claim`` for runs that may begin; also return those that have to wait for their flow.

        These have never begun, and their flow is paused, or it is limited and has not *admitted* them.
        """
        claimed: Claimed = await self._add(Kind.CLAIM, Claim(tuple(run_ids), admitted))
        return claimed

    def put(self, epoch: int, step: StepWrite) -> asyncio.Future[None]:
        """Queue a step row; await the future to know that it is durable. Raises Fenced."""
        return self._add(Kind.RUN, RunChange([step], self._counted([step])), step.run_id, epoch)

    def put_soon(self, epoch: int, *steps: StepWrite) -> None:
        """Queue step rows of a run that nobody waits for; those of an older epoch are dropped."""
        run_id, size = steps[0].run_id, self._counted(steps)
        entry = self._open.get(run_id)
        if entry is not None and entry.epoch == epoch:
            entry.body.steps += steps
            entry.body.size += size
            return
        entry = self._open[run_id] = Entry(Kind.RUN, RunChange([*steps], size), None, run_id, epoch)
        self._enqueue(entry)

    def finish(self, epoch: int, state: RunWrite, steps: Sequence[StepWrite] = ()) -> asyncio.Future[None]:
        """Queue the end of a run, or that it waits, with its last step rows. Raises Fenced."""
        size = self._counted(steps)
        entry = self._open.pop(state.id, None)
        if entry is None or entry.epoch != epoch:
            return self._add(Kind.RUN, RunChange([*steps], size, state), state.id, epoch)
        entry.body.steps += steps
        entry.body.size += size
        entry.body.state = state
        entry.future = self._loop.create_future()
        if self.broken.is_set() or self._is_closed:
            entry.future.set_exception(_broken())
        return entry.future

    def transact(
        self, run_id: int, epoch: int, work: Callable[[Session], tuple[Result, StepWrite | None]]
    ) -> asyncio.Future[Result]:
        """Run *work* and write the step it returns, if any, in one transaction.

        *work* may be called again when its transaction could not be committed. What it raises undoes it
        and is raised here. Raises Fenced.
        """
        return self._add(Kind.WORK, work, run_id, epoch)

    def call(self, work: Callable[[Session], Result]) -> asyncio.Future[Result]:
        """Run *work* in a transaction of the writer, outside any run."""

        def without_step(session: Session) -> tuple[Result, None]:
            return work(session), None

        return self._add(Kind.WORK, without_step)

    async def barrier(self) -> None:
        """Return when everything queued so far is durable."""
        await self._add(Kind.RUN, RunChange([]))

    def _counted(self, steps: Sequence[StepWrite]) -> int:
        size = size_of(steps)
        self._backlog += size
        return size

    def _add(self, kind: Kind, body: Any, run: int = 0, epoch: int = 0) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        if self.broken.is_set() or self._is_closed:
            future.set_exception(_broken())
        else:
            self._enqueue(Entry(kind, body, future, run, epoch))
        return future

    def _enqueue(self, entry: Entry) -> None:
        if self.broken.is_set() or self._is_closed:
            return
        if not self._fresh:
            self._loop.call_soon(self._flush)
        self._fresh.append(entry)
        self._pending += 1

    def _flush(self) -> None:
        if self._fresh:
            self._writer.queue.put(self._fresh)
            self._fresh = []
            self._open.clear()

    def _write_forever(self) -> None:
        try:
            self._writer.run()
        except LeaseLost:
            log.error("another engine has taken over this database; nothing more is written here")
            self._loop.call_soon_threadsafe(self._break)
        except Exception as error:
            log.critical("the database can no longer be written: %s", type(error).__name__)
            self._loop.call_soon_threadsafe(self._break)

    def _break(self) -> None:
        self.broken.set()
        self._give_up()

    def _give_up(self) -> None:
        entries, self._fresh = self._writer.unsettled() + self._fresh, []
        for entry in entries:
            entry.error = _broken()
        self._settle(entries)

    def _settled(self, entries: list[Entry]) -> None:
        self._loop.call_soon_threadsafe(self._settle, entries)

    def _settle(self, batch: list[Entry]) -> None:
        self._pending -= len(batch)
        for entry in batch:
            if entry.kind is Kind.ACCEPT:
                self._arriving -= _size(entry.body[0])
            elif entry.kind is Kind.RUN:
                self._backlog -= entry.body.size
            if entry.future is None or entry.future.done():
                continue
            if entry.error is not None:
                entry.future.set_exception(entry.error)
            else:
                entry.future.set_result(entry.result)


def _size(groups: Sequence[Sequence[EventSeed]]) -> int:
    return sum(len(seed.payload_text) for group in groups for seed in group)


def _broken() -> StorageError:
    return StorageError("The database can no longer be written.")
