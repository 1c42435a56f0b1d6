"""Running many runs again: which ones are meant, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from nodes.spec import NodeType
from runtime.errors import Invalid, NotFound, Problem, RuntimeFault
from runtime.limits import RETRIES
from runtime.repeats import Allow, Prepared, Repeat, prepare, store
from storage.database import Database
from storage.tables import RunRow

AT_ONCE = 25  # retried in one transaction, so that the engine never waits long for its turn


@dataclass(frozen=True)
class Failed:
    """Which failed runs are meant: of one flow, with one error code, accepted in [since, until).

    Runs that somebody has run again already are left out, and tests. So are dead letters, unless they are what is
    meant: *dead*.
    """

    flow: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    dead: bool = False


@dataclass(frozen=True)
class Retried:
    """What a bulk retry did: the new run of each old one, what was refused and why, and how many are left."""

    started: tuple[tuple[int, int], ...] = ()
    refused: tuple[tuple[int, tuple[Problem, ...]], ...] = ()
    left: int = 0

    @property
    def count(self) -> int:
        return len(self.started)

    @property
    def said(self) -> str:
        """How many, in words."""
        return "1 run" if self.count == 1 else f"{self.count} runs"

    def as_json(self) -> dict[str, Any]:
        """Return the published shape."""
        return {
            "count": self.count,
            "started": [{"run": old, "retry": new} for old, new in self.started],
            "refused": [
                {"run": old, "problems": [problem.as_json() for problem in problems]} for old, problems in self.refused
            ],
            "left": self.left,
        }


def retry(
    database: Database,
    ids: Collection[int] | None,
    failed: Failed | None,
    asked: Repeat,
    types: Mapping[str, NodeType],
    clock: Callable[[], datetime],
    allow: Allow | None,
) -> Retried:
    """Retry the runs *ids*, or those that *failed* describes; a run that is refused keeps no other from it."""
    if (ids is None) == (failed is None):
        raise Invalid(Problem("retry.which", "Say which runs: give their numbers, or describe the failed ones."))
    left = 0
    if failed is not None:
        with database.read() as session:
            ids, left = meant(session, failed)
    wanted = list(dict.fromkeys(ids or ()))
    if len(wanted) > RETRIES:
        raise Invalid(Problem("retry.too_many", f"At most {RETRIES:,} runs are retried at once. Choose fewer."))
    started: list[tuple[int, int]] = []
    refused: list[tuple[int, tuple[Problem, ...]]] = []
    for start in range(0, len(wanted), AT_ONCE):
        prepared: list[Prepared] = []
        with database.read() as session:
            for run_id in wanted[start : start + AT_ONCE]:
                try:
                    prepared.append(prepare(session, run_id, asked, types, clock(), allow))
                except RuntimeFault as fault:
                    refused.append((run_id, tuple(fault.problems)))
        with database.write() as session:
            for each in prepared:
                try:
                    started.append((each.of, store(session, each)))
                except NotFound as fault:
                    refused.append((each.of, tuple(fault.problems)))
    return Retried(tuple(started), tuple(refused), left)


def meant(session: Session, failed: Failed) -> tuple[list[int], int]:
    """Return the runs that *failed* describes, the oldest first, as many as are retried at once, and how many more."""
    again = aliased(RunRow)
    query = select(RunRow.id).where(RunRow.status == "failed", col(RunRow.is_test).is_(False))
    query = query.where(col(RunRow.is_dead) if failed.dead else ~col(RunRow.is_dead))
    query = query.where(~select(again.id).where(again.parent_run == RunRow.id).exists())
    if failed.flow is not None:
        query = query.where(RunRow.flow_id == failed.flow)
    if failed.code is not None:
        query = query.where(func.json_extract(RunRow.error, "$.code") == failed.code)
    if failed.since is not None:
        query = query.where(col(RunRow.created_at) >= failed.since)
    if failed.until is not None:
        query = query.where(col(RunRow.created_at) < failed.until)
    total = session.exec(select(func.count()).select_from(query.subquery())).one()
    found = session.exec(query.order_by(col(RunRow.id)).limit(RETRIES)).all()
    return [run_id for run_id in found if run_id is not None], total - len(found)
