"""What the nodes that work on rows share: the table they name, and the rule for picking every row of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import Field

from nodes.spec import Json, NodeError, Report, ReportsOf, ui

TableName: TypeAlias = Annotated[
    str,
    Field(
        title="Table",
        description="Name or id of the data table.",
        min_length=1,
        max_length=100,
        json_schema_extra=ui("table", placeholder="orders"),
    ),
]


def of_row(event: str) -> ReportsOf:
    """Return what a node reports that adds, changes or deletes rows of its table."""
    return lambda params: (Report(event, {"Name": params.get("table")}),)


def require_choice(where: Mapping[str, Json], *, is_all: bool) -> None:
    """Raise NodeError when *where* picks every row though nobody asked for all of them."""
    if not is_all and picks_all(where):
        message = "“Where” picks no particular rows. Fill it in, or switch on “All rows” if every row is meant."
        raise NodeError(message, code="rows.where_empty", param="where")


def picks_all(where: Json) -> bool:
    """Return whether *where* compares nothing, so that every row fits: ``{}``, ``{"and": []}``, ``{"or": [{}]}`` …"""
    if not isinstance(where, Mapping):
        return False
    return all(_is_always_true(key, value) for key, value in where.items())


def _is_always_true(key: str, value: Json) -> bool:
    if key == "and" and isinstance(value, list):
        return all(picks_all(part) for part in value)
    if key == "or" and isinstance(value, list):
        return any(picks_all(part) for part in value)
    return isinstance(value, Mapping) and not value
