"""Backups of the database while everything runs, and when the last one was made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from storage import backup
from storage.backup import Progress
from storage.database import Database
from storage.errors import StorageError
from storage.space import measure
from storage.tables import Setting

KEY = "last_backup"


@dataclass(frozen=True)
class LastBackup:
    """When the latest backup was complete, and how large it is."""

    at: datetime
    size_bytes: int


@dataclass(frozen=True)
class Download:
    """A backup to be sent: its open *file* has no name on the disk, and is gone when it is closed."""

    file: BinaryIO
    name: str
    size_bytes: int


class Backups:
    """Makes them; raises StorageError, and then there is no file."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock

    def write(self, target: Path, *, replaces: bool = False, progress: Progress | None = None) -> int:
        """Write a backup to a file that does not exist, or that it *replaces*, and return its bytes."""
        if any(target.exists() and target.samefile(ours) for ours in self._ours() if ours.exists()):
            raise StorageError(f"{target} is the database itself. Choose another file.")
        size = backup.copy(self._database.path, target, replaces=replaces, progress=progress)
        self._note(size)
        return size

    def download(self) -> Download:
        """Return a backup that is on the disk only while it is sent; one at a time is made."""
        with backup.draft_of(self._database.path.with_name("download")) as draft:
            backup.copy_pages(self._database.path, draft)
            size, file = draft.stat().st_size, draft.open("rb")
        self._note(size)
        return Download(file, f"pulsewire-{self._clock():%Y%m%d-%H%M%S}.db", size)

    def require_room(self) -> None:
        """Raise StorageFull where the disk of the database has no room for a copy of it beside it."""
        backup.require_room(measure(self._database).file_bytes, self._database.path.parent)

    def last(self) -> LastBackup | None:
        """Return what is known of the latest backup; None where none was made."""
        with self._database.read() as session:
            row = session.get(Setting, KEY)
        return None if row is None else LastBackup(row.updated_at, row.value["size_bytes"])

    def _ours(self) -> list[Path]:
        path = self._database.path
        return [path, *(path.with_name(f"{path.name}{end}") for end in backup.BESIDE)]

    def _note(self, size: int) -> None:
        with suppress(StorageError), self._database.write() as session:  # the backup is there all the same
            row = session.get(Setting, KEY) or Setting(key=KEY, value={})
            row.value, row.updated_at = {"size_bytes": size}, self._clock()
            session.add(row)
