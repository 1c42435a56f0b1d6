"""Filters and sort orders of data tables, from JSON to SQL expressions; every value is bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import sqlalchemy as sa

from backend.datahub_schema import ORDER
from backend.datahub_values import TAKES, stored
from backend.errors import BackendError, Fault

LEVELS = 8
CONDITIONS = 200
LIST_ITEMS = 1_000
SEARCH_CHARS = 1_000
SORT_COLUMNS = 8

Clause: TypeAlias = sa.ColumnElement[bool]
ORDERED = ("text", "integer", "number", "date", "datetime", "uuid")
COMPARE: dict[str, Callable[[Any, Any], Clause]] = {
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
}
SAME: dict[str, Callable[[Any, Any], Clause]] = {
    "eq": lambda column, value: column == value,
    "ne": lambda column, value: column.is_distinct_from(value),
}
ALPHABETS = {  # what such values consist of as text, in lower case
    "integer": frozenset("-0123456789"),
    "number": frozenset("+-.0123456789e"),
    "date": frozenset("-0123456789"),
    "datetime": frozenset("-:. 0123456789"),
    "uuid": frozenset("-0123456789abcdef"),
}
LIKE = {"contains": "contains", "starts_with": "startswith"}
OPERATORS = (*SAME, *COMPARE, *LIKE, "in", "is_null")


def where_clause(table: sa.Table, types: Mapping[str, str], where: Any, field: str = "filter") -> Clause:
    """Return what a row has to fulfil; None and ``{}`` are fulfilled by every row.

    *where* is ``{"column": value}`` or ``{"column": {operator: value}}``, several are all meant; ``{"or": [...]}``
    and ``{"and": [...]}`` hold further objects. ``ne`` is also true of empty values; ``contains`` and
    ``starts_with`` ignore the case of A–Z. Raises BackendError with every fault.
    """
    reader = _Reader(table, types)
    clause = reader.all_of({} if where is None else where, field, LEVELS)
    if reader.faults:
        raise BackendError(*reader.faults)
    return clause


def search_clause(table: sa.Table, types: Mapping[str, str], text: Any) -> Clause:
    """Return the condition that the id or any column but a boolean contains *text*, ignoring the case of A–Z."""
    try:
        if len(stored("text", text)) > SEARCH_CHARS:
            raise ValueError
    except (TypeError, ValueError) as error:
        message = f"Search for text of at most {SEARCH_CHARS:,} characters."
        raise BackendError(Fault("filter.invalid", message, "search")) from error
    letters = set(text.lower())
    searched = [
        table.c[name] if kind == "text" else sa.cast(table.c[name], sa.Text)
        for name, kind in types.items()
        if kind != "boolean" and name not in ("created_at", "updated_at") and letters <= ALPHABETS.get(kind, letters)
    ]
    return sa.or_(sa.false(), *(column.contains(text, autoescape=True) for column in searched))


def sort_clauses(table: sa.Table, types: Mapping[str, str], sort: Any) -> list[sa.UnaryExpression[Any]]:
    """Return the order that *sort* names: columns separated by commas, ``-`` before one for descending.

    Equal rows keep the order they were added in, or its reverse where the first column is descending.
    """
    if sort is not None and not isinstance(sort, str):
        raise BackendError(Fault("sort.invalid", "A sort order is text such as “-created_at”.", "sort"))
    names = [name.strip() for name in (sort or "").split(",") if name.strip()]
    if len(names) > SORT_COLUMNS:
        raise BackendError(Fault("sort.invalid", f"Sort by at most {SORT_COLUMNS} columns.", "sort"))
    clauses = []
    for name in names:
        column = name.removeprefix("-")
        if types.get(column, "json") == "json":
            raise BackendError(Fault("sort.invalid", "Sort by a column of the table that is not JSON.", "sort"))
        clauses.append(table.c[column].desc() if name.startswith("-") else table.c[column].asc())
    order = table.c[ORDER]
    return [*clauses, order.desc() if names and names[0].startswith("-") else order.asc()]


class _Reader:
    """Reads one filter and collects what is wrong with it."""

    def __init__(self, table: sa.Table, types: Mapping[str, str]) -> None:
        self.table = table
        self.types = types
        self.faults: list[Fault] = []
        self.conditions = 0

    def all_of(self, where: Any, field: str, levels_left: int) -> Clause:
        if not isinstance(where, dict):
            return self.refuse('A filter is an object such as {"column": value}.', field)
        clauses = []
        for key, value in where.items():
            place = f"{field}.{key}" if isinstance(key, str) and len(key) <= 63 else field
            if key in ("or", "and") and isinstance(value, list):
                clauses.append(self.group(key, value, place, levels_left))
            elif key not in self.types:
                clauses.append(self.refuse("The table has no such column.", place))
            elif isinstance(value, dict):
                clauses += [self.condition(key, operator, item, place) for operator, item in value.items()]
            else:
                clauses.append(self.condition(key, "eq", value, place))
        return sa.and_(sa.true(), *clauses)

    def group(self, key: str, items: list[Any], field: str, levels_left: int) -> Clause:
        if levels_left == 0:
            return self.refuse(f"A filter has at most {LEVELS} levels.", field)
        parts = [self.all_of(item, f"{field}[{index}]", levels_left - 1) for index, item in enumerate(items)]
        return sa.or_(sa.false(), *parts) if key == "or" else sa.and_(sa.true(), *parts)

    def condition(self, name: str, operator: Any, value: Any, field: str) -> Clause:
        self.conditions += 1
        if self.conditions > CONDITIONS:
            return sa.true() if self.faults else self.refuse(f"A filter has at most {CONDITIONS} conditions.", field)
        column, kind = self.table.c[name], self.types[name]
        match operator:
            case "is_null" if isinstance(value, bool):
                return column.is_(None) if value else column.is_not(None)
            case "is_null":
                return self.refuse("“is_null” takes true or false.", field)
            case "eq" | "ne" if value is None:
                return column.is_(None) if operator == "eq" else column.is_not(None)
            case _ if operator not in OPERATORS:
                return self.refuse(f"An operator is one of {', '.join(OPERATORS)}.", field)
            case _ if kind == "json":
                return self.refuse("A JSON column can only be compared with null.", field)
            case "eq" | "ne":
                return SAME[operator](column, self.value(kind, value, field))
            case "in":
                return self.any_of(column, kind, value, field)
            case "contains" | "starts_with" if kind != "text":
                return self.refuse(f"“{operator}” is for text columns.", field)
            case "contains" | "starts_with":
                return self.like(column, operator, value, field)
            case _ if kind not in ORDERED or value is None:
                return self.refuse(f"“{operator}” takes a value that can be ordered.", field)
        bound = self.value(kind, value, field)  # None where it is refused: nothing is ordered beside it
        return sa.true() if bound is None else COMPARE[operator](column, bound)

    def like(self, column: Any, operator: str, value: Any, field: str) -> Clause:
        text = self.value("text", value, field)
        if text is None or len(text) > SEARCH_CHARS:
            return self.refuse(f"“{operator}” takes at most {SEARCH_CHARS:,} characters.", field) if text else sa.true()
        clause: Clause = getattr(column, LIKE[operator])(text, autoescape=True)
        return clause

    def any_of(self, column: Any, kind: str, values: Any, field: str) -> Clause:
        if not isinstance(values, list) or len(values) > LIST_ITEMS:
            return self.refuse(f"“in” takes a list of at most {LIST_ITEMS:,} values.", field)
        found = column.in_([self.value(kind, value, field) for value in values if value is not None])
        return sa.or_(found, column.is_(None)) if None in values else found

    def value(self, kind: str, value: Any, field: str) -> Any:
        try:
            if value is None:
                raise ValueError
            return stored(kind, value)
        except ValueError:
            self.refuse(f"This column {TAKES[kind]}.", field)
            return None

    def refuse(self, message: str, field: str) -> Clause:
        self.faults.append(Fault("filter.invalid", message, field))
        return sa.true()
