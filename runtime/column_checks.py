"""Columns that a node names and its data table does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeAlias

from nodes.spec import NodeType
from runtime import wording
from runtime.declared import OWN
from runtime.document import Node
from runtime.errors import Problem
from runtime.expressions import has_expression
from runtime.param_checks import Field, fields_of

Json: TypeAlias = Any
JOINS = ("and", "or")


def check_columns(
    node: Node, node_type: NodeType, columns: Mapping[str, Sequence[Mapping[str, Json]]]
) -> Iterator[Problem]:
    """Yield the columns to write, to compare and to sort by that the table of the node does not have."""
    fields = fields_of(node_type.params)
    table = next((node.params.get(name) for name, field in fields.items() if field.widget == "table"), None)
    found = columns.get(table) if isinstance(table, str) else None
    if found is None:
        return
    order = node_type.param_that_gives("order")
    known = [*(str(column.get("name")) for column in found), *OWN]
    for name, field in fields.items():
        value = node.params.get(name)
        if field.widget == "columns" and isinstance(value, dict):
            named: Iterator[tuple[tuple[str | int, ...], str]] = (((key,), key) for key in value)
        elif field.widget == "conditions":
            named = _compared(value, ())
        elif name == order and isinstance(value, str) and not has_expression(value):
            named = (((), part.strip().removeprefix("-")) for part in value.split(",") if part.strip())
        else:
            continue
        for path, key in named:
            if key not in known:
                yield _unknown(node, field, path, key, known)


def _compared(where: Json, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the columns that conditions name, and where they do."""
    if not isinstance(where, dict):
        return
    for key, value in where.items():
        if key in JOINS and isinstance(value, list):
            for index, part in enumerate(value):
                yield from _compared(part, (*path, key, index))
        elif key not in JOINS:
            yield (*path, key), key


def _unknown(node: Node, field: Field, path: tuple[str | int, ...], key: str, known: list[str]) -> Problem:
    close = get_close_matches(key, known, 1)
    hint = f"did you mean “{close[0]}”?" if close else f"there are: {wording.shown(', '.join(known), 200)}."
    message = f"{wording.shown(node.name)}: “{field.title}”: the table has no column “{wording.shown(key)}”; {hint}"
    return Problem("param.column_unknown", message, node.id, field.name, path=path)
