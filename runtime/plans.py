"""The plans that runs walk, made once for each published version and kept while they are used."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nodes.spec import NodeError, NodeType
from runtime import document, graph
from runtime.errors import Invalid
from runtime.expressions import Value, compile_condition
from runtime.graph import FlowPlan
from storage.database import Database
from storage.journal_runs import RunState
from storage.tables import FlowVersion

KEPT = 256


@dataclass(frozen=True, slots=True)
class Walkable:
    """A plan, and for each trigger the filter that its events have to pass, if it has one."""

    plan: FlowPlan
    filters: Mapping[str, Value] = field(default_factory=dict)


class Plans:
    """Reads published versions; they never change, so neither does what is kept."""

    def __init__(self, database: Database, types: Mapping[str, NodeType]) -> None:
        self._database = database
        self._types = types
        self._kept: OrderedDict[tuple[str, int], Walkable] = OrderedDict()

    def known(self, run: RunState) -> Walkable | None:
        """Return what *run* walks if that is kept."""
        found = None if run.document is not None else self._kept.get((run.flow_id, run.version or 0))
        return found if found is not None and run.trigger in found.plan.parts else None

    async def of(self, run: RunState) -> Walkable:
        """Return what *run* walks; raises NodeError when it cannot be walked any more."""
        if run.document is not None or run.version is None:
            return await asyncio.to_thread(self._made, run.document, run.trigger)
        key = (run.flow_id, run.version)
        if (found := self._kept.get(key)) is None:
            found = await asyncio.to_thread(self._read, *key, run.trigger)
            self._kept[key] = found
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found

    def _read(self, flow_id: str, version: int, trigger: str) -> Walkable:
        with self._database.read() as session:
            row = session.get(FlowVersion, (flow_id, version))
            data = row.document if row else None
        return self._made(data, trigger)

    def _made(self, data: dict[str, Any] | None, trigger: str) -> Walkable:
        if data is None:
            raise NodeError("The version of the flow that this run belongs to was deleted.", code="flow.version_gone")
        parsed, problems = document.parse(data)
        try:
            plan = None if parsed is None else graph.plan(parsed, self._types)
        except Invalid as error:
            plan, problems = None, error.problems
        if plan is None or trigger not in plan.parts:
            reasons = " ".join(problem.message for problem in problems[:3]) or f"It has no trigger {trigger!r}."
            raise NodeError(f"The flow cannot be run by this version of Pulsewire. {reasons}", code="flow.unreadable")
        return Walkable(plan, {name: value for name in plan.triggers if (value := _filter(plan, name)) is not None})


def _filter(plan: FlowPlan, trigger: str) -> Value | None:
    node = plan.nodes[trigger]
    if node.type.listen is None or node.is_disabled:
        return None
    where = node.type.listen(node.type.params.model_validate(node.raw_params)).where
    return None if where is None else compile_condition(where)
