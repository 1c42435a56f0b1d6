"""Turns what an expression gives into plain JSON, or into text where it stands between other text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeAlias

from runtime import budget, limits
from runtime.access import present
from runtime.errors import ExpressionError
from runtime.strictjson import INTEGER_BITS

Json: TypeAlias = Any
_SIZE = 2 * limits.EXPRESSION_TEXT
_ENCODED = 1_024  # characters that are encoded in one step of work


def plain(value: Json) -> Json:
    """Return *value* as new JSON containers. Raises ExpressionError for what JSON cannot hold and for sizes."""
    return _plain(present(value), [_SIZE], 0)


def to_text(value: Json) -> str:
    """Return *value* as it is written into a text: null as nothing, true and false, objects and lists as JSON."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _encodable(value)
    if value is None:
        return ""
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        return str(in_range(value))
    return to_json(value)


def to_json(value: Json, indent: int | None = None, *, sort_keys: bool = False) -> str:
    """Return *value* as JSON text."""
    separators = None if indent else (",", ":")
    left = [_SIZE]
    copy = _plain(present(value), left, 0)
    budget.spend((_SIZE - left[0]) // 16)
    text = json.dumps(
        copy, ensure_ascii=False, indent=indent, separators=separators, allow_nan=False, sort_keys=sort_keys
    )
    budget.check_text(len(text))
    return text


def in_range(number: Json) -> Json:
    """Return a number that JSON and the databases can hold. Raises ExpressionError for any other."""
    if isinstance(number, int):
        if number.bit_length() > INTEGER_BITS:
            raise out_of_range()
    elif not isinstance(number, float) or not isfinite(number):
        raise out_of_range()
    return number


def out_of_range() -> ExpressionError:
    return ExpressionError("expression.number_range", "A number in the expression becomes too large, or is not real.")


def _plain(value: Json, left: list[int], depth: int) -> Json:
    kind = type(value)
    left[0] -= len(value) if kind is str else 2
    if left[0] < 0:
        raise budget.too_large("a value of more than 2 MB")
    if kind is str:
        return value if value.isascii() else _encodable(value)
    if kind is bool or value is None:
        return value
    if kind is int or kind is float:
        return in_range(value)
    if depth >= limits.EXPRESSION_RESULT_DEPTH:
        raise budget.too_large(f"a value of more than {limits.EXPRESSION_RESULT_DEPTH} levels")
    if kind is list:
        budget.spend(1 + len(value) // 4)
        return [_plain(entry, left, depth + 1) for entry in value]
    if isinstance(value, Mapping):
        budget.spend(1 + len(value) // 4)
        return {_key(key): _plain(entry, left, depth + 1) for key, entry in value.items()}
    present(value)
    raise ExpressionError("expression.result", "The expression gives something that is not a JSON value.")


def _key(key: Json) -> str:
    if type(key) is not str:
        raise ExpressionError("expression.type", "The keys of an object must be text.")
    return key if key.isascii() else _encodable(key)


def _encodable(text: str) -> str:
    budget.spend(len(text) // _ENCODED)
    try:
        text.encode()
    except UnicodeEncodeError:
        message = "A text in the expression holds half of a character (a lone surrogate)."
        raise ExpressionError("expression.result", message) from None
    return text
