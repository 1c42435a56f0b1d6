"""Room on the disk: how much the database takes, and giving back what was removed from it.

A database that Pulsewire makes keeps, for each page, who points at it (``auto_vacuum=INCREMENTAL``): so a free page can
be cut off the end of the file in small steps, where otherwise only a copy of everything would make it smaller.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from storage.database import BUSY_TIMEOUT_S, Database
from storage.errors import StorageError, StorageFull, storage_error

INCREMENTAL = 2  # PRAGMA auto_vacuum
ROOM_TO_REWRITE = 2  # times the file: the log takes all of it once, before the file takes it over
log = logging.getLogger("pulsewire.storage")


@dataclass(frozen=True)
class Space:
    """What the database takes on the disk. *free_bytes* of the file hold nothing and are used again, or given back.

    *can_shrink*: they can be given back while the server runs.
    """

    file_bytes: int
    log_bytes: int
    free_bytes: int
    page_bytes: int
    can_shrink: bool


def measure(database: Database) -> Space:
    """Return what the database takes now."""
    with database.look() as connection:
        pages, free, size, mode = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size", "auto_vacuum")
        )
    return Space(pages * size, size_of(log_of(database.path)), free * size, size, mode == INCREMENTAL)


def give_back(connection: Connection, pages: int) -> int:
    """Cut up to *pages* free pages off the file, in the caller's transaction; return how many are still free."""
    for _ in range(pages):  # one by one: of a statement without an answer the driver takes one step only
        connection.exec_driver_sql("PRAGMA incremental_vacuum(1)").close()
    return int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())


def make_shrinkable(database: Database) -> None:
    """Let a database of an older Pulsewire give back free pages; of several processes starting at once one does it.

    It is written anew for that, once. Where the disk has no room for it everything stays as it is, and works.
    """
    if measure(database).can_shrink:
        return
    with database.lock():
        if not measure(database).can_shrink:
            _rewrite(database)


def shorten_log(path: Path) -> bool:
    """Bring the log into the file and cut it to nothing; False when somebody is reading or writing meanwhile.

    Nobody is kept waiting for longer than it takes to bring over what came in during the first half.
    """
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as raw:
        try:
            raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            is_busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            if (plain := storage_error(error)) is not None:
                raise plain from error
            raise
    return not is_busy


def log_of(path: Path) -> Path:
    """Return the file with the latest changes of a database."""
    return path.with_name(f"{path.name}-wal")


def size_of(path: Path) -> int:
    """Return the bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _rewrite(database: Database) -> None:
    size = size_of(database.path)
    try:
        if shutil.disk_usage(database.path.parent).free < size * ROOM_TO_REWRITE:
            raise StorageFull("There is too little room.")
        with closing(sqlite3.connect(database.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as raw:
            raw.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
            raw.execute("VACUUM")
        shorten_log(database.path)
    except (sqlite3.Error, StorageError) as error:
        plain = error if isinstance(error, StorageError) else storage_error(error)
        if plain is None:
            raise
        log.warning(
            "the database cannot be written anew, so its file stays at %d MB however much is removed; "
            "at the next start it is tried again: %s",
            *(size // 1_000_000, plain),
        )
