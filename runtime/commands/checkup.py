"""``pulsewire doctor``: looks at an installation and says what to do."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from backend.errors import BackendError
from runtime import preflight
from runtime.commands.history_checkup import history_findings
from runtime.errors import RuntimeFault
from runtime.settings import Settings
from storage import soundness
from storage.database import Database, known_versions
from storage.errors import StorageError

FREE_BYTES = 500_000_000  # below this, look after the disk
ENGINE_S = 3


@dataclass(frozen=True)
class Finding:
    """One thing looked at; *level* is ok, note or fault."""

    what: str
    level: str
    words: str


def findings(settings: Settings) -> Iterator[Finding]:
    """Yield what was found; nothing is changed."""
    folder = settings.data_dir
    if folder.exists() and not folder.is_dir():
        yield Finding("data directory", "fault", f"{folder} is a file. Choose another PULSEWIRE_DATA_DIR.")
        return
    if not folder.is_dir():
        yield Finding("data directory", "note", f"{folder} does not exist yet; `pulsewire serve` makes it.")
        return
    if os.access(folder, os.W_OK | os.X_OK):
        yield Finding("data directory", "ok", str(folder.resolve()))
    else:
        yield Finding("data directory", "fault", f"{folder} cannot be written. Change its owner or mode.")
    free = shutil.disk_usage(folder).free
    words = f"{free / 1e9:.1f} GB free"
    yield Finding("disk", "ok", words) if free > FREE_BYTES else Finding("disk", "fault", f"{words}. Make some room.")
    yield _secret_key(settings)
    yield from _database(settings)
    yield asyncio.run(_engine(settings))


def _secret_key(settings: Settings) -> Finding:
    path = settings.data_dir / "secret.key"
    if settings.secret_key is not None:
        return Finding("secret key", "ok", "from PULSEWIRE_SECRET_KEY")
    if fault := preflight.key_fault(settings):
        return Finding("secret key", "fault", fault)
    if not path.exists():
        return Finding("secret key", "note", "There is none yet; it is made on the first start.")
    if path.stat().st_mode & 0o077:
        return Finding("secret key", "fault", f"Others can read {path}. Run `chmod 600 {path}`.")
    return Finding("secret key", "ok", "readable by its owner only; keep a copy of it apart from backups")


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        database = Database(settings.url)
        if not database.path.exists():
            yield Finding("database", "note", "There is none yet; it is made on the first start.")
            return
        if fault := soundness.log_fault(database.path):
            yield Finding("database", "fault", fault)
            return
        with closing(sqlite3.connect(f"{database.path.as_uri()}?mode=ro", uri=True)) as raw:
            sound = raw.execute("PRAGMA quick_check(1)").fetchone()[0]
            version = raw.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        with database.read() as session:
            mode, synchronous = (session.connection().exec_driver_sql(f"PRAGMA {name}").scalar() for name in _PRAGMAS)
    except (StorageError, sqlite3.Error) as error:
        yield Finding("database", "fault", f"{error} Restore a backup if it is damaged.")
        return
    if sound != "ok":
        yield Finding("database", "fault", "The file is damaged. Stop the server and restore a backup.")
    elif (mode, synchronous) != ("wal", 2):
        yield Finding("database", "fault", f"{mode} with synchronous={synchronous}. Put it on a local disk.")
    else:
        size = database.path.stat().st_size / 1e6
        yield Finding("database", "ok", f"{database.path}: {size:.1f} MB, schema {version}, sound, WAL with full sync")
        if version == known_versions()[-1]:  # else the next start brings it there
            yield from (Finding(*found) for found in history_findings(database))
        yield _mail(settings, database)
    database.dispose()


_PRAGMAS = ("journal_mode", "synchronous")


def _mail(settings: Settings, database: Database) -> Finding:
    from runtime.app import preferences_of

    try:
        smtp = preferences_of(settings, database).smtp()
    except BackendError as error:
        return Finding("mail", "fault", str(error))
    if smtp is None:
        return Finding("mail", "note", "No SMTP server is set: mail stays in the built-in mailbox.")
    return Finding("mail", "ok", f"through {smtp.host}:{smtp.port} as {smtp.sender}")


async def _engine(settings: Settings) -> Finding:
    from runtime.link import EngineLink

    link = EngineLink(settings.data_dir)
    try:
        async with asyncio.timeout(ENGINE_S):
            status = await link.status()
    except (RuntimeFault, TimeoutError):
        return Finding("engine", "note", "It does not run. `pulsewire serve` starts it.")
    finally:
        await link.close()
    if status.storage_full:
        return Finding("engine", "fault", "It waits for room on the disk. Make some; it goes on by itself.")
    return Finding("engine", "ok", f"version {status.version}, {status.open_runs} open runs, since {status.started_at}")
