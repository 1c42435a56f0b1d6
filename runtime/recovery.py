"""What a starting engine does with the runs that the one before left under way, before anything runs.

A run that was under way when an engine died may be what killed it. Each such death counts; from the second on the run
is a suspect and only works alone among suspects, so that it is not blamed for another's; at the third it is given up.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from runtime import engine_rows, limits
from runtime.repeats import document_of
from storage import lease
from storage.database import Database
from storage.lease import Lease, Standing
from storage.tables import RunRow, StepRow

SUSPECT = limits.CRASHES - 1
DEAD_LETTER = "run.dead_letter"


def take_over(database: Database, now: datetime, over: Standing | None = None) -> Lease:
    """Take the engine's lease and put what was under way back into the queue, in one transaction.

    Raises LeaseHeld when the lease is no longer as *over* says, StorageFull or StorageBusy.
    """
    with database.write() as session:
        taken = lease.take(session, now, over)
        _requeue(session, now, is_counted=taken.was_cut_off)
    return taken


def suspects(session: Session) -> set[int]:
    """Return the open runs that may be what stops engines."""
    query = select(RunRow.id).where(col(RunRow.status).in_(engine_rows.OPEN), RunRow.crashes >= SUSPECT)
    return {run_id for run_id in session.exec(query).all() if run_id is not None}


def _requeue(session: Session, now: datetime, *, is_counted: bool) -> None:
    connection = session.connection()
    under_way = update(RunRow).where(col(RunRow.status) == "running")
    if is_counted:
        connection.execute(under_way.values(crashes=RunRow.crashes + 1))
        given_up = select(RunRow.id, RunRow.epoch).where(RunRow.status == "running", RunRow.crashes >= limits.CRASHES)
        for run_id, epoch in session.exec(given_up).all():
            assert run_id is not None
            _give_up(session, run_id, epoch, now)
    connection.execute(under_way.values(status="queued"))


def _give_up(session: Session, run_id: int, epoch: int, now: datetime) -> None:
    steps = select(StepRow.node).where(StepRow.run_id == run_id, StepRow.status == "running")
    node = session.exec(steps.order_by(col(StepRow.started_at).desc())).first()
    name = None if node is None else _name_of(session, session.get_one(RunRow, run_id), node)
    engine_rows.fail(session, run_id, epoch, _error(node, name), now)
    dead = update(RunRow).where(col(RunRow.id) == run_id).values(is_dead=True)
    session.connection().execute(dead)


def _name_of(session: Session, run: RunRow, node: str) -> str:
    nodes = (document_of(session, run) or {}).get("nodes", ())
    return next((str(each.get("name") or node) for each in nodes if each.get("id") == node), node)


def _error(node: str | None, name: str | None) -> dict[str, Any]:
    place = "" if node is None else f" “{name}” was under way; look at it first."
    message = (
        f"The engine stopped {limits.CRASHES} times while this run was under way, so it is not taken up again.{place} "
        "The engine's log and the supervisor's say how it ended. Change the flow or the payload, then run it again."
    )
    return {"message": message, "code": DEAD_LETTER, "node": node}
