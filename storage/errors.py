"""What can go wrong between us and the database, in words for the person who runs it."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError


class StorageError(Exception):
    """The database cannot be used as asked; nothing was changed."""


class StorageFull(StorageError):
    """The disk holding the database has no room left; the transaction was rolled back."""


class StorageBusy(StorageError):
    """Another process kept the database locked for longer than we wait; trying again may help."""


class NewerSchema(StorageError):
    """The database was written by a newer Pulsewire."""


SHM_FULL = sqlite3.SQLITE_IOERR_SHMSIZE  # the shared-memory file of WAL could not grow


def storage_error(error: BaseException) -> StorageError | None:
    """Return what *error* of SQLite or SQLAlchemy means to a person, or None if it has no plain meaning."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    if not isinstance(code, int):
        return None
    primary = code & 0xFF  # the low byte of an extended result code (sqlite.org/rescode.html)
    if primary == sqlite3.SQLITE_FULL or code == SHM_FULL:
        return StorageFull("The disk is full. Nothing was changed. Free some space and try again.")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageBusy("The database is busy. Nothing was changed. Try again in a moment.")
    if primary in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StorageError("The database file is damaged or is not a database. Restore it from a backup.")
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StorageError("The database file cannot be opened for writing. Check its path and permissions.")
    return None
