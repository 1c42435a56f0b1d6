"""Long work on the database, done in turns of the writer that last some milliseconds each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

from sqlmodel import Session

Result = TypeVar("Result")
Call: TypeAlias = Callable[[Callable[[Session], Any]], Awaitable[Any]]

TURN_S = 0.015  # others wait for a turn, and for its commit
REST = 2  # times as long as a turn took: so at most a third of the writer's time goes into such work
REST_S = 0.005


class NotNow(Exception):
    """The time is up, or the disk is full: what is left has to be done later."""


class Pace:
    """How much fits into one turn, learnt from the turns before; *least* is worth a turn however long it took."""

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most
        self.size = least

    def took(self, seconds: float) -> None:
        """Learn from a turn of this length."""
        if seconds > TURN_S:
            self.size = max(self._least, self.size // 2)
        elif seconds < TURN_S / 2:
            self.size = min(self._most, self.size + self.size // 2)


class Turns:
    """Each is a transaction by *call*. *count* of them there were, the longest took *longest_s*."""

    def __init__(self, call: Call, is_full: Callable[[], bool]) -> None:
        self._call = call
        self._is_full = is_full
        self._until = 0.0
        self.count = 0
        self.longest_s = 0.0

    def begin(self, length_s: float) -> None:
        """Allow turns from now on for so long."""
        self._until = time.monotonic() + length_s
        self.count, self.longest_s = 0, 0.0

    async def take(self, work: Callable[[Session], Result], pace: Pace | None = None) -> Result:
        """Do *work*, then rest; *pace* is told how long it took. Raises NotNow before anything is done."""
        if self._is_full() or time.monotonic() > self._until:
            raise NotNow

        def timed(session: Session) -> tuple[Result, float]:
            begun = time.perf_counter()
            result = work(session)
            session.flush()
            return result, time.perf_counter() - begun

        result: Result
        result, took_s = await self._call(timed)
        self.count, self.longest_s = self.count + 1, max(self.longest_s, took_s)
        if pace is not None:
            pace.took(took_s)
        await asyncio.sleep(max(REST_S, took_s * REST))
        return result
