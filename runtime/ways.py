"""The ways through a flow: when a node runs, which outputs are there by then, and why one may not be.

A node runs when at least one of its edges is taken, so what is before it is joined by *or*; a port is fired or not.
The conditions are exact (see ``runtime.decisions``): a diamond whose two branches both run is told apart from one where
a condition chooses, which dominators alone cannot do.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from nodes.spec import ERROR, OUT, NodeType
from runtime.decisions import Condition, Decisions, TooMany
from runtime.document import Document, Node
from runtime.graph import closing_edges, loops_in, ports_of
from runtime.parts import bodies


@dataclass(frozen=True, slots=True)
class Fired:
    """One port that a node may fire before another one runs, and what its output is then."""

    port: str
    has_failed: bool = False  # it went on although it failed
    is_empty: bool = False  # the output is null


class Before(NamedTuple):
    """What is known of a node's output where another one runs: the ports it may have fired, and whether it may be
    missing because the node was skipped."""

    fired: tuple[Fired, ...]
    may_be_skipped: bool


class Ways:
    """The ways through one flow; edges that close a circle are left out."""

    def __init__(self, document: Document, types: Mapping[str, NodeType]) -> None:
        self.nodes: Mapping[str, Node] = {node.id: node for node in document.nodes}
        self.types = types
        triggers = [node for node in document.nodes if self._kind(node) == "trigger"]
        self.triggers = tuple(node.id for node in triggers if not node.disabled or all(t.disabled for t in triggers))
        self.loops = loops_in(document, types)
        known = [(e.source, e.target, e.key) for e in document.edges if {e.source, e.target} <= self.nodes.keys()]
        ids = dict.fromkeys([*(trigger.id for trigger in triggers), *self.nodes])
        circle = set(closing_edges(ids, [(source, target) for source, target, _key in known]))
        self.edges = [edge for edge in known if edge[:2] not in circle]
        self.bodies = bodies([trigger.id for trigger in triggers], self.loops, self.edges)
        self._decisions = Decisions()
        self._arriving: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for source, target, key in self.edges:
            self._arriving[target].append((source, key))
        self._choices: dict[str, int] = {}
        self._by_question: dict[str, int] = {}  # nodes that ask the same answer alike
        self._fired: dict[str, tuple[Fired, ...]] = {}
        self._ports_of: dict[str, tuple[str, ...]] = {}
        self._seen: dict[tuple[str, str], Before | None] = {}

    def frames_of(self, node: str) -> tuple[str, ...]:
        """Return the loops whose body holds the node, the innermost first."""
        return self._frames.get(node, ())

    def comes_before(self, node: str, other: str) -> bool:
        """Return whether the output of *other* can be there when *node* runs: it is decided before, and not in a loop
        that *node* is outside of, nor the loop that *node* is in."""
        if not self._ancestors[node] >> self._numbers[other] & 1 or other in self.frames_of(node):
            return False
        return set(self.frames_of(other)) <= set(self.frames_of(node))

    def earlier(self, node: str) -> tuple[str, ...]:
        """Return the nodes whose outputs can be there when *node* runs, the nearest first."""
        found: dict[str, None] = {}
        waiting = [node]
        while waiting:
            following = []
            for at in waiting:
                for source, _key in self._arriving[at]:
                    if source not in found:
                        found[source] = None
                        following.append(source)
            waiting = following
        return tuple(other for other in found if self.comes_before(node, other))

    def can_run(self, node: str) -> bool:
        """Return whether any way leads to the node."""
        return self._runs[node] is not False

    def before(self, node: str, other: str) -> Before | None:
        """Return what is known of the output of *other* where *node* runs; None when that is not told apart."""
        key = node, other
        if key not in self._seen:
            try:
                self._seen[key] = self._before(node, other)
            except (TooMany, RecursionError):
                self._seen[key] = None
        return self._seen[key]

    def triggers_of(self, node: str) -> tuple[str, ...]:
        """Return the triggers whose runs can come to the node."""
        mask = self._ancestors[node] | 1 << self._numbers[node]
        return tuple(trigger for trigger in self.triggers if mask >> self._numbers[trigger] & 1)

    def has_fired(self, node: str, other: str, port: str) -> bool:
        """Return whether *other* has fired this port wherever *node* runs."""
        here, there = self._runs[node], self._runs[other]
        if here is None or there is None:
            return False
        try:
            return self._decisions.implies(here, self._decisions.both(there, self._takes(other, port)))
        except (TooMany, RecursionError):
            return False

    def has_run(self, node: str, other: str, skipped: Iterable[str], fired: Iterable[tuple[str, str]]) -> bool:
        """Return whether *other* has run wherever *node* runs, *skipped* were skipped and *fired* fired these ports."""
        holds, runs = self._runs[node], self._runs[other]
        try:
            for each in skipped:
                if holds is not None and (when := self._runs[each]) is not None:
                    holds = self._decisions.both(holds, self._decisions.negation(when))
            for each, port in fired:
                if holds is not None:
                    holds = self._decisions.both(holds, self._takes(each, port))
            return holds is not None and runs is not None and self._decisions.implies(holds, runs)
        except (TooMany, RecursionError):
            return False

    def fired_by(self, node: str) -> tuple[Fired, ...]:
        """Return every port that a node may fire, that of a loop's body left out; one may be there twice."""
        if node not in self._fired:
            self._fired[node] = tuple(self._ports(self.nodes[node]))
        return self._fired[node]

    def _kind(self, node: Node) -> str:
        found = self.types.get(node.type)
        return "action" if found is None else found.kind

    @cached_property
    def _frames(self) -> dict[str, tuple[str, ...]]:
        return {
            node: tuple(
                sorted(
                    (loop for loop, body in self.bodies.items() if node in body), key=lambda at: len(self.bodies[at])
                )
            )
            for node in self.nodes
        }

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The nodes, each after those that lead to it."""
        left = {node: len(self._arriving[node]) for node in self.nodes}
        order = [node for node in self.nodes if not left[node]]
        leaving: dict[str, list[str]] = defaultdict(list)
        for source, target, _key in self.edges:
            leaving[source].append(target)
        for node in order:
            for target in leaving[node]:
                left[target] -= 1
                if not left[target]:
                    order.append(target)
        return tuple(order)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {node: number for number, node in enumerate(self.nodes)}

    @cached_property
    def _ancestors(self) -> dict[str, int]:
        """The nodes before each, as bits by their numbers."""
        found: dict[str, int] = {}
        for node in self.order:
            found[node] = 0
            for source, _key in self._arriving[node]:
                found[node] |= found[source] | 1 << self._numbers[source]
        return found

    @cached_property
    def _runs(self) -> dict[str, Condition | None]:
        """When each node runs; None where that is not told apart any more."""
        found: dict[str, Condition | None] = {}
        for node in self.order:
            try:
                found[node] = self._runs_when(node, found)
            except (TooMany, RecursionError):
                found[node] = None
        return found

    def _ports(self, node: Node) -> list[Fired]:
        node_type = self.types.get(node.type)
        if node_type is None:
            return []
        declared = [port for port in node_type.ports(node.params) if port.name != node_type.body_port]
        if node.disabled:
            names = [port.name for port in ports_of(node, node_type) if port.name != node_type.body_port]
            return [Fired(name, is_empty=True) for name in names[:1]]
        fired = [Fired(port.name, is_empty=not port.has_output) for port in declared]
        if node.on_error == "port":
            fired.append(Fired(ERROR.name, has_failed=True))
        elif node.on_error == "continue":
            fired.append(Fired(OUT[0].name, has_failed=True, is_empty=True))
        return fired

    def _names(self, node: str) -> tuple[str, ...]:
        if node not in self._ports_of:
            self._ports_of[node] = tuple(dict.fromkeys(each.port for each in self.fired_by(node)))
        return self._ports_of[node]

    def _runs_when(self, node: str, known: Mapping[str, Condition | None]) -> Condition | None:
        if self._kind(self.nodes[node]) == "trigger":
            if node not in self.triggers:
                return False
            if len(self.triggers) == 1:
                return True
            return self._decisions.is_chosen(0, self.triggers.index(node), len(self.triggers))
        runs: Condition = False
        for source, key in self._arriving[node]:
            if (before := known[source]) is None:
                return None
            runs = self._decisions.either(runs, self._decisions.both(before, self._takes(source, key)))
        return runs

    def _takes(self, source: str, key: str) -> Condition:
        """Return when a node that has run lets go on at a port."""
        if key == self.loops.get(source):
            return not self.nodes[source].disabled
        if self.nodes[source].type not in self.types:
            return True  # what it fires is not known
        names = self._names(source)
        if key not in names:
            return False
        if len(names) == 1:
            return True
        if source not in self._choices:
            self._choices[source] = self._by_question.setdefault(self._question(source), len(self._by_question) + 1)
        return self._decisions.is_chosen(self._choices[source], names.index(key), len(names))

    def _question(self, node: str) -> str:
        """Return what decides which port a node fires: its parameters alone, or what happens when it is called."""
        at, node_type = self.nodes[node], self.types[self.nodes[node].type]
        ports, fields = node_type.ports(at.params), node_type.params.model_fields.items()
        required = [info.alias or name for name, info in fields if info.is_required()]
        is_drawn = all(at.params.get(name) not in (None, "") for name in required)
        is_choice = len(ports) > 1 and all(port.has_output for port in ports) and node_type.body_port is None
        if not (node_type.is_plain and is_choice and is_drawn):
            return node
        return json.dumps([at.type, at.params, self._names(node), self.frames_of(node)], sort_keys=True)

    def _before(self, node: str, other: str) -> Before | None:
        here, there = self._runs[node], self._runs[other]
        if here is None or there is None:
            return None
        both = self._decisions.both(here, there)
        possible = [
            port for port in self._names(other) if self._decisions.both(both, self._takes(other, port)) is not False
        ]
        fired = tuple(each for each in self.fired_by(other) if each.port in possible)
        return Before(fired, not self._decisions.implies(here, there))
