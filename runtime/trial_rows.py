"""The rows of tests: a new one, and the earlier ones whose outputs it may take over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlmodel import Session, col, select

from runtime import engine_rows
from runtime.document import parse
from runtime.engine_api import TestRequest
from runtime.errors import NotFound, Problem
from runtime.kept_steps import read_settled, take_over
from runtime.repeats import document_of
from runtime.trials import Earlier
from storage.tables import EventRow, RunRow

LOOKED_AT = 20  # of the latest tests, for one that has the outputs that are needed


def insert(session: Session, request: TestRequest, now: datetime) -> int:
    """Add a test, with the steps that it takes over, and forget old ones; return its id."""
    run = RunRow(
        flow_id=request.flow_id,
        document=request.document,
        trigger=request.trigger,
        payload=request.payload,
        is_test=True,
        is_simulated=request.effects == "simulate",
        scope=request.scope,
        parent_run=request.base,
        created_at=now,
    )
    session.add(run)
    session.flush()
    assert run.id is not None
    if request.base is not None:
        take_over(session, [(node, "") for node in request.taken], of=request.base, into=run.id)
    engine_rows.forget_old_tests(session, request.flow_id)
    return run.id


def earlier(session: Session, flow_id: str, run_id: int | None) -> Iterator[Earlier]:
    """Give the run *run_id* of a flow, or its latest tests, the newest first. Raises NotFound."""
    query = select(RunRow).where(RunRow.flow_id == flow_id)
    if run_id is None:
        query = query.where(col(RunRow.is_test)).order_by((col(RunRow.id) + 0).desc()).limit(LOOKED_AT)
    else:
        query = query.where(RunRow.id == run_id)
    found = session.exec(query).all()
    if run_id is not None and not found:
        raise NotFound(Problem("run.not_found", f"“{flow_id[:80]}” has no run {run_id}.", param="run"))
    for run in found:
        assert run.id is not None
        event = session.get(EventRow, run.event_id) if run.payload is None and run.event_id else None
        data = document_of(session, run)
        yield Earlier(
            id=run.id,
            trigger=run.trigger,
            payload=run.payload if run.payload is not None else dict(event.payload if event else {}),
            document=parse(data)[0] if data else None,
            steps=tuple(read_settled(session, run.id)),
        )
