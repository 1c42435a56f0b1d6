"""Callers that wait for a run's answer: it is handed to them when its step is durable, or read from there."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, select

from nodes.spec import NodeType
from runtime.engine_api import RunResponse
from runtime.errors import Problem, Unavailable
from runtime.sealing import Seals
from storage.database import Database
from storage.tables import FlowVersion, RunRow, StepRow

KEPT_FLOWS = 256
STOPPING = Problem("engine.stopping", "The engine is stopping.")


class Responses:
    """One for an engine. ``answered`` and ``ended`` are called in its event loop after the commit."""

    def __init__(self, database: Database, seals: Seals, types: Mapping[str, NodeType]) -> None:
        self._database = database
        self._seals = seals
        self._types = types
        self._waiters: dict[int, list[asyncio.Future[RunResponse | None]]] = {}
        self._answer_nodes: OrderedDict[tuple[str, int], list[str]] = OrderedDict()

    def answered(self, run_id: int, output: dict[str, Any] | None) -> None:
        """Hand the first answer of a run to whoever waits for it."""
        for waiter in self._waiters.get(run_id, ()):
            if output is not None and not waiter.done():
                waiter.set_result(RunResponse(run_id, "running", output))

    def ended(self, run_id: int) -> None:
        """Let whoever waits for a run's answer look at how it ended."""
        for waiter in self._waiters.get(run_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, run_id: int, timeout_s: float) -> RunResponse:
        """Return a run's answer, or that it ended without; or how it is after *timeout_s*. Raises Unavailable."""
        waiter: asyncio.Future[RunResponse | None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(run_id, []).append(waiter)
        try:
            found = await asyncio.to_thread(self._stored, run_id)  # it may be over already
            if found.answer is not None or found.has_ended:
                return found
            async with asyncio.timeout(timeout_s):
                told = await waiter
            return await asyncio.to_thread(self._stored, run_id) if told is None else told
        except TimeoutError:
            return await asyncio.to_thread(self._stored, run_id)
        finally:
            self._waiters[run_id].remove(waiter)
            if not self._waiters[run_id]:
                del self._waiters[run_id]

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

    def _output_of(self, step: StepRow) -> dict[str, Any]:
        """Return what the step answered in clear; masked where what was locked is gone."""
        found = self._seals.open(step.sealed) if step.sealed else None
        output: dict[str, Any] = step.output or {} if found is None else found.value
        return output
