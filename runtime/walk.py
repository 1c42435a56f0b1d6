"""Which steps may start: dead-path elimination over one part of the graph.

A node starts when all its incoming edges within the part are decided and at least one was taken; if none was, it is
skipped, and so on downstream.
"""

from __future__ import annotations

from runtime.parts import Part


class Walk:
    """The decisions of one way through a part. ``open`` counts the nodes that are not decided."""

    __slots__ = ("_counts", "_decided", "_outgoing", "_part", "_taken", "_undecided", "open")

    def __init__(self, part: Part) -> None:
        self._part = part
        self._outgoing = part.outgoing
        self._counts = part.counts
        self._undecided: dict[str, int] = {}
        self._taken: set[str] = set()
        self._decided: set[str] = set()
        self.open = len(part.order)

    def fire(self, node: str, port: str | None, ready: list[str]) -> list[str]:
        """Decide *node*: the edges of *port* are taken. Add what may start to *ready*; return what is skipped by it."""
        skipped: list[str] = []
        undecided, taken, counts = self._undecided, self._taken, self._counts
        at, fired = node, port
        done = 0  # of *skipped*, whose own edges are decided too
        while True:
            if at in counts:
                self._decided.add(at)
                self.open -= 1
            for key, target in self._outgoing[at]:
                left = undecided.get(target)
                left = (counts[target] if left is None else left) - 1
                if key == fired:
                    taken.add(target)
                if left:
                    undecided[target] = left
                elif target in taken:
                    ready.append(target)
                else:
                    skipped.append(target)
            if done == len(skipped):
                return skipped
            at, fired = skipped[done], None
            done += 1

    @property
    def order(self) -> tuple[str, ...]:
        """The nodes of the part, in the order of the graph."""
        return self._part.order

    def leads_on(self, node: str, port: str) -> bool:
        """Return whether an edge of the part leaves *node* at *port*."""
        return any(key == port for key, _target in self._outgoing[node])

    def rest(self) -> list[str]:
        """Return the nodes that were never decided, in the order of the graph."""
        return [node for node in self._part.order if node not in self._decided]
