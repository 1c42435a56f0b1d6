"""Calling a node: inline, awaited, in a thread on a read connection, or in the journal's transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sqlmodel import Session

from nodes.spec import NodeError, Output, Result, Routed, TemporaryError
from runtime import waits
from runtime.context import StepContext, cause
from runtime.graph import PlanNode
from runtime.outbox import NewEvent
from runtime.platform import Platform
from runtime.records import Records
from runtime.steps import Outcome, Prepared, outcome, planned, unexpected
from storage.errors import StorageBusy, StorageError, StorageFull
from storage.journal_runs import RunState

Found = TypeVar("Found")


class Calls:
    """The calls of one run; *now* is its start, *installation* the beginning of its idempotency keys.

    *records* know what must not stand in clear.
    """

    def __init__(
        self,
        platform: Platform,
        run: RunState,
        now: datetime,
        installation: str,
        records: Records,
        clock: Callable[[], datetime],
    ) -> None:
        self._platform = platform
        self._run = run
        self._now = now
        self._installation = installation
        self._records = records
        self._clock = clock

    def inline(self, node: PlanNode, prepared: Prepared, iteration: str) -> Result:
        """Call a node that neither waits nor touches the platform."""
        return _called(node, prepared, self._context(node, iteration))

    async def awaited(self, node: PlanNode, prepared: Prepared, iteration: str) -> Result:
        """Call a node that waits for the outside. Raises TemporaryError when it takes longer than it may."""
        assert node.type.run is not None
        if not node.type.is_async:
            return await self._limited(node, asyncio.to_thread(self.inline, node, prepared, iteration))
        answer = node.type.run(prepared.params, self._context(node, iteration))
        return await self._limited(node, answer)  # type: ignore[arg-type]

    async def reading(self, node: PlanNode, prepared: Prepared, iteration: str) -> Result:
        """Call a node that reads tables, in a thread."""

        def read() -> Result:
            with self._platform.database.read() as session:
                return _called(node, prepared, self._context(node, iteration, session, is_read_only=True))

        return await self._limited(node, asyncio.to_thread(read))

    def simulated(self, node: PlanNode, prepared: Prepared, iteration: str) -> Outcome:
        """Return what the node says it would do; for a thread."""
        assert node.type.plan is not None
        with self._platform.database.read() as session:
            plan = node.type.plan(prepared.params, self._context(node, iteration, session, is_read_only=True))
        return planned(plan, node.passes_on or "out")

    async def before(self, node: PlanNode, prepared: Prepared, iteration: str) -> Any:
        """Return what a node that writes has to wait for outside of its transaction."""
        if node.type.before is None:
            return None
        return await self._limited(node, node.type.before(prepared.params, self._context(node, iteration)))

    def writing(
        self, node: PlanNode, prepared: Prepared, iteration: str, session: Session, given: Any
    ) -> tuple[Outcome, list[int]]:
        """Call a node in the transaction of *session*; also return the runs that its events make due."""
        context = self._context(node, iteration, session, given=given)
        result = _called(node, prepared, context)
        assert isinstance(result, Output | Routed)  # what writes ends with its transaction
        return outcome(result), context.emitted

    def cause(self, event_name: str) -> NewEvent:
        """Return what led to an event that this run reports."""
        return cause(self._run, event_name)

    def as_node_error(self, error: Exception, node: PlanNode) -> NodeError:
        """Return what the person is told of *error*."""
        if isinstance(error, NodeError):
            return error
        if isinstance(error, StorageError):
            code = {StorageFull: "storage.full", StorageBusy: "storage.busy"}.get(type(error), "storage.unavailable")
            return TemporaryError(str(error), code=code)
        return unexpected(error, self._run.id, node.type)

    async def _limited(self, node: PlanNode, work: Awaitable[Found]) -> Found:
        if node.timeout_s is None:
            return await work
        try:
            async with asyncio.timeout(node.timeout_s) as limit:
                return await work
        except TimeoutError as error:
            if not limit.expired():
                raise
            message = f"The step did not end within {node.timeout_s:g} seconds."
            raise TemporaryError(message, code="step.timeout") from error

    def _context(
        self,
        node: PlanNode,
        iteration: str,
        session: Session | None = None,
        *,
        is_read_only: bool = False,
        given: Any = None,
    ) -> StepContext:
        return StepContext(
            self._platform,
            self._run,
            f"{self._installation}-{self._run.id}:{node.id}:{iteration}",
            self._now,
            session,
            is_read_only=is_read_only,
            secrets=self._records.secrets,
            keep_secret=self._records.keep_secret,
            prepared=given,
            approval_link=partial(self._approval_link, node.id, iteration),
            clock=self._clock,
        )

    def approval_token(self, node: str, iteration: str) -> str:
        """Return the token with which a person decides on a step that waits for it."""
        return waits.approval_token(self._platform.seals, self._installation, self._run.id, node, iteration)

    def _approval_link(self, node: str, iteration: str) -> str:
        return f"{self._platform.public_url}/approve/{self.approval_token(node, iteration)}"


def _called(node: PlanNode, prepared: Prepared, context: StepContext) -> Result:
    assert node.type.run is not None
    return node.type.run(prepared.params, context)  # type: ignore[return-value]
