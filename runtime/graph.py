"""The graph of a flow: as networkx sees it, and as a frozen plan that the executor walks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from nodes.spec import ERROR, OUT, NodeType, Port
from runtime import parts
from runtime.document import Document, Node
from runtime.document_parts import OnError, Pinned, Retry
from runtime.errors import Invalid, Problem
from runtime.expressions import Value, compile_params
from runtime.parts import Part, PlanEdge
from runtime.parts import reachable_from as reachable_from

if TYPE_CHECKING:
    import networkx

Json: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node, ready to run. ``params`` evaluates to the object that the node type's model takes.

    ``passes_on`` is the port that fires when the node is passed over.
    """

    id: str
    name: str
    type: NodeType
    params: Value
    raw_params: Mapping[str, Json]
    retry: Retry | None
    on_error: OnError
    timeout_s: float | None
    is_repeatable: bool  # after a crash with unknown outcome it is called again with the same key
    is_disabled: bool
    pinned: Pinned | None
    ports: tuple[str, ...]
    passes_on: str | None
    is_plain: bool  # it neither waits nor touches anything, and nothing of it is secret
    outgoing: Mapping[str, tuple[PlanEdge, ...]]  # every port of ``ports``, also those with no edge
    incoming: tuple[PlanEdge, ...]


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """A flow as the executor walks it.

    ``parts`` holds what is reachable from each trigger outside of loops, ``bodies`` what each loop repeats.
    """

    flow_id: str
    name: str
    nodes: Mapping[str, PlanNode]
    order: tuple[str, ...]
    triggers: tuple[str, ...]
    parts: Mapping[str, Part]
    bodies: Mapping[str, Part]
    timeout_s: float | None = None
    edges: tuple[PlanEdge, ...] = ()

    def reachable(self, trigger: str) -> frozenset[str]:
        """Return the ids of the nodes that take part in a run started at *trigger*, itself included."""
        return reachable_from([trigger], ((edge.source, edge.target) for edge in self.edges))

    def until(self, trigger: str, node: str) -> FlowPlan:
        """Return the plan of what leads from *trigger* to *node*, and *node*."""
        return self._leading_to(trigger, [node])

    def from_(self, trigger: str, node: str) -> FlowPlan:
        """Return the plan of *node*, what follows it, and what leads from *trigger* to any of these."""
        return self._leading_to(trigger, reachable_from([node], ((e.source, e.target) for e in self.edges)))

    def _leading_to(self, trigger: str, nodes: Collection[str]) -> FlowPlan:
        before = reachable_from(nodes, ((edge.target, edge.source) for edge in self.edges))
        kept = before & self.reachable(trigger)
        return replace(
            self,
            parts={trigger: _only(self.parts[trigger], kept, self.edges)},
            bodies={loop: _only(part, kept, self.edges) for loop, part in self.bodies.items()},
        )


def build(document: Document) -> networkx.MultiDiGraph[str]:
    """Return the flow as a networkx graph, the same that ``networkx.node_link_graph`` makes of an export."""
    import networkx  # here because it takes longer to load than the rest of the runtime

    graph: networkx.MultiDiGraph[str] = networkx.MultiDiGraph()
    graph.graph.update(id=document.id, name=document.name, description=document.graph.description)
    for node in document.nodes:
        graph.add_node(node.id, type=node.type, name=node.name, params=node.params)
    for edge in document.edges:
        graph.add_edge(edge.source, edge.target, key=edge.key)
    return graph


def ports_of(node: Node, node_type: NodeType) -> tuple[Port, ...]:
    """Return the output ports of a node, with the one that fires when it fails."""
    return with_failure_port(tuple(node_type.ports(node.params)), node.on_error)


def with_failure_port(ports: tuple[Port, ...], on_error: str) -> tuple[Port, ...]:
    """Return *ports* and, where ``on_error`` says so, the one that fires when the node fails."""
    fired = {"continue": OUT[0], "port": ERROR}.get(on_error)
    return ports if fired is None or fired.name in {port.name for port in ports} else (*ports, fired)


