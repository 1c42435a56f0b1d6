"""Places for steps that wait for the outside world, shared fairly between flows.

A flow may hold ``SHARE`` times as many places as are left free. So one alone gets nearly all of them, several get about
the same each, and there is room for a flow that comes later: one whose service is slow does not hold up the others.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from types import TracebackType

SHARE = 7  # of 64 places one flow alone gets 56, each of two 29


class Outside:
    """*places* in all. Use it from one event loop."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._taken: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # whose turn it is comes first

    def slot(self, flow_id: str) -> Slot:
        """Return a place for one step of the flow, for ``async with``."""
        return Slot(self, flow_id)

    def taken(self, flow_id: str) -> int:
        """Return how many places the flow holds."""
        return self._taken[flow_id]

    def has_place(self, flow_id: str) -> bool:
        """Return whether the flow would get a place at once."""
        return flow_id not in self._waiting and self._may_take(flow_id)

    async def take(self, flow_id: str) -> None:
        """Wait for a place; ``give_back`` it."""
        if self.has_place(flow_id):
            self._take(flow_id)
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(flow_id, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give_back(flow_id)  # it was given just before
            else:
                self._forget(flow_id, place)
            raise

    def give_back(self, flow_id: str) -> None:
        """Let others have a place that was taken."""
        self._free += 1
        self._taken[flow_id] -= 1
        if not self._taken[flow_id]:
            del self._taken[flow_id]
        if self._waiting:
            self._hand_on()

    def _may_take(self, flow_id: str) -> bool:
        return self._taken[flow_id] < self._free * SHARE

    def _take(self, flow_id: str) -> None:
        self._free -= 1
        self._taken[flow_id] += 1

    def _hand_on(self) -> None:
        """Give what is free to the flows that wait, one each in turn."""
        passed_over = 0
        while self._free and passed_over < len(self._waiting):
            flow_id, places = next(iter(self._waiting.items()))
            self._waiting.move_to_end(flow_id)
            if not self._may_take(flow_id):
                passed_over += 1
                continue
            passed_over = 0
            place = places.popleft()
            if not places:
                del self._waiting[flow_id]
            if not place.done():  # cancelled, and about to leave
                self._take(flow_id)
                place.set_result(None)

    def _forget(self, flow_id: str, place: asyncio.Future[None]) -> None:
        places = self._waiting.get(flow_id)
        if places is not None and place in places:
            places.remove(place)
            if not places:
                del self._waiting[flow_id]


class Slot:
    """One place, while its ``async with`` block lasts."""

    __slots__ = ("_flow_id", "_outside")

    def __init__(self, outside: Outside, flow_id: str) -> None:
        self._outside = outside
        self._flow_id = flow_id

    async def __aenter__(self) -> None:
        await self._outside.take(self._flow_id)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._outside.give_back(self._flow_id)
