"""Whose turn it is: two engines at once on one database would work on the same runs.

An engine holds a file lock, which ends with the process, and the lease in the database, which it has to renew. Who gets
the lock may begin at once: the owner before is dead. Who does not may begin when the lease is not renewed any more: the
owner is stopped, and if it ever goes on, the journal refuses what it writes.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from runtime import engine_lock
from storage import lease
from storage.database import Database
from storage.lease import Standing

WAIT_S = 3.0  # the engine before this one may still be ending
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Turn:
    """Leave to begin: with the file *lock*, or *over* the lease of an engine that is stopped."""

    lock: int | None
    over: Standing | None = None


def await_turn(database: Database) -> Turn | None:
    """Return how this process may begin, or None when another engine is at work.

    It is judged by what changes while this process looks; no clock has to be right for that.
    """
    begun = changed = time.monotonic()
    seen = lease.standing(database)
    while (lock := engine_lock.take(database.path)) is None:
        now = time.monotonic()
        if (found := lease.standing(database)) != seen:
            seen, changed = found, now
        if now - begun > WAIT_S and (changed > begun or seen is None):
            return None
        if seen is not None and now - changed > lease.LEASE_S:
            return Turn(None, seen)
        time.sleep(LOOK_S)
    return Turn(lock)


def is_taken(database: Database) -> bool:
    """Return whether another engine is at work; one that is ending or stopped is given time."""
    turn = await_turn(database)
    if turn is not None and turn.lock is not None:
        os.close(turn.lock)
    return turn is None
