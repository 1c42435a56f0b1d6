"""What a form needs to know of a node's parameters, read from the declaration's JSON Schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from nodes.spec import NodeType

Json: TypeAlias = Any
TEXTUAL = frozenset({"text", "password", "multiline", "html", "expression"})  # an expression is simply typed into these


class _Unset:
    """Stands for a parameter that is left out of the document."""


UNSET: Final = _Unset()


@dataclass(frozen=True)
class ParamField:
    """One parameter as the form shows it."""

    name: str
    title: str
    description: str
    widget: str
    is_required: bool
    is_advanced: bool
    is_literal: bool  # never an expression
    default: Json
    placeholder: str
    choices: tuple[Json, ...]
    minimum: float | None
    maximum: float | None
    is_integer: bool

    @property
    def is_textual(self) -> bool:
        return self.widget in TEXTUAL


def param_fields(node_type: NodeType) -> list[ParamField]:
    """Return the parameters of a node type in the order of their declaration."""
    schema = node_type.params.model_json_schema(by_alias=True)
    required = set(schema.get("required", ()))
    shared = schema.get("$defs", {})
    return [
        _field(name, _resolved(given, shared), name in required) for name, given in schema.get("properties", {}).items()
    ]


def is_expression(value: Json) -> bool:
    """Return whether a stored value is an expression as a whole."""
    return isinstance(value, str) and value.strip().startswith("{{") and value.strip().endswith("}}")


def shown(value: Json) -> str:
    """Return a JSON value as text that ``typed`` reads back: plain text as it is, everything else as JSON."""
    if isinstance(value, str) and (not value or isinstance(typed(value), str)) and not value.startswith('"'):
        return value
    return json.dumps(value, ensure_ascii=False)


def typed(text: str) -> Json:
    """Return what *text* means: a JSON value if it is one, otherwise the text itself."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def _refuse(constant: str) -> Json:
    raise ValueError(constant)


def _field(name: str, schema: dict[str, Json], is_required: bool) -> ParamField:
    return ParamField(
        name=name,
        title=schema.get("title", name),
        description=schema.get("description", ""),
        widget=schema.get("widget") or _widget(schema),
        is_required=is_required,
        is_advanced=bool(schema.get("advanced")),
        is_literal=bool(schema.get("literal")),
        default=schema.get("default"),
        placeholder=schema.get("placeholder", ""),
        choices=tuple(schema.get("enum", (True, False) if schema.get("type") == "boolean" else ())),
        minimum=schema.get("minimum", schema.get("exclusiveMinimum")),
        maximum=schema.get("maximum", schema.get("exclusiveMaximum")),
        is_integer=schema.get("type") == "integer",
    )


def _widget(schema: dict[str, Json]) -> str:
    if "enum" in schema:
        return "select"
    kinds = {"boolean": "switch", "integer": "number", "number": "number", "array": "list", "string": "text"}
    return kinds.get(schema.get("type", ""), "json")


def _resolved(schema: dict[str, Json], shared: dict[str, Json]) -> dict[str, Json]:
    """Return *schema* with its first alternative and reference merged in; what it says itself wins."""
    merged: dict[str, Json] = {}
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ())[:1]):
        merged |= _resolved(part, shared)
    if reference := schema.get("$ref"):
        merged |= _resolved(shared.get(reference.rsplit("/", 1)[-1], {}), shared)
    return merged | {key: value for key, value in schema.items() if key not in ("allOf", "anyOf", "$ref")}
