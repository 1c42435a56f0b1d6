"""Copies of a live database: one moment of it, whole and checked, or no file at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeAlias

from storage.crash_points import crash_here
from storage.errors import StorageBusy, StorageError, StorageFull, storage_error

PAGES_AT_ONCE = 2_000  # between two reports of how far it is
BESIDE = ("-journal", "-wal", "-shm")  # what SQLite may leave beside a file that it could not finish

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many pages are copied, and how many there are."""


def copy(source: Path, target: Path, *, replaces: bool = False, progress: Progress | None = None) -> int:
    """Write a copy of the database to *target*, readable by its owner only, and return its bytes.

    *target* appears when the copy is complete, checked and on the disk. Raises StorageError, and OSError where the
    folder cannot be written; then *target* is as it was.
    """
    if target.exists() and not replaces:
        raise StorageError(f"{target} exists. Choose another name, or replace it with --force.")
    with draft_of(target) as draft:
        copy_pages(source, draft, progress)
        size = draft.stat().st_size
        put(draft, target)
    return size


def copy_pages(source: Path, draft: Path, progress: Progress | None = None) -> None:
    """Fill *draft* with a checked copy of a database at one moment, whatever is written to it meanwhile.

    Until it is done the log of *source* grows by what is written. Raises sqlite3.Error and StorageFull.
    """
    tell = progress or (lambda _done, _all: None)
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as live,
        closing(sqlite3.connect(draft, isolation_level=None)) as copied,
    ):
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from here on one moment, for all steps
        pages, size = (int(live.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size"))
        require_room(pages * size, draft.parent)
        copied.execute("PRAGMA journal_mode=OFF")
        copied.execute("PRAGMA synchronous=OFF")  # it is brought to the disk as a whole, at the end
        live.backup(copied, pages=PAGES_AT_ONCE, progress=lambda _, left, pages: tell(pages - left, pages), sleep=0)
        copied.execute("PRAGMA journal_mode=DELETE")  # one file: no log beside it
        check(copied, "quick_check")


def require_room(size_bytes: int, folder: Path) -> None:
    """Raise StorageFull where a copy cannot fit: it would take the room that others need, to no end."""
    if shutil.disk_usage(folder).free < size_bytes:
        raise _no_room(folder)


@contextmanager
def draft_of(target: Path) -> Iterator[Path]:
    """Give the path of an empty file beside *target*, which is gone afterwards unless it was put in place.

    What a killed process left there is used again. Raises StorageBusy while another process writes it, and
    StorageError in place of errors of SQLite.
    """
    draft = target.with_name(f".{target.name}.part")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageBusy("Another copy is being written there. Try again when it is done.") from error
        os.ftruncate(descriptor, 0)
        try:
            yield draft
        except sqlite3.Error as error:
            plain = storage_error(error)
            if isinstance(plain, StorageFull):
                raise _no_room(target.parent) from error
            raise plain or StorageError(f"The copy could not be written: {error}.") from error
        finally:
            for path in (draft, *(draft.with_name(f"{draft.name}{end}") for end in BESIDE)):
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def put(draft: Path, target: Path) -> None:
    """Make *draft* the file *target*, for good: it is there after a power cut, too."""
    _sync(draft)
    crash_here("backup.before_put")
    draft.replace(target)
    crash_here("backup.after_put")
    _sync(target.parent)


def check(connection: sqlite3.Connection, how: str) -> None:
    """Raise StorageError unless the database is sound; *how* is ``quick_check`` or ``integrity_check``."""
    found = connection.execute(f"PRAGMA {how}(1)").fetchone()[0]
    if found != "ok":
        raise StorageError(f"It is damaged: {found}.")


def _no_room(folder: Path) -> StorageFull:
    return StorageFull(f"The disk of {folder} has no room for the copy. Nothing was left there. Choose another disk.")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
