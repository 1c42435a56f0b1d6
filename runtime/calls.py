"""Calling a node: inline, awaited, in a thread on a read connection, or in the journal's transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from sqlmodel import Session

from nodes.spec import NodeError, Output, Result, Routed, TemporaryError
from runtime.context import RunContext, StepContext, cause
from runtime.graph import PlanNode
from runtime.outbox import NewEvent
from runtime.steps import Outcome, Prepared, outcome, planned, took_too_long, unexpected
from storage.errors import StorageBusy, StorageError, StorageFull

Found = TypeVar("Found")


class Calls:
    """The calls of one run."""

    def __init__(self, common: RunContext) -> None:
        self.common = common
        self._platform = common.platform
        self._run = common.run

    def inline(self, node: PlanNode, prepared: Prepared, iteration: str) -> Result:
        """Call a node that neither waits nor touches the platform."""
        return _called(node, prepared, StepContext(self.common, node.id, iteration))

    async def awaited(self, node: PlanNode, prepared: Prepared, iteration: str) -> Result:
        """Call a node that waits for the outside. Raises TemporaryError when it takes longer than it may."""
        assert node.type.run is not None
        if not node.type.is_async:
            return await self._limited(node, asyncio.to_thread(self.inline, node, prepared, iteration))
        answer = node.type.run(prepared.params, StepContext(self.common, node.id, iteration))
        return await self._limited(node, answer)  # type: ignore[arg-type]

    async def reading(self, node: PlanNode, prepared: Prepared, iteration: str) -> Result:
        """Call a node that reads tables, in a thread."""

        def read() -> Result:
            with self._platform.database.read() as session:
                return _called(node, prepared, StepContext(self.common, node.id, iteration, session, is_read_only=True))

        return await self._limited(node, asyncio.to_thread(read))

    def simulated(self, node: PlanNode, prepared: Prepared, iteration: str) -> Outcome:
        """Return what the node says it would do; for a thread."""
        assert node.type.plan is not None
        with self._platform.database.read() as session:
            plan = node.type.plan(
                prepared.params, StepContext(self.common, node.id, iteration, session, is_read_only=True)
            )
        return planned(plan, node.passes_on or "out")

    async def before(self, node: PlanNode, prepared: Prepared, iteration: str) -> Any:
        """Return what a node that writes has to wait for outside of its transaction."""
        if node.type.before is None:
            return None
        return await self._limited(
            node, node.type.before(prepared.params, StepContext(self.common, node.id, iteration))
        )

    def writing(
        self, node: PlanNode, prepared: Prepared, iteration: str, session: Session, given: Any
    ) -> tuple[Outcome, list[int]]:
        """Call a node in the transaction of *session*; also return the runs that its events make due."""
        context = StepContext(self.common, node.id, iteration, session, prepared=given)
        result = _called(node, prepared, context)
        assert isinstance(result, Output | Routed)  # what writes ends with its transaction
        return outcome(result), context.emitted

    def cause(self, event_name: str) -> NewEvent:
        """Return what led to an event that this run reports."""
        return cause(self._run, event_name)

    def approval_token(self, node: str, iteration: str) -> str:
        """Return the token with which a person decides on a step that waits for it."""
        return self.common.approval_token(node, iteration)

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
            raise took_too_long(node) from error


def _called(node: PlanNode, prepared: Prepared, context: StepContext) -> Result:
    assert node.type.run is not None
    return node.type.run(prepared.params, context)  # type: ignore[return-value]
