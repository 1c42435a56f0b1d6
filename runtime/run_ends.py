"""Ending a run, and what follows from it in the same transaction.

Its waits are closed, the step that called it as a sub-flow goes on, what it called itself is stopped when it was,
and a run that failed is reported as the event ``flow.run_failed``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, update
from sqlmodel import Session, col, delete, select

from runtime import outbox
from runtime.outbox import NewEvent
from runtime.records import Place
from storage.journal_waits import make_due
from storage.tables import EventRow, Flow, RunRow, StepRow, WaitEvent, WaitRow, to_us

OPEN = ("queued", "running", "waiting")
RUN_FAILED = "flow.run_failed"
UNKNOWN_STEP = "It is not known whether this step took place: the run was {} while it was under way."
STOPPED_LOOP = "It was stopped, because the run was {}."


class Due(NamedTuple):
    """What follows from the end of a run: *runs* that are to be taken up, and those that have *ended* with it."""

    runs: list[int]
    ended: list[int]


def end(
    session: Session,
    run: RunRow,
    status: str,
    now: datetime,
    *,
    error: dict[str, Any] | None = None,
    output: dict[str, Any] | None = None,
    sealed: str | None = None,
    epoch: int | None = None,
) -> Due:
    """End *run*, which is open, and return what follows from it.

    *sealed* is what its caller gets, locked where *output* is masked. *epoch* is given where nobody who works on it
    may write any more.
    """
    assert run.id is not None
    run.status, run.error, run.output, run.ended_at, run.wake_at = status, error, output, now, None
    if epoch is not None:
        run.epoch = epoch
    session.add(run)
    session.flush()
    due = _close_waits(session, run.id, now)
    if run.called_by is not None:
        due.runs.extend(_answer(session, run, now, sealed))
    if status == "failed" and not run.is_test:
        due.runs.extend(report_failure(session, run, now))
    return due


def end_steps(session: Session, run_id: int, now: datetime, how: str, cut_off: Iterable[Place] = ()) -> None:
    """Leave no step of an ended run as under way, as planned or as waiting; those *cut_off* may have no row yet."""
    steps = update(StepRow).where(col(StepRow.run_id) == run_id)
    running = (col(StepRow.run_id) == run_id, col(StepRow.status) == "running")
    is_loop = col(StepRow.input_hash).is_(None)  # what is called with an input is told by it from another call
    for node, repeats in session.exec(select(StepRow.node, is_loop).where(*running).distinct()).all():
        status, code, message = "unknown", "step.outcome_unknown", UNKNOWN_STEP
        if repeats:
            status, code, message = "failed", "step.stopped", STOPPED_LOOP
        error = {"message": message.format(how), "code": code, "step": node}
        of_node = steps.where(*running, col(StepRow.node) == node, is_loop == repeats)
        session.connection().execute(of_node.values(status=status, error=error, ended_at=now))
    retried = steps.where(col(StepRow.status) == "waiting", col(StepRow.error).is_not(None))
    last_error = func.json_remove(col(StepRow.error), "$.retry_at")
    session.connection().execute(retried.values(status="failed", error=last_error, ended_at=now))
    idle = steps.where(col(StepRow.status).in_(("waiting", "planned")))
    session.connection().execute(idle.values(status="skipped", ended_at=now))
    for place in cut_off:
        if session.get(StepRow, (run_id, *place)) is None:
            session.add(StepRow(run_id=run_id, node=place.node, iteration=place.iteration, status="skipped"))


def report_failure(session: Session, run: RunRow, now: datetime) -> list[int]:
    """Report the event ``flow.run_failed`` of a run, and return the runs that it makes due."""
    cause = session.get(EventRow, run.event_id) if run.event_id else None
    flow = session.get(Flow, run.flow_id)
    error = run.error or {}
    payload = {
        "flow": run.flow_id,
        "flow_name": run.flow_id if flow is None else flow.name,
        "run": run.id,
        "version": run.version,
        "trigger": run.trigger,
        "event": None if cause is None else cause.name,
        "error": {"message": error.get("message"), "code": error.get("code"), "node": error.get("node")},
    }
    path = (*(cause.path if cause else ()), run.flow_id)
    root, depth = (cause.root_id, cause.depth) if cause else (None, 0)
    causality = NewEvent(RUN_FAILED, {}, root_id=root, parent_run=run.id, depth=depth + 1, path=path)
    _id, due = outbox.record(session, RUN_FAILED, payload, causality=causality, now=now)
    return due


def _close_waits(session: Session, run_id: int, now: datetime) -> Due:
    """Forget what the run waits for; sub-flow runs that it waits for are cancelled."""
    return close_waits(session, session.exec(select(WaitRow).where(WaitRow.run_id == run_id)).all(), now)


def _answer(session: Session, run: RunRow, now: datetime, sealed: str | None) -> list[int]:
    wait = session.get(WaitRow, run.called_by)
    if wait is None:
        return []
    if run.status == "succeeded":
        resolution: dict[str, Any] = {"port": "out", "output": {"run": run.id, "output": run.output}}
        if sealed is not None:
            resolution["sealed"] = sealed
    else:
        reason = str((run.error or {}).get("message") or "It was cancelled.")
        message = f"Run {run.id} of the flow “{run.flow_id}” did not succeed. {reason}"
        resolution = {"error": {"message": message, "code": f"run_flow.{run.status}"}}
    return resolve(session, wait, resolution, now)


def resolve(session: Session, wait: WaitRow, resolution: dict[str, Any], now: datetime) -> list[int]:
    """Let a suspended step go on as *resolution* says: ``port`` and ``output``, or ``error``; return its run."""
    wait.resolution, wait.resolved_at = resolution, now
    session.add(wait)
    session.flush()
    make_due(outbox.executing(session), wait.run_id, to_us(now))
    return [wait.run_id]


def close_waits(session: Session, waits: Iterable[WaitRow], now: datetime) -> Due:
    """Forget waits of steps that do not go on; runs that they called are cancelled."""
    due = Due([], [])
    for wait in waits:
        for found, more in zip(due, _close_wait(session, wait, now), strict=True):
            found.extend(more)
    return due


def _close_wait(session: Session, wait: WaitRow, now: datetime) -> Due:
    forget(session, wait, now)
    run = session.get(RunRow, (wait.match or {}).get("run")) if wait.kind == "run" else None
    if run is None or run.id is None or run.status not in OPEN:
        return Due([], [])
    error = {
        "message": "The run that called it does not wait for it any more.",
        "code": "run.caller_ended",
        "node": None,
    }
    run.called_by = None
    end_steps(session, run.id, now, "cancelled")
    due = end(session, run, "cancelled", now, error=error, epoch=run.epoch + 1)
    due.ended.append(run.id)
    return due


def forget(session: Session, wait: WaitRow, now: datetime) -> None:
    """Remove a wait and what was offered to it. An approval stays, closed: its link tells what became of it."""
    if wait.kind == "approval":
        wait.resolved_at = wait.resolved_at or now
        session.add(wait)
        return
    session.exec(delete(WaitEvent).where(col(WaitEvent.wait_id) == wait.id))
    session.delete(wait)
