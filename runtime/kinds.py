"""How kinds of values go together: in operators, comparisons and parameters, as ``runtime.operators`` does it."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Final, TypeAlias

from runtime.methods import METHODS
from runtime.shapes import Shape

Json: TypeAlias = Any
NUMBERS: Final = frozenset({"number", "boolean"})  # true and false count as 1 and 0
OWNERS: Final = {"text": METHODS[str], "object": METHODS[dict]}


def binary_kinds(sign: str, left: Set[str], right: Set[str]) -> frozenset[str]:
    """Return the kinds that ``left sign right`` can come to; none: it fails whatever the values are."""
    found = set()
    if left & NUMBERS and right & NUMBERS:
        found.add("number")
    if sign == "+":
        found |= {"text", "list"} & left & right
    if sign == "*":
        found |= {"text", "list"} & left if "number" in right else set()
        found |= {"text", "list"} & right if "number" in left else set()
    return frozenset(found)


def can_order(left: Set[str], right: Set[str]) -> bool:
    """Return whether ``<`` and the like can compare such values."""
    return bool((left & NUMBERS and right & NUMBERS) or "text" in left & right)


def as_truth(shape: Shape) -> bool | None:
    """Return what such a value counts as in a condition; None: it can be either."""
    if shape.values is not None:
        answers = {bool(value) for value in shape.values}
        return answers.pop() if len(answers) == 1 else None
    return False if shape.kinds == {"null"} else None


def compared(left: Shape, right: Shape) -> bool | None:
    """Return whether two such values are equal; None: they may be."""
    if left.values is not None and right.values is not None:
        answers = {one == other for one in left.values for other in right.values}
        return answers.pop() if len(answers) == 1 else None
    return None if _alike(left.kinds) & _alike(right.kinds) else False


def is_in(value: Shape, holder: Shape) -> bool | None:
    """Return whether ``value in holder``; None: it may be."""
    if holder.kinds == {"object"}:
        if value.kinds.isdisjoint({"text"}):
            return False
        if value.values is not None and len(value.values) == 1:
            field = holder.fields.get(value.values[0], holder.others)
            return False if field is None or field.is_absent else None if field.missing or holder.is_open else True
        return None
    if holder.kinds == {"list"} and holder.items is not None:
        return False if compared(value, holder.items) is False else None
    return None


def is_method(shape: Shape, name: str) -> bool:
    """Return whether such a value has a method of this name."""
    return any(kind in shape.kinds and name in methods for kind, methods in OWNERS.items())


def _alike(kinds: Set[str]) -> frozenset[str]:
    return frozenset("number" if kind == "boolean" else kind for kind in kinds)
