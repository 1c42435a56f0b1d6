"""From the backend's events to the outbox: in the transaction of their change, with their secrets locked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from backend.events import Event
from runtime import outbox
from runtime.chains import Chains
from runtime.masking import MASK
from runtime.outbox import NewEvent
from runtime.sealing import Sealed, Seals


class Reporter:
    """A ``Record``: writes an event and the runs that it starts. *heard* is told of each, before the commit.

    *chains* stops events that runs cause over and over.
    """

    def __init__(
        self,
        seals: Seals,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        heard: Callable[[Event], None] | None = None,
        chains: Chains | None = None,
    ) -> None:
        self._seals = seals
        self._clock = clock
        self._chains = chains
        self._heard = heard

    def __call__(self, session: Session, event: Event) -> None:
        self.write(session, event)
        if self._heard is not None:
            self._heard(event)

    def write(self, session: Session, event: Event, causality: NewEvent | None = None) -> list[int]:
        """Write an event and return the runs that it starts; *causality* says which run has led to it."""
        payload, sealed = self._hidden(event)
        _id, runs = outbox.record(
            *(session, event.name, payload),
            causality=causality,
            sealed=sealed,
            now=self._clock(),
            chains=self._chains,
        )
        return runs

    def _hidden(self, event: Event) -> tuple[dict[str, Any], str | None]:
        """Return the payload as people may see it, and locked where it has secrets."""
        payload = event.payload()
        values = {name: payload[name] for name in event.secret if payload[name]}
        if not values:
            return payload, None
        inside = {value for value in values.values() for other in values.values() if other != value and other in value}
        secrets = [value for value in values.values() if value not in inside]  # of a link, only its token
        shown = dict(payload)
        for name in values:
            for secret in secrets:
                shown[name] = shown[name].replace(secret, MASK)  # a link keeps its front
        expires = None if event.lives is None else self._clock() + event.lives
        return shown, self._seals.lock(Sealed(payload, tuple(secrets), expires))
