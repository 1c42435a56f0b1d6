"""The journal's writer thread: takes what has gathered and applies it in one ``BEGIN IMMEDIATE`` transaction.

An error of one entry is that entry's alone. While the disk is full or the file locked, events are refused and
everything else is kept, in order, and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from storage.crash_points import crash_here
from storage.database import Database
from storage.errors import StorageBusy, StorageError, StorageFull, storage_error
from storage.journal_events import store_events
from storage.journal_rows import CLAIM, STATE, Router, RunWrite, StepWrite, read_many, write_many, write_steps
from storage.journal_runs import RunState, load_runs
from storage.lease import Keeper
from storage.space import shorten_log

RETRY_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)  # back-off while the disk is full or the file is locked
PROBE_S = 1.0  # how often to see whether there is room again when nothing waits to be written
CHECKPOINT_PAGES = 4_000
EPOCHS = "SELECT id, epoch FROM run WHERE id"
FRESH = "SELECT id, flow_id FROM run WHERE status = 'queued' AND started_at IS NULL AND is_test = 0 AND id"
log = logging.getLogger("pulsewire.journal")


class Fenced(Exception):
    """The run has been claimed anew or ended by someone else: this writer has nothing more to say about it."""


class Kind(IntEnum):
    """What an entry is, in the order in which a batch is applied."""

    ACCEPT = 0
    CLAIM = 1
    RUN = 2
    WORK = 3


@dataclass(slots=True)
class RunChange:
    """What is written of one run: step rows, and the state that it reaches with them."""

    steps: list[StepWrite]
    size: int = 0  # characters of the rows
    state: RunWrite | None = None


class Claim(NamedTuple):
    """Runs to be taken up; those that are *admitted* need not wait for their flow, unless it is paused."""

    run_ids: tuple[int, ...]
    admitted: Collection[int]


class Claimed(NamedTuple):
    """What was taken up, and what has to wait for its flow, with the flow."""

    states: list[RunState]
    held: dict[int, str]


@dataclass(slots=True, eq=False)
class Entry:
    """One write; *future* is told what came of it."""

    kind: Kind
    body: Any
    future: asyncio.Future[Any] | None
    run: int = 0
    epoch: int = 0
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs on a thread of its own; *settled* is called there with entries that are durable or refused."""

    def __init__(
        self, database: Database, router: Router, now_us: Callable[[], int], settled: Callable[[list[Entry]], None]
    ) -> None:
        self._database = database
        self._router = router
        self._now_us = now_us
        self._settled = settled
        self._data_version = -1
        self._batch: list[Entry] = []  # what is being written
        self.lease: Keeper  # set before ``run``
        self.queue: SimpleQueue[list[Entry] | None] = SimpleQueue()  # None closes
        self.is_full = False

    def run(self) -> None:
        """Write until closed; raises what makes the database unusable. ``unsettled`` has the rest then."""
        with self._database.writer.connect() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            cursor = raw.cursor()
            cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}").fetchone()
            is_open, failures, kept = True, 0, list[Entry]()
            while is_open or (kept and not self.is_full):
                self._batch, is_open = self._gather(kept, failures, is_open)
                if not self._batch:
                    if is_open:  # nobody has asked for anything: the lease is renewed, or room looked for
                        self._write(connection, cursor, [Entry(Kind.WORK, _probe, None)] if self.is_full else [])
                    continue
                written, kept = self._write(connection, cursor, self._batch)
                failures, self._batch = failures + 1 if kept else 0, kept
                if written:
                    self._settled(written)

    def unsettled(self) -> list[Entry]:
        """Return what was handed over and not settled; after the thread has ended."""
        entries, self._batch = self._batch, []
        while not self.queue.empty():
            entries = entries + (self.queue.get() or [])
        return entries

    def _gather(self, kept: list[Entry], failures: int, is_open: bool) -> tuple[list[Entry], bool]:
        batch = kept
        wait_s = RETRY_S[min(failures, len(RETRY_S)) - 1] if kept else PROBE_S if self.is_full else self.lease.due_s
        try:
            more = self.queue.get(timeout=wait_s) if is_open else None
            while more is not None:
                batch = batch + more
                more = self.queue.get_nowait()
        except Empty:
            return batch, is_open
        return batch, False

    def _write(
        self, connection: Connection, cursor: sqlite3.Cursor, batch: list[Entry]
    ) -> tuple[list[Entry], list[Entry]]:
        """Return the entries that are settled and those to try again."""
        try:
            self._commit(connection, cursor, batch)
        except (StorageFull, StorageBusy) as error:
            if not self.is_full and isinstance(error, StorageFull):
                log.error("the disk is full: nothing more is accepted, work waits until there is room")
            self.is_full = isinstance(error, StorageFull)
            if self.is_full:
                self._empty_log()
            refused = [entry for entry in batch if entry.kind is Kind.ACCEPT]
            for entry in refused:
                entry.error = error
            return refused, [entry for entry in batch if entry.kind is not Kind.ACCEPT]
        except (StorageError, sqlite3.OperationalError, OperationalError):
            raise  # the file, not an entry
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                if batch[0].future is None:
                    log.error("a step of run %d could not be recorded: %s", batch[0].run, type(error).__name__)
                return batch, []
            log.error("a batch failed with %s; its entries are tried one by one", type(error).__name__)
            written, kept = list[Entry](), list[Entry]()
            for entry in sorted(batch, key=lambda entry: entry.kind):
                # what is kept keeps its place: nothing after it may become durable before it
                done, again = ([], [entry]) if kept else self._write(connection, cursor, [entry])
                written, kept = written + done, kept + again
            return written, kept
        if self.is_full:
            log.warning("there is room on the disk again")
        self.is_full = False
        return batch, []

    def _empty_log(self) -> None:
        """Make room by what the log holds: where its pages fit into the file, the log can begin anew."""
        with suppress(StorageError, sqlite3.Error):
            shorten_log(self._database.path)

    def _commit(self, connection: Connection, cursor: sqlite3.Cursor, batch: list[Entry]) -> None:
        needs_session = any(entry.kind is Kind.WORK for entry in batch)
        try:
            with connection.begin() if needs_session else _transaction(cursor):
                self.lease.hold(cursor)
                self._apply(connection, cursor, batch)
                crash_here("journal.before_commit")
            crash_here("journal.after_commit")
        except Exception as error:
            self._data_version = -1  # what the router learned in this transaction did not happen
            if (plain := storage_error(error)) is not None:
                raise plain from error
            raise

    def _apply(self, connection: Connection, cursor: sqlite3.Cursor, batch: list[Entry]) -> None:
        sorted_by_kind: tuple[list[Entry], ...] = tuple([] for _kind in Kind)
        for entry in batch:
            entry.result = entry.error = None
            sorted_by_kind[entry.kind].append(entry)
        accepts, claims, changes, works = sorted_by_kind
        if accepts or claims:
            self._refresh(cursor)
            self._router.begin(cursor)
        if accepts:
            requests = [entry.body for entry in accepts]
            answers = store_events(cursor, self._router, requests, self._now_us())
            for entry, answer in zip(accepts, answers, strict=True):
                entry.result = answer
        if claims:
            self._claim(cursor, claims)
        runs = {entry.run for entry in batch if entry.run}
        epochs = dict(read_many(cursor, EPOCHS, runs)) if runs else {}
        current = [entry.body for entry in changes if not entry.run or _is_current(entry, epochs)]
        write_steps(cursor, [step for change in current for step in change.steps])
        write_many(cursor, STATE, [change.state for change in current if change.state is not None])
        for index, entry in enumerate(works):
            if entry.run and index:  # those before it may have ended its run
                epochs.pop(entry.run, None)
                epochs.update(read_many(cursor, EPOCHS, [entry.run]))
            if not entry.run or _is_current(entry, epochs):
                _work(connection, cursor, entry)

    def _refresh(self, cursor: sqlite3.Cursor) -> None:
        (data_version,) = cursor.execute("PRAGMA data_version").fetchone()
        if data_version != self._data_version:  # another connection has committed
            self._router.refresh(cursor)
            self._data_version = data_version

    def _claim(self, cursor: sqlite3.Cursor, entries: list[Entry]) -> None:
        now = self._now_us()
        asked = {run_id for entry in entries for run_id in entry.body.run_ids}
        held = self._held(cursor, entries, asked)
        wanted = asked - held.keys()
        write_many(cursor, CLAIM, [(run_id, now) for run_id in wanted])
        states = {state.id: state for state in load_runs(cursor, wanted)}
        for entry in entries:
            run_ids = entry.body.run_ids
            entry.result = Claimed(
                [states[run_id] for run_id in run_ids if run_id in states],
                {run_id: held[run_id] for run_id in run_ids if run_id in held},
            )

    def _held(self, cursor: sqlite3.Cursor, entries: list[Entry], asked: set[int]) -> dict[int, str]:
        """Return those of the runs that have to wait for their flow, which is paused or has not admitted them."""
        flows = self._router.held()
        if not flows:
            return {}
        admitted = {run_id for entry in entries for run_id in entry.body.admitted}
        return {
            run_id: flow_id
            for run_id, flow_id in read_many(cursor, FRESH, asked)
            if flow_id in flows and (flows[flow_id] or run_id not in admitted)
        }


