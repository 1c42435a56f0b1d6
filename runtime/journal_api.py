"""What the engine and its executor ask of the journal and the dispatcher, whichever database and queue are behind them.

``SqliteJournal`` and ``InProcess`` are the ones for a single machine. Only the engine, which makes them, names them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from sqlmodel import Session

from storage.journal_events import Refused
from storage.journal_rows import EventSeed, RunWrite, StepWrite, StoredEvent
from storage.journal_runs import RunState
from storage.journal_writer import Claimed, Fenced
from storage.lease import Lease

__all__ = ["Dispatcher", "Fenced", "Journal"]

Result = TypeVar("Result")


class Journal(Protocol):
    """Durable rows of events, runs and steps, written in order by one owner.

    A write of a run whose epoch has moved on fails with Fenced; of an owner whose lease has, none is made any more.
    """

    broken: asyncio.Event  # nothing can be written any more

    @property
    def is_full(self) -> bool:
        """Whether there is no room; noticed again by itself when there is."""

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be written that runs with many steps should wait, too."""

    async def start(self, lease: Lease) -> None: ...

    async def stop(self) -> None: ...

    def accept(
        self, groups: Sequence[Sequence[EventSeed]], *, claims: bool
    ) -> asyncio.Future[list[list[StoredEvent] | Refused]]:
        """Store events and the runs they start; the future is done after the commit."""

    async def take_up(self, run_ids: Collection[int], admitted: Collection[int]) -> Claimed:
        """Make open runs this engine's, with their steps so far; some may have to wait for their flow."""

    def put(self, epoch: int, step: StepWrite) -> asyncio.Future[None]:
        """Queue a step row; await the future to know that it is durable."""

    def put_soon(self, epoch: int, *steps: StepWrite) -> None:
        """Queue step rows of a run that nobody waits for."""

    def finish(self, epoch: int, state: RunWrite, steps: Sequence[StepWrite] = ()) -> asyncio.Future[None]:
        """Queue the end of a run, or that it waits, with its last step rows."""

    def transact(
        self, run_id: int, epoch: int, work: Callable[[Session], tuple[Result, StepWrite | None]]
    ) -> asyncio.Future[Result]:
        """Run *work* and write the step it returns, if any, in one transaction."""

    def call(self, work: Callable[[Session], Result]) -> asyncio.Future[Result]:
        """Run *work* in a transaction, outside any run."""

    async def barrier(self) -> None:
        """Return when everything queued so far is durable."""


class Dispatcher(Protocol):
    """Decides which committed runs are worked on now."""

    @property
    def room(self) -> int:
        """How many more runs may begin at once."""

    @property
    def open_runs(self) -> int:
        """How many runs are worked on or wait for that."""

    def may_begin(self, flow_id: str, more: int = 0) -> bool:
        """Return whether the flow may begin a run beside *more* others."""

    def suspect(self, run_ids: Iterable[int]) -> None:
        """Let these work one at a time."""

    def submit(self, run_ids: Iterable[int], flow_id: str = "") -> None:
        """Put committed runs of a flow into the queue; one that is worked on looks at what has come for it."""

    def begin(self, run: RunState, work: Coroutine[Any, Any, None]) -> None:
        """Work on a claimed run."""

    def hold(self, run: RunState, work: asyncio.Future[None], then: Callable[[asyncio.Future[None]], None]) -> None:
        """Count a run as worked on until *work* is done; *then* is told of it."""

    def works_on(self, run_id: int) -> bool:
        """Return whether the run is worked on, or will be."""

    def wake_at(self, moment_us: int, run_id: int, flow_id: str = "") -> None:
        """Submit the run when its time has come, if that is within seconds; otherwise it has to be named again."""

    def cancel(self, run_id: int) -> None:
        """Stop working on a run."""

    async def watch_clock(self) -> None: ...

    async def stop(self, grace_s: float) -> None:
        """Begin nothing new, give what is under way *grace_s* to end, then stop it where it is."""
