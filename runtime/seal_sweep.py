"""Blanks locked values that nobody needs any more: those of ended runs, and those that have expired."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from sqlalchemy import exists, text, tuple_, update
from sqlmodel import Session, col, select

from runtime.engine_rows import OPEN
from runtime.sealing import BLANK, Seals
from storage.tables import EventRow, RunRow, StepRow

Key = TypeVar("Key")
LOCKED = text("sealed <> ''")  # as the partial indexes have it


def blank_spent(session: Session, seals: Seals, now: datetime) -> None:
    """Blank what is locked of events and steps whose runs have all ended, and what has expired at *now*."""
    connection = session.connection()
    is_open = col(RunRow.status).in_(OPEN)
    awaited = exists().where(col(RunRow.event_id) == col(EventRow.id), is_open)
    going = select(RunRow.id).where(is_open)
    connection.execute(update(EventRow).where(LOCKED, ~awaited).values(sealed=BLANK))
    connection.execute(update(StepRow).where(LOCKED, col(StepRow.run_id).not_in(going)).values(sealed=BLANK))
    events = session.exec(select(EventRow.id, EventRow.sealed).where(LOCKED)).all()
    for event_id in _expired(events, seals, now):
        connection.execute(update(EventRow).where(col(EventRow.id) == event_id).values(sealed=BLANK))
    key = tuple_(col(StepRow.run_id), col(StepRow.node), col(StepRow.iteration))
    steps = session.exec(select(StepRow.run_id, StepRow.node, StepRow.iteration, StepRow.sealed).where(LOCKED)).all()
    for step in _expired([((run_id, *rest), sealed) for run_id, *rest, sealed in steps], seals, now):
        connection.execute(update(StepRow).where(key == step).values(sealed=BLANK))


def _expired(rows: Iterable[tuple[Key, str | None]], seals: Seals, now: datetime) -> list[Key]:
    opened = [(key, seals.open(sealed)) for key, sealed in rows if sealed]
    return [key for key, found in opened if found is not None and found.has_expired(now)]
