"""What stands in the tree of an expression for its parts: written as filters, so that both ways evaluate them alike.

No filter that a person can write has parentheses in its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from runtime import access, budget, fields, limits, methods, operators
from runtime.access import present
from runtime.errors import ExpressionError

Json: TypeAlias = Any


def _solid_list(first: None, *entries: Json) -> list[Json]:
    return [present(entry) for entry in entries]


def _keyed_object(first: None, *parts: Json) -> dict[str, Json]:
    return access.Keyed(_solid_object(first, *parts))


def _solid_object(first: None, *parts: Json) -> dict[str, Json]:
    found = {}
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        if type(present(key)) is not str:
            raise ExpressionError("expression.type", "The keys of an object must be text.")
        found[key] = present(value)
    return found


def _part(value: Json, start: Json, stop: Json, step: Json) -> Json:
    """Return ``value[start:stop:step]``."""
    for bound in (start, stop, step):
        if type(present(bound)) not in (int, type(None)):
            raise ExpressionError("expression.type", f"[…:…]: {methods.kind_of(bound)} is no position.")
    if type(value) is access.Missing:
        value.fail()
    if type(present(value)) not in (str, list) or step == 0:
        raise ExpressionError("expression.type", f"[…:…]: {methods.kind_of(value)} has no such part.")
    budget.spend(1 + len(value) // 16)
    return value[start:stop:step]


def _range(first: None, *bounds: Json) -> list[int]:
    if not all(type(present(bound)) is int for bound in bounds):
        raise ExpressionError("expression.type", "“range” takes whole numbers.")
    if len(bounds) == 3 and bounds[2] == 0:
        raise ExpressionError("expression.type", "“range” cannot count in steps of 0.")
    numbers = range(*bounds)
    try:
        budget.check_items(len(numbers))
    except OverflowError:
        budget.check_items(limits.EXPRESSION_ITEMS + 1)
    return list(numbers)


STAND_INS: dict[str, Callable[..., Json]] = {
    "(compare)": operators.compare,
    "(concat)": operators.concatenate,
    "(field)": fields.written,
    "(fields)": fields.written_all,
    "(item)": access.item,
    "(list)": _solid_list,
    "(object)": _solid_object,
    "(object of keys)": _keyed_object,
    "(part)": _part,
    "(path)": access.walk,
    "(range)": _range,
    "(step)": access.step,
}
