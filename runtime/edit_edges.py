"""Connecting and disconnecting the nodes of a flow that is being edited."""

from __future__ import annotations

from runtime import limits, wording
from runtime.document import Edge, Node, problems_of_part
from runtime.edit_draft import Draft, Json, Operation, Refused, Step, index_in, object_in
from runtime.errors import Problem
from runtime.graph import ports_of, reachable_from


def add_edge(draft: Draft, operation: Operation) -> Step:
    """Connect a port of one node with another node."""
    given = {"key": "out", **object_in(operation, "edge")}
    if problems := problems_of_part(Edge, given, "Edge"):
        raise Refused(*problems)
    edge = {key: given[key] for key in ("source", "target", "key")}
    if edge in draft.edges:
        return None
    source, target = draft.need(edge["source"]), draft.need(edge["target"])
    if len(draft.edges) >= limits.FLOW_EDGES:
        raise Refused(Problem("document.too_large", f"A flow can have at most {limits.FLOW_EDGES:,} edges."))
    restores = operation.get("restore") is True
    if (problem := _edge_problem(draft, source, target, edge["key"], restores=restores)) is not None:
        raise Refused(problem)
    index = index_in(operation, len(draft.edges))
    draft.put(edges=[*draft.edges[:index], edge, *draft.edges[index:]])
    done = {"op": "add_edge", "edge": edge, "index": index, "restore": True}
    return done, [{"op": "del_edge", "edge": edge}]


def _edge_problem(
    draft: Draft, source: dict[str, Json], target: dict[str, Json], port: str, *, restores: bool
) -> Problem | None:
    if source is target:
        return Problem("graph.cycle", f"{source['name']}: a node cannot be connected to itself.", source["id"])
    pairs = ((edge["source"], edge["target"]) for edge in draft.edges)
    if source["id"] in reachable_from([target["id"]], pairs):
        message = f"{source['name']}: this would run in a circle, because it comes after {target['name']}."
        return Problem("graph.cycle", message, source["id"])
    if restores:
        return None
    target_type, source_type = draft.types.get(target["type"]), draft.types.get(source["type"])
    if target_type is not None and target_type.kind == "trigger":
        message = f"{target['name']}: a trigger starts a flow, so nothing can lead to it."
        return Problem("edge.into_trigger", message, target["id"])
    if source_type is not None:
        ports = [p.name for p in ports_of(Node.model_validate(source), source_type)]
        if port not in ports:
            message = f"{source['name']}: there is no port “{wording.shown(port)}”; there are: {', '.join(ports)}."
            return Problem("edge.port_unknown", message, source["id"])
    return None


def del_edge(draft: Draft, operation: Operation) -> Step:
    """Take one connection away."""
    given = {"key": "out", **object_in(operation, "edge")}
    edge = {key: given.get(key) for key in ("source", "target", "key")}
    if edge not in draft.edges:
        return None
    index = draft.edges.index(edge)
    draft.put(edges=[other for other in draft.edges if other != edge])
    return {"op": "del_edge", "edge": edge}, [{"op": "add_edge", "edge": edge, "index": index, "restore": True}]
