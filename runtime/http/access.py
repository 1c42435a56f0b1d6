"""Who may call the API: holders of an API key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha256
from time import monotonic

from backend.keys import Keys
from runtime.errors import Problem, Unauthorized

REMEMBERED_S = 0.5  # a deleted key stops working within a second, the time that a look-up takes included
REMEMBERED_KEYS = 1_000


class Access:
    """Checks API keys; a key that was right is not looked up again for a moment."""

    def __init__(self, keys: Keys, *, now: Callable[[], float] = monotonic) -> None:
        self._keys = keys
        self._now = now
        self._valid_until: dict[bytes, float] = {}

    async def require(self, authorization: str | None) -> None:
        """Raise Unauthorized unless *authorization*, the header's value, carries a key that exists."""
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise Unauthorized(
                Problem(
                    "auth.key_missing",
                    "Send an API key as “Authorization: Bearer pw_…”. `pulsewire keys create NAME` makes one.",
                )
            )
        digest = sha256(key.encode()).digest()
        if self._valid_until.get(digest, 0) > self._now():
            return
        if await asyncio.to_thread(self._keys.verify, key) is None:
            self._valid_until.pop(digest, None)
            raise Unauthorized(Problem("auth.key_unknown", "This API key does not exist, or was deleted."))
        if len(self._valid_until) >= REMEMBERED_KEYS:
            self._valid_until.clear()
        self._valid_until[digest] = self._now() + REMEMBERED_S
