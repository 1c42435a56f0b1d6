"""What every filter and test of expressions does, takes and gives: for the help, completion and the checker."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from runtime import filters

Json: TypeAlias = Any
What: TypeAlias = Literal["filter", "test"]
KINDS = frozenset({"text", "number", "boolean", "list", "object", "null"})
ANY = "any"


@dataclass(frozen=True, slots=True)
class Example:
    """An expression with its braces, and the value that it gives."""

    text: str
    value: Json


@dataclass(frozen=True, slots=True)
class Argument:
    """A setting of a filter or test, in the order in which they may stand without their names."""

    name: str
    takes: frozenset[str]
    is_required: bool


@dataclass(frozen=True, slots=True)
class Help:
    """One filter or test. Kinds of values are: text, number, boolean, list, object, null, any.

    *signature* is how it is written after ``|`` or ``is``. *same_as* is set for a second name and says the first.
    *is_costly* holds where the work is more than one cheap look at the value: it sorts, applies another filter to
    each entry, or makes something longer than what it was given.
    """

    name: str
    kind: What
    group: str
    signature: str
    summary: str
    examples: tuple[Example, ...]
    takes: frozenset[str]
    gives: str
    arguments: tuple[Argument, ...] = ()
    is_costly: bool = False
    same_as: str = ""


_W = "text number boolean"  # what is written as it stands in a text
_C = "text list object"
_TABLE: dict[str, dict[str, tuple[str, str]]] = {
    "Anything": {"default": (ANY, ANY), "length": (_C, "number"), "string": (ANY, "text"), "tojson": (ANY, "text")},
    "Text": {
        **dict.fromkeys(("capitalize", "center", "escape", "lower", "replace", "striptags", "title"), (_W, "text")),
        **dict.fromkeys(("trim", "truncate", "upper", "urldecode"), (_W, "text")),
        "format": ("text", "text"),
        "parse_json": ("text", ANY),
        "split": (_W, "list"),
        "urlencode": (_W + " object", "text"),
        "wordcount": (_W, "number"),
    },
    "Numbers": {
        "abs": ("number", "number"),
        "float": (_W, "number"),
        "int": (_W, "number"),
        "round": ("number", "number"),
    },
    "Lists": {
        **dict.fromkeys(("batch", "groupby", "list", "map", "reject", "rejectattr"), (_C, "list")),
        **dict.fromkeys(("select", "selectattr", "slice", "sort", "unique"), (_C, "list")),
        **dict.fromkeys(("first", "last", "max", "min", "reverse"), (_C, ANY)),
        "join": (_C, "text"),
        "sum": (_C, "number"),
    },
    "Objects": dict.fromkeys(("dictsort", "items", "keys", "values"), ("object", "list")),
    "Date and time": {
        **dict.fromkeys(("add_days", "add_hours", "add_minutes", "date_format"), ("text number", "text")),
        "timestamp": ("text number", "number"),
    },
}
_TEST_TAKES = {"divisibleby": "number", "even": "number", "odd": "number", "lower": "text", "upper": "text"}
_COSTLY = frozenset(
    {
        "batch",
        "center",
        "dictsort",
        "format",
        "groupby",
        "join",
        "map",
        "max",
        "min",
        "reject",
        "rejectattr",
        "replace",
        "select",
        "selectattr",
        "slice",
        "sort",
        "sum",
        "unique",
    }
)


def _kinds(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _written(value: Json) -> str:
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)


def _signature(name: str, parameters: list[inspect.Parameter]) -> str:
    parts = []
    for each in parameters:
        if each.kind is inspect.Parameter.VAR_POSITIONAL:
            parts.append(f"…{each.name}")
        else:
            is_required = each.default is inspect.Parameter.empty
            parts.append(each.name if is_required else f"{each.name}={_written(each.default)}")
    return f"{name}({', '.join(parts)})" if parts else name


def _help(kind: What, name: str, group: str, takes: str, gives: str) -> Help:
    first = filters.first_name(kind, name)
    parameters = list(filters.signature(kind, name).parameters.values())[1:]
    arguments = tuple(
        Argument(each.name, _kinds(ANY), each.default is inspect.Parameter.empty)
        for each in parameters
        if each.kind is not inspect.Parameter.VAR_POSITIONAL
    )
    return Help(
        name=name,
        kind=kind,
        group=group,
        signature=_signature(name, parameters),
        summary=filters.summary(kind, name),
        examples=(),
        takes=_kinds(takes),
        gives=gives,
        arguments=arguments,
        is_costly=kind == "filter" and first in _COSTLY,
        same_as="" if first == name else first,
    )


def _all() -> dict[tuple[What, str], Help]:
    found: dict[tuple[What, str], Help] = {}
    places = {name: (group, *kinds) for group, members in _TABLE.items() for name, kinds in members.items()}
    for name in filters.FILTERS:
        found["filter", name] = _help("filter", name, *places[filters.first_name("filter", name)])
    for name in filters.TESTS:
        takes = _TEST_TAKES.get(filters.first_name("test", name), ANY)
        found["test", name] = _help("test", name, "Tests", takes, "boolean")
    return found


HELP: Mapping[tuple[What, str], Help] = MappingProxyType(_all())
