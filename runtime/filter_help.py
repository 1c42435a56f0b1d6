"""What every filter and test of expressions does, takes and gives: for the help, completion and the checker.

All of it is read from the functions themselves: their names, annotations and docstrings.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from runtime import filters
from runtime.filter_spec import UNSET, Guard, Parameter, What

Json: TypeAlias = Any
_EXAMPLE = re.compile(r"^(\{\{ .* \}\}) → (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """An expression with its braces, and the value that it gives."""

    text: str
    value: Json


@dataclass(frozen=True, slots=True)
class Argument:
    """A setting of a filter or test, in the order in which they stand; *has_place* if it may without its name."""

    name: str
    takes: frozenset[str]
    is_required: bool
    has_place: bool = True


@dataclass(frozen=True, slots=True)
class Help:
    """One filter or test. Kinds of values are: text, number, boolean, list, object, null, any.

    *signature* is how it is written after ``|`` or ``is``. *same_as* is set for a second name and says the first.
    *summary* has names of arguments in asterisks and what is to be written as it is in backticks.
    *is_costly* holds where the work is more than one cheap look at the value, see ``runtime.filter_spec.Group``.
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


def _signature(name: str, parameters: tuple[Parameter, ...]) -> str:
    return f"{name}({', '.join(map(_written, parameters))})" if parameters else name


def _written(parameter: Parameter) -> str:
    if parameter.is_many:
        return f"…{parameter.name}"
    if parameter.is_required or not parameter.has_name:
        return parameter.name
    if parameter.default is None or parameter.default is UNSET:
        return f"{parameter.name}=…"
    value = parameter.default
    return f"{parameter.name}={value!r}" if isinstance(value, str) else f"{parameter.name}={_plain(value)}"


def _plain(value: Json) -> str:
    return json.dumps(value) if isinstance(value, (bool, int, float)) else f"'{value}'"


def _help(guard: Guard, name: str, group: str) -> Help:
    text = inspect.cleandoc(guard.function.__doc__ or "")
    words = _EXAMPLE.sub("", text).strip()
    return Help(
        name=name,
        kind=guard.what,
        group=group,
        signature=_signature(name, guard.parameters),
        summary=" ".join(words.split()),
        examples=tuple(Example(found[1], json.loads(found[2])) for found in _EXAMPLE.finditer(text)),
        takes=guard.value.kinds,
        gives=guard.gives,
        arguments=tuple(
            Argument(each.name, each.reader.kinds, each.is_required, each in guard.by_place)
            for each in guard.parameters
            if not each.is_many
        ),
        is_costly=guard.is_costly,
        same_as="" if name == guard.name else guard.name,
    )


def _all() -> dict[tuple[What, str], Help]:
    found: dict[tuple[What, str], Help] = {}
    for guards, groups in ((filters.FILTERS, filters.GROUPS), (filters.TESTS, filters.TEST_GROUPS)):
        titles = {function: group.title for group in groups for function in (*group.cheap, *group.costly)}
        for name, guard in guards.items():
            found[guard.what, name] = _help(guard, name, titles[guard.function])
    return found


HELP: Mapping[tuple[What, str], Help] = MappingProxyType(_all())
