"""A flow document while it is edited, and what all editing operations share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from nodes.spec import NodeType
from runtime import wording
from runtime.document import PLACE
from runtime.errors import Problem

Json: TypeAlias = Any
Operation: TypeAlias = dict[str, Json]
Types: TypeAlias = Mapping[str, NodeType]
Step: TypeAlias = "tuple[Operation, list[Operation]] | None"  # as done, and what takes it back; None: no change


class Refused(Exception):
    """The operation cannot be done; nothing was changed."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems


class Draft:
    """A document being edited: lists and objects are replaced on change, never changed in place."""

    def __init__(self, document: dict[str, Json], types: Types) -> None:
        self.document = document
        self.types = types

    def put(self, **parts: Json) -> None:
        self.document = {key: parts.get(key, value) for key, value in self.document.items()}

    @property
    def nodes(self) -> list[dict[str, Json]]:
        return self.document["nodes"]  # type: ignore[no-any-return]

    @property
    def edges(self) -> list[dict[str, Json]]:
        return self.document["edges"]  # type: ignore[no-any-return]

    @property
    def layout(self) -> dict[str, list[Json]]:
        return self.document["layout"]  # type: ignore[no-any-return]

    def find(self, node_id: Json) -> dict[str, Json] | None:
        return next((node for node in self.nodes if node["id"] == node_id), None)

    def need(self, node_id: Json) -> dict[str, Json]:
        if (node := self.find(node_id)) is None:
            shown = wording.shown(str(node_id))
            raise Refused(Problem("node.unknown", f"There is no node “{shown}”; it may have been deleted."))
        return node

    def place(self, places: Mapping[str, list[Json] | None]) -> None:
        """Set or (None) forget places; the layout stays in the order of the nodes."""
        merged = {**self.layout, **places}
        self.put(layout={n["id"]: merged[n["id"]] for n in self.nodes if merged.get(n["id"]) is not None})


def object_in(operation: Operation, key: str, default: dict[str, Json] | None = None) -> dict[str, Json]:
    """Return the object under *key*. Raises Refused when there is none."""
    value = operation.get(key, default)
    if not isinstance(value, dict):
        raise Refused(Problem("operation.invalid", f"The operation needs “{key}”, an object."))
    return value


def place_of(value: Json) -> list[Json]:
    """Return ``[x, y]`` as the layout holds it. Raises Refused for anything else."""
    if (
        not isinstance(value, list)
        or len(value) != 2
        or not all(type(part) in (int, float) and abs(part) <= PLACE for part in value)
    ):
        raise Refused(Problem("operation.invalid", "A place is a list of two numbers, [x, y]."))
    return [round(part, 1) if isinstance(part, float) and not part.is_integer() else int(part) for part in value]


def index_in(operation: Operation, end: int) -> int:
    """Return the former position that an inverse asks for, or the end."""
    index = operation.get("index")
    return index if type(index) is int and 0 <= index <= end else end


def same(one: Json, other: Json) -> bool:
    """Whether two values are the same JSON: unlike in Python, 1 is not true and not 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
