"""The engine's lease: one row says who may write as the engine, and since when nobody has heard of it.

Every owner raises ``epoch``. The journal looks at it in every transaction, under SQLite's write lock: whoever finds
another epoch than its own commits nothing more, however long it was paused before.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from sqlmodel import Session

from storage.database import Database
from storage.errors import StorageError
from storage.tables import EngineLease

LEASE_S = 10.0  # an owner that was not heard of for so long may be replaced
BEAT_S = 2.0  # how often an owner that has nothing else to write renews its lease
ENGINE = "engine"
ENDS = ""  # the owner's name once it has begun to end in peace
EPOCH = "SELECT epoch FROM engine_lease WHERE name = 'engine'"
BEAT = "UPDATE engine_lease SET beat_at = ? WHERE name = 'engine'"
STANDING = "SELECT owner, epoch, beat_at FROM engine_lease WHERE name = 'engine'"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class LeaseLost(StorageError):
    """Another engine has taken over; nothing was written."""


class LeaseHeld(StorageError):
    """The engine that was thought to be gone has renewed its lease, or another was quicker to replace it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was taken. *was_cut_off*: the owner before ended without a word, on this same boot."""

    epoch: int
    was_cut_off: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """The lease as it was found; any renewal makes another one of it."""

    owner: str
    epoch: int
    beat_us: int

    @property
    def process(self) -> str:
        """Which process the owner is, in words."""
        host, *rest = self.owner.rsplit("-", 3)
        return f"process {rest[0]} on {host}" if rest else "one that was ending"


def take(session: Session, now: datetime, over: Standing | None = None) -> Lease:
    """Become the owner, in the session's transaction. Raises LeaseHeld when the lease is no longer as *over* says."""
    if over is not None and standing_of(session) != over:
        raise LeaseHeld("Another Pulsewire engine works on this database.")
    row = session.get(EngineLease, ENGINE)
    owner = f"{platform.node()}-{os.getpid()}-{_boot()}-{uuid4().hex[:8]}"
    if row is None:
        row = EngineLease(name=ENGINE, owner=ENDS, epoch=0, beat_at=now)
    was_cut_off = row.owner != ENDS and row.owner.split("-")[-2:-1] == [_boot()]
    row.owner, row.epoch, row.beat_at = owner, row.epoch + 1, now
    session.add(row)
    return Lease(row.epoch, was_cut_off)


def end(session: Session, lease: Lease) -> None:
    """Note that the owner ends in peace: what it leaves under way is not to blame for it."""
    row = session.get(EngineLease, ENGINE)
    if row is not None and row.epoch == lease.epoch:
        row.owner = ENDS
        session.add(row)


def standing(database: Database) -> Standing | None:
    """Return the lease as it stands; None where no engine has ever had one."""
    with database.read() as session:
        return standing_of(session)


def standing_of(session: Session) -> Standing | None:
    connection = session.connection()
    tables = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'engine_lease'")
    found = tables.first() and connection.exec_driver_sql(STANDING).first()
    return Standing(*found) if found else None


class Keeper:
    """Keeps a lease alive on the journal's thread."""

    def __init__(self, lease: Lease, now_us: Callable[[], int]) -> None:
        self._epoch = lease.epoch
        self._now_us = now_us
        self._due = 0.0

    @property
    def due_s(self) -> float:
        """How long the next beat may wait."""
        return max(0.0, self._due - time.monotonic())

    def hold(self, cursor: sqlite3.Cursor) -> None:
        """Make sure that this transaction is still the owner's; raises LeaseLost."""
        found = cursor.execute(EPOCH).fetchone()
        if found is None or found[0] != self._epoch:
            raise LeaseLost("Another engine has taken over.")
        if (now := time.monotonic()) >= self._due:
            self._due = now + BEAT_S
            cursor.execute(BEAT, [self._now_us()])


def _boot() -> str:
    """Return what tells this start of the machine from another; empty where nothing does."""
    try:
        return BOOT_ID.read_text()[:8]
    except OSError:
        return ""
