"""Runs: reading them, testing a draft, cancelling, retrying and settling what is not known of a step."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from sqlmodel import col, select

from nodes.spec import NodeType
from runtime import bulk_cancels, bulk_retries, repeats, run_reading, settling, trial_rows, waits
from runtime.bulk_cancels import Cancelled
from runtime.bulk_retries import Failed, Retried
from runtime.document import parse
from runtime.drafts import utcnow
from runtime.engine_api import EngineApi, TestRequest
from runtime.errors import Conflict, Invalid, Problem, Unavailable
from runtime.flows import Flows
from runtime.limits import COMMENT_CHARS
from runtime.manual import start_by_hand
from runtime.repeats import Allow, Repeat, Version
from runtime.run_views import STATUSES, ItemPage, Page, RunView, StepView
from runtime.settling import Settle
from runtime.trials import WHOLE, Effects, Extent, prepare
from runtime.waits import Approval
from storage.database import Database
from storage.tables import EventRow, Flow, RunRow

TEST_WAIT_S = 60  # a test that takes longer is answered as it stands
LIST_LIMIT = 500


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
        approval_link: Callable[[str, int, str, str], str] | None = None,
    ) -> None:
        """*approval_link* makes a link of the installation, the run, the node and the item."""
        self._database = database
        self._approval_link = approval_link
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
        is_dead: bool | None = None,
    ) -> Page:
        """Return runs, the newest first, that are older than the run *after*; *is_test* None gives both kinds.

        *is_dead*: only those that were given up because they stopped one engine after the other, or only the others.
        """
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
        if is_dead is not None:
            query = query.where(col(RunRow.is_dead) if is_dead else ~col(RunRow.is_dead))
        # of tests few are kept: by “+ 0” they are sorted, and not looked for among all runs from the newest one on
        newest = (col(RunRow.id) + 0).desc() if is_test else col(RunRow.id).desc()
        if after is not None:
            query = query.where(col(RunRow.id) < after)
        limit = max(1, min(limit, LIST_LIMIT))
        with self._database.read() as session:
            rows = session.exec(query.order_by(newest).limit(limit + 1)).all()
            items = run_reading.summaries(session, rows[:limit])
        return Page(items, items[-1].id if len(rows) > limit else None)

    def get(self, run_id: int) -> RunView:
        """Return one run with its steps; of those inside loops the first, and how many there are."""
        with self._database.read() as session:
            return run_reading.read_run(session, run_id, self._types)

    def items(
        self,
        run_id: int,
        loop: str,
        *,
        within: str = "",
        status: str | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> ItemPage:
        """Return how the items of a loop fared, *limit* of them from *offset* on, or those of them with *status*.

        *within* is the item around a loop that is inside another.
        """
        limit = max(1, min(limit, LIST_LIMIT))
        with self._database.read() as session:
            return run_reading.read_items(
                session, run_id, loop, self._types, within=within, status=status, offset=max(0, offset), limit=limit
            )

    def item(self, run_id: int, iteration: str) -> builtins.list[StepView]:
        """Return the steps of one item of a loop, which is named by its number, as ``3``, within another as ``3.0``."""
        with self._database.read() as session:
            return run_reading.read_item(session, run_id, iteration, self._types)

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

    async def cancel_many(self, flow: str) -> Cancelled:
        """Stop the open runs of a flow, tests aside: at most ``limits.RETRIES`` at once, more are counted as left."""

        def read() -> tuple[list[int], int]:
            with self._database.read() as session:
                return bulk_cancels.meant(session, flow)

        found, left = await asyncio.to_thread(read)
        return await bulk_cancels.cancel(found, left, self._engine.cancel)

    async def retry(
        self,
        run_id: int,
        from_: str | None = None,
        payload: dict[str, Any] | None = None,
        *,
        from_failed: bool = False,
        version: Version = "then",
        allow: Allow | None = None,
    ) -> RunView:
        """Return a new run with the data of an old one, queued; Conflict when the old one has not ended.

        With *from_* it begins at that node, with *from_failed* where the old run got stuck; what the old run did
        before is kept. *payload* replaces the old payload. *version* is that of then or the live one. *allow* raises
        what forbids to run a document.
        """
        asked = Repeat(from_, payload, from_failed, version)

        def again() -> int:
            with self._database.read() as session:
                prepared = repeats.prepare(session, run_id, asked, self._types, self._clock(), allow)
            with self._database.write() as session:
                return repeats.store(session, prepared)

        return await self._queued(await asyncio.to_thread(again))

    def failed(self, failed: Failed) -> int:
        """Return how many runs *failed* describes."""
        with self._database.read() as session:
            found, left = bulk_retries.meant(session, failed)
        return len(found) + left

    async def retry_many(
        self,
        ids: Collection[int] | None = None,
        failed: Failed | None = None,
        *,
        from_failed: bool = False,
        version: Version = "then",
        allow: Allow | None = None,
    ) -> Retried:
        """Retry the runs *ids*, or those that *failed* describes, and return what became of each.

        At most ``limits.RETRIES`` at once; what *failed* describes beyond that is counted as left.
        """
        asked = Repeat(from_failed=from_failed, version=version)
        done = await asyncio.to_thread(
            bulk_retries.retry, self._database, ids, failed, asked, self._types, self._clock, allow
        )
        if done.started:
            await self._woken()
        return done

    async def resolve(
        self, run_id: int, node: str, action: Settle, *, output: dict[str, Any] | None = None, iteration: str = ""
    ) -> RunView:
        """Say how a step of unknown outcome goes on: it is called again, or counts as done with *output*."""

        def settle() -> None:
            with self._database.write() as session:
                settling.settle(session, run_id, node, iteration, action, output, self._clock(), self._types)

        await asyncio.to_thread(settle)
        return await self._queued(run_id)

    async def decide(
        self, run_id: int, node: str, approved: bool, comment: str = "", *, iteration: str = "", by: str = ""
    ) -> RunView:
        """Approve or reject what a step waits for; *by* is who did. Conflict when it was decided, or is too late."""
        place = {"run_id": run_id, "node": node, "iteration": iteration}
        await asyncio.to_thread(self._decide, approved, by, comment, **place)
        return await self._queued(run_id)

    def approvals(self, flow: str | None = None) -> builtins.list[Approval]:
        """Return what open runs wait to be approved, the oldest first; of one flow, if it is named."""
        with self._database.read() as session:
            return waits.open_approvals(session, self._clock(), flow)

    def approval_links(self, run_id: int) -> dict[tuple[str, str], str]:
        """Return where people decide on what a run waits to be approved, by node and item. Whoever has a link may."""
        with self._database.read() as session:
            asked = waits.open_approvals(session, self._clock(), run_id=run_id)
            installation = run_reading.installation(session)
        if self._approval_link is None:
            return {}
        return {
            (each.node, each.iteration): self._approval_link(installation, run_id, each.node, each.iteration)
            for each in asked
        }

    def approval(self, token: str) -> Approval | None:
        """Return what the link with *token* asks a person, None when there is no such link."""
        with self._database.read() as session:
            return waits.approval_of(session, token, self._clock())

    async def decide_by_link(self, token: str, approved: bool, comment: str, *, by: str) -> None:
        """Approve or reject by a link. Raises NotFound, and Conflict when it was decided, or is too late."""
        await asyncio.to_thread(self._decide, approved, by, comment, token=token)
        await self._woken()

    async def test(
        self,
        flow: str | dict[str, Any],
        trigger: str | None = None,
        payload: dict[str, Any] | None = None,
        sample: str | None = None,
        effects: Effects = "simulate",
        wait_s: float = TEST_WAIT_S,
        *,
        extent: Extent = WHOLE,
    ) -> RunView:
        """Run a draft, given by id or as a document, or the part *extent* of it, and return the finished run."""
        run_id = await self.start_test(flow, trigger, payload, sample, effects, extent=extent)
        await self._engine.wait(run_id, wait_s)
        return await asyncio.to_thread(self.get, run_id)

    async def start_test(
        self,
        flow: str | dict[str, Any],
        trigger: str | None = None,
        payload: dict[str, Any] | None = None,
        sample: str | None = None,
        effects: Effects = "simulate",
        *,
        extent: Extent = WHOLE,
    ) -> int:
        """Start to run a draft and return the run's id; Invalid when what would run has errors."""
        request = await asyncio.to_thread(self._prepare, flow, trigger, payload, sample, effects, extent)
        return await self._engine.start_test(request)

    def _decide(self, approved: bool, by: str, comment: str, **which: Any) -> None:
        if len(comment) > COMMENT_CHARS:
            message = f"A comment has at most {COMMENT_CHARS:,} characters."
            raise Invalid(Problem("approval.comment_too_long", message, param="comment"))
        with self._database.write() as session:
            waits.decide(session, **which, approved=approved, by=by, comment=comment, now=self._clock())

    async def _queued(self, run_id: int) -> RunView:
        await self._woken()
        return await asyncio.to_thread(self.get, run_id)

    async def _woken(self) -> None:
        with suppress(Unavailable):  # then it starts when the engine does
            await self._engine.wake()

    def _prepare(
        self,
        flow: str | dict[str, Any],
        trigger: str | None,
        payload: dict[str, Any] | None,
        sample: str | None,
        effects: Effects,
        extent: Extent,
    ) -> TestRequest:
        document = self._flows.get(flow).draft if isinstance(flow, str) else flow
        parsed, problems = parse(document)
        if parsed is None:
            raise Invalid(*problems)
        found = self._flows.check(document)
        with self._database.read() as session:
            earlier = partial(trial_rows.earlier, session, parsed.id, extent.run)
            return prepare(parsed, found, self._types, trigger, payload, sample, effects, extent, earlier)
