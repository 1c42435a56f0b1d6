"""What the engine writes about runs beside their own steps: ended by a person or for good, or forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlmodel import Session, col, delete, select

from runtime.run_ends import OPEN as OPEN
from runtime.run_ends import Due, end, end_steps
from storage.tables import RunRow, Setting, StepRow, WaitRow

TEST_RUNS_KEPT = 50  # of each flow
INSTALLATION = "installation"


def installation(session: Session) -> str:
    """Return what tells this installation's idempotency keys from another's; made once."""
    row = session.get(Setting, INSTALLATION)
    if row is None:
        row = Setting(key=INSTALLATION, value={"id": uuid4().hex[:12]})
        session.add(row)
    return str(row.value["id"])


def cancel(session: Session, run_id: int, now: datetime) -> Due | None:
    """End an open run, so that nobody's later writes count; None when it is not open, else what follows from it."""
    run = session.get(RunRow, run_id)
    if run is None or run.status not in OPEN:
        return None
    end_steps(session, run_id, now, "cancelled")
    return end(session, run, "cancelled", now, epoch=run.epoch + 1)


def fail(session: Session, run_id: int, epoch: int, error: dict[str, Any], now: datetime) -> Due | None:
    """End a run that cannot go on; None when it is no longer the caller's, else what follows from it."""
    run = session.get(RunRow, run_id)
    if run is None or run.epoch != epoch or run.status not in OPEN:
        return None
    end_steps(session, run_id, now, "stopped")
    return end(session, run, "failed", now, error=error)


def forget_old_tests(session: Session, flow_id: str) -> None:
    """Remove all but the latest test runs of a flow."""
    tests = select(RunRow.id).where(RunRow.flow_id == flow_id, col(RunRow.is_test)).order_by(col(RunRow.id).desc())
    old = [run_id for run_id in session.exec(tests.offset(TEST_RUNS_KEPT)).all() if run_id is not None]
    if old:
        ended = select(RunRow.id).where(col(RunRow.id).in_(old), col(RunRow.status).not_in(OPEN))
        gone = session.exec(ended).all()
        for table in (StepRow, WaitRow):
            session.exec(delete(table).where(col(table.run_id).in_(gone)))
        session.exec(delete(RunRow).where(col(RunRow.id).in_(gone)))
