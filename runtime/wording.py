"""Turns what pydantic found into sentences for the person who drew the flow; its own texts are never shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

# pydantic's error type -> end of a sentence that begins with the quoted field; {…} are filled from its context
_ENDINGS = {
    "string_type": "must be text",
    "string_too_short": "is too short: it needs {min_length} or more characters",
    "string_too_long": "is too long: at most {max_length} characters are allowed",
    "string_pattern_mismatch": "has characters or a form that are not allowed here",
    "string_unicode": "holds characters that cannot be stored",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number, without a fraction",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "decimal_parsing": "must be a number",
    "decimal_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "dict_type": "must be an object with names and values",
    "mapping_type": "must be an object with names and values",
    "model_type": "must be an object with names and values",
    "model_attributes_type": "must be an object with names and values",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "none_required": "must be empty",
    "json_invalid": "is not valid JSON",
    "json_type": "must be JSON text",
    "date_type": "must be a date such as 2024-05-03",
    "date_parsing": "must be a date such as 2024-05-03",
    "date_from_datetime_parsing": "must be a date such as 2024-05-03",
    "datetime_type": "must be a date and time such as 2024-05-03T09:30:00Z",
    "datetime_parsing": "must be a date and time such as 2024-05-03T09:30:00Z",
    "datetime_from_date_parsing": "must be a date and time such as 2024-05-03T09:30:00Z",
    "time_parsing": "must be a time of day such as 09:30",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "url_type": "must be a web address such as https://example.com/path",
    "url_parsing": "must be a web address such as https://example.com/path",
    "url_scheme": "must be a web address that begins with {expected_schemes}",
}
_JSON_WORDS = {"True": "true", "False": "false", "None": "null"}
_LENGTHS = {"too_short": "at least {min_length}", "too_long": "at most {max_length}"}


def ending(error: ErrorDetails) -> str:
    """Return what is wrong as the rest of a sentence that begins with the field's name, without a full stop."""
    kind = error["type"]
    context: Mapping[str, Any] = {name: _whole(value) for name, value in (error.get("ctx") or {}).items()}
    if kind in _LENGTHS:
        return f"needs {_LENGTHS[kind].format_map(context)} entries"
    if kind in ("value_error", "assertion_error"):  # raised by a node's own validator, in its own words
        said = own(error)
        return f"is not right: {said}" if said else "has a value that does not fit"
    if kind == "literal_error":
        expected = str(context.get("expected", "")).replace("'", "")
        return f"must be {_JSON_WORDS.get(expected, expected)}"
    try:
        return _ENDINGS[kind].format_map(context)
    except KeyError:
        return "has a value that does not fit"


def _whole(value: Any) -> Any:
    """Return a bound as people write it: 0, not 0.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def seconds(span_s: float) -> str:
    """Return a span as people read it: ``1 second``, ``0.5 seconds``, ``31,622,400 seconds``."""
    return f"{_whole(span_s):,} second{'' if span_s == 1 else 's'}"


def own(error: ErrorDetails) -> str:
    """Return what a node's own validator said, without a full stop."""
    return str((error.get("ctx") or {}).get("error", "")).strip().rstrip(".")


def telling(details: Sequence[ErrorDetails]) -> Sequence[ErrorDetails]:
    """Return those of one field's errors that help; a union answers with the errors of every member.

    Those about a wrong kind of value say the least: they are left out where others are found.
    """
    return [each for each in details if not each["type"].endswith("_type")] or details[:1]


def inside(values: Any, location: tuple[int | str, ...]) -> tuple[tuple[int | str, ...], Any]:
    """Return the part of a location that leads into *values*, and the value there.

    The rest are names that pydantic gives the members of a union.
    """
    found: list[str | int] = []
    for step in location:
        is_entry = isinstance(values, list) and isinstance(step, int) and step < len(values)
        if is_entry or (isinstance(values, dict) and step in values):
            values = values[step]
            found.append(step)
    return tuple(found), values


def place(location: tuple[int | str, ...]) -> str:
    """Return a location as people write it: ``nodes[3].retry.attempts``."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def shown(name: str, limit: int = 60) -> str:
    """Return *name* cut to a length that fits into a sentence, without control characters."""
    clean = "".join(character if character.isprintable() else "�" for character in name)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
