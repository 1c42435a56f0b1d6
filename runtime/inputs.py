"""The inputs that a flow's manual start declares, checked against what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime import wording
from runtime.errors import Invalid, Problem

KINDS: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "list": (list,),
}
ARTICLES = {"integer": "an integer", "object": "an object"}


def checked(declared: Mapping[str, str], given: dict[str, Any], param: str = "input") -> dict[str, Any]:
    """Return *given* when it fits the inputs *declared*: name → kind, with “?” behind it where it may be left out.

    Everything fits where nothing is declared. Raises Invalid with every problem, each on *param*.
    """
    if not declared:
        return given
    problems = [_unknown(name, declared, param) for name in given if name not in declared]
    for name, kind in declared.items():
        if name not in given or (given[name] is None and kind.endswith("?")):
            if not kind.endswith("?"):
                message = f"The input “{wording.shown(name)}” is missing."
                problems.append(Problem("input.missing", message, param=param))
        elif not _is(given[name], kind.removesuffix("?")):
            wanted = kind.removesuffix("?")
            message = f"The input “{wording.shown(name)}” must be {ARTICLES.get(wanted, f'a {wanted}')}."
            problems.append(Problem("input.wrong_type", message, param=param))
    if problems:
        raise Invalid(*problems)
    return given


def _is(value: Any, kind: str) -> bool:
    if kind == "any":
        return True
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, KINDS.get(kind, ())) and (isinstance(value, bool) == (kind == "boolean"))


def _unknown(name: str, declared: Mapping[str, str], param: str) -> Problem:
    known = wording.shown(", ".join(declared), 200)
    return Problem("input.unknown", f"There is no input “{wording.shown(name)}”; there are: {known}.", param=param)
