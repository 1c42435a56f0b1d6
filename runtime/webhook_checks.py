"""What is wrong with the webhooks of one flow, and with the answers to their callers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nodes.spec import NodeType
from runtime import wording
from runtime.document import Document, Node
from runtime.errors import Problem
from runtime.graph import reachable_from
from runtime.webhooks import BY_RESPOND, clashes, webhook_of


def check_webhooks(document: Document, types: Mapping[str, NodeType]) -> Iterator[Problem]:
    """Yield two webhooks at one address, callers that nobody answers, and answers that nobody waits for."""
    nodes = [node for node in document.nodes if not node.disabled]
    webhooks = [(node, found) for node in nodes if (found := webhook_of(types.get(node.type), node.params)) is not None]
    yield from clashes((node.id, node.name, webhook) for node, webhook in webhooks)
    answers = {node.id: node for node in nodes if node.type in types and types[node.type].is_answer}
    edges = [(edge.source, edge.target) for edge in document.edges]
    waiting = [node.id for node, webhook in webhooks if webhook["answer"] == BY_RESPOND]
    for node, webhook in webhooks:
        if webhook["answer"] == BY_RESPOND and not answers.keys() & reachable_from([node.id], edges):
            yield _unanswered(node)
    for node in answers.values():
        if node.id not in reachable_from(waiting, edges):
            yield _unheard(node)


def _unanswered(node: Node) -> Problem:
    message = (
        f"{_shown(node)}: the caller waits for a Respond node, and none follows. Add one, or let the webhook answer at "
        "once."
    )
    return Problem("webhook.no_respond", message, node.id, "answer", severity="warning")


def _unheard(node: Node) -> Problem:
    message = (
        f"{_shown(node)}: nobody waits for this answer. It is sent when a webhook that answers “{BY_RESPOND}” leads "
        "here."
    )
    return Problem("respond.no_webhook", message, node.id, severity="warning")


def _shown(node: Node) -> str:
    return wording.shown(node.name)
