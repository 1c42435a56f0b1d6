"""What the engine writes about runs beside their own steps: ended by a person or for good, or forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import update
from sqlmodel import Session, col, delete, select

from storage.tables import RunRow, Setting, StepRow

OPEN = ("queued", "running", "waiting")
TEST_RUNS_KEPT = 50  # of each flow
INSTALLATION = "installation"
UNKNOWN_STEP = "It is not known whether this step took place: the run was {} while it was under way."


def installation(session: Session) -> str:
    """Return what tells this installation's idempotency keys from another's; made once."""
    row = session.get(Setting, INSTALLATION)
    if row is None:
        row = Setting(key=INSTALLATION, value={"id": uuid4().hex[:12]})
        session.add(row)
    return str(row.value["id"])


def cancel(session: Session, run_id: int, now: datetime) -> bool:
    """End an open run, so that nobody's later writes count; False when it is not open."""
    stop = update(RunRow).where(col(RunRow.id) == run_id, col(RunRow.status).in_(OPEN))
    stop = stop.values(status="cancelled", epoch=RunRow.epoch + 1, ended_at=now, wake_at=None)
    if not session.connection().execute(stop).rowcount:
        return False
    _end_steps(session, run_id, now, "cancelled")
    return True


def fail(session: Session, run_id: int, epoch: int, error: dict[str, Any], now: datetime) -> bool:
    """End a run that cannot go on; False when it is no longer the caller's."""
    stop = update(RunRow).where(col(RunRow.id) == run_id, col(RunRow.epoch) == epoch)
    stop = stop.values(status="failed", error=error, ended_at=now, wake_at=None)
    if not session.connection().execute(stop).rowcount:
        return False
    _end_steps(session, run_id, now, "stopped")
    return True


def forget_old_tests(session: Session, flow_id: str) -> None:
    """Remove all but the latest test runs of a flow."""
    tests = select(RunRow.id).where(RunRow.flow_id == flow_id, col(RunRow.is_test)).order_by(col(RunRow.id).desc())
    old = [run_id for run_id in session.exec(tests.offset(TEST_RUNS_KEPT)).all() if run_id is not None]
    if old:
        ended = select(RunRow.id).where(col(RunRow.id).in_(old), col(RunRow.status).not_in(OPEN))
        gone = session.exec(ended).all()
        session.exec(delete(StepRow).where(col(StepRow.run_id).in_(gone)))
        session.exec(delete(RunRow).where(col(RunRow.id).in_(gone)))


def _end_steps(session: Session, run_id: int, now: datetime, how: str) -> None:
    """Leave no step of an ended run as under way or as waiting for its next attempt."""
    steps = update(StepRow).where(col(StepRow.run_id) == run_id)
    for node in session.exec(select(StepRow.node).where(StepRow.run_id == run_id, StepRow.status == "running")):
        error = {"message": UNKNOWN_STEP.format(how), "code": "step.outcome_unknown", "step": node}
        unknown = steps.where(col(StepRow.node) == node, col(StepRow.status) == "running")
        session.connection().execute(unknown.values(status="unknown", error=error, ended_at=now))
    session.connection().execute(steps.where(col(StepRow.status) == "waiting").values(status="failed", ended_at=now))
