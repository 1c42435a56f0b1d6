"""Arranges a flow from left to right: one column per step of the way, children in the order of their ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from runtime.document import Document, dump
from runtime.graph import closing_edges

if TYPE_CHECKING:
    import networkx

COLUMN = 280  # px from one column to the next
GRID = 20  # px
GAP = 60  # px between two cards of a column, and between parts that are not connected
CARD = (220, 64)  # px, width and height of a card whose size nobody said
SWEEPS = 4

SizeOf: TypeAlias = Callable[[str], tuple[float, float]]
PortsOf: TypeAlias = Callable[[str], Sequence[str]]
_Graph: TypeAlias = "networkx.DiGraph[str]"


def arrange(
    document: Document | Mapping[str, Any], size_of: SizeOf | None = None, *, ports_of: PortsOf | None = None
) -> dict[str, list[int]]:
    """Return a place for every node, as ``layout`` holds them; the same flow always gives the same places.

    *size_of* gives a card's width and height in px. *ports_of* gives a node's ports from top to bottom; without it
    their order is that of the edges, with ``true`` before ``false`` and ``error`` last.
    """
    data = dump(document) if isinstance(document, Document) else document
    ids = [node["id"] for node in data["nodes"]]
    edges = [(edge["source"], edge["target"], edge["key"]) for edge in data["edges"]]
    turned = set(closing_edges(ids, ((source, target) for source, target, _port in edges)))
    edges = [edge for edge in edges if edge[:2] not in turned]
    graph = _ordered_graph(ids, edges, ports_of)
    places: dict[str, list[int]] = {}
    top = 0
    for part in _parts(graph, ids):
        bottom = _arrange_part(graph.subgraph(part), part, size_of or (lambda _id: CARD), top, places)
        top = _on_grid(bottom + 2 * GAP)
    return {node_id: places[node_id] for node_id in ids}


def _ordered_graph(ids: list[str], edges: list[tuple[str, str, str]], ports_of: PortsOf | None) -> _Graph:
    """Return the graph with a ``rank`` from 0 to 1 on every edge: how far down its port is."""
    import networkx  # here because it takes long to load

    used: dict[str, list[str]] = {}
    for source, _target, port in edges:
        if port not in used.setdefault(source, []):
            used[source].append(port)
    for source, ports in used.items():
        known = list(ports_of(source)) if ports_of else []
        ports.sort(key=lambda port: (known.index(port) if port in known else len(known), _usual_rank(port)))
    graph: _Graph = networkx.DiGraph()
    graph.add_nodes_from(ids)
    for source, target, port in edges:
        rank = (used[source].index(port) + 1) / (len(used[source]) + 1)
        if not graph.has_edge(source, target):
            graph.add_edge(source, target, rank=rank)
    return graph


def _usual_rank(port: str) -> int:
    return {"true": 0, "false": 1, "error": 3}.get(port, 2)


def _parts(graph: _Graph, ids: list[str]) -> list[list[str]]:
    import networkx

    position = {node_id: index for index, node_id in enumerate(ids)}
    parts = [sorted(part, key=position.__getitem__) for part in networkx.weakly_connected_components(graph)]
    return sorted(parts, key=lambda part: (len(part) == 1, position[part[0]]))  # lone nodes go below


def _arrange_part(graph: _Graph, part: list[str], size_of: SizeOf, top: int, places: dict[str, list[int]]) -> float:
    columns = _columns(graph, part)
    for sweep in range(SWEEPS):
        _sort_columns(graph, columns, leftwards=sweep % 2 == 1)
    _sort_columns(graph, columns, leftwards=False)
    centres = _centres(graph, columns, size_of)
    least = min(centres[node_id] - size_of(node_id)[1] / 2 for node_id in part)
    bottom = float(top)
    for number, column in enumerate(columns):
        for node_id in column:
            height = size_of(node_id)[1]
            y = _on_grid(top + centres[node_id] - height / 2 - least)
            places[node_id] = [number * COLUMN, y]
            bottom = max(bottom, y + height)
    return bottom


def _columns(graph: _Graph, part: list[str]) -> list[list[str]]:
    """Return the nodes by their longest way from a start; a start stands just before its first child."""
    import networkx

    position = {node_id: index for index, node_id in enumerate(part)}
    depth = {
        node_id: number for number, layer in enumerate(networkx.topological_generations(graph)) for node_id in layer
    }
    for node_id in part:
        children = [depth[child] for child in graph.successors(node_id)]
        if children and not graph.in_degree(node_id):
            depth[node_id] = min(children) - 1
    columns: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for node_id in sorted(part, key=position.__getitem__):
        columns[depth[node_id]].append(node_id)
    return columns


def _sort_columns(graph: _Graph, columns: list[list[str]], *, leftwards: bool) -> None:
    """Put every column into the order of its neighbours' mean place (the barycentre heuristic of Sugiyama et al.)."""
    index = {node_id: row for column in columns for row, node_id in enumerate(column)}
    for column in reversed(columns) if leftwards else columns:
        wanted = {}
        for node_id in column:
            if leftwards:
                rows = [index[child] - graph.edges[node_id, child]["rank"] for child in graph.successors(node_id)]
            else:
                rows = [index[parent] + graph.edges[parent, node_id]["rank"] for parent in graph.predecessors(node_id)]
            wanted[node_id] = sum(rows) / len(rows) if rows else float(index[node_id])
        column.sort(key=wanted.__getitem__)
        index.update((node_id, row) for row, node_id in enumerate(column))


def _centres(graph: _Graph, columns: list[list[str]], size_of: SizeOf) -> dict[str, float]:
    """Return a vertical centre for each node: near its neighbours, never closer than GAP to the next card."""
    centres: dict[str, float] = {}
    for column in columns:
        wanted = [
            _mean([centres[parent] for parent in graph.predecessors(node_id) if parent in centres])
            for node_id in column
        ]
        centres.update(zip(column, _spread(column, wanted, size_of), strict=True))
    for column in reversed(columns):
        wanted = [
            _mean([centres[child] for child in graph.successors(node_id)], default=centres[node_id])
            for node_id in column
        ]
        centres.update(zip(column, _spread(column, wanted, size_of), strict=True))
    return centres


def _mean(values: list[float], default: float = 0.0) -> float:
    return sum(values) / len(values) if values else default


def _spread(column: list[str], wanted: list[float], size_of: SizeOf) -> list[float]:
    """Return centres in the given order with room between them, as near to *wanted* as possible.

    Taking the room off every wish leaves an isotonic regression, solved by pooling adjacent violators.
    """
    room = [0.0]
    for upper, lower in pairwise(column):
        room.append(room[-1] + (size_of(upper)[1] + size_of(lower)[1]) / 2 + GAP)
    pools: list[tuple[float, int]] = []  # (sum of wishes, number of members)
    for want, offset in zip(wanted, room, strict=True):
        pools.append((want - offset, 1))
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1] = (pools[-1][0] + total, pools[-1][1] + count)
    level = [total / count for total, count in pools for _ in range(count)]
    return [at + offset for at, offset in zip(level, room, strict=True)]


def _on_grid(value: float) -> int:
    return round(value / GRID) * GRID
