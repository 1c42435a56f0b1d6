"""Filters for text, numbers, dates and JSON."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias
from urllib.parse import quote, quote_plus, unquote

from markupsafe import escape as escape_html

from runtime import budget, methods, operators, results, strictjson
from runtime.access import present
from runtime.errors import ExpressionError

Json: TypeAlias = Any
WIDTH = 1_000  # of a column that a text is put into
DIGITS = 15  # after the decimal point
DATE_DIRECTIVES = frozenset("aAbBdHIjmMpSuUVWyYzZ%fG")
_PLACEHOLDER = re.compile(r"%(?:%|[-+ 0#]*(\d*)(?:\.(\d+))?([sdifeEgGxX])|.|$)", re.DOTALL)


def text_of(value: Json) -> str:
    """Return text, or a number or truth value as text. Raises TypeError for the rest."""
    if not isinstance(value, (str, int, float)):
        raise TypeError
    return results.to_text(value)


def capitalize(s: Json) -> str:
    """Return the text with its first letter large and the rest small."""
    return text_of(s).capitalize()


def center(value: Json, width: int = 80) -> str:
    """Return the text in the middle of *width* characters."""
    return text_of(value).center(_bounded(width, WIDTH))


def escape(s: Json) -> str:
    """Return the text safe to stand in HTML."""
    return str(escape_html(str(text_of(s))))


def format_(value: Json, *args: Json) -> str:
    """Return the text with ``%s``, ``%d``, ``%.2f`` … replaced by the values."""
    if type(value) is not str:
        raise TypeError
    for placeholder in _PLACEHOLDER.finditer(value):
        budget.spend(4)
        width, digits, kind = placeholder.groups()
        if kind is None and placeholder.group() != "%%":
            raise ValueError
        _bounded(int(width or 0), WIDTH)
        _bounded(int(digits or 0), DIGITS)
    plain = tuple(
        arg if isinstance(arg, (str, int, float)) and type(arg) is not bool else results.to_text(arg) for arg in args
    )
    budget.check_text(len(value) + sum(len(arg) for arg in plain if isinstance(arg, str)))
    return value % plain


def lower(s: Json) -> str:
    """Return the text in small letters."""
    return text_of(s).lower()


def replace(s: Json, old: str, new: str, count: int = -1) -> str:
    """Return the text with *old* replaced by *new*."""
    return methods.replace_text(text_of(s), old, text_of(new), count)


def split(s: Json, sep: str | None = None, maxsplit: int = -1) -> list[str]:
    """Return the pieces of a text between *sep*, or between spaces."""
    return methods.split_text(text_of(s), sep, maxsplit)


def striptags(value: Json) -> str:
    """Return the text of HTML without its tags."""
    text, pieces, at = text_of(value), [], 0
    budget.spend(len(text) // 4)
    while (opened := text.find("<", at)) >= 0:
        ending = "-->" if text.startswith("<!--", opened) else ">"
        if (closed := text.find(ending, opened)) < 0:
            break  # also keeps this linear: the rest is searched once
        pieces.append(text[at:opened])
        at = closed + len(ending)
    return html.unescape(" ".join("".join((*pieces, text[at:])).split()))


def title(s: Json) -> str:
    """Return the text with every word's first letter large."""
    text = text_of(s)
    budget.spend(len(text))
    return "".join(word[:1].upper() + word[1:].lower() for word in re.split(r"([-\s({\[<]+)", text) if word)


def trim(value: Json, chars: str | None = None) -> str:
    """Return the text without spaces (or *chars*) at its ends."""
    return text_of(value).strip(chars)


def truncate(s: Json, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5) -> str:
    """Return the text cut to *length* characters, at a space unless *killwords*."""
    text = text_of(s)
    if length < len(end) or leeway < 0:
        raise ValueError
    if len(text) <= length + leeway:
        return text
    cut = text[: length - len(end)]
    return (cut if killwords else cut.rsplit(" ", 1)[0]) + end


def upper(s: Json) -> str:
    """Return the text in large letters."""
    return text_of(s).upper()


