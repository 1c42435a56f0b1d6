"""How often something happened within the last so many seconds, in little memory."""

from __future__ import annotations

from collections import deque

GRAINS = 1_000  # parts of the span; moments closer together than one of them count as one, at the later


class Window:
    """Counts moments of the last *span_us* microseconds; never fewer than there were.

    A clock that was set back does not make old moments last longer than the span.
    """

    def __init__(self, span_us: int) -> None:
        self.span_us = span_us
        self._moments: deque[list[int]] = deque()  # moment and how many, the oldest first
        self._count = 0

    def add(self, moment_us: int, count: int = 1) -> None:
        """Note that something happened; moments come in order, but for a clock that was set."""
        last = self._moments[-1] if self._moments else None
        if last is not None and 0 <= moment_us - last[0] < self.span_us // GRAINS:
            last[0], last[1] = moment_us, last[1] + count
        else:
            self._moments.append([moment_us, count])
        self._count += count

    def take_back(self) -> None:
        """Forget the moment that was noted last."""
        if self._moments:
            self._moments[-1][1] -= 1
            self._count -= 1
            if not self._moments[-1][1]:
                self._moments.pop()

    def count(self, now_us: int) -> int:
        """Return how many there were in the span before *now_us*."""
        for each in reversed(self._moments):
            if each[0] <= now_us:
                break
            each[0] = now_us  # the clock was set back
        while self._moments and self._moments[0][0] <= now_us - self.span_us:
            self._count -= self._moments.popleft()[1]
        return self._count

    def free_at(self, most: int, now_us: int) -> int:
        """Return the moment at which fewer than *most* are left in the span."""
        left = self.count(now_us)
        for moment, count in self._moments:
            if left < most:
                break
            left -= count
            if left < most:
                return moment + self.span_us
        return now_us
