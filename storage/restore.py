"""Putting a copy in place of the database: checked before anything is touched, and what was there is kept.

Ids are not given twice, as keys of what runs send to other servers are made of them: a restored database goes on
counting behind what the present one had reached, or far behind the copy where the present one cannot tell.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from storage.backup import BESIDE, check, copy_pages, draft_of, put
from storage.database import known_versions, newer_schema
from storage.errors import StorageError

LEAP = 1_000_000  # ids left out where it is not known which were used after the copy was made
OPEN = "SELECT count(*) FROM run WHERE status IN ('queued', 'running', 'waiting')"


@dataclass(frozen=True)
class Restored:
    """What was put in place; *kept* is where the database is that was there, *is_old* that a start will migrate it."""

    version: str
    is_old: bool
    runs: int
    open_runs: int
    next_run: int
    kept: Path | None


@dataclass(frozen=True)
class _Counted:
    """Which ids a database has given, by table, and what tells its installation from another."""

    installation: str | None
    ids: Mapping[str, int]


def restore(file: Path, database: Path, now: datetime) -> Restored:
    """Put a copy of *file* in place of *database*; the caller sees to it that nobody has it open.

    Raises StorageError for a file that is damaged, no database of ours or of a newer version, and OSError; then
    nothing was changed.
    """
    with file.open("rb"):  # a plain reason where it cannot be read
        pass
    with draft_of(database) as draft:
        try:
            copy_pages(file, draft)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise StorageError(f"{file} is damaged, or is no database.") from error
            raise
        with closing(sqlite3.connect(draft, isolation_level=None)) as raw:
            version = _version(raw, file)
            check(raw, "integrity_check")
            _go_on_counting(raw, _present(database))
            ended = _figures(raw, version, version != known_versions()[-1])
        kept = _set_aside(database, now)
        put(draft, database)
    return Restored(*ended, kept)


def _version(raw: sqlite3.Connection, file: Path) -> str:
    try:
        found = raw.execute("SELECT version_num FROM alembic_version").fetchone()
        runs = raw.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'run'").fetchone()
    except sqlite3.OperationalError as error:
        raise StorageError(f"{file} is no database of Pulsewire.") from error
    if found is None or runs is None:
        raise StorageError(f"{file} is no database of Pulsewire.")
    if found[0] not in known_versions():
        raise newer_schema(found[0])
    return str(found[0])


def _figures(raw: sqlite3.Connection, version: str, is_old: bool) -> tuple[str, bool, int, int, int]:
    (runs,) = raw.execute("SELECT count(*) FROM run").fetchone()
    (open_runs,) = raw.execute(OPEN).fetchone()
    return version, is_old, runs, open_runs, _counted(raw).ids.get("run", 0) + 1


def _present(database: Path) -> _Counted | None:
    """Return what the present database has counted to, with its log brought in; None where it does not tell."""
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as raw:
            found = _counted(raw)
        with closing(sqlite3.connect(database, isolation_level=None)) as raw:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error:
        return None  # damaged, perhaps the reason for all this: it is left as it is
    return found


def _counted(raw: sqlite3.Connection) -> _Counted:
    row = raw.execute("SELECT json_extract(value, '$.id') FROM setting WHERE key = 'installation'").fetchone()
    return _Counted(row and row[0], dict(raw.execute("SELECT name, seq FROM sqlite_sequence")))


def _go_on_counting(raw: sqlite3.Connection, present: _Counted | None) -> None:
    copied = _counted(raw)
    is_told = (
        present is not None
        and present.installation == copied.installation
        and present.ids.get("run", 0) >= copied.ids.get("run", 0)
    )
    reached = present.ids if present is not None and is_told else {}
    with raw:
        raw.execute("BEGIN")
        for table in {"run", *copied.ids, *reached}:
            used = max(copied.ids.get(table, 0), reached.get(table, 0))
            goes_on_at = used if is_told else used + LEAP
            if not raw.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (goes_on_at, table)).rowcount:
                raw.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, goes_on_at))


def _set_aside(database: Path, now: datetime) -> Path | None:
    """Keep what is there under another name; *database* stays where it is until the copy replaces it."""
    if not database.exists():
        return None
    kept = database.with_name(f"{database.name}.before-restore-{now:%Y%m%dT%H%M%SZ}")
    for end in BESIDE:  # only of a damaged one: else the log was brought in and is gone
        with suppress(FileNotFoundError):
            database.with_name(f"{database.name}{end}").rename(kept.with_name(f"{kept.name}{end}"))
    try:
        os.link(database, kept)
    except OSError:  # a file system without links
        database.rename(kept)
    return kept