def urlencode(value: Json) -> str:
    """Return the text as part of a URL; of an object, a whole query."""
    if isinstance(value, Mapping):
        texts = {key: results.to_text(entry) for key, entry in value.items()}
        budget.spend(len(texts) + sum(len(key) + len(text) for key, text in texts.items()) // 4)
        return "&".join(f"{quote_plus(key)}={quote_plus(text)}" for key, text in texts.items())
    text = text_of(value)
    budget.spend(len(text) // 4)
    return quote(text)


def urldecode(value: Json) -> str:
    """Return the text that was written as part of a URL."""
    text = text_of(value)
    budget.spend(len(text) // 4)
    return unquote(text)


def wordcount(s: Json) -> int:
    """Return how many words the text has."""
    return len(re.findall(r"\w+", text_of(s)))


def absolute(x: Json) -> Json:
    """Return the number without its sign."""
    return operators.in_range(abs(x))


def float_(value: Json, default: Json = None) -> Json:
    """Return the number in a text; *default* where there is none."""
    try:
        number = float(_short(value))
        if math.isfinite(number):
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    return _or_default(default, value, "a number")


def int_(value: Json, default: Json = None, base: int = 10) -> Json:
    """Return the whole number in a text, or a number without its fraction; *default* where there is none."""
    try:
        if isinstance(value, str):
            return operators.in_range(int(_short(value), base) if base != 10 or "." not in value else int(float(value)))
        return operators.in_range(int(value))
    except (TypeError, ValueError, OverflowError):
        return _or_default(default, value, "a whole number")


def round_(value: Json, precision: int = 0, method: str = "common") -> float:
    """Return the number rounded to *precision* digits; *method* is ``common``, ``ceil`` or ``floor``."""
    if not isinstance(value, (int, float)) or method not in ("common", "ceil", "floor"):
        raise TypeError
    if type(precision) is not int or abs(precision) > DIGITS:
        raise ValueError
    if method == "common":
        return float(round(value, precision))
    scale = 10.0**precision
    return float(operators.in_range((math.ceil if method == "ceil" else math.floor)(value * scale) / scale))


def parse_json(value: Json) -> Json:
    """Return the value in a JSON text."""
    if type(value) is not str:
        raise TypeError
    found, fault = strictjson.read(value.encode(), depth=64)
    if fault is not None:
        raise ExpressionError("expression.json", f"“parse_json”: the text {fault.message}.")
    budget.spend(len(value) // 16)
    return found


def tojson(value: Json, indent: int | None = None) -> str:
    """Return the value as JSON text."""
    return results.to_json(value, None if indent is None else _bounded(indent, 8))


def date_format(value: Json, format: str = "%Y-%m-%d") -> str:
    """Return a date or time (ISO 8601, or seconds since 1970) written as *format* says."""
    if len(format) > 100 or any(one not in DATE_DIRECTIVES for one in re.findall(r"%(.|$)", format, re.DOTALL)):
        raise ValueError
    return _moment(value).strftime(format)


def add_days(value: Json, days: float) -> str:
    """Return an ISO 8601 date or time that many days later."""
    return _later(value, timedelta(days=days))


def add_hours(value: Json, hours: float) -> str:
    """Return an ISO 8601 time that many hours later."""
    return _later(value, timedelta(hours=hours))


def add_minutes(value: Json, minutes: float) -> str:
    """Return an ISO 8601 time that many minutes later."""
    return _later(value, timedelta(minutes=minutes))


def timestamp(value: Json) -> float:
    """Return an ISO 8601 date or time as seconds since 1970."""
    return _moment(value).timestamp()


def _moment(value: Json) -> datetime:
    if isinstance(value, (int, float)) and type(value) is not bool:
        return datetime.fromtimestamp(value, UTC)
    moment = datetime.fromisoformat(value.strip())
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _later(value: Json, by: timedelta) -> str:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value.strip()) and not by % timedelta(days=1):
        return (date.fromisoformat(value.strip()) + by).isoformat()
    moment = (_moment(value) + by).isoformat()
    return moment.replace("+00:00", "Z")


def _bounded(number: Json, most: int) -> int:
    if type(number) is not int or number < 0:
        raise ValueError
    if number > most:
        raise ExpressionError("expression.too_large", f"A setting of a filter is too large: at most {most:,}.")
    return number


def _short(value: Json) -> Json:
    if isinstance(value, str) and len(value) > 400:
        raise ValueError
    return value


def _or_default(default: Json, value: Json, what: str) -> Json:
    if default is None:
        kind = methods.kind_of(value)
        raise ExpressionError(
            "expression.type", f"There is {kind} that cannot be read as {what}; “default” can stand in."
        )
    return present(default)


def _string(object: Json) -> str:
    """Return the value as text, as it would stand in a text."""
    return results.to_text(object)


FILTERS: dict[str, Callable[..., Json]] = {
    "abs": absolute,
    "add_days": add_days,
    "add_hours": add_hours,
    "add_minutes": add_minutes,
    "capitalize": capitalize,
    "center": center,
    "date_format": date_format,
    "escape": escape,
    "float": float_,
    "format": format_,
    "int": int_,
    "lower": lower,
    "parse_json": parse_json,
    "replace": replace,
    "round": round_,
    "split": split,
    "string": _string,
    "striptags": striptags,
    "timestamp": timestamp,
    "title": title,
    "tojson": tojson,
    "trim": trim,
    "truncate": truncate,
    "upper": upper,
    "urldecode": urldecode,
    "urlencode": urlencode,
    "wordcount": wordcount,
}
