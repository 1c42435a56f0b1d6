"""Cancelling many runs: which ones are meant, and what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from runtime.limits import RETRIES
from runtime.run_ends import OPEN
from storage.tables import RunRow

AT_ONCE = 25


@dataclass(frozen=True)
class Cancelled:
    """What a bulk cancel did: the runs that it stopped, and how many are left."""

    runs: tuple[int, ...] = ()
    left: int = 0

    @property
    def count(self) -> int:
        return len(self.runs)

    @property
    def said(self) -> str:
        """How many, in words."""
        return "1 run" if self.count == 1 else f"{self.count} runs"

    def as_json(self) -> dict[str, Any]:
        """Return the published shape."""
        return {"count": self.count, "runs": [*self.runs], "left": self.left}


def meant(session: Session, flow_id: str) -> tuple[list[int], int]:
    """Return the open runs of a flow, the newest first, as many as are cancelled at once, and how many more.

    The newest first, so that none begins in the place of one that was cancelled. Tests are left out.
    """
    query = select(RunRow.id).where(RunRow.flow_id == flow_id, col(RunRow.status).in_(OPEN), ~col(RunRow.is_test))
    total = session.exec(select(func.count()).select_from(query.subquery())).one()
    newest = (col(RunRow.id) + 0).desc()  # by “+ 0” the few that are open are sorted, not looked for among all
    found = session.exec(query.order_by(newest).limit(RETRIES)).all()
    return [run_id for run_id in found if run_id is not None], total - len(found)


async def cancel(run_ids: Sequence[int], left: int, stop: Callable[[int], Awaitable[bool]]) -> Cancelled:
    """Cancel the runs by *stop*; those that have ended meanwhile do not count."""
    stopped: list[int] = []
    for start in range(0, len(run_ids), AT_ONCE):
        some = run_ids[start : start + AT_ONCE]
        answers = await asyncio.gather(*[stop(run_id) for run_id in some])
        stopped += [run_id for run_id, was_open in zip(some, answers, strict=True) if was_open]
    return Cancelled(tuple(stopped), left)
