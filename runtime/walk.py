"""Which steps of a run may start: dead-path elimination over the part of the graph that its trigger reaches.

A node starts when all its incoming edges from nodes that take part are decided and at least one was taken;
if none was, it is skipped, and so on downstream.
"""

from __future__ import annotations

from collections import deque

from runtime.graph import FlowPlan


class Walk:
    """The decisions of one run. ``ready`` holds the nodes that may start, in the order they became so."""

    def __init__(self, plan: FlowPlan, trigger: str) -> None:
        self._nodes = plan.nodes
        self._part = plan.parts[trigger]
        self._undecided: dict[str, int] = {}
        self._taken: set[str] = {trigger}
        self._decided: set[str] = set()
        self.ready: deque[str] = deque([trigger])

    def fire(self, node: str, port: str | None) -> list[str]:
        """Decide the outgoing edges of *node*: those of *port* are taken. Return the nodes skipped by it."""
        skipped: list[str] = []
        decided: list[tuple[str, str | None]] = [(node, port)]
        while decided:
            source, fired = decided.pop()
            self._decided.add(source)
            for key, edges in self._nodes[source].outgoing.items():
                for edge in edges:
                    target = edge.target
                    if key == fired:
                        self._taken.add(target)
                    left = self._left(target) - 1
                    self._undecided[target] = left
                    if left:
                        continue
                    if target in self._taken:
                        self.ready.append(target)
                    else:
                        skipped.append(target)
                        decided.append((target, None))
        return skipped

    def rest(self) -> list[str]:
        """Return the nodes that take part and were never decided, in the order of the graph."""
        return [node for node in self._part.order if node not in self._decided]

    def _left(self, node: str) -> int:
        left = self._undecided.get(node)
        return len(self._part.incoming[node]) if left is None else left
