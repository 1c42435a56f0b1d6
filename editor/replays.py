"""What was done already of what browsers send again after a lost connection."""

from __future__ import annotations

REPLAYS_KEPT = 500


class Replays:
    """The last message dealt with of each tab, so that one that is sent again is not done again."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def is_new(self, tab: str, seq: int) -> bool:
        """Return whether this message was not dealt with, and remember it."""
        last = self._last.pop(tab, 0)
        self._last[tab] = max(last, seq)
        if last >= seq:
            return False
        while len(self._last) > REPLAYS_KEPT:
            del self._last[next(iter(self._last))]
        return True
