"""Making a draft the live version: an immutable copy, and what its triggers listen to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, delete, select

from nodes.spec import NodeType
from runtime import schedule_rows, webhooks
from storage.tables import Flow, FlowVersion, Subscription


def freeze(session: Session, flow: Flow, now: datetime) -> int:
    """Keep a copy of the draft and return its version number; numbers are never used twice."""
    highest = session.exec(select(func.max(FlowVersion.version)).where(FlowVersion.flow_id == flow.id)).one()
    version = (highest or 0) + 1
    session.add(FlowVersion(flow_id=flow.id, version=version, document=flow.draft, created_at=now))
    return version


def subscribe(session: Session, flow: Flow, types: Mapping[str, NodeType], now: datetime) -> None:
    """Let the triggers of the live version hear events, be due and stand at their addresses, and no other version's.

    Raises Invalid where the webhook of another flow stands at an address.
    """
    unsubscribe(session, flow)
    session.flush()
    schedules: dict[str, Mapping[str, Any]] = {}
    hooks: dict[str, Mapping[str, Any]] = {}
    document = session.get_one(FlowVersion, (flow.id, flow.published_version)).document
    for node in document["nodes"]:
        declared = types[node["type"]]
        if declared.listen is None or node.get("disabled"):
            continue
        listen = declared.listen(declared.params.model_validate(node.get("params", {})))
        event, match = listen.event, dict(listen.match)
        if listen.webhook is not None:
            event, match = webhooks.event_of(listen.webhook["path"]), webhooks.match_of(listen.webhook)
            hooks[node["id"]] = listen.webhook
        if event is not None:
            session.add(
                Subscription(
                    flow_id=flow.id,
                    node=node["id"],
                    version=flow.published_version or 0,
                    event=event,
                    match=match,
                )
            )
        if listen.schedule is not None:
            schedules[node["id"]] = listen.schedule
    schedule_rows.keep(session, flow, schedules, now)
    webhooks.put_up(session, flow, hooks)


def unsubscribe(session: Session, flow: Flow) -> None:
    """Let no event start the flow."""
    webhooks.take_down(session, flow.id)
    session.exec(delete(Subscription).where(col(Subscription.flow_id) == flow.id))
