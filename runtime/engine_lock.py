"""The lock that an engine holds beside its database: two engines on one database would work on the same runs."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

WAIT_S = 3  # the engine before this one may still be ending


def take(database: Path, wait_s: float = WAIT_S) -> int | None:
    """Return the descriptor that holds the engine's lock, or None when another process keeps it."""
    descriptor = os.open(f"{database}.engine", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(descriptor)
                return None
            time.sleep(0.05)
        else:
            return descriptor


def is_taken(database: Path) -> bool:
    """Return whether another engine works on the database; it is given a moment to end."""
    if not Path(f"{database}.engine").exists():
        return False
    descriptor = take(database)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False
