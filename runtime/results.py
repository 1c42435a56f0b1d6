"""Turns what an expression gives into plain JSON, or into text where it stands between other text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeAlias

from runtime import budget, limits
from runtime.access import Missing, present
from runtime.errors import ExpressionError

Json: TypeAlias = Any
_SIZE = 2 * limits.EXPRESSION_TEXT
_SCALARS = frozenset({str, bool, int, type(None)})


def plain(value: Json) -> Json:
    """Return *value* as new JSON containers. Raises ExpressionError for what JSON cannot hold and for sizes."""
    return _plain(present(value), [_SIZE])


def to_text(value: Json) -> str:
    """Return *value* as it is written into a text: null as nothing, true and false, objects and lists as JSON."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if value is None:
        return ""
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        return str(value)
    return to_json(value)


def to_json(value: Json, indent: int | None = None, *, sort_keys: bool = False) -> str:
    """Return *value* as JSON text."""
    separators = None if indent else (",", ":")
    left = [_SIZE]
    copy = _plain(present(value), left)
    budget.spend((_SIZE - left[0]) // 16)
    text = json.dumps(
        copy, ensure_ascii=False, indent=indent, separators=separators, allow_nan=False, sort_keys=sort_keys
    )
    budget.check_text(len(text))
    return text


def _plain(value: Json, left: list[int]) -> Json:
    kind = type(value)
    left[0] -= len(value) if kind is str else 2
    if left[0] < 0:
        raise budget.too_large("a value of more than 2 MB")
    if kind in _SCALARS:
        return value
    if kind is float and isfinite(value):
        return value
    if kind is list:
        budget.spend(1 + len(value) // 4)
        return [_plain(entry, left) for entry in value]
    if isinstance(value, Mapping):
        budget.spend(1 + len(value) // 4)
        if not all(type(key) is str for key in value):
            raise ExpressionError("expression.type", "The keys of an object must be text.")
        return {key: _plain(entry, left) for key, entry in value.items()}
    if kind is Missing:
        value.fail()
    raise ExpressionError("expression.result", "The expression gives something that is not a JSON value.")
