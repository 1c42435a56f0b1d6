"""What is written down of one run: the rows of its steps, with what is secret in them masked, and locked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import orjson
from sqlmodel import Session

from runtime.journal_api import Journal
from runtime.run_secrets import RunSecrets, without_expired
from runtime.sealing import Seals
from storage.journal_rows import StepWrite
from storage.journal_runs import RunState, StepState
from storage.tables import from_us

UNKNOWN = "It is not known whether this step took place: Pulsewire was stopped while it was under way."
Put: TypeAlias = Callable[[StepWrite], None]
log = logging.getLogger("pulsewire.records")


class Place(NamedTuple):
    """Where a step stands: its node, and in which rounds of the loops around it ("3", "3.0" nested)."""

    node: str
    iteration: str = ""


class Records:
    """The step rows of one run. *secrets* is None while the run knows nothing that must not stand in clear."""

    def __init__(self, journal: Journal, state: RunState, seals: Seals, now_us: Callable[[], int]) -> None:
        self._journal = journal
        self._state = state
        self._seals = seals
        self._now_us = now_us
        self.secrets: RunSecrets | None = None
        self.put: Put
        self.release()

    def hold(self) -> list[StepWrite]:
        """Gather the rows in the list that is returned, until ``release``."""
        held: list[StepWrite] = []
        self._put_to(held.append)
        return held

    def release(self) -> None:
        """Hand rows to the journal again; those that were gathered are the caller's."""
        self._put_to(partial(self._journal.put_soon, self._state.epoch))

    def opened(self, sealed: str | None, masked: Any, *, is_usable: bool = True) -> Any:
        """Return what *masked* was before it was recorded; its secrets as expired values when they are that."""
        found = self._seals.open(sealed) if sealed and is_usable else None
        if found is None and sealed and is_usable:
            log.error("run %d: the secret key does not open what was locked; it counts as expired", self._state.id)
        if found is None or found.has_expired(from_us(self._now_us())):
            return without_expired(masked)
        self.keep_secret(found.secrets, found.expires_at)
        return found.value

    def keep_secret(self, secrets: Iterable[str], expires_at: datetime | None = None) -> None:
        """Mask these in every row from now on."""
        if self.secrets is None:
            self.secrets = RunSecrets(self._seals)
            self._put_to(self._unmasked)
        self.secrets.add(secrets, expires_at)

    async def write(self, work: Callable[[Session], None]) -> None:
        """Do *work* in a transaction, as this run; raises Fenced when it is no longer the engine's."""

        def done(session: Session) -> tuple[None, None]:
            work(session)
            return None, None

        await self._journal.transact(self._state.id, self._state.epoch, done)

    def shown(self, row: StepWrite) -> StepWrite:
        """Return *row* as it may be written."""
        return row if self.secrets is None else self.secrets.recorded(row)

    def shown_text(self, text: str | None) -> str | None:
        """Return the JSON text of an output as it may be written."""
        if self.secrets is None or text is None:
            return text
        return orjson.dumps(self.secrets.shown(orjson.loads(text))).decode()

    def event(self, payload: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        """Return *payload* as it may be stored, and locked where it has a secret."""
        return (payload, None) if self.secrets is None else self.secrets.event(payload)

    def shown_error(self, error: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return a run's error as it may be written."""
        shown: dict[str, Any] | None = error if self.secrets is None else self.secrets.shown(error)
        return shown

    def row(
        self,
        place: Place,
        attempt: int,
        status: str,
        *,
        started: int | None = None,
        ended: int | None = None,
        input: str | None = None,
        port: str | None = None,
        output: str | None = None,
        error: Mapping[str, Any] | None = None,
        effect: str | None = None,
        input_hash: str | None = None,
    ) -> StepWrite:
        """Return a row, in clear; *input*, *output* and *effect* are JSON texts, times are microseconds."""
        told = None if error is None else orjson.dumps(error).decode()
        return StepWrite(
            *(self._state.id, place.node, place.iteration, attempt, status, port, input, output, told, effect),
            *(started, ended, None, input_hash),
        )

    def put_skipped(self, place: Place, port: str | None = None) -> None:
        """Record a step that no path led to, or one that was passed over at *port*."""
        self.put(StepWrite(self._state.id, place.node, place.iteration, 1, "skipped", port))

    def put_unknown(self, place: Place, found: StepState) -> None:
        """Record that nobody knows whether a step took place."""
        error = {"message": UNKNOWN, "code": "step.outcome_unknown", "step": place.node}
        self._put_ended(place, found, "unknown", error)

    def put_given_up(self, place: Place, found: StepState) -> None:
        """Record that a step that waited for its next attempt, or for something else, waits no longer."""
        if not found.error:
            self._put_ended(place, found, "skipped", None)
            return
        error = {key: value for key, value in found.error.items() if key != "retry_at"}
        self._put_ended(place, found, "failed", error)

    def _put_ended(self, place: Place, found: StepState, status: str, error: Mapping[str, Any] | None) -> None:
        now = self._now_us()
        self.put(self.row(place, found.attempt, status, error=error, started=found.started_us, ended=now))

    def _put_to(self, put: Put) -> None:
        """Let *put* have the rows; nothing here refers to itself, so that it goes with its run."""
        self._unmasked = put
        self.put = put if self.secrets is None else partial(_put_masked, self.secrets, put)


def _put_masked(secrets: RunSecrets, put: Put, row: StepWrite) -> None:
    put(secrets.recorded(row))
