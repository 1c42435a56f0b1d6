"""The one way to the database: short read transactions, immediate write transactions, migration at start.

SQLite runs in WAL with ``synchronous=FULL``, so that a commit that returned survives a power cut.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlmodel import Session

from storage import soundness
from storage.crash_points import crash_here
from storage.errors import NewerSchema, StorageError, storage_error

if TYPE_CHECKING:
    from filelock import FileLock

BUSY_TIMEOUT_S = 10
SYNCHRONOUS_FULL = 2
VERSIONS = Path(__file__).parent / "migrations" / "versions"


class Database:
    """A SQLite file and its connections; safe to use from several threads and processes.

    Raises StorageError for a URL that is not a SQLite file.
    """

    def __init__(self, url: str) -> None:
        self.path = _file_of(url)
        _make_folder(self.path.parent)
        self.engine: Engine = create_engine(
            f"sqlite:///{self.path}",
            connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
            hide_parameters=True,  # errors are logged, and the values are secrets, mail and what people wrote
        )
        event.listen(self.engine, "connect", self._set_up)
        event.listen(self.engine, "begin", _begin)
        self.writer: Engine = self.engine.execution_options(is_immediate=True)  # shares the pool

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session in one consistent view of the data; what it changes is dropped."""
        with _plain_errors(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """Give a bare connection for one look-up, where a session would cost more than the look-up."""
        with _plain_errors(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session that holds the write lock; committed at the end, rolled back on an error.

        Raises StorageFull or StorageBusy, and then nothing was changed.
        """
        with _plain_errors(), Session(self.writer, expire_on_commit=False) as session:
            session.connection()  # take the lock before anything is read
            yield session
            crash_here("database.before_commit")
            session.commit()
            crash_here("database.after_commit")

    def check(self) -> None:
        """Raise StorageError when the log beside the file has lost something; before anything is read."""
        if fault := soundness.log_fault(self.path):
            raise StorageError(fault)

    def migrate(self) -> None:
        """Bring the schema to this version's; of several processes starting at once one does it.

        Raises NewerSchema for a database of a newer Pulsewire, which stays as it is.
        """
        known = known_versions()
        with _plain_errors():
            if self._version_among(known) == known[-1]:
                return
            with self.lock():
                if self._version_among(known) != known[-1]:
                    self._upgrade()

    def lock(self) -> FileLock:
        """Return the lock that a process holds while it does what one alone must do at start."""
        from filelock import FileLock

        return FileLock(f"{self.path}.lock", is_singleton=True)

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()

    def _version_among(self, known: list[str]) -> str | None:
        with self.engine.connect() as connection:
            tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE name = 'alembic_version'")
            found = tables.first() and connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
        if not found:
            return None
        if found[0] not in known:
            raise newer_schema(found[0])
        return str(found[0])

    def _upgrade(self) -> None:
        from alembic import command  # here because it costs start-up time and is rarely needed
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(VERSIONS.parent).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        with self.writer.begin() as connection:  # one transaction: a killed migration leaves nothing
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            crash_here("migration.before_commit")
        crash_here("migration.after_commit")

    def _set_up(self, raw: sqlite3.Connection, _record: object) -> None:
        def pragma(text: str) -> Any:
            row = raw.execute(f"PRAGMA {text}").fetchone()
            return row[0] if row else None

        pragma(f"busy_timeout={BUSY_TIMEOUT_S * 1000}")
        if pragma("journal_mode") != "wal":
            with self.lock():  # two first connections at once: SQLite does not wait for this lock by itself
                pragma("auto_vacuum=INCREMENTAL")  # has a meaning before anything is in the file; see storage/space.py
                pragma("journal_mode=WAL")
        pragma("synchronous=FULL")
        pragma("foreign_keys=ON")
        if pragma("journal_mode") != "wal" or pragma("synchronous") != SYNCHRONOUS_FULL:
            raise StorageError("SQLite did not accept WAL with synchronous=FULL. Put the database on a local disk.")


def known_versions() -> list[str]:
    """Return the schemas that this version can bring up to its own, which is the last."""
    return sorted(path.name.split("_")[0] for path in VERSIONS.glob("[0-9]*_*.py"))


def newer_schema(version: str) -> NewerSchema:
    """Return the refusal of a database with this schema."""
    return NewerSchema(
        f"The database has schema {version}, this Pulsewire knows up to {known_versions()[-1]}. "
        "Start the newer version that wrote it, or restore an older backup."
    )


def _file_of(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StorageError(
            "PULSEWIRE_DATABASE_URL is not a database URL such as sqlite:////var/pulsewire.db."
        ) from error
    if parsed.get_backend_name() != "sqlite":
        raise StorageError(
            f"This version keeps its data in SQLite; {parsed.get_backend_name()} URLs are not supported."
        )
    if not parsed.database or parsed.database == ":memory:":
        raise StorageError("The database must be a file, because several processes share it.")
    return Path(parsed.database).absolute()


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)  # payloads and mail are in it
    except OSError as error:
        message = f"The directory {path} cannot be made: {error.strerror}. Choose another PULSEWIRE_DATA_DIR."
        raise StorageError(message) from error


def _begin(connection: Connection) -> None:
    is_immediate = connection.get_execution_options().get("is_immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_immediate else "BEGIN")


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        if (plain := storage_error(error)) is not None:
            raise plain from error
        raise
