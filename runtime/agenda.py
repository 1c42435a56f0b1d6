"""What a run has to do next: steps that may start, work to await, and suspended steps with their moments."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from runtime.loops import Attempt, Frame
from runtime.records import Place


class Agenda:
    """The agenda of one run, whose time is over at *deadline_us*. ``end`` it, and nothing more is started."""

    __slots__ = (
        *("_begun", "_bell", "_deadline", "_ended", "_is_over", "_now_us", "_tasks", "has_come", "held", "ready"),
        "under_way",
    )

    def __init__(self, now_us: Callable[[], int], deadline_us: int | None) -> None:
        self.ready: deque[tuple[Frame, str]] = deque()  # steps to take up
        self.held: dict[tuple[Frame, str], int | None] = {}  # suspended steps; None: something has to come
        self.under_way: set[Place] = set()  # steps that are awaited, or were when they were cut off
        self._now_us = now_us
        self._deadline = deadline_us
        self._is_over = False
        self._begun: list[tuple[Attempt, Coroutine[Any, Any, None]]] = []
        self._tasks: dict[asyncio.Task[None], Coroutine[Any, Any, None]] = {}  # with the work that each awaits
        self._ended: list[Frame] = []
        self._bell: asyncio.Future[None] | None = None  # done when something comes while the run waits
        self.has_come = False  # something that a suspended step may wait for

    @property
    def is_empty(self) -> bool:
        return not (self.ready or self.held or self._begun or self._tasks)

    @property
    def is_busy(self) -> bool:
        """Whether work is awaited."""
        return bool(self._begun or self._tasks)

    @property
    def is_late(self) -> bool:
        """Whether the run has taken longer than it may."""
        return self._deadline is not None and self._now_us() >= self._deadline

    @property
    def next_us(self) -> int | None:
        """When a suspended step is to be looked at again, or the run's time is over."""
        if self._is_over:
            return None
        moments = [moment for moment in (*self.held.values(), self._deadline) if moment is not None]
        return min(moments, default=None)

    def begin(self, attempt: Attempt, work: Coroutine[Any, Any, None]) -> None:
        """Await *work*, a step's, from the next pause on."""
        attempt.frame.active += 1
        self.under_way.add(attempt.place)
        self._begun.append((attempt, work))

    def take_due(self) -> None:
        """Take up the suspended steps whose moment has come."""
        if not self.held or self._is_over:
            return
        now = self._now_us()
        for key in [key for key, moment in self.held.items() if moment is not None and moment <= now]:
            del self.held[key]
            self.ready.append(key)

    def tell(self) -> None:
        """Let the run look at what it waits for, also while something else is under way."""
        self.has_come = True
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    def go_on(self, frame: Frame, node_id: str) -> None:
        """Take up a suspended step."""
        del self.held[frame, node_id]
        self.ready.append((frame, node_id))

    def forget(self, frame: Frame) -> None:
        """Look at no suspended step of *frame* again."""
        for key in [key for key in self.held if key[0] is frame]:
            del self.held[key]

    def end(self) -> None:
        """Start nothing more; what is under way may end."""
        self._is_over = True
        self.ready.clear()

    def cut_off(self) -> None:
        """Stop what is under way where it is."""
        for task, work in self._tasks.items():
            task.cancel()
            task.add_done_callback(partial(_close, work))  # a task that has not begun does not take its work up
        for _attempt, work in self._begun:
            work.close()
        self._begun.clear()

    def start(self) -> None:
        """Begin with all work at once."""
        for attempt, work in self._begun:
            self._tasks[asyncio.create_task(self._await(attempt, work))] = work
        self._begun.clear()

    async def wait(self) -> None:
        """Return when some work has ended, a moment has come or something else. Raises what the work has raised."""
        until = self.next_us
        if len(self._begun) == 1 and not self._tasks and not self.held and until is None:
            await self._await(*self._begun.pop())  # the only thing to do: no task of its own
            return
        self.start()
        await self._wait(None if until is None else (until - self._now_us()) / 1e6)

    async def stay(self, most_s: float) -> bool:
        """Wait at most so long, with nothing under way; return whether a moment has come, or something else."""
        until = self.next_us
        left_s = most_s if until is None else min(most_s, (until - self._now_us()) / 1e6)
        await self._wait(left_s)
        return self.has_come or (until is not None and until <= self._now_us())

    async def _wait(self, timeout_s: float | None) -> None:
        timeout_s = None if timeout_s is None else max(0.0, timeout_s)
        self._bell = asyncio.get_running_loop().create_future()
        await asyncio.wait([*self._tasks, self._bell], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        self._bell = None

    def take_ended(self) -> Iterable[Frame]:
        """Return the frames of the work that has ended, one for each. Raises what it has raised."""
        for task in [task for task in self._tasks if task.done()]:
            del self._tasks[task]
            if not task.cancelled():
                task.result()
        ended, self._ended = self._ended, []
        return ended

    async def _await(self, attempt: Attempt, work: Coroutine[Any, Any, None]) -> None:
        await work
        if all(other.place != attempt.place for other, _work in self._begun):  # else the step goes on with that
            self.under_way.discard(attempt.place)
        attempt.frame.active -= 1
        self._ended.append(attempt.frame)


def _close(work: Coroutine[Any, Any, None], _task: asyncio.Task[None]) -> None:
    work.close()
