"""Who is next at the evaluator: callers take turns, and who took the least time so far comes first."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Job = TypeVar("Job")
REMEMBERED = 1_000  # callers whose time is known


class Turns(Generic[Job]):
    """Jobs by caller. One caller has one job under way, so that nobody holds every process."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Job]] = {}
        self._busy: set[str] = set()
        self._used_s: dict[str, float] = {}
        self._count = 0

    def __len__(self) -> int:
        """Return how many jobs wait."""
        return self._count

    def push(self, caller: str, job: Job) -> None:
        """Put a job behind the others of its caller."""
        self._waiting.setdefault(caller, deque()).append(job)
        self._count += 1

    def take(self) -> tuple[str, Job] | None:
        """Take out the next job; ``done`` it before the caller's next one. None: there is none to begin now."""
        free = [caller for caller in self._waiting if caller not in self._busy]
        if not free:
            return None
        caller = min(free, key=lambda caller: self._used_s.get(caller, 0.0))  # of equals the one that waits longest
        jobs = self._waiting.pop(caller)
        job = jobs.popleft()
        if jobs:
            self._waiting[caller] = jobs
        self._count -= 1
        self._busy.add(caller)
        return caller, job

    def done(self, caller: str, took_s: float) -> None:
        """Note that the caller's job has ended, and how long it took."""
        self._busy.discard(caller)
        self._used_s[caller] = self._used_s.get(caller, 0.0) + took_s
        if len(self._used_s) > REMEMBERED:
            self._forgive()

    def _forgive(self) -> None:
        """Let every caller have used half as much, and forget those that used nearly nothing."""
        halved = sorted(((used / 2, caller) for caller, used in self._used_s.items()), reverse=True)
        self._used_s = {caller: used for used, caller in halved[: REMEMBERED // 2]}
