"""The runs of a flow that wait until it lets them begin: counting them, and letting them go."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text, update
from sqlmodel import Session, col, select

from runtime.run_ends import end
from storage.tables import Flow, RunRow

AT_ONCE = 1_000  # runs that are discarded in one transaction
RESUMED = "The flow was resumed without the runs that had come while it was paused. Start this one again if needed."
UNPUBLISHED = "The flow was unpublished while this run waited. Publish it, and start this run again if needed."
DELETED = "The flow was deleted while this run waited."
_BY_FLOW = "SELECT flow_id, count(*) FROM run INDEXED BY ix_run_queued WHERE status = 'queued' GROUP BY flow_id"
_OF_FLOW = "SELECT count(*) FROM run INDEXED BY ix_run_queued WHERE status = 'queued' AND flow_id = :flow"


def waiting(session: Session, flow_id: str) -> int:
    """Return how many runs of the flow wait to begin."""
    return int(session.connection().execute(text(_OF_FLOW), {"flow": flow_id}).scalar_one())


def waiting_by_flow(session: Session) -> dict[str, int]:
    """Return how many runs wait, for each flow that has any."""
    return {str(row[0]): int(row[1]) for row in session.connection().execute(text(_BY_FLOW))}


def has_rule(flow: Flow) -> bool:
    """Return whether runs of the flow have to wait for more than their turn."""
    return flow.state == "paused" or flow.limits is not None


def discard(session: Session, flow_id: str, message: str, now: datetime) -> bool:
    """Cancel runs that wait and have not begun; return whether these were all of them. *message* tells them why."""
    query = select(RunRow.id, RunRow.called_by).where(RunRow.flow_id == flow_id, RunRow.status == "queued")
    query = query.where(col(RunRow.started_at).is_(None), col(RunRow.is_test).is_(False)).order_by(col(RunRow.id))
    found = session.exec(query.limit(AT_ONCE)).all()
    error = {"code": "flow.discarded", "message": message, "node": None}
    cancel = update(RunRow).where(col(RunRow.id).in_([run_id for run_id, called_by in found if called_by is None]))
    session.connection().execute(
        cancel.values(status="cancelled", epoch=RunRow.epoch + 1, error=error, ended_at=now, wake_at=None)
    )
    for run_id in [run_id for run_id, called_by in found if called_by is not None]:
        run = session.get_one(RunRow, run_id)
        end(session, run, "cancelled", now, error=error, epoch=run.epoch + 1)  # the step that called it goes on
    return len(found) < AT_ONCE
