"""Which nodes take part in a run, and in one round of a loop: the body of a loop is a part of its own.

The body is what can be reached through the loop's body port and in no other way. A loop inside of a body has its own
body, which is no part of the outer one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple


class PlanEdge(NamedTuple):
    """A connection from the port ``port`` of ``source`` to ``target``."""

    source: str
    target: str
    port: str


@dataclass(frozen=True)
class Part:
    """What is walked from ``start``: the trigger of a run, or the loop whose body it is.

    ``order`` is topological; of a run's part it begins with the trigger, a body's does not have its loop. ``edges`` are
    those within the part and from its start: a node is decided when all that lead to it are.
    """

    start: str
    order: tuple[str, ...]
    edges: tuple[PlanEdge, ...]

    @cached_property
    def nodes(self) -> frozenset[str]:
        return frozenset(self.order)

    @cached_property
    def incoming(self) -> Mapping[str, tuple[PlanEdge, ...]]:
        """Of every node, the edges that lead to it."""
        found: dict[str, list[PlanEdge]] = {node: [] for node in self.order}
        for edge in self.edges:
            found[edge.target].append(edge)
        return {node: tuple(edges) for node, edges in found.items()}

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Of every node, ports and the nodes of the part that they lead to."""
        found: dict[str, list[tuple[str, str]]] = {node: [] for node in (self.start, *self.order)}
        for edge in self.edges:
            found[edge.source].append((edge.port, edge.target))
        return {node: tuple(edges) for node, edges in found.items()}

    @cached_property
    def only(self) -> Mapping[str, tuple[str, str]]:
        """Of each node with one edge, to a node that has no other: port and target."""
        found = {node: edges[0] for node, edges in self.outgoing.items() if len(edges) == 1}
        return {node: edge for node, edge in found.items() if self.counts[edge[1]] == 1}

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many edges have to be decided before a node is."""
        return {node: len(edges) for node, edges in self.incoming.items()}


def reachable_from(starts: Collection[str], edges: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return the nodes that can be reached from *starts*, these included."""
    following: dict[str, list[str]] = {}
    for source, target in edges:
        following.setdefault(source, []).append(target)
    found = set(starts)
    waiting = list(starts)
    while waiting:
        for target in following.get(waiting.pop(), ()):
            if target not in found:
                found.add(target)
                waiting.append(target)
    return frozenset(found)


def bodies(
    starts: Collection[str], loops: Mapping[str, str], edges: Collection[tuple[str, str, str]]
) -> dict[str, frozenset[str]]:
    """Return the nodes of each loop's body, those of inner loops included.

    *starts* are the triggers, *loops* the body port of every loop, *edges* (source, target, port).
    """
    found = {}
    for loop, port in loops.items():
        through = [target for source, target, key in edges if (source, key) == (loop, port)]
        others = [(source, target) for source, target, key in edges if (source, key) != (loop, port)]
        elsewhere = reachable_from(starts, others)
        found[loop] = reachable_from(through, others) - elsewhere if through else frozenset()
    return found


def split(order: tuple[str, ...], inside: Mapping[str, frozenset[str]], edges: Collection[PlanEdge]) -> dict[str, Part]:
    """Return the part of each loop: its body without the bodies of the loops in it."""
    parts = {}
    for loop, body in inside.items():
        inner = frozenset[str]().union(*(inside[node] for node in body if node in inside))
        parts[loop] = make(loop, order, body - inner, edges)
    return parts


def make(start: str, order: tuple[str, ...], members: Collection[str], edges: Collection[PlanEdge]) -> Part:
    """Return the part of *members* that is walked from *start*."""
    known = frozenset(members)
    return Part(
        start=start,
        order=tuple(node for node in order if node in known),
        edges=tuple(edge for edge in edges if edge.target in known and (edge.source in known or edge.source == start)),
    )
