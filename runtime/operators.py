"""What ``+ - * / // % **``, comparisons and ``~`` do: as in Python, but bounded, and with errors in words."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from runtime import budget, results
from runtime.access import present
from runtime.errors import ExpressionError
from runtime.methods import kind_of
from runtime.results import in_range, out_of_range
from runtime.strictjson import INTEGER_BITS

Json: TypeAlias = Any
LONG = 4096  # characters that are compared in one step of work
_NUMBERS = (int, float)  # true and false count as 1 and 0
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_ORDER: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "gt": (">", operator.gt),
    "gteq": (">=", operator.ge),
    "lt": ("<", operator.lt),
    "lteq": ("<=", operator.le),
}


def binary(sign: str, left: Json, right: Json) -> Json:
    """Return ``left sign right``. Raises ExpressionError for types that do not go together and sizes out of bounds."""
    present(left)
    present(right)
    budget.spend(1)
    if isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS):
        return _arithmetic(sign, left, right)
    if sign == "+" and type(left) is str and type(right) is str:
        budget.check_text(len(left) + len(right))
        return left + right
    if sign == "+" and type(left) is list and type(right) is list:
        budget.spend(len(left) + len(right))
        return left + right
    if sign == "*":
        if type(left) is int:
            left, right = right, left
        if type(right) is int and type(left) is str:
            budget.check_text(len(left) * max(right, 0))
            return left * right
        if type(right) is int and type(left) is list:
            budget.check_items(len(left) * max(right, 0))
            return left * right
    hint = "; to put texts together, use “~”" if sign == "+" else ""
    message = f"“{sign}” does not work on {kind_of(left)} and {kind_of(right)}{hint}."
    raise ExpressionError("expression.type", message)


def unary(sign: str, value: Json) -> Json:
    """Return ``sign value`` of a number."""
    if not isinstance(present(value), _NUMBERS):
        raise ExpressionError("expression.type", f"“{sign}” does not work on {kind_of(value)}.")
    return in_range(-value if sign == "-" else +value)


def compare(left: Json, signs: tuple[str, ...], *others: Json) -> bool:
    """Return whether every comparison of a chain such as ``1 < a <= b`` holds."""
    present(left)
    for sign, right in zip(signs, others, strict=True):
        present(right)
        if not _holds(sign, left, right):
            return False
        left = right
    return True


def equal(left: Json, right: Json) -> bool:
    """Return ``left == right``; containers are compared at a cost, because they may hold one another many times."""
    kind = type(left)
    if kind is str:
        if len(left) > LONG:
            budget.spend(len(left) // LONG)
    elif kind is list and type(right) is list:
        budget.spend(1 + len(left))
        return len(left) == len(right) and all(map(equal, left, right))
    elif isinstance(left, Mapping) and isinstance(right, Mapping):
        budget.spend(1 + len(left))
        return len(left) == len(right) and all(key in right and equal(left[key], right[key]) for key in left)
    return bool(left == right)


def contains(holder: Json, value: Json) -> bool:
    """Return whether ``value in holder``: an entry of a list, a key of an object, a part of a text."""
    present(value)
    present(holder)
    if type(holder) is str and type(value) is str:
        budget.spend(1 + len(holder) // 16)
        return value in holder
    if type(holder) is list:
        if isinstance(value, (list, Mapping)):
            budget.spend(1 + len(holder))
            return any(equal(entry, value) for entry in holder)
        budget.spend(1 + len(holder) // 16 + (len(holder) * len(value) // LONG if type(value) is str else 0))
        return value in holder
    if isinstance(holder, Mapping):
        return type(value) is str and value in holder
    raise ExpressionError("expression.type", f"“in” does not work on {kind_of(value)} and {kind_of(holder)}.")


def concatenate(*parts: Json) -> str:
    """Return the parts as one text: what ``~`` does."""
    texts = [results.to_text(part) for part in parts]
    budget.check_text(sum(map(len, texts)))
    return "".join(texts)


def _holds(sign: str, left: Json, right: Json) -> bool:
    if sign == "eq":
        return equal(left, right)
    if sign == "ne":
        return not equal(left, right)
    if sign in ("in", "notin"):
        return contains(right, left) == (sign == "in")
    written, order = _ORDER[sign]
    if isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS):
        return order(left, right)
    if type(left) is str and type(right) is str:
        if len(left) > LONG:
            budget.spend(len(left) // LONG)
        return order(left, right)
    message = f"“{written}” cannot compare {kind_of(left)} with {kind_of(right)}."
    raise ExpressionError("expression.type", message)


def _arithmetic(sign: str, left: Any, right: Any) -> Json:
    if sign == "**" and not _is_small_power(left, right):
        raise out_of_range()
    try:
        return in_range(_ARITHMETIC[sign](left, right))
    except ZeroDivisionError:
        raise ExpressionError("expression.division", f"“{sign}” divides by zero.") from None
    except OverflowError:
        raise out_of_range() from None


def _is_small_power(base: Any, exponent: Any) -> bool:
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        return abs(base) < 2 or (exponent <= INTEGER_BITS and base.bit_length() * exponent <= 2 * INTEGER_BITS)
    return True
