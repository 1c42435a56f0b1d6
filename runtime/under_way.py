"""Runs under way: each is taken through the executor, and what follows is done when it has left it.

What needs no waiting is done at once; only a run that has to wait for something gets a task of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from nodes.spec import NodeError
from runtime.admission import Admission
from runtime.execution import Ended
from runtime.executor import Executor
from runtime.journal_api import Dispatcher, Fenced, Journal
from runtime.plans import Plans
from runtime.responses import Responses
from runtime.watchers import Watchers
from storage.errors import StorageError
from storage.journal_runs import RunState

AGAIN_US = 1_000_000  # until a run that found the database unusable is taken up anew
log = logging.getLogger("pulsewire.engine")


class UnderWay:
    """The runs that one engine works on."""

    def __init__(
        self,
        journal: Journal,
        dispatcher: Dispatcher,
        admission: Admission,
        plans: Plans,
        responses: Responses,
        watchers: Watchers,
        now_us: Callable[[], int],
    ) -> None:
        self._journal = journal
        self._dispatcher = dispatcher
        self._admission = admission
        self._plans = plans
        self._responses = responses
        self._watchers = watchers
        self._now_us = now_us
        self.executor: Executor  # set before the first run

    async def claim(self, run_ids: list[int]) -> None:
        """Make runs this engine's and begin those that may; the others have to wait for their flow."""
        claimed = await self._journal.take_up(run_ids, self._admission.admitted(run_ids))
        self._admission.claimed(run_ids, claimed)
        for state in claimed.states:
            if (error := self._admission.refusal(state.id)) is None:
                self.begin(state)
            else:
                refused = self._run(state, partial(self.executor.refuse, state, error))
                self._dispatcher.begin(state, refused)

    def begin(self, state: RunState) -> None:
        """Work on a claimed run: do what needs no waiting at once, and the rest in a task of its own."""
        walkable = self._plans.known(state)
        if walkable is None or state.trigger in walkable.filters or self.executor.is_stopping:
            self._dispatcher.begin(state, self._run(state, partial(self._walked, state)))
            return
        try:
            execution = self.executor.open(state, walkable)
            end = execution.walk_through()
        except Exception as error:
            self._dispatcher.begin(state, self._run(state, partial(_raised, error)))
            return
        if end is None:
            self._dispatcher.begin(state, self._run(state, partial(self.executor.go_on, execution)))
        else:
            self._dispatcher.hold(state, end, partial(self._recorded, state))

    def _recorded(self, state: RunState, end: asyncio.Future[None]) -> None:
        """Look at how the end of a run, which was done at once, was recorded."""
        error = None if end.cancelled() else end.exception()
        if error is None:
            self._left(state.id)
        elif not isinstance(error, Fenced):
            self._dispatcher.begin(state, self._run(state, partial(_raised, error)))

    async def _run(self, state: RunState, work: Callable[[], Awaitable[Ended | None]]) -> None:
        try:
            ended = await work()
        except StorageError as error:  # it is not the run's fault; steps that are recorded are not done again
            if not self._journal.broken.is_set():
                log.error("run %d has to wait for the database: %s", state.id, error)
            ended = Ended("running", self._now_us() + AGAIN_US)
        except Exception as error:  # nothing may leave a run open that nobody works on
            log.error("run %d stopped with %s", state.id, type(error).__name__)
            message = f"Something unexpected happened in the engine. The log has more under run {state.id}."
            ended = None
            with contextlib.suppress(StorageError):  # then the journal is broken, and a restart takes it up
                ended = await self.executor.refuse(state, NodeError(message, code="engine.crashed"))
        if ended is None:
            await self._admission.doubt([state.id])
        elif ended.wake_us is not None:
            self._dispatcher.wake_at(ended.wake_us, state.id, state.flow_id)
        elif ended.status == "waiting":
            self.tell_waiters(state.id)
        else:
            self._left(state.id, counts=ended.status != "removed")

    async def _walked(self, state: RunState) -> Ended | None:
        try:
            walkable = await self._plans.of(state)
        except NodeError as error:
            return await self.executor.refuse(state, error)
        return await self.executor.run(state, walkable)

    def let_go(self, run_ids: list[int]) -> None:
        """Stop working on runs that somebody else has ended."""
        for run_id in run_ids:
            self._dispatcher.cancel(run_id)
            self._left(run_id)

    def _left(self, run_id: int, *, counts: bool = True) -> None:
        """Do what is to be done when a run has ended."""
        self._admission.ended(run_id, counts=counts)
        self.tell_waiters(run_id)

    def tell_waiters(self, run_id: int) -> None:
        """Let those who wait for the run look at it."""
        self._responses.left(run_id)
        self._watchers.left(run_id)


async def _raised(error: BaseException) -> Ended | None:
    raise error
