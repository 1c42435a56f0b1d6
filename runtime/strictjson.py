"""Reads JSON text the strict way: what two readers could understand differently is refused at the door.

Refused are NaN and infinities, numbers that do not fit 64 bits, keys given twice, lone surrogates, text that is not
UTF-8, and what is too large or too deeply nested.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import Any, TypeAlias

Json: TypeAlias = Any
INTEGER_BITS = 63  # what SQLite, PostgreSQL and most readers of JSON can hold


@dataclass(frozen=True)
class Fault:
    """*code* is stable; *message* is the end of a sentence that begins with what was read, without a full stop."""

    code: str
    message: str


class _Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        self.fault = Fault(code, message)


def read(
    raw: bytes, *, size: int | None = None, depth: int | None = None, keys: int | None = None
) -> tuple[Json, Fault | None]:
    """Return the value in *raw* and None, or None and the first fault."""
    if size is not None and len(raw) > size:
        return None, too_large(size)
    try:
        text = raw.decode("utf-8-sig")
        value = json.loads(
            text, parse_constant=_no_constant, parse_int=_integer, parse_float=_float, object_pairs_hook=_object
        )
    except _Refused as refused:
        return None, refused.fault
    except UnicodeDecodeError:
        return None, Fault("json_invalid", "is not UTF-8 text")
    except json.JSONDecodeError as error:
        return None, Fault("json_invalid", f"is not valid JSON: line {error.lineno}, column {error.colno}")
    except RecursionError:
        return None, _too_deep(depth)
    return value, fault_of(value, depth=depth, keys=keys, has_surrogates="\\ud" in text or "\\uD" in text)


def fault_of(
    value: object, *, depth: int | None = None, keys: int | None = None, has_surrogates: bool = True
) -> Fault | None:
    """Return the first reason why *value* is not plain JSON within the limits, or None.

    The values are walked without recursion, level by level, so any nesting is safe to ask about.
    """
    level: list[Any] = [value]
    level_number = 0
    key_count = 0
    try:
        while level:
            below: list[Any] = []
            level_number += 1
            for item in level:
                kind = type(item)
                if kind is str:
                    if has_surrogates:
                        _check_text(item)
                elif kind is dict:
                    key_count += len(item)
                    _check_keys(item, has_surrogates)
                    below.append(item.values())
                elif kind is list:
                    below.append(item)
                elif kind is int:
                    _check_integer(item)
                elif kind is float:
                    _check_float(item)
                elif item is not None and kind is not bool:
                    raise _Refused("not_json", "holds a value that JSON does not have")
            if below and depth is not None and level_number > depth:
                return _too_deep(depth)
            if keys is not None and key_count > keys:
                return Fault("too_many_keys", f"has too many keys: all its objects together may have {keys:,}")
            level = list(chain.from_iterable(below))
    except _Refused as refused:
        return refused.fault
    return None


def too_large(size: int) -> Fault:
    return Fault("too_large", f"is too large: at most {size:,} bytes are accepted")


def _too_deep(depth: int | None) -> Fault:
    return Fault(
        "too_deep", f"is nested too deeply: at most {depth} levels are accepted" if depth else "is nested too deeply"
    )


def _check_keys(item: dict[Any, Any], has_surrogates: bool) -> None:
    for key in item:
        if type(key) is not str:
            raise _Refused("not_json", "has a key that is not text")
        if has_surrogates:
            _check_text(key)


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _Refused("text_invalid", "holds half of a character (a lone surrogate)") from None


def _check_integer(number: int) -> None:
    if number.bit_length() > INTEGER_BITS:
        raise _Refused("number_range", "holds a whole number of more than 64 bits; send it as text")


def _check_float(number: float) -> None:
    if not isfinite(number):
        raise _Refused("number_range", "holds a number that is not finite")


def _integer(text: str) -> int:
    if len(text) > 20:
        raise _Refused("number_range", "holds a whole number of more than 64 bits; send it as text")
    return int(text)


def _float(text: str) -> float:
    return float(text)


def _no_constant(_text: str) -> Json:
    raise _Refused("number_range", "holds NaN or Infinity, which JSON does not have")


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("key_duplicate", "has an object in which a key occurs twice")
    return found
