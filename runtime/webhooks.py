"""The webhooks of live flows: which of them stands at which address, and which event a request to it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from pydantic import ValidationError
from sqlmodel import Session, col, delete, select

from nodes.spec import NodeType
from runtime import wording
from runtime.errors import Invalid, Problem
from storage.tables import Flow, Webhook

Json: TypeAlias = Any
Place: TypeAlias = tuple[str, str]  # path and method

PREFIX = "webhook."  # how the names of these events begin; only requests to /hooks/ are such
ANY = "ANY"
BY_RESPOND = "by respond"


def event_of(path: str) -> str:
    """Return the name of the event that a request to *path* is."""
    return PREFIX + path


def match_of(webhook: Mapping[str, Json]) -> dict[str, Json]:
    """Return what a request must be like, apart from its path."""
    return {} if webhook["method"] == ANY else {"method": webhook["method"]}


def overlap(one: Place, other: Place) -> bool:
    """Return whether some request would belong to both."""
    return one[0] == other[0] and (one[1] == other[1] or ANY in (one[1], other[1]))


def put_up(session: Session, flow: Flow, webhooks: Mapping[str, Mapping[str, Json]]) -> None:
    """Let *webhooks*, by node, stand for the live version of *flow*, and no others.

    Raises Invalid (``webhook.path_taken``) where another stands there already.
    """
    take_down(session, flow.id)
    session.flush()
    taken = list(_taken(session, webhooks))
    if taken:
        raise Invalid(*taken)
    for node, webhook in webhooks.items():
        session.add(
            Webhook(
                path=webhook["path"],
                method=webhook["method"],
                flow_id=flow.id,
                node=node,
                version=flow.published_version or 0,
                params=dict(webhook),
            )
        )


def take_down(session: Session, flow_id: str) -> None:
    """Let no webhook of the flow stand."""
    session.exec(delete(Webhook).where(col(Webhook.flow_id) == flow_id))


def webhook_of(node_type: NodeType | None, params: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """Return what a node's webhook is like; None for what is no webhook, or unfinished."""
    if node_type is None or node_type.listen is None:
        return None
    try:
        return node_type.listen(node_type.params.model_validate(params)).webhook
    except ValidationError:
        return None


def clashes(webhooks: Iterable[tuple[str, str, Mapping[str, Json]]]) -> Iterator[Problem]:
    """Yield a problem for each of one flow's webhooks (id, name, webhook) that stands where an earlier one does."""
    before: list[tuple[str, Place]] = []
    for node, name, webhook in webhooks:
        place = place_of(webhook)
        first = next((other for other, there in before if overlap(place, there)), None)
        if first is not None:
            message = f"{wording.shown(name)}: {told(place)} already leads to “{wording.shown(first)}” of this flow."
            yield Problem("webhook.path_taken", f"{message} Choose another path or method.", node, "path")
        before.append((name, place))


def _taken(session: Session, webhooks: Mapping[str, Mapping[str, Json]]) -> Iterator[Problem]:
    for node, webhook in webhooks.items():
        place = place_of(webhook)
        there = session.exec(
            select(Webhook, Flow.name)
            .join(Flow, col(Flow.id) == Webhook.flow_id)
            .where(Webhook.path == webhook["path"])
        ).all()
        for row, name in there:
            if overlap(place, (row.path, row.method)):
                message = f"{told((row.path, row.method))} already leads to the flow “{wording.shown(name)}”."
                yield Problem("webhook.path_taken", f"{message} Choose another path or method.", node, "path")


def taken(name: str, place: Place, flow_name: str, node: str) -> Problem:
    """Return what is wrong with the webhook *name* of a flow where another flow's stands at *place*."""
    message = f"{name}: {told(place)} already leads to the flow “{flow_name}”. Choose another path or method."
    return Problem("webhook.path_taken", message, node, "path")


def place_of(webhook: Mapping[str, Json]) -> Place:
    """Return where a webhook stands."""
    return str(webhook["path"]), str(webhook["method"])


def told(place: Place) -> str:
    """Return in words which requests come to *place*."""
    path, method = place
    return f"{'Every method' if method == ANY else method} of /hooks/{wording.shown(path, 100)}"
