"""The audit log: who did what to what, and when."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backend.errors import BackendError
from backend.transaction import writing
from storage.database import Database
from storage.errors import StorageError
from storage.tables import AuditEntry

KEPT_ENTRIES = 100_000  # of what owners do, and as many of all else
# how the actions begin that owners alone may take
OWNED = ("operator.", "key.", "credential.", "user.", "role.", "settings.")
KEPT_FOR = timedelta(days=365)
TRIM_EVERY = 500  # entries
MERGED_FOR = timedelta(minutes=10)  # changes that come by the dozen are one entry within this time
MERGED_KEYS = 10_000
LIST_LIMIT = 200
TARGET_CHARS = 200


@dataclass(frozen=True)
class Entry:
    """One line of the log; *actor* and *target* are as they were called then."""

    id: int
    at: datetime
    actor_kind: str
    actor_id: str
    actor: str
    action: str
    target: str
    details: dict[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        """Return the published shape; the time is ISO 8601 in UTC."""
        return {
            "id": self.id,
            "at": self.at.isoformat().replace("+00:00", "Z"),
            "actor": {"kind": self.actor_kind, "id": self.actor_id, "name": self.actor},
            "action": self.action,
            "target": self.target,
            "details": self.details,
        }


@dataclass(frozen=True)
class AuditPage:
    """Entries, newest first; *next* is what to hand over as *before* for the older ones, None at the end."""

    items: builtins.list[Entry]
    next: int | None


class Audit:
    """Entries are added and read, never changed; the oldest go when there are too many, or after a year.

    Those of owners are counted apart, so that nobody else can push them out.
    """

    def __init__(
        self,
        database: Database,
        *,
        kept_entries: int = KEPT_ENTRIES,
        trim_every: int = TRIM_EVERY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._kept_entries = kept_entries
        self._trim_every = trim_every
        self._clock = clock
        self._lock = threading.Lock()
        self._merged: dict[tuple[str, ...], datetime] = {}

    def add(
        self,
        actor_kind: str,
        actor_id: str,
        actor: str,
        action: str,
        target: str = "",
        details: dict[str, Any] | None = None,
        *,
        is_merged: bool = False,
    ) -> None:
        """Write an entry; with *is_merged*, none when there was an equal one within the last ten minutes."""
        now = self._clock()
        key = (actor_kind, actor_id, action, target, repr(details))
        if is_merged and self._is_known(key, now):
            return
        entry = AuditEntry(
            at=now,
            actor_kind=actor_kind,
            actor_id=actor_id,
            actor=actor,
            action=action,
            target=target[:TARGET_CHARS],
            details=details or None,
        )
        try:
            self._write(entry)
        except (BackendError, StorageError):
            self._merged.pop(key, None)
            raise

    def list(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        search: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> AuditPage:
        """Return the newest entries that are older than the one with the id *before*.

        *actor* is an id; *action* one word such as ``flow.publish``, or an area such as ``flow``; *search* looks in
        names and targets.
        """
        query = select(AuditEntry).order_by(col(AuditEntry.id).desc())
        if actor:
            query = query.where(AuditEntry.actor_id == actor)
        if action:
            query = query.where(
                (col(AuditEntry.action) == action) | col(AuditEntry.action).startswith(f"{action}.", autoescape=True)
            )
        if search:
            query = query.where(
                col(AuditEntry.actor).icontains(search, autoescape=True)
                | col(AuditEntry.target).icontains(search, autoescape=True)
            )
        if since is not None:
            query = query.where(col(AuditEntry.at) >= since)
        if until is not None:
            query = query.where(col(AuditEntry.at) < until)
        if before is not None:
            query = query.where(col(AuditEntry.id) < before)
        limit = max(1, min(limit, LIST_LIMIT))
        with self._database.read() as session:
            rows = session.exec(query.limit(limit + 1)).all()
        items = [_entry(row) for row in rows[:limit]]
        return AuditPage(items, items[-1].id if len(rows) > limit else None)

    def actors(self) -> builtins.list[tuple[str, str]]:
        """Return id and name of everyone in the log, by name; the newest name of each."""
        newest = select(sa.func.max(AuditEntry.id)).group_by(col(AuditEntry.actor_id))
        query = select(AuditEntry.actor_id, AuditEntry.actor).where(col(AuditEntry.id).in_(newest))
        with self._database.read() as session:
            return sorted(((id_, name) for id_, name in session.exec(query).all()), key=lambda pair: pair[1].casefold())

    def actions(self) -> builtins.list[str]:
        """Return every action in the log, sorted."""
        with self._database.read() as session:
            return sorted(session.exec(select(AuditEntry.action).distinct()).all())

    def _write(self, entry: AuditEntry) -> None:
        with writing(self._database) as session:
            session.add(entry)
            session.flush()
            if entry.id is not None and entry.id % self._trim_every == 0:
                _trim(session, self._kept_entries, entry.at - KEPT_FOR)

    def _is_known(self, key: tuple[str, ...], now: datetime) -> bool:
        with self._lock:
            last = self._merged.get(key)
            if last is not None and last <= now < last + MERGED_FOR:
                return True
            if len(self._merged) >= MERGED_KEYS:
                self._merged.clear()
            self._merged[key] = now
            return False


def _trim(session: Session, kept: int, before: datetime) -> None:
    owned = sa.or_(*(col(AuditEntry.action).startswith(area, autoescape=True) for area in OWNED))
    old = [col(AuditEntry.at) < before]
    for group in (owned, ~owned):
        last = select(AuditEntry.id).where(group).order_by(col(AuditEntry.id).desc()).offset(kept).limit(1)
        old.append(group & (col(AuditEntry.id) <= last.scalar_subquery()))
    session.connection().execute(sa.delete(AuditEntry).where(sa.or_(*old)))


def _entry(row: AuditEntry) -> Entry:
    return Entry(**row.model_dump())