@contextmanager
def _transaction(cursor: sqlite3.Cursor) -> Iterator[None]:
    """Hold the write lock for what is written with the cursor alone: quicker than by way of SQLAlchemy."""
    cursor.execute("BEGIN IMMEDIATE")
    try:
        yield
        cursor.execute("COMMIT")
    except BaseException:
        if cursor.connection.in_transaction:
            cursor.execute("ROLLBACK")
        raise


def _is_current(entry: Entry, epochs: dict[int, int]) -> bool:
    if epochs.get(entry.run) == entry.epoch:
        return True
    entry.error = Fenced()
    return False


def _work(connection: Connection, cursor: sqlite3.Cursor, entry: Entry) -> None:
    try:
        with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            entry.result, step = entry.body(session)
            session.commit()
    except Exception as error:
        is_ended = not cursor.connection.in_transaction  # by SQLite, where memory or the disk failed
        if (plain := _fault_behind(error, is_ended=is_ended)) is not None:
            raise plain from error  # the whole batch has to be tried again
        if is_ended:
            raise RuntimeError("a step ended the transaction that others share") from error
        entry.error = error
        return
    if step is not None:
        write_steps(cursor, [step])


def _fault_behind(error: BaseException, *, is_ended: bool) -> StorageError | None:
    """Return what is wrong with the database, where that is why *error* was raised.

    When SQLite has ended the transaction, the savepoint cannot be undone, and that error stands before the first one.
    """
    found: BaseException | None = error
    while found is not None:
        if (plain := storage_error(found)) is not None:
            return plain
        found = found.__cause__ or (found.__context__ if is_ended else None)
    return None


def _probe(session: Session) -> tuple[None, None]:
    session.connection().exec_driver_sql("PRAGMA user_version = 0")  # writes one page, although nothing changes
    return None, None
