"""Cells of data tables between what a person types and the JSON values that the Datahub takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

SAFE_INTEGER = 2**53 - 1  # beyond, JavaScript loses digits
LONG_CHARS = 4_000  # the grid is sent no more of a cell
SHOWN_CHARS = 400
_WHOLE = re.compile(r"[+-]?\d{1,30}")
_WITHOUT_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


def typed(kind: str, value: Any) -> Any:
    """Return the JSON value that *value*, as typed into a cell of type *kind*, stands for.

    What does not fit is handed on as it is, for the Datahub to refuse in its words. Raises ValueError, with a
    sentence, for what is no JSON.
    """
    if not isinstance(value, str):
        return value
    text = value if kind in ("text", "json") else value.strip()
    if text.strip() == "" and kind != "text":
        return None
    match kind:
        case "text":
            return text or None
        case "integer":
            return int(text) if _WHOLE.fullmatch(text) else text
        case "number":
            return _number(text)
        case "boolean":
            return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)
        case "datetime":
            return _moment(text)
        case "json":
            return _json(text)
    return text


def for_browser(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as the grid shows it: what JavaScript cannot hold is text, and long cells are cut.

    ``$long`` names the columns that were cut.
    """
    shown: dict[str, Any] = {}
    cut = []
    for key, value in row.items():
        if isinstance(value, int) and abs(value) > SAFE_INTEGER:
            value = str(value)
        elif isinstance(value, str) and len(value) > LONG_CHARS:
            cut.append(key)
            value = value[:SHOWN_CHARS]
        elif isinstance(value, list | dict) and len(text := orjson.dumps(value)) > LONG_CHARS:
            cut.append(key)
            value = text[:SHOWN_CHARS].decode(errors="ignore")
        shown[key] = value
    return shown | {"$long": cut} if cut else shown


def as_text(kind: str, value: Any) -> str:
    """Return a JSON value as a person edits it."""
    if value is None:
        return ""
    if kind == "json":
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    if kind == "datetime":
        return re.sub(r"(\.\d+)?Z$", "", str(value))
    return str(value)


def where_of(filters: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> dict[str, Any]:
    """Return the Datahub's filter for the grid's ``{"column", "op", "text"}``."""
    where: dict[str, Any] = {}
    for each in filters:
        name, operator, text = str(each["column"]), str(each["op"]), each.get("text", "")
        match operator:
            case "empty" | "filled":
                where[name] = {"is_null": operator == "empty"}
            case "true" | "false":
                where[name] = {"eq": operator == "true"}
            case _:
                where[name] = {operator: typed(types.get(name, "text"), text)}
    return where


def _number(text: str) -> Any:
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def _moment(text: str) -> str:
    if _WITHOUT_SECONDS.fullmatch(text):
        text += ":00"
    return text if text.endswith(("Z", "z")) or re.search(r"[+-]\d\d:?\d\d$", text) else text + "Z"


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"This is not JSON: line {error.lineno}, column {error.colno}.") from error
