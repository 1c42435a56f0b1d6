"""Nodes that were cut from a canvas at once after they were selected, before it had their records."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = Any
Operations: TypeAlias = list[dict[str, Json]]
KEPT = 500


class CutNodes:
    """Remembers what one page deleted, so that pasting it brings the parameters back."""

    def __init__(self) -> None:
        self._nodes: dict[str, dict[str, Json]] = {}

    def completed(self, operations: Operations, document: dict[str, Json]) -> Operations:
        """Return *operations* with copies of deleted nodes filled in; *document* may be a moment behind."""
        present = {node["id"]: node for node in document["nodes"]}
        for operation in operations:
            if operation.get("op") == "del_node" and operation.get("id") in present:
                self._nodes[operation["id"]] = present[operation["id"]]
        for node_id in list(self._nodes)[:-KEPT]:
            del self._nodes[node_id]
        return [self._filled_in(operation) for operation in operations]

    def _filled_in(self, operation: dict[str, Json]) -> dict[str, Json]:
        given = operation.get("node")
        if operation.get("op") != "add_node" or not isinstance(given, dict):
            return operation
        source = self._nodes.get(given.get("copy_of", ""))
        if source is None or source["type"] != given.get("type"):
            return operation
        return {**operation, "node": {**source, **{key: value for key, value in given.items() if key != "copy_of"}}}
