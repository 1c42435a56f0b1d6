"""Blanks locked values that nobody needs any more: those of ended runs, and those that have expired.

It does so in batches, so that no other work waits long for the writer, and opens what is locked outside of it: each
value once, as it says when it expires and does not change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Update, exists, text, tuple_, update
from sqlmodel import Session, col, select

from backend.tokens import digest_of
from runtime.engine_rows import OPEN
from runtime.sealing import BLANK, Seals
from storage.database import Database
from storage.tables import EventRow, RunRow, StepRow, WaitEvent

Key: TypeAlias = tuple[Any, ...]
Call: TypeAlias = Callable[[Callable[[Session], int]], Awaitable[int]]

BATCH = 200
LOCKED = text("sealed <> ''")  # as the partial indexes have it
EVENT_KEY = (col(EventRow.id),)
STEP_KEY = (col(StepRow.run_id), col(StepRow.node), col(StepRow.iteration))


class SealSweep:
    """Reads *database*, and writes by *call*: each time a transaction of its own."""

    def __init__(self, database: Database, call: Call, seals: Seals) -> None:
        self._database = database
        self._call = call
        self._seals = seals
        self._expiries: dict[str, datetime | None] = {}  # of what was locked at the last sweep, by its digest

    async def sweep(self, now: datetime) -> None:
        """Blank what is locked of events and steps whose runs have all ended, and what has expired at *now*.

        An event that a step may wait for is kept until the step has looked at it.
        """
        for left_over in (_left_over_events(), _left_over_steps()):
            while await self._write(left_over) == BATCH:
                pass
        events, steps = await asyncio.to_thread(self._expired, now)
        for table, key, spent in ((EventRow, EVENT_KEY, events), (StepRow, STEP_KEY, steps)):
            for start in range(0, len(spent), BATCH):
                blank = update(table).where(LOCKED, tuple_(*key).in_(spent[start : start + BATCH]))
                await self._write(blank.values(sealed=BLANK))

    async def _write(self, statement: Update) -> int:
        return await self._call(lambda session: session.connection().execute(statement).rowcount)

    def _expired(self, now: datetime) -> tuple[list[Key], list[Key]]:
        """Return the keys of the events and of the steps whose locked values have expired."""
        step = select(StepRow.run_id, StepRow.node, StepRow.iteration, StepRow.sealed)
        with self._database.read() as session:
            events = [_keyed(*row) for row in session.exec(select(EventRow.id, EventRow.sealed).where(LOCKED))]
            steps = [_keyed(*row) for row in session.exec(step.where(LOCKED))]
        known, expiries = self._expiries, dict[str, datetime | None]()
        for _key, sealed in (*events, *steps):
            digest = digest_of(sealed)
            expiries[digest] = known[digest] if digest in known else self._expiry(sealed)
        self._expiries = expiries

        def is_over(sealed: str) -> bool:
            end = expiries[digest_of(sealed)]
            return end is not None and end <= now

        over = [[key for key, sealed in rows if is_over(sealed)] for rows in (events, steps)]
        return over[0], over[1]

    def _expiry(self, sealed: str) -> datetime | None:
        found = self._seals.open(sealed)
        return None if found is None else found.expires_at


def _keyed(*row: Any) -> tuple[Key, str]:
    *key, sealed = row
    return tuple(key), sealed


def _left_over_events() -> Update:
    awaited = exists().where(col(RunRow.event_id) == col(EventRow.id), col(RunRow.status).in_(OPEN))
    offered = exists().where(col(WaitEvent.event_id) == col(EventRow.id))
    some = select(EventRow.id).where(LOCKED, ~awaited, ~offered).limit(BATCH)
    return update(EventRow).where(col(EventRow.id).in_(some)).values(sealed=BLANK)


def _left_over_steps() -> Update:
    going = select(RunRow.id).where(col(RunRow.status).in_(OPEN))
    some = select(*STEP_KEY).where(LOCKED, col(StepRow.run_id).not_in(going)).limit(BATCH)
    return update(StepRow).where(tuple_(*STEP_KEY).in_(some)).values(sealed=BLANK)