def closing_edges(ids: Iterable[str], edges: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the edges, as (source, target), that close a cycle when the graph is read in the given order.

    Without them the graph has no cycle; an empty list means that it never had one.
    """
    following: dict[str, list[str]] = {node_id: [] for node_id in ids}
    for source, target in edges:
        following[source].append(target)
    state: dict[str, bool] = {}  # False: on the way down from here, True: finished
    closing = []
    for start in following:
        if start in state:
            continue
        state[start] = False
        stack = [(start, iter(following[start]))]
        while stack:
            at, rest = stack[-1]
            for target in rest:
                if target not in state:
                    state[target] = False
                    stack.append((target, iter(following[target])))
                    break
                if not state[target]:
                    closing.append((at, target))
            else:
                state[at] = True
                stack.pop()
    return closing


def plan(document: Document, types: Mapping[str, NodeType]) -> FlowPlan:
    """Return the plan of a flow that has passed the checks.

    Raises Invalid when a node type is unknown, an expression cannot be compiled or the graph has a cycle.
    """
    import networkx

    unknown = [node for node in document.nodes if node.type not in types]
    if unknown:
        raise Invalid(
            *(Problem("node.type_unknown", f"{n.name}: there is no node type “{n.type}”.", n.id) for n in unknown)
        )
    graph = build(document)
    if not networkx.is_directed_acyclic_graph(graph):
        raise Invalid(Problem("graph.cycle", "The flow runs in a circle. Remove one of its edges."))
    order = tuple(networkx.lexicographical_topological_sort(graph, key=_positions(document).__getitem__))
    edges = tuple(PlanEdge(edge.source, edge.target, edge.key) for edge in document.edges)
    leaving: dict[str, list[PlanEdge]] = defaultdict(list)
    arriving: dict[str, list[PlanEdge]] = defaultdict(list)
    for edge in edges:
        leaving[edge.source].append(edge)
        arriving[edge.target].append(edge)
    nodes = {
        node.id: _plan_node(node, types[node.type], leaving[node.id], arriving[node.id]) for node in document.nodes
    }
    triggers = tuple(node_id for node_id in order if nodes[node_id].type.kind == "trigger")
    inside = parts.bodies(triggers, loops_in(document, types), [(e.source, e.target, e.port) for e in edges])
    repeated = frozenset[str]().union(*inside.values())
    pairs = [(edge.source, edge.target) for edge in edges]
    settings = document.graph.settings
    return FlowPlan(
        flow_id=document.id,
        name=document.name,
        nodes=nodes,
        order=order,
        triggers=triggers,
        parts={
            trigger: parts.make(trigger, order, reachable_from([trigger], pairs) - repeated, edges)
            for trigger in triggers
        },
        bodies=parts.split(order, inside, edges),
        timeout_s=None if settings is None else settings.timeout_s,
        edges=edges,
    )


def loops_in(document: Document, types: Mapping[str, NodeType]) -> dict[str, str]:
    """Return the body port of every loop of the flow, by the loop's id."""
    ports = {node.id: types[node.type].body_port for node in document.nodes if node.type in types}
    return {node_id: port for node_id, port in ports.items() if port is not None}


def _only(part: Part, kept: Collection[str], edges: Collection[PlanEdge]) -> Part:
    return parts.make(part.start, part.order, part.nodes & frozenset(kept), edges)


def _positions(document: Document) -> dict[str, int]:
    return {node.id: position for position, node in enumerate(document.nodes)}


def _plan_node(node: Node, node_type: NodeType, leaving: list[PlanEdge], arriving: list[PlanEdge]) -> PlanNode:
    ports = tuple(port.name for port in ports_of(node, node_type))
    params = compile_params({} if node.disabled else node.params, node_type.late_params)
    return PlanNode(
        id=node.id,
        name=node.name,
        type=node_type,
        params=params,
        raw_params=node.params,
        retry=node.retry,
        on_error=node.on_error,
        timeout_s=node.timeout_s,
        is_repeatable=node_type.is_repeatable if node.after_crash is None else node.after_crash == "repeat",
        is_disabled=node.disabled,
        pinned=node.pinned,
        ports=ports,
        passes_on=next((port for port in ports if port != node_type.body_port), None),
        is_plain=node_type.is_plain and not node.disabled and not params.is_costly,
        outgoing={port: tuple(edge for edge in leaving if edge.port == port) for port in ports},
        incoming=tuple(arriving),
    )
