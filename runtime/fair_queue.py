"""A queue in which flows take turns: one that has much to do does not hold up the others."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable


class FairQueue:
    """Runs by flow, each flow's in order."""

    def __init__(self) -> None:
        self._by_flow: OrderedDict[str, deque[int]] = OrderedDict()  # whose turn it is comes first
        self._known: set[int] = set()

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, run_id: int) -> bool:
        return run_id in self._known

    def push(self, run_id: int, flow_id: str) -> None:
        """Put a run behind the others of its flow."""
        self._known.add(run_id)
        self._by_flow.setdefault(flow_id, deque()).append(run_id)

    def pop(self, most: int, may_begin: Callable[[str, int], bool]) -> list[tuple[int, str]]:
        """Take out at most *most* runs, one of each flow in turn, and their flows.

        *may_begin* says whether a flow may begin one more, when so many of its runs are taken out already.
        """
        taken: list[tuple[int, str]] = []
        counts: dict[str, int] = {}
        passed_over = 0
        while len(taken) < most and passed_over < len(self._by_flow):
            flow_id, runs = next(iter(self._by_flow.items()))
            self._by_flow.move_to_end(flow_id)
            if not may_begin(flow_id, counts.get(flow_id, 0)):
                passed_over += 1
                continue
            passed_over = 0
            run_id = runs.popleft()
            if not runs:
                del self._by_flow[flow_id]
            self._known.discard(run_id)
            counts[flow_id] = counts.get(flow_id, 0) + 1
            taken.append((run_id, flow_id))
        return taken
