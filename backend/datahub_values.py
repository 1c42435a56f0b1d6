"""Values of data tables: which JSON values a column takes, how they are stored, and how they read as text.

A stored value is what SQLAlchemy binds (``date``, naive UTC ``datetime``); everything outside is JSON.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, Boolean, Date, DateTime, Float, String, Text
from sqlalchemy.types import TypeEngine

from storage.tables import JsonText

TEXT_CHARS = 1_000_000
JSON_BYTES = 1_000_000
JSON_DEPTH = 64
INTEGERS = range(-(2**63), 2**63)  # what SQLite and PostgreSQL keep exactly

SQL_TYPES: dict[str, Callable[[], TypeEngine[Any]]] = {
    "text": Text,
    "integer": BigInteger,
    "number": lambda: Float(53),
    "boolean": Boolean,
    "date": Date,
    "datetime": DateTime,
    "uuid": lambda: String(36),
    "json": JsonText,
}

TAKES = {
    "text": f"takes text of at most {TEXT_CHARS:,} characters, without NUL characters or broken emoji",
    "integer": "takes a whole number from −9223372036854775808 to 9223372036854775807",
    "number": "takes a number",
    "boolean": "takes true or false",
    "date": "takes a date such as 2024-05-03",
    "datetime": "takes a date and time such as 2024-05-03T10:30:00Z",
    "uuid": "takes a UUID such as f76c7770-79c3-45a2-96ad-e4e4321ad66b",
    "json": f"takes a JSON value of at most {JSON_BYTES:,} bytes, at most {JSON_DEPTH} levels deep, without NaN",
}

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def stored(kind: str, value: Any) -> Any:
    """Return the JSON *value* as a column of type *kind* stores it; raises ValueError if it does not fit."""
    return None if value is None else _STORED[kind](value)


def shown(kind: str, value: Any) -> Any:
    """Return a stored value as JSON: dates and times as ISO 8601, times in UTC with a ``Z``."""
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    return value.isoformat() if isinstance(value, date) else value


def from_text(kind: str, text: str) -> Any:
    """Return the stored value that *text* (a CSV cell) stands for; empty text is None. Raises ValueError."""
    if text == "":
        return None
    if kind == "text":
        return _text(text)
    text = text.strip()
    match kind:
        case "integer":
            return _integer(int(_matching(_WHOLE, text)))
        case "number":
            return _number(float(_matching(_DECIMAL, text)))
        case "boolean":
            if (word := _WORDS.get(text.lower())) is None:
                raise ValueError
            return word
        case "json":
            return _json(orjson.loads(text))
    return stored(kind, text)


def to_text(kind: str, value: Any) -> str:
    """Return a stored value as text that ``from_text`` reads back; None is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind == "json":
        return orjson.dumps(value).decode()
    return str(shown(kind, value))


def converted(old: str, new: str, value: Any) -> Any:
    """Return a value stored as type *old* as type *new* stores it; raises ValueError if it does not fit."""
    if value is None or old == new:
        return value
    if new == "text":
        return value if isinstance(value, str) else to_text(old, value)
    if isinstance(value, str) and new != "json":
        return from_text(new, value)
    if isinstance(value, bool) and new in ("integer", "number"):
        return int(value)
    if new == "boolean" and value in (0, 1):
        return bool(value)
    if new == "date" and isinstance(value, datetime) and value.time() == value.min.time():
        return value.date()
    return stored(new, shown(old, value))


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > TEXT_CHARS or "\0" in value:
        raise ValueError
    value.encode()  # UnicodeEncodeError, a ValueError, for half of a surrogate pair
    return value


def _integer(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value not in INTEGERS:
        raise ValueError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError from error
    if not math.isfinite(number):
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _date(value: Any) -> date:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError
    return date.fromisoformat(value)


def _datetime(value: Any) -> datetime:
    if not isinstance(value, str) or not _DATE.match(value):
        raise ValueError
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError as error:  # an offset that leaves the years 1 to 9999
        raise ValueError from error


def _uuid(value: Any) -> str:
    if not isinstance(value, str) or len(value) not in (32, 36):
        raise ValueError
    return str(UUID(value))


def _json(value: Any) -> Any:
    _check_json(value, JSON_DEPTH)
    try:
        if len(orjson.dumps(value)) > JSON_BYTES:
            raise ValueError
    except TypeError as error:  # too big an integer, a key that is no text, half of a surrogate pair
        raise ValueError from error
    return value


def _check_json(value: Any, levels_left: int) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    if isinstance(value, dict | list):
        if levels_left == 0:
            raise ValueError
        for item in value.values() if isinstance(value, dict) else value:
            _check_json(item, levels_left - 1)
    elif not isinstance(value, str | int | float | None):
        raise ValueError


_STORED: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "uuid": _uuid,
    "json": _json,
}
