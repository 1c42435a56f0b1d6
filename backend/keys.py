"""API keys: shown once when made, kept as a digest."""

from __future__ import annotations

import builtins
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlmodel import select

from backend.datahub_schema import name_faults
from backend.errors import BackendError, Fault, NotFound, StorageBusy, StorageFull
from backend.operator_values import ROLES, Role
from backend.transaction import writing
from storage.database import Database
from storage.tables import ApiKey

PREFIX = "pw_"
KEY_CHARS = len(PREFIX) + 43  # 256 bits, url-safe base64
SHOWN_CHARS = len(PREFIX) + 6
USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class ApiKeyInfo:
    """What may be shown of an API key; *prefix* is how it begins."""

    id: int
    name: str
    prefix: str
    created_at: datetime
    last_used_at: datetime | None
    role: Role = "owner"

    def as_json(self) -> dict[str, Any]:
        """Return the published shape; times are ISO 8601 in UTC."""
        return {
            "id": self.id,
            "name": self.name,
            "prefix": self.prefix,
            "role": self.role,
            "created_at": _iso(self.created_at),
            "last_used_at": _iso(self.last_used_at) if self.last_used_at else None,
        }


class Keys:
    """The API keys of this installation."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock

    def create(self, name: str, role: Role = "owner") -> tuple[ApiKeyInfo, str]:
        """Make a key that may do what *role* may; its text is returned this once and cannot be read again."""
        if role not in ROLES:
            message = f"A key's role is one of {', '.join(ROLES)}."
            raise BackendError(Fault("key.role_invalid", message, "role"))
        if any(name_faults(name)):
            raise BackendError(
                Fault("key.name_invalid", "A key needs a name of at most 100 printable characters.", "name")
            )
        text = PREFIX + secrets.token_urlsafe(32)
        row = ApiKey(
            name=name.strip(), prefix=text[:SHOWN_CHARS], digest=_digest(text), role=role, created_at=self._clock()
        )
        with writing(self._database) as session:
            session.add(row)
        return _info(row), text

    def list(self) -> builtins.list[ApiKeyInfo]:
        """Return every key, newest first."""
        with self._database.read() as session:
            return [_info(row) for row in session.exec(select(ApiKey)).all()][::-1]

    def delete(self, key_id: int) -> None:
        """Make a key worthless from now on; raises NotFound."""
        with writing(self._database) as session:
            row = session.get(ApiKey, key_id) if 0 < key_id < 2**63 else None
            if row is None:
                raise NotFound(Fault("key.not_found", "There is no such API key. It may have been deleted."))
            session.delete(row)

    def role_of(self, key_id: int) -> Role | None:
        """Return the role of a key as it is now, None for one that was deleted."""
        with self._database.read() as session:
            row = session.get(ApiKey, key_id)
        return None if row is None else cast(Role, row.role)

    def verify(self, text: str) -> ApiKeyInfo | None:
        """Return the key that *text* is, or None.

        It is found by its SHA-256, so the time taken tells nothing of keys that are nearly right.
        """
        if len(text) != KEY_CHARS or not text.isascii():
            return None
        with self._database.read() as session:
            row = session.exec(select(ApiKey).where(ApiKey.digest == _digest(text))).first()
        if row is None:
            return None
        now = self._clock()
        if row.last_used_at is None or now - row.last_used_at >= USE_NOTED_EVERY:
            self._note_use(row.id, now)
        return _info(row)

    def _note_use(self, key_id: int | None, now: datetime) -> None:
        try:
            with writing(self._database) as session:
                if (row := session.get(ApiKey, key_id)) is not None:
                    row.last_used_at = now
                    session.add(row)
        except (StorageFull, StorageBusy):
            return  # when it was last used is a courtesy; the request itself may be what frees space


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _info(row: ApiKey) -> ApiKeyInfo:
    assert row.id is not None
    return ApiKeyInfo(row.id, row.name, row.prefix, row.created_at, row.last_used_at, cast(Role, row.role))


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
