"""What one run knows that must not stand in clear: it masks what is recorded, and locks what a restart will need."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from backend.tokens import is_token
from nodes.spec import NodeError
from runtime import access
from runtime.masking import MASK, Masker
from runtime.sealing import BLANK, Sealed, Seals
from storage.journal_rows import StepWrite

Json: TypeAlias = Any


class RunSecrets:
    """The secrets of a run so far: those of its event, and those that its steps were given."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals
        self._secrets: tuple[str, ...] = ()
        self._expires_at: datetime | None = None
        self._masker = Masker(())

    def add(self, secrets: Iterable[str], expires_at: datetime | None = None) -> None:
        """Mask these too from now on; *expires_at* is when what is locked is worth nothing any more."""
        self._expires_at = expires_at or self._expires_at
        if new := [secret for secret in secrets if secret not in self._secrets]:
            self._secrets = (*self._secrets, *new)
            self._masker = Masker(self._secrets)

    def finds(self, value: Json) -> bool:
        """Return whether any secret, or a part of it, is in *value*."""
        return self._masker.finds(value)

    def shown(self, value: Json) -> Json:
        """Return *value* as it may be recorded."""
        return self._masker.mask(value)

    def recorded(self, step: StepWrite) -> StepWrite:
        """Return *step* as it may be written: everything in it masked, and its output also locked where it was."""
        step = step._replace(input=self._text(step.input), error=self._text(step.error), effect=self._text(step.effect))
        if step.output is None:
            return step
        output = orjson.loads(step.output)
        if (shown := self._masker.mask(output)) is output:
            return step
        sealed = self._locked(output) if step.sealed is None else step.sealed
        return step._replace(output=orjson.dumps(shown).decode(), sealed=sealed)

    def event(self, payload: dict[str, Json]) -> tuple[dict[str, Json], str | None]:
        """Return the payload of an event as it may be stored, and locked where it has a secret."""
        shown = self._masker.mask(payload)
        return shown, None if shown is payload else self._locked(payload)

    def refuse(self, value: Json, place: str) -> None:
        """Raise NodeError when *value* has a secret; *place* is where it would have been kept in clear.

        Of a password only the whole counts: people make them of their names and addresses.
        """
        if self._masker.finds(value) and (self._has_token(value) or self._masker.finds_whole(value)):
            message = (
                f"A value holds a token, link or password of this run. {place} keep values where people read them, so "
                "it is not stored. Leave it out."
            )
            raise NodeError(message, code="secret.not_storable")

    def _has_token(self, value: Json) -> bool:
        return Masker(secret for secret in self._secrets if is_token(secret)).finds(value)

    def _text(self, text: str | None) -> str | None:
        if text is None:
            return None
        value = orjson.loads(text)
        shown = self._masker.mask(value)
        return text if shown is value else orjson.dumps(shown).decode()

    def _locked(self, value: Json) -> str:
        return self._seals.lock(Sealed(value, self._secrets, self._expires_at))


def text_of(value: Json) -> tuple[str, str | None]:
    """Return *value* as JSON, with what has expired masked; and what is left of it locked: nothing, or None."""
    sealed: str | None = None

    def masked(part: object) -> str:
        if not isinstance(part, access.Missing):
            raise TypeError
        nonlocal sealed
        sealed = BLANK
        return MASK

    return orjson.dumps(value, default=masked).decode(), sealed


def without_expired(value: Json, name: str = "value") -> Json:
    """Return *value*, masked when it was recorded, with what was masked as values that have expired."""
    if isinstance(value, str):
        return access.expired(name) if MASK in value else value
    if isinstance(value, dict):
        return {key: without_expired(entry, key) for key, entry in value.items()}
    return [without_expired(entry, name) for entry in value] if isinstance(value, list) else value
