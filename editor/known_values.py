"""What is known of the values that a node's expressions can use, while its form is open."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from nodes.spec import NodeType
from runtime.declared import Columns
from runtime.document import parse
from runtime.knowledge import Knowledge
from runtime.run_views import RunView
from runtime.shapes import NOTHING, Shape

Json: TypeAlias = Any


def scope_at(
    document: Mapping[str, Json],
    place: tuple[str, str | None],
    types: Mapping[str, NodeType],
    *,
    columns: Columns,
    run: RunView | None,
    environment: Collection[str],
) -> Mapping[str, Shape] | None:
    """Return what each name (without ``$``) stands for at a *place*: a node of the draft, and one of its parameters.

    *run* is the last one, for examples. None when there is no such node.
    """
    parsed, _problems = parse(document)
    node_id, param = place
    if parsed is None or parsed.node(node_id) is None:
        return None
    knowledge = Knowledge(
        parsed,
        types,
        columns=columns,
        outputs={step.node: step.output for step in run.steps if step.output} if run else None,
        payload=run.payload if run else NOTHING,
        environment=environment,
    )
    return knowledge.scope_of(node_id, param)
