"""Runs: reading them, testing a draft, cancelling and retrying."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from nodes.spec import NodeType
from runtime.document import parse
from runtime.drafts import utcnow
from runtime.engine_api import EngineApi, TestRequest
from runtime.errors import Conflict, Invalid, NotFound, Problem, Unavailable
from runtime.flows import Flows
from runtime.graph import build, reachable_from
from runtime.manual import start_by_hand
from runtime.run_views import STATUSES, Page, RunSummary, RunView, StepView
from runtime.sealing import BLANK
from runtime.trials import Effects, prepare
from storage.database import Database
from storage.tables import EventRow, Flow, FlowVersion, RunRow, StepRow

TEST_WAIT_S = 60  # a test that takes longer is answered as it stands
LIST_LIMIT = 500
KEPT_ON_RETRY = ("succeeded", "skipped")


class Runs:
    """Everything that can be done with runs. Raises ``runtime.errors``."""

    def __init__(
        self,
        database: Database,
        flows: Flows,
        engine: EngineApi,
        types: Mapping[str, NodeType],
        *,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self._database = database
        self._flows = flows
        self._engine = engine
        self._types = types
        self._clock = clock

    def list(
        self,
        flow: str | None = None,
        status: str | None = None,
        after: int | None = None,
        limit: int = 50,
        is_test: bool | None = False,
    ) -> Page:
        """Return runs, the newest first, that are older than the run *after*; *is_test* None gives both kinds."""
        if status is not None and status not in STATUSES:
            raise Invalid(Problem("filter.invalid", f"“status” is one of {', '.join(STATUSES)}.", param="status"))
        query = select(RunRow, Flow.name, EventRow.name)
        query = query.outerjoin(Flow, col(Flow.id) == RunRow.flow_id)
        query = query.outerjoin(EventRow, col(EventRow.id) == RunRow.event_id)
        for column, value in ((RunRow.flow_id, flow), (RunRow.status, status)):
            if value is not None:
                query = query.where(col(column) == value)
        if is_test is not None:
            query = query.where(col(RunRow.is_test) if is_test else ~col(RunRow.is_test))
        # of tests few are kept: by “+ 0” they are sorted, and not looked for among all runs from the newest one on
        newest = (col(RunRow.id) + 0).desc() if is_test else col(RunRow.id).desc()
        if after is not None:
            query = query.where(col(RunRow.id) < after)
        limit = max(1, min(limit, LIST_LIMIT))
        with self._database.read() as session:
            rows = session.exec(query.order_by(newest).limit(limit + 1)).all()
        items = [RunSummary(**_summary(run, flow_name, event_name)) for run, flow_name, event_name in rows[:limit]]
        return Page(items, items[-1].id if len(rows) > limit else None)

    def get(self, run_id: int) -> RunView:
        """Return one run with its steps."""
        with self._database.read() as session:
            run = _row(session, run_id)
            flow = session.get(Flow, run.flow_id)
            event = session.get(EventRow, run.event_id) if run.event_id else None
            steps = session.exec(select(StepRow).where(StepRow.run_id == run_id)).all()
            document = _document(session, run)
        place = {node: index for index, node in enumerate(_order(document))}
        steps = sorted(steps, key=lambda step: (place.get(step.node, len(place)), step.iteration))
        return RunView(
            **_summary(run, flow.name if flow else None, event.name if event else None),
            payload=run.payload if run.payload is not None else (event.payload if event else {}),
            steps=tuple(_step(step) for step in steps),
            document=document,
        )

    async def start(self, flow_id: str, trigger: str | None = None, payload: dict[str, Any] | None = None) -> RunView:
        """Start the live version of a flow by hand, at its manual trigger, and return the queued run."""

        def queue() -> int:
            with self._database.write() as session:
                return start_by_hand(
                    session, flow_id, self._types, trigger=trigger, payload=payload or {}, now=self._clock()
                )

        return await self._queued(await asyncio.to_thread(queue))

    async def cancel(self, run_id: int) -> RunView:
        """Stop a run; Conflict when it has ended."""
        before = await asyncio.to_thread(self.get, run_id)
        if before.has_ended or not await self._engine.cancel(run_id):
            raise Conflict(Problem("run.ended", f"Run {run_id} has ended; there is nothing to cancel."))
        return await asyncio.to_thread(self.get, run_id)

    async def retry(self, run_id: int, from_: str | None = None, payload: dict[str, Any] | None = None) -> RunView:
        """Return a new run of the same version, queued; Conflict when the old one has not ended.

        With *from_*, what the old run did before that node is kept. *payload* replaces the old payload.
        """
        return await self._queued(await asyncio.to_thread(self._again, run_id, from_, payload))

    async def test(
        self,
        flow: str | dict[str, Any],
        trigger: str | None = None,
        payload: dict[str, Any] | None = None,
        sample: str | None = None,
        effects: Effects = "simulate",
        wait_s: float = TEST_WAIT_S,
    ) -> RunView:
        """Run a draft, given by id or as a document, and return the finished run."""
        run_id = await self.start_test(flow, trigger, payload, sample, effects)
        await self._engine.wait(run_id, wait_s)
        return await asyncio.to_thread(self.get, run_id)

    async def start_test(
        self,
        flow: str | dict[str, Any],
        trigger: str | None = None,
        payload: dict[str, Any] | None = None,
        sample: str | None = None,
        effects: Effects = "simulate",
    ) -> int:
        """Start to run a draft and return the run's id; Invalid when what would run has errors."""
        request = await asyncio.to_thread(self._prepare, flow, trigger, payload, sample, effects)
        return await self._engine.start_test(request)

    async def _queued(self, run_id: int) -> RunView:
        with suppress(Unavailable):  # then it starts when the engine does
            await self._engine.wake()
        return await asyncio.to_thread(self.get, run_id)

    def _prepare(
        self,
        flow: str | dict[str, Any],
        trigger: str | None,
        payload: dict[str, Any] | None,
        sample: str | None,
        effects: Effects,
    ) -> TestRequest:
        document = self._flows.get(flow).draft if isinstance(flow, str) else flow
        parsed, problems = parse(document)
        if parsed is None:
            raise Invalid(*problems)
        return prepare(parsed, self._flows.check(document), self._types, trigger, payload, sample, effects)

    def _again(self, run_id: int, from_: str | None, payload: dict[str, Any] | None) -> int:
        with self._database.write() as session:
            old = _row(session, run_id)
            if old.ended_at is None:
                raise Conflict(Problem("run.not_ended", f"Run {run_id} is still going. Cancel it, or wait."))
            new = RunRow(
                flow_id=old.flow_id,
                version=old.version,
                document=old.document,
                trigger=old.trigger,
                event_id=old.event_id,
                payload=old.payload if payload is None else payload,
                is_test=old.is_test,
                is_simulated=old.is_simulated,
                parent_run=run_id,
                created_at=self._clock(),
            )
            session.add(new)
            session.flush()
            assert new.id is not None
            if from_ is not None:
                self._keep_before(session, old, from_, new.id)
            return new.id

    def _keep_before(self, session: Session, old: RunRow, node: str, new_id: int) -> None:
        parsed, _ = parse(_document(session, old))
        edges = [(edge.source, edge.target) for edge in parsed.edges] if parsed else []
        if node not in reachable_from([old.trigger], edges):
            raise Invalid(Problem("run.node_unknown", f"Run {old.id} has no step “{node[:80]}”.", param="from"))
        again = reachable_from([node], edges)
        for step in session.exec(select(StepRow).where(StepRow.run_id == old.id)).all():
            is_settled = step.status in KEPT_ON_RETRY or step.port is not None  # failed, and passed over
            if step.node not in again and is_settled:
                sealed = None if step.sealed is None else BLANK  # a secret does not outlive its run
                session.add(StepRow(**(step.model_dump() | {"run_id": new_id, "sealed": sealed})))


