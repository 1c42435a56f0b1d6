"""Checks a node's parameters against its type, and says what is wrong in the words of the form.

What is constant is checked against the type's model; a text with an expression is checked for syntax and for what is
allowed, because its value is known only in a run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from backend.credential_values import NO_LOGIN
from backend.credentials import folded_credential
from nodes.spec import NodeType
from runtime import wording
from runtime.access import closest
from runtime.document import Node
from runtime.errors import Problem
from runtime.expressions import Found, has_expression, problems_of, problems_of_condition

Json: TypeAlias = Any
Location: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter as the form shows it; ``name`` is what flows store."""

    name: str
    title: str
    is_required: bool
    is_literal: bool
    is_late: bool
    widget: str


@lru_cache(maxsize=256)
def fields_of(model: type[BaseModel]) -> Mapping[str, Field]:
    """Return the parameters of a node type by the names that flows store."""
    found = (_field(key, info) for key, info in model.model_fields.items())
    return MappingProxyType({field.name: field for field in found})


def check_params(
    node: Node,
    node_type: NodeType,
    tables: Collection[str] | None = None,
    credentials: Collection[str] | None = None,
) -> list[Problem]:
    """Return every problem of a node's parameters.

    *tables* are names and ids that exist, *credentials* folded names; None: not known here.
    """
    fields = fields_of(node_type.params)
    empty = {name for name, field in fields.items() if field.is_required and _is_empty(node.params.get(name))}
    problems = [_missing(node, fields[name]) for name in fields if name in empty]
    problems += _model_problems(node, node_type, fields, empty)
    problems += _expression_problems(node, node_type, fields)
    if tables is not None:
        problems += _table_problems(node, node_type, fields, tables)
    if credentials is not None:
        problems += _credential_problems(node, fields, credentials)
    return problems


def _field(key: str, info: FieldInfo) -> Field:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    return Field(
        name=info.alias or key,
        title=info.title or key,
        is_required=info.is_required(),
        is_literal=bool(extra.get("literal")),
        is_late=bool(extra.get("late")),
        widget=str(extra.get("widget", "")),
    )


def _is_empty(value: Json) -> bool:
    return value is None or value == "" or value == []


def _missing(node: Node, field: Field) -> Problem:
    what_to_do = "Fill it in." if field.is_literal else "Fill it in, or connect a node that provides it."
    return Problem("param.missing", f"{_shown(node)}: “{field.title}” is empty. {what_to_do}", node.id, field.name)


def _model_problems(
    node: Node, node_type: NodeType, fields: Mapping[str, Field], empty: Collection[str]
) -> Iterator[Problem]:
    given = {name: value for name, value in node.params.items() if name not in empty}
    try:
        node_type.params.model_validate(given)
        return
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    by_field: dict[str, list[ErrorDetails]] = {}
    for detail in details:
        by_field.setdefault(str(detail["loc"][0]) if detail["loc"] else "", []).append(detail)
    for name, found in by_field.items():
        if name not in empty and found[0]["type"] != "missing":
            yield from _field_problems(node, name, fields.get(name), found)


def _field_problems(node: Node, name: str, field: Field | None, details: list[ErrorDetails]) -> Iterator[Problem]:
    if details[0]["type"] == "extra_forbidden" and len(details[0]["loc"]) == 1:
        shown = wording.shown(name)
        message = f"{_shown(node)}: “{shown}” is not a parameter of this node. Remove it."
        yield Problem("param.unknown", message, node.id, name)
        return
    told = set()
    for detail in wording.telling(details):
        if detail["type"] == "value_missing":  # one of several that a node's own validator wants
            title = field.title if field else name
            message = f"{_shown(node)}: “{title}” is empty. {wording.own(detail)}."
            yield Problem("param.missing", message, node.id, name)
            continue
        location, value = wording.inside(node.params, detail["loc"])
        if has_expression(value) or location in told:
            continue
        told.add(location)
        yield Problem("param.invalid", _invalid(node, field, location, value, detail), node.id, name or None)


