"""The rows of the schedules of live flows: written when a flow is published, read and moved on by the scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, delete, select

from runtime.flow_views import ScheduleView
from runtime.schedules import Timetable, next_due
from storage.tables import Flow, Schedule


def keep(session: Session, flow: Flow, wanted: Mapping[str, Mapping[str, Any]], now: datetime) -> None:
    """Let the flow's schedules be *wanted*, by node; one with the same times as before stays due when it was."""
    known = {row.node: row for row in session.exec(select(Schedule).where(Schedule.flow_id == flow.id))}
    for node in known.keys() - wanted.keys():
        session.delete(known[node])
    for node, spec in wanted.items():
        version, timetable = flow.published_version or 0, Timetable.of(spec)
        row = known.get(node)
        if row is None:  # a number of its own: what this row is due for is never what an earlier one was due for
            row = Schedule(flow_id=flow.id, node=node, version=version, spec={}, generation=version)
        if not row.spec or not Timetable.of(row.spec).is_same_as(timetable):
            row.next_due_at = next_due(timetable, now)
        row.version, row.spec = version, dict(spec)
        session.add(row)


def let_go(session: Session, flow_id: str, now: datetime) -> None:
    """Let the flow's schedules be due after *now*; what they have missed is not made up for."""
    missed = select(Schedule).where(Schedule.flow_id == flow_id, col(Schedule.next_due_at) <= now)
    for row in session.exec(missed):
        row.next_due_at = next_due(Timetable.of(row.spec), now, anchor=row.next_due_at)
        session.add(row)


def drop(session: Session, flow_id: str) -> None:
    """Let the flow be due never again."""
    session.exec(delete(Schedule).where(col(Schedule.flow_id) == flow_id))


def views(session: Session, flow: Flow) -> tuple[ScheduleView, ...]:
    """Return the schedules of a flow's live version."""
    rows = session.exec(select(Schedule).where(Schedule.flow_id == flow.id).order_by(Schedule.node))
    is_live = flow.state == "published"
    return tuple(
        ScheduleView(row.node, Timetable.of(row.spec), row.next_due_at if is_live else None, row.last_due_at)
        for row in rows
    )


def next_by_flow(session: Session) -> dict[str, datetime]:
    """Return when each live flow with a schedule is due next."""
    query = select(Schedule.flow_id, func.min(Schedule.next_due_at)).join(Flow, col(Flow.id) == Schedule.flow_id)
    live = query.where(Flow.state == "published", col(Schedule.next_due_at).is_not(None))
    found = session.exec(live.group_by(Schedule.flow_id)).all()
    return {flow_id: due_at for flow_id, due_at in found if due_at is not None}