def _row(session: Session, run_id: int) -> RunRow:
    run = session.get(RunRow, run_id) if 0 < run_id < 2**63 else None
    if run is None:
        raise NotFound(Problem("run.not_found", f"There is no run {run_id}."))
    return run


def _document(session: Session, run: RunRow) -> dict[str, Any] | None:
    if run.document is not None or run.version is None:
        return run.document
    version = session.get(FlowVersion, (run.flow_id, run.version))
    return version.document if version else None


def _order(document: dict[str, Any] | None) -> list[str]:
    parsed = parse(document)[0] if document else None
    if parsed is None:
        return []
    import networkx

    graph = build(parsed)
    return list(networkx.topological_sort(graph)) if networkx.is_directed_acyclic_graph(graph) else list(graph)


def _summary(run: RunRow, flow_name: str | None, event_name: str | None) -> dict[str, Any]:
    return {
        "id": run.id,
        "flow": run.flow_id,
        "flow_name": flow_name,
        "version": run.version,
        "status": run.status,
        "trigger": run.trigger,
        "event_id": run.event_id,
        "event_name": event_name,
        "is_test": run.is_test,
        "is_simulated": run.is_simulated,
        "parent_run": run.parent_run,
        "error": run.error,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
    }


def _step(row: StepRow) -> StepView:
    return StepView(
        node=row.node,
        iteration=row.iteration,
        status=row.status,
        attempt=row.attempt,
        port=row.port,
        input=row.input,
        output=row.output,
        error=row.error,
        effect=row.effect,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
