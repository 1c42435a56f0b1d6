"""What ties a flow to others: what starts it, what its steps report and call, and where its webhooks stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import ValidationError

from nodes.spec import Listen, NodeType, Report
from runtime import wording
from runtime.expressions import has_expression
from runtime.parts import reachable_from

Json: TypeAlias = Any
Types: TypeAlias = Mapping[str, NodeType]


@dataclass(frozen=True, slots=True)
class Start:
    """One trigger that is not disabled; *params* are as they are written."""

    node: str
    listen: Listen
    params: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Cause:
    """One step that may start other flows, and the triggers whose runs come to it."""

    node: str
    name: str
    params: Mapping[str, Json]
    triggers: frozenset[str]
    report: Report


@dataclass(frozen=True, slots=True)
class FlowLinks:
    """*is_live* says whether this is what is published. The flow hears at *starts*; *causes* is what others hear."""

    id: str
    name: str
    is_live: bool
    starts: tuple[Start, ...]
    causes: tuple[Cause, ...]
    names: Mapping[str, str]  # of the nodes, by their ids


def links_of(document: Mapping[str, Json], types: Types, *, is_live: bool = False) -> FlowLinks:
    """Return the links of a flow document that is sound, as ``dump`` gives it."""
    nodes = [node for node in document["nodes"] if node["type"] in types and not node.get("disabled")]
    starts = tuple(start for node in nodes if (start := _start(node, types[node["type"]])) is not None)
    edges = [(edge["source"], edge["target"]) for edge in document["edges"]]
    reached = {start.node: reachable_from([start.node], edges) for start in starts}
    return FlowLinks(
        id=document["graph"].get("id", ""),
        name=wording.shown(document["graph"]["name"]),
        is_live=is_live,
        starts=starts,
        causes=tuple(cause for node in nodes for cause in _causes(node, types[node["type"]], reached)),
        names={node["id"]: wording.shown(node.get("name", node["id"])) for node in nodes},
    )


def _start(node: Mapping[str, Json], node_type: NodeType) -> Start | None:
    if node_type.listen is None:
        return None
    params = node.get("params", {})
    try:
        return Start(node["id"], node_type.listen(node_type.params.model_validate(params)), params)
    except ValidationError:  # unfinished: it says later what it waits for
        return None


def _causes(node: Mapping[str, Json], node_type: NodeType, reached: Mapping[str, frozenset[str]]) -> Iterator[Cause]:
    params = node.get("params", {})
    triggers = frozenset(trigger for trigger, nodes in reached.items() if node["id"] in nodes)
    for report in node_type.reports(params) if triggers else ():
        if has_expression(report.event) or report.event == "":
            continue
        known = {key: value for key, value in report.known.items() if value and not has_expression(value)}
        yield Cause(
            node["id"], wording.shown(node.get("name", node["id"])), params, triggers, Report(report.event, known)
        )
