"""Values that must not stand in clear at rest, locked with the installation's key until they expire."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from backend.errors import BackendError
from backend.secrets import PAYLOADS, SecretBox

Json: TypeAlias = Any

BLANK = ""  # what is left of a locked text once it is no longer needed: tells from None that there were secrets


@dataclass(frozen=True)
class Sealed:
    """A *value* in clear, the *secrets* in it, and when they are worth nothing any more (None: with the run)."""

    value: Json = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    expires_at: datetime | None

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class Seals:
    """Locks and opens with a key of this purpose alone; *box* makes those of others."""

    def __init__(self, box: SecretBox) -> None:
        self.box = box
        self._box = box.for_purpose(PAYLOADS)

    def lock(self, sealed: Sealed) -> str:
        """Return *sealed* as it may be stored."""
        expires = None if sealed.expires_at is None else sealed.expires_at.isoformat()
        return self._box.encrypt(orjson.dumps([sealed.value, sealed.secrets, expires]).decode())

    def tag(self, text: str) -> str:
        """Return a digest of *text* that tells nothing of it without the key."""
        return self._box.tag(text)

    def open(self, locked: str) -> Sealed | None:
        """Return what was locked; None when it was blanked, or locked with another key."""
        if locked == BLANK:
            return None
        try:
            value, secrets, expires = orjson.loads(self._box.decrypt(locked))
        except BackendError:
            return None
        return Sealed(value, tuple(secrets), None if expires is None else datetime.fromisoformat(expires))
