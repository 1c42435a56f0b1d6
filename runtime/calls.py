"""Calling a node: inline, awaited, in a thread on a read connection, or in the journal's transaction."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from sqlmodel import Session

from nodes.spec import NodeError, TemporaryError
from runtime.context import StepContext
from runtime.graph import PlanNode
from runtime.platform import Platform
from runtime.records import Records
from runtime.steps import Outcome, Prepared, outcome, planned, unexpected
from storage.errors import StorageBusy, StorageError, StorageFull
from storage.journal_runs import RunState


class Calls:
    """The calls of one run; *now* is its start, *installation* the beginning of its idempotency keys.

    *records* know what must not stand in clear.
    """

    def __init__(self, platform: Platform, run: RunState, now: datetime, installation: str, records: Records) -> None:
        self._platform = platform
        self._run = run
        self._now = now
        self._installation = installation
        self._records = records

    def inline(self, node: PlanNode, prepared: Prepared) -> Outcome:
        """Call a node that neither waits nor touches the platform."""
        return _called(node, prepared, self._context(node))

    async def awaited(self, node: PlanNode, prepared: Prepared) -> Outcome:
        """Call a node that waits for the outside."""
        assert node.type.run is not None
        if not node.type.is_async:
            return await asyncio.to_thread(self.inline, node, prepared)
        return outcome(await node.type.run(prepared.params, self._context(node)))  # type: ignore[misc]

    def simulated(self, node: PlanNode, prepared: Prepared) -> Outcome:
        """Return what the node says it would do; for a thread."""
        assert node.type.plan is not None
        with self._platform.database.read() as session:
            return planned(node.type.plan(prepared.params, self._context(node, session, is_read_only=True)))

    def reading(self, node: PlanNode, prepared: Prepared) -> Outcome:
        """Call a node that reads tables; for a thread."""
        with self._platform.database.read() as session:
            return _called(node, prepared, self._context(node, session, is_read_only=True))

    async def before(self, node: PlanNode, prepared: Prepared) -> Any:
        """Return what a node that writes has to wait for outside of its transaction."""
        return None if node.type.before is None else await node.type.before(prepared.params, self._context(node))

    def writing(self, node: PlanNode, prepared: Prepared, session: Session, given: Any) -> tuple[Outcome, list[int]]:
        """Call a node in the transaction of *session*; also return the runs that its events start."""
        context = self._context(node, session, given=given)
        return _called(node, prepared, context), context.emitted

    def as_node_error(self, error: Exception, node: PlanNode) -> NodeError:
        """Return what the person is told of *error*."""
        if isinstance(error, NodeError):
            return error
        if isinstance(error, StorageError):
            code = {StorageFull: "storage.full", StorageBusy: "storage.busy"}.get(type(error), "storage.unavailable")
            return TemporaryError(str(error), code=code)
        return unexpected(error, self._run.id, node.type)

    def _context(
        self, node: PlanNode, session: Session | None = None, *, is_read_only: bool = False, given: Any = None
    ) -> StepContext:
        return StepContext(
            self._platform,
            self._run,
            f"{self._installation}-{self._run.id}:{node.id}:",
            self._now,
            session,
            is_read_only=is_read_only,
            secrets=self._records.secrets,
            keep_secret=self._records.keep_secret,
            prepared=given,
        )


def _called(node: PlanNode, prepared: Prepared, context: StepContext) -> Outcome:
    assert node.type.run is not None
    return outcome(node.type.run(prepared.params, context))  # type: ignore[arg-type]
