"""Takes claimed runs as far as they go; what all runs share is here, what one run does in ``execution``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from nodes.spec import NodeError, NodeType
from runtime import engine_rows, limits
from runtime.agenda import Agenda
from runtime.escapes import Escapes
from runtime.evaluator import Evaluator
from runtime.execution import Ended, Execution
from runtime.journal_api import Fenced, Journal
from runtime.outside import Outside
from runtime.plans import Walkable
from runtime.platform import Platform
from runtime.run_ends import Due
from storage.journal_runs import RunState
from storage.tables import from_us

STAYING = 100  # NOTE: runtime/dispatcher.py RUNS_AT_ONCE
STAYING_BYTES = 16 * limits.PAYLOAD_BYTES  # NOTE: runtime/dispatcher.py BYTES_AT_ONCE


class Executor:
    """What all runs share.

    *due* is told of runs to be taken up, *ended* of those that were ended with another, *paused* of those that wait,
    *answered* of outputs that answer a webhook.
    """

    def __init__(
        self,
        journal: Journal,
        platform: Platform,
        types: Mapping[str, NodeType],
        *,
        environment: Mapping[str, str],
        installation: str,
        now_us: Callable[[], int],
        due: Callable[[list[int]], None],
        answered: Callable[[int, dict[str, Any] | None], None],
        paused: Callable[[int], None],
        ended: Callable[[list[int]], None],
    ) -> None:
        self.journal = journal
        self.platform = platform
        self.types = types
        self.environment = environment
        self.installation = installation
        self.now_us = now_us
        self.due = due
        self.answered = answered
        self.paused = paused
        self.ended = ended
        self._staying: dict[int, int] = {}  # the bytes of runs that wait in memory
        self.going: dict[int, Agenda] = {}  # what runs that are under way have to do
        self.outside = Outside(limits.STEPS_AT_ONCE)
        self.evaluator = Evaluator()
        self.escapes = Escapes(journal.call, self.clock)
        self.is_stopping = False  # steps under way end, none is started

    def clock(self) -> datetime:
        """Return the time."""
        return from_us(self.now_us())

    def stop(self) -> None:
        """Let the steps under way end, and start none."""
        self.is_stopping = True
        for agenda in self.going.values():
            agenda.tell()

    def tell(self, run_id: int) -> bool:
        """Let a run look at what has come for it; False when it is not under way, or only about to begin."""
        agenda = self.going.get(run_id)
        if agenda is None:
            return False
        agenda.tell()
        return True

    @contextmanager
    def staying(self, state: RunState) -> Iterator[bool]:
        """Give whether a run that waits may stay in memory: most places are for runs that have something to do."""
        if len(self._staying) >= STAYING or sum(self._staying.values()) + state.size_bytes > STAYING_BYTES:
            yield False
            return
        self._staying[state.id] = state.size_bytes
        try:
            self.paused(state.id)
            yield True
        finally:
            del self._staying[state.id]

    def follow(self, due: Due) -> None:
        """Do what follows from the end of a run, which is durable."""
        self.due(due.runs)
        self.ended(due.ended)

    def open(self, state: RunState, walkable: Walkable) -> Execution:
        """Return a claimed run, ready to go on."""
        plan, scope = walkable.plan, state.scope or {}
        if (node := scope.get("until") or scope.get("only")) is not None:
            plan = plan.until(state.trigger, node)
        elif (node := scope.get("from")) is not None:
            plan = plan.from_(state.trigger, node)
        return Execution(self, state, plan)

    async def run(self, state: RunState, walkable: Walkable) -> Ended | None:
        """Take a claimed run as far as it goes; None when it is no longer this engine's."""
        execution = self.open(state, walkable)
        try:
            is_first = not state.steps and not state.is_retry
            where = walkable.filters.get(state.trigger) if is_first else None
            if where is not None and (ended := await execution.filtered(where)) is not None:
                return ended
            return await execution.go()
        except Fenced:
            return None

    async def go_on(self, execution: Execution) -> Ended | None:
        """Take a run that has begun as far as it goes; None when it is no longer this engine's."""
        try:
            return await execution.go()
        except Fenced:
            return None

    async def refuse(self, state: RunState, error: NodeError) -> Ended | None:
        """End a run that cannot be walked; None when it is no longer this engine's."""
        shape = {"message": error.message, "code": error.code, "node": None}
        now = from_us(self.now_us())
        due = await self.journal.call(lambda session: engine_rows.fail(session, state.id, state.epoch, shape, now))
        if due is None:
            return None
        self.follow(due)
        return Ended("failed")
