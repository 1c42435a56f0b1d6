"""Which steps may start: dead-path elimination over one part of the graph.

A node starts when all its incoming edges within the part are decided and at least one was taken; if none was, it is
skipped, and so on downstream.
"""

from __future__ import annotations

from runtime.parts import Part


class Walk:
    """The decisions of one way through a part. ``open`` counts the nodes that are not decided."""

    __slots__ = ("_counts", "_decided", "_only", "_outgoing", "_part", "_taken", "_undecided", "open")

    def __init__(self, part: Part) -> None:
        self._part = part
        self._outgoing = part.outgoing
        self._counts = part.counts
        self._only = part.only
        self._undecided: dict[str, int] = {}
        self._taken: set[str] = set()
        self._decided: set[str] = set()
        self.open = len(part.order)

    def fire(self, node: str, port: str | None, ready: list[str]) -> list[str]:
        """Decide *node*: the edges of *port* are taken. Add what may start to *ready*; return what is skipped by it."""
        skipped: list[str] = []
        only = self._only.get(node)
        if only is None or only[0] != port:
            self._decide(node, port, ready, skipped)
            for at in skipped:  # grows meanwhile
                self._decide(at, None, ready, skipped)
            return skipped
        if node in self._counts:
            self._decided.add(node)
            self.open -= 1
        ready.append(only[1])
        return skipped

    def _decide(self, node: str, port: str | None, ready: list[str], skipped: list[str]) -> None:
        counts, undecided = self._counts, self._undecided
        if node in counts:
            self._decided.add(node)
            self.open -= 1
        for key, target in self._outgoing[node]:
            if counts[target] == 1:  # as most have
                (ready if key == port else skipped).append(target)
                continue
            left = undecided[target] = undecided.get(target, counts[target]) - 1
            if key == port:
                self._taken.add(target)
            if not left:
                (ready if target in self._taken else skipped).append(target)

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