def _invalid(node: Node, field: Field | None, location: Location, value: Json, detail: ErrorDetails) -> str:
    inner = wording.shown(wording.place(location[1:]))
    title = field.title if field else "The parameters"
    subject = f"{_shown(node)}: “{title}”" + (f" ({inner})" if inner else "")
    if detail["type"] in ("value_error", "assertion_error"):
        own = wording.own(detail)
        return f"{subject}: {own}." if own else f"{subject} has a value that does not fit."
    hint = ""
    if field and field.widget == "expression" and isinstance(value, str):
        hint = " An expression stands in double braces, such as {{ $param.name }}."
    return f"{subject} {wording.ending(detail)}.{hint}"


def _expression_problems(node: Node, node_type: NodeType, fields: Mapping[str, Field]) -> Iterator[Problem]:
    for name, value in node.params.items():
        field = fields.get(name)
        title = field.title if field else wording.shown(name)
        if field and field.is_literal:
            if has_expression(value):
                message = f"{_shown(node)}: “{title}” cannot be an expression. Write the value itself."
                yield Problem("param.literal", message, node.id, name)
            continue
        if node_type.kind == "trigger":
            continue
        for found in _late_problems(value) if field and field.is_late else problems_of(value):
            inner = wording.shown(wording.place(found.path))
            where = f"“{title}”" + (f" ({inner})" if inner else "")
            message = f"{_shown(node)}: {where}: {found.message}"
            yield _problem(found, message, node.id, name)
    if node_type.kind == "trigger":
        yield from _filter_problems(node, node_type, fields)


def _late_problems(value: Json) -> list[Found]:
    """One expression that stands with or without braces."""
    return problems_of_condition(value) if isinstance(value, str) and value.strip() else []


def _filter_problems(node: Node, node_type: NodeType, fields: Mapping[str, Field]) -> Iterator[Problem]:
    """A trigger has one expression at most: the condition that an event has to meet."""
    try:
        where = node_type.listen(node_type.params.model_validate(node.params)).where if node_type.listen else None
    except ValidationError:
        return  # told already
    if where is None:
        return
    name = next((name for name, field in fields.items() if field.widget == "expression"), None)
    for found in problems_of_condition(where):
        title = fields[name].title if name else "The condition"
        message = f"{_shown(node)}: “{title}”: {found.message}"
        yield _problem(found, message, node.id, name)


def _problem(found: Found, message: str, node: str, param: str | None) -> Problem:
    place = (found.path, found.position, found.length)
    return Problem(found.code, message, node, param, "error", *place, found.suggestion)


def _table_problems(
    node: Node, node_type: NodeType, fields: Mapping[str, Field], tables: Collection[str]
) -> Iterator[Problem]:
    is_trigger = node_type.kind == "trigger"
    for name, field in fields.items():
        value = node.params.get(name)
        if field.widget != "table" or not isinstance(value, str) or not value or has_expression(value):
            continue
        if value in tables or (is_trigger and not _brings_rows(node_type, name)):  # it may wait for a table to come
            continue
        close = closest(value, tables)
        meant = f"; did you mean “{wording.shown(close)}”?" if close else "."
        message = f"{_shown(node)}: “{field.title}”: there is no table “{wording.shown(value)}”{meant}"
        message += " Choose another, or create it."
        yield Problem("param.table_unknown", message, node.id, name, "warning" if is_trigger else "error")


def _brings_rows(node_type: NodeType, param: str) -> bool:
    """Return whether the output has rows of the table that a parameter names."""
    extras = (info.json_schema_extra for info in node_type.output.model_fields.values())
    return any(isinstance(extra, dict) and extra.get("row_of") == param for extra in extras)


def _credential_problems(node: Node, fields: Mapping[str, Field], credentials: Collection[str]) -> Iterator[Problem]:
    for name, field in fields.items():
        value = node.params.get(name)
        if field.widget != "credential" or not isinstance(value, str) or value in ("", NO_LOGIN):
            continue
        if folded_credential(value) not in credentials and not has_expression(value):
            shown = wording.shown(value)
            message = (
                f"{_shown(node)}: “{field.title}”: there is no credential “{shown}”. Choose another, or have an owner "
                "create it in the settings."
            )
            yield Problem("param.credential_unknown", message, node.id, name)


def _shown(node: Node) -> str:
    return wording.shown(node.name)
