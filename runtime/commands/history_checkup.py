"""What ``pulsewire doctor`` says of the history: its room on the disk, how long it is kept, and the latest backup."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

from runtime.backups import Backups
from runtime.retention_rules import Retention
from storage.database import Database
from storage.space import Space

MB = 1_000_000
LARGE_LOG_BYTES = 500 * MB
OLD = timedelta(days=7)

Level = Literal["ok", "note", "fault"]


def history_findings(database: Database) -> Iterator[tuple[str, Level, str]]:
    """Yield what was looked at, how it is, and words about it."""
    retention = Retention(database)
    yield "space", *_space(retention.space())
    yield "retention", *_rules(retention)
    yield "backup", *_backup(Backups(database))


def _space(found: Space) -> tuple[Level, str]:
    words = f"{found.file_bytes / MB:,.1f} MB in the file, of which {found.free_bytes / MB:,.1f} MB are free; "
    words += f"{found.log_bytes / MB:,.1f} MB in the log"
    if found.log_bytes > LARGE_LOG_BYTES:
        return "note", f"{words}. Somebody reads it for a very long time; a backup that is under way does."
    if not found.can_shrink:
        return "note", f"{words}. What is free stays in the file until a start that finds room to write it anew."
    return "ok", f"{words} (auto_vacuum: free pages go back to the disk)"


def _rules(retention: Retention) -> tuple[Level, str]:
    words = retention.read().words()
    if words is None:
        return "note", "Runs are kept for ever. Set how long under Settings › Data, before the disk is full."
    return "ok", f"of each flow {words}, whichever is less; {retention.own_rules()} flows set something else"


def _backup(backups: Backups) -> tuple[Level, str]:
    last = backups.last()
    if last is None:
        return "note", "None was made yet. `pulsewire backup FILE` makes one while everything runs."
    words = f"{last.at:%Y-%m-%d %H:%M} UTC, {last.size_bytes / MB:,.1f} MB"
    return ("note", f"{words}. Make another.") if datetime.now(UTC) - last.at > OLD else ("ok", words)
