"""The lock that tells whether anybody has the database open: all share it, and a restore asks for it alone."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from storage.errors import StorageError


def share(database: Path) -> int:
    """Return a descriptor that says that this process has the database open; it counts until it is closed.

    Raises StorageError while the database is being restored.
    """
    descriptor = _take(database, fcntl.LOCK_SH)
    if descriptor is None:
        raise StorageError("The database is being restored. Start again when that is done.")
    return descriptor


def alone(database: Path) -> int | None:
    """Return a descriptor that keeps everybody else out; None while anybody has the database open."""
    return _take(database, fcntl.LOCK_EX)


def _take(database: Path, how: int) -> int | None:
    descriptor = os.open(database.with_name(f"{database.name}.open"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
