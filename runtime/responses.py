"""Callers that wait for a run's answer: it is handed to them when its step is durable, or read from there."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from sqlmodel import Session, col, select

from nodes.spec import NodeType
from runtime.engine_api import RunResponse
from runtime.errors import Problem, Unavailable
from runtime.sealing import Seals
from storage.database import Database
from storage.tables import FlowVersion, RunRow, StepRow

KEPT_FLOWS = 256
KEPT_RUNS = 100_000  # that were told of
STOPPING = Problem("engine.stopping", "The engine is stopping.")


class Responses:
    """One for an engine. ``answered`` and ``left`` are called in its event loop after the commit."""

    def __init__(
        self,
        database: Database,
        seals: Seals,
        types: Mapping[str, NodeType],
        works_on: Callable[[int], bool] = lambda _run_id: False,
    ) -> None:
        self._database = database
        self._seals = seals
        self._types = types
        self._works_on = works_on
        self._before = 0  # the last run of an engine before this one
        self._told_of: OrderedDict[int, None] = OrderedDict()  # runs that have answered, or left the executor
        self._waiters: dict[int, list[asyncio.Future[RunResponse | None]]] = {}
        self._answer_nodes: OrderedDict[tuple[str, int], list[str]] = OrderedDict()

    def start(self) -> None:
        """Look where this engine's own runs begin; call it before it works on any."""
        with self._database.look() as connection:
            found = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'run'").first()
        self._before = 0 if found is None else int(found[0])

    def answered(self, run_id: int, output: dict[str, Any] | None) -> None:
        """Hand the first answer of a run to whoever waits for it."""
        if output is None:
            return
        self._tell(run_id, RunResponse(run_id, "running", output))

    def left(self, run_id: int) -> None:
        """Let whoever waits for a run's answer look at it: it has ended, or waits for something itself."""
        self._tell(run_id, None)

    async def wait(self, run_id: int, timeout_s: float) -> RunResponse:
        """Return a run's answer, or that it ended without; or how it is after *timeout_s*. Raises Unavailable."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    found = await self._told(run_id)
                    if found.answer is not None or found.has_ended:
                        return found
        return await asyncio.to_thread(self._stored, run_id)

    def _tell(self, run_id: int, response: RunResponse | None) -> None:
        self._told_of[run_id] = None
        if len(self._told_of) > KEPT_RUNS:
            self._told_of.popitem(last=False)
        for waiter in self._waiters.get(run_id, ()):
            if not waiter.done():
                waiter.set_result(response)

    async def _told(self, run_id: int) -> RunResponse:
        """Return a run's answer, or how it is when it leaves the executor, which it does also to wait."""
        waiter: asyncio.Future[RunResponse | None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(run_id, []).append(waiter)
        try:
            if not self._is_silent(run_id):
                found = await asyncio.to_thread(self._stored, run_id)
                if found.answer is not None or found.has_ended:
                    return found
            told = await waiter
            return await asyncio.to_thread(self._stored, run_id) if told is None else told
        finally:
            self._waiters[run_id].remove(waiter)
            if not self._waiters[run_id]:
                del self._waiters[run_id]

    def _is_silent(self, run_id: int) -> bool:
        """Return whether the run is under way here and nothing was told of it, so that what comes will be."""
        return run_id > self._before and run_id not in self._told_of and self._works_on(run_id)

    def close(self) -> None:
        """Tell everyone who waits that nothing more comes from here."""
        for waiter in [waiter for waiters in self._waiters.values() for waiter in waiters]:
            if not waiter.done():
                waiter.set_exception(Unavailable(STOPPING))

    def _stored(self, run_id: int) -> RunResponse:
        with self._database.read() as session:
            run = session.get(RunRow, run_id)
            if run is None:
                return RunResponse(run_id, "removed")
            step = self._answer_step(session, run)
            if step is not None:
                return RunResponse(run_id, run.status, self._output_of(step))
            return RunResponse(run_id, run.status)

    def _answer_step(self, session: Session, run: RunRow) -> StepRow | None:
        """Return the step that answered first."""
        nodes = self._nodes(session, run)
        if not nodes:
            return None
        query = select(StepRow).where(StepRow.run_id == run.id, col(StepRow.node).in_(nodes))
        done = session.exec(query.where(StepRow.status == "succeeded").order_by(col(StepRow.ended_at))).first()
        return None if done is None or done.output is None else done

    def _nodes(self, session: Session, run: RunRow) -> list[str]:
        if run.version is None:
            return self._answering(run.document)
        key = (run.flow_id, run.version)
        if key not in self._answer_nodes:
            version = session.get(FlowVersion, key)
            self._answer_nodes[key] = self._answering(None if version is None else version.document)
            if len(self._answer_nodes) > KEPT_FLOWS:
                self._answer_nodes.popitem(last=False)
        return self._answer_nodes[key]

    def _answering(self, document: Mapping[str, Any] | None) -> list[str]:
        nodes = (document or {}).get("nodes", ())
        return [node["id"] for node in nodes if node["type"] in self._types and self._types[node["type"]].is_answer]

    def _output_of(self, step: StepRow) -> dict[str, Any] | None:
        """Return what the step answered, in clear; None where what was locked is gone: masks answer nobody."""
        if step.sealed is None:
            return step.output
        found = self._seals.open(step.sealed)
        output: dict[str, Any] | None = None if found is None else found.value
        return output
