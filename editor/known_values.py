"""What is known of the values that a node's expressions can use, while its form is open."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from nodes.spec import ERROR, NodeType
from runtime.declared import Columns
from runtime.document import parse
from runtime.knowledge import Knowledge
from runtime.run_views import RunView
from runtime.shapes import NOTHING, Shape

Json: TypeAlias = Any


class KnownValues:
    """Knows a draft, and remembers what it found out until the draft, the tables or the last run are others."""

    def __init__(self, types: Mapping[str, NodeType], environment: Collection[str]) -> None:
        self._types = types
        self._environment = environment
        self._looked_at: tuple[object, object, object] = (None, None, None)
        self._knowledge: Knowledge | None = None

    def scope_at(
        self,
        document: Mapping[str, Json],
        node_id: str | None,
        param: str | None = None,
        *,
        columns: Columns,
        run: RunView | None,
    ) -> Mapping[str, Shape] | None:
        """Return what each name (without ``$``) stands for in a node of the draft, and in one of its parameters.

        *node_id* None: before a run begins, whichever trigger starts it. *run* is the last one, for examples. None when
        there is no such node.
        """
        now = (document, columns, run)
        if not all(was is same for was, same in zip(self._looked_at, now, strict=True)):
            self._looked_at = now
            self._knowledge = self._look_at(*now)
        if node_id is None and self._knowledge is not None:
            return {"param": self._knowledge.payload_of_any()}
        if node_id is None or self._knowledge is None or self._knowledge.document.node(node_id) is None:
            return None
        return self._knowledge.scope_of(node_id, param)

    def _look_at(self, document: Mapping[str, Json], columns: Columns, run: RunView | None) -> Knowledge | None:
        parsed, _problems = parse(document)
        if parsed is None:
            return None
        pinned = ((node.id, node.pinned) for node in parsed.nodes if node.pinned)
        outputs = {node_id: pin.output for node_id, pin in pinned if pin.output and pin.port != ERROR.name}
        outputs |= {step.node: step.output for step in run.steps if step.output} if run else {}
        return Knowledge(
            parsed,
            self._types,
            columns=columns,
            outputs=outputs,
            payload=run.payload if run else NOTHING,
            environment=self._environment,
        )
