"""The lock that an engine holds beside its database; it ends with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def take(database: Path) -> int | None:
    """Return the descriptor that holds the engine's lock, or None while another process keeps it."""
    path = _beside(database)
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:  # nobody has put another file in its place
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def replace(database: Path) -> int:
    """Return a lock in place of the one that a stopped engine keeps; only for who has taken over its lease."""
    path = _beside(database)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = _open(draft)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    draft.replace(path)
    return descriptor


def is_held(database: Path) -> bool:
    """Return whether another process keeps the lock at this moment."""
    if not _beside(database).exists():
        return False
    descriptor = take(database)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _beside(database: Path) -> Path:
    return database.with_name(f"{database.name}.engine")


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
