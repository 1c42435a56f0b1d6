"""The journal: every hot write of the engine goes through one thread, which commits whatever has gathered.

Writers append to a queue and await a future; the writer thread takes all that is there, applies it in one
``BEGIN IMMEDIATE`` transaction and resolves the futures after the commit. The queue is in order: a write that is
durable makes everything queued before it durable too.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from storage.database import Database
from storage.errors import StorageBusy, StorageError, StorageFull, storage_error
from storage.journal_events import EventIdReused, store_events
from storage.journal_rows import (
    CLAIM,
    STATE,
    STEP,
    EventSeed,
    Router,
    RunWrite,
    StepWrite,
    StoredEvent,
    read_many,
    write_many,
)
from storage.journal_runs import RunState, load_runs

Result = TypeVar("Result")
RETRY_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)  # back-off while the disk is full or the file is locked
CHECKPOINT_PAGES = 4_000
log = logging.getLogger("pulsewire.journal")


class QueueFull(StorageError):
    """More work waits to be written than may be kept in memory; nothing was accepted."""


class Fenced(Exception):
    """The run has been claimed anew or ended by someone else: this writer has nothing more to say about it."""


class _Kind(IntEnum):  # the order in which a batch is applied
    ACCEPT = 0
    CLAIM = 1
    STEP = 2
    STATE = 3
    WORK = 4


@dataclass(slots=True, eq=False)
class _Entry:
    kind: _Kind
    body: Any
    future: asyncio.Future[Any] | None
    run: int = 0
    epoch: int = 0
    result: Any = None
    error: BaseException | None = None


class SqliteJournal:
    """One writer thread on one connection. Call it from the event loop that started it."""

    def __init__(self, database: Database, router: Router, now_us: Callable[[], int], *, queue_limit: int) -> None:
        self._database = database
        self._router = router
        self._now_us = now_us
        self._queue_limit = queue_limit
        self._fresh: list[_Entry] = []  # of this tick of the loop
        self._queue: SimpleQueue[list[_Entry] | None] = SimpleQueue()
        self._pending = 0
        self._data_version = -1
        self.is_full = False
        self.broken = asyncio.Event()  # the database can no longer be written

    async def start(self) -> None:
        """Open the connection and begin to write."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_forever, name="journal", daemon=True)
        self._thread.start()
        is_open, is_broken = asyncio.create_task(self.barrier()), asyncio.create_task(self.broken.wait())
        await asyncio.wait([is_open, is_broken], return_when=asyncio.FIRST_COMPLETED)
        is_broken.cancel()
        if self.broken.is_set():
            is_open.cancel()
            raise StorageError("The database cannot be opened for writing.")

    async def stop(self) -> None:
        """Write what is queued and close; while the disk is full, what cannot be written is left to recovery."""
        self._flush()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    async def accept(
        self, groups: Sequence[Sequence[EventSeed]], *, claims: bool
    ) -> list[list[StoredEvent] | EventIdReused]:
        """Store events and the runs they start; return after the commit.

        A group is stored whole or not at all; its place in the answer holds what was stored, or EventIdReused.
        *claims*: the runs are this engine's at once (status ``running``, epoch 1).
        Raises StorageFull, StorageBusy or QueueFull, and then nothing was stored.
        """
        if self._pending > self._queue_limit:
            raise QueueFull("More work is waiting to be written than fits in memory.")
        stored: list[list[StoredEvent] | EventIdReused] = await self._add(_Kind.ACCEPT, (groups, claims))
        return stored

    async def claim(self, run_ids: Collection[int]) -> list[RunState]:
        """Make open runs this engine's: epoch + 1, with their steps so far. Ended runs are left out."""
        states: list[RunState] = await self._add(_Kind.CLAIM, tuple(run_ids))
        return states

    def put(self, epoch: int, step: StepWrite) -> asyncio.Future[None]:
        """Queue a step row; await the future to know that it is durable. Raises Fenced."""
        return self._add(_Kind.STEP, step, step.run_id, epoch)

    def put_soon(self, epoch: int, step: StepWrite) -> None:
        """Queue a step row that nobody waits for; one of an older epoch is dropped."""
        self._enqueue(_Entry(_Kind.STEP, step, None, step.run_id, epoch))

    def finish(self, epoch: int, state: RunWrite) -> asyncio.Future[None]:
        """Queue the end of a run, or that it waits. Raises Fenced."""
        return self._add(_Kind.STATE, state, state.id, epoch)

    def transact(
        self, run_id: int, epoch: int, work: Callable[[Session], tuple[Result, StepWrite]]
    ) -> asyncio.Future[Result]:
        """Run *work* and write the step it returns in one transaction.

        *work* may be called again when its transaction could not be committed. What it raises undoes it
        and is raised here. Raises Fenced.
        """
        return self._add(_Kind.WORK, work, run_id, epoch)

    def call(self, work: Callable[[Session], Result]) -> asyncio.Future[Result]:
        """Run *work* in a transaction of the writer, outside any run."""

        def without_step(session: Session) -> tuple[Result, None]:
            return work(session), None

        return self._add(_Kind.WORK, without_step)

    async def barrier(self) -> None:
        """Return when everything queued so far is durable."""
        await self.call(lambda _session: None)

    def _add(self, kind: _Kind, body: Any, run: int = 0, epoch: int = 0) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        if self.broken.is_set():
            future.set_exception(StorageError("The database can no longer be written."))
        else:
            self._enqueue(_Entry(kind, body, future, run, epoch))
        return future

    def _enqueue(self, entry: _Entry) -> None:
        if not self._fresh:
            self._loop.call_soon(self._flush)
        self._fresh.append(entry)
        self._pending += 1

    def _flush(self) -> None:
        if self._fresh:
            self._queue.put(self._fresh)
            self._fresh = []

    def _settle(self, batch: list[_Entry]) -> None:
        self._pending -= len(batch)
        for entry in batch:
            if entry.future is None or entry.future.done():
                continue
            if entry.error is not None:
                entry.future.set_exception(entry.error)
            else:
                entry.future.set_result(entry.result)

    # on the writer's thread

    def _write_forever(self) -> None:
        try:
            self._write_until_closed()
        except Exception as error:
            log.critical("the database can no longer be written: %s", type(error).__name__)
            self._loop.call_soon_threadsafe(self.broken.set)

    def _write_until_closed(self) -> None:
        with self._database.writer.connect() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            cursor = raw.cursor()
            cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}").fetchone()
            is_open, failures, kept = True, 0, list[_Entry]()
            while is_open or (kept and not self.is_full):
                batch, is_open = self._gather(kept, failures, is_open)
                if not batch:
                    continue
                written, kept = self._write(connection, cursor, batch)
                failures = failures + 1 if kept else 0
                if written:
                    self._loop.call_soon_threadsafe(self._settle, written)

    def _gather(self, kept: list[_Entry], failures: int, is_open: bool) -> tuple[list[_Entry], bool]:
        batch = kept
        wait_s = RETRY_S[min(failures, len(RETRY_S)) - 1] if kept else None
        try:
            more = self._queue.get(timeout=wait_s) if is_open else None
            while more is not None:
                batch = batch + more
                more = self._queue.get_nowait()
        except Empty:
            return batch, is_open
        return batch, False

    def _write(
        self, connection: Connection, cursor: sqlite3.Cursor, batch: list[_Entry]
    ) -> tuple[list[_Entry], list[_Entry]]:
        """Return the entries that are settled and those to try again."""
        try:
            self._commit(connection, cursor, batch)
        except (StorageFull, StorageBusy) as error:
            if not self.is_full and isinstance(error, StorageFull):
                log.error("the disk is full: nothing more is accepted, work waits until there is room")
            self.is_full = isinstance(error, StorageFull)
            refused = [entry for entry in batch if entry.kind is _Kind.ACCEPT]
            for entry in refused:
                entry.error = error
            return refused, [entry for entry in batch if entry.kind is not _Kind.ACCEPT]
        except (StorageError, sqlite3.OperationalError, OperationalError):
            raise  # the file, not an entry
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                return batch, []
            log.error("a batch failed with %s; its entries are tried one by one", type(error).__name__)
            written, kept = list[_Entry](), list[_Entry]()
            for entry in sorted(batch, key=lambda entry: entry.kind):
                done, again = self._write(connection, cursor, [entry])
                written, kept = written + done, kept + again
            return written, kept
        if self.is_full:
            log.warning("there is room on the disk again")
        self.is_full = False
        return batch, []

    def _commit(self, connection: Connection, cursor: sqlite3.Cursor, batch: list[_Entry]) -> None:
        try:
            with connection.begin():
                self._apply(connection, cursor, batch)
        except Exception as error:
            if (plain := storage_error(error)) is not None:
                raise plain from error
            raise

    def _apply(self, connection: Connection, cursor: sqlite3.Cursor, batch: list[_Entry]) -> None:
        sorted_by_kind: tuple[list[_Entry], ...] = tuple([] for _kind in _Kind)
        for entry in batch:
            entry.result = entry.error = None
            sorted_by_kind[entry.kind].append(entry)
        accepts, claims, steps, states, works = sorted_by_kind
        if accepts:
            self._refresh(cursor)
            requests = [entry.body for entry in accepts]
            answers = store_events(cursor, self._router, requests, self._now_us())
            for entry, answer in zip(accepts, answers, strict=True):
                entry.result = answer
        if claims:
            self._claim(cursor, claims)
        runs = {entry.run for entry in batch if entry.run}
        epochs = dict(read_many(cursor, "SELECT id, epoch FROM run WHERE id", runs)) if runs else {}
        for entries, statement in ((steps, STEP), (states, STATE)):
            current = [entry for entry in entries if _is_current(entry, epochs)]
            write_many(cursor, statement, [entry.body for entry in current])
        for entry in works:
            if not entry.run or _is_current(entry, epochs):
                _work(connection, cursor, entry)

    def _refresh(self, cursor: sqlite3.Cursor) -> None:
        (data_version,) = cursor.execute("PRAGMA data_version").fetchone()
        if data_version != self._data_version:  # another connection has committed
            self._router.refresh(cursor)
            self._data_version = data_version

    def _claim(self, cursor: sqlite3.Cursor, entries: list[_Entry]) -> None:
        now = self._now_us()
        wanted = {run_id for entry in entries for run_id in entry.body}
        write_many(cursor, CLAIM, [(run_id, now) for run_id in wanted])
        states = {state.id: state for state in load_runs(cursor, wanted)}
        for entry in entries:
            entry.result = [states[run_id] for run_id in entry.body if run_id in states]


def _is_current(entry: _Entry, epochs: dict[int, int]) -> bool:
    if epochs.get(entry.run) == entry.epoch:
        return True
    entry.error = Fenced()
    return False


def _work(connection: Connection, cursor: sqlite3.Cursor, entry: _Entry) -> None:
    try:
        with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            entry.result, step = entry.body(session)
            session.commit()
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if (plain := storage_error(cause)) is not None:
                raise plain from error  # the whole batch has to be tried again
            cause = cause.__cause__
        entry.error = error
        return
    if step is not None:
        write_many(cursor, STEP, [step])
