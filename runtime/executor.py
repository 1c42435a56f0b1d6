"""Takes claimed runs as far as they go; what all runs share is here, what one run does in ``execution``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from nodes.spec import NodeError
from runtime import engine_rows, limits
from runtime.execution import Ended, Execution
from runtime.plans import Walkable
from runtime.platform import Platform
from storage.journal import Fenced, SqliteJournal
from storage.journal_rows import RunWrite
from storage.journal_runs import RunState
from storage.tables import from_us


class Executor:
    """What all runs share."""

    def __init__(
        self,
        journal: SqliteJournal,
        platform: Platform,
        *,
        environment: Mapping[str, str],
        installation: str,
        now_us: Callable[[], int],
        emitted: Callable[[list[int]], None],
    ) -> None:
        self.journal = journal
        self.platform = platform
        self.environment = environment
        self.installation = installation
        self.now_us = now_us
        self.emitted = emitted
        self.outside = asyncio.Semaphore(limits.STEPS_AT_ONCE)
        self.is_stopping = False  # steps under way end, none is started

    async def run(self, state: RunState, walkable: Walkable) -> Ended | None:
        """Take a claimed run as far as it goes; None when it is no longer this engine's."""
        execution = Execution(self, state, walkable.plan)
        try:
            is_first = not state.steps and not state.is_retry
            where = walkable.filters.get(state.trigger) if is_first else None
            if where is not None and (ended := await execution.filtered(where)) is not None:
                return ended
            return await execution.go()
        except Fenced:
            return None

    async def refuse(self, state: RunState, error: NodeError) -> Ended | None:
        """End a run that cannot be walked; None when it is no longer this engine's."""
        shape = {"message": error.message, "code": error.code, "node": None}
        now = from_us(self.now_us())
        is_ended = await self.journal.call(lambda session: engine_rows.fail(session, state.id, state.epoch, shape, now))
        return Ended("failed") if is_ended else None

    async def end(self, state: RunState, status: str, error: dict[str, Any] | None) -> Ended:
        """Record the end of a run."""
        text = None if error is None else orjson.dumps(error).decode()
        await self.journal.finish(state.epoch, RunWrite(state.id, status, text, None, self.now_us()))
        return Ended(status)
