"""Where in a JSON text the characters of one of its texts stand."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]

SPACE = re.compile(r"[ \t\n\r]*")
ESCAPED = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]", re.DOTALL
)
DECODER = json.JSONDecoder()


def place_in(source: str, path: tuple[str | int, ...], position: int) -> int | None:
    """Return where character *position* of the text that *path* leads to stands in *source*, valid JSON."""
    at: int | None = _skip(source, 0)
    for step in path:
        at = None if at is None else _member(source, at, step)
    if at is None or source[at : at + 1] != '"':
        return None
    at += 1
    for _count in range(position):
        if source[at] == '"':
            break
        found = ESCAPED.match(source, at)
        at = found.end() if found else at + 1
    return at


def _member(source: str, at: int, step: str | int) -> int | None:
    """Return where the member of the object or list at *at* begins."""
    is_object = source[at] == "{"
    if isinstance(step, str) != is_object or source[at] not in "{[":
        return None
    count = 0
    found = None
    at = _skip(source, at + 1)
    while source[at] not in "]}":
        key: str | int = count
        if is_object:
            key, at = scanstring(source, at + 1)
            at = _skip(source, _skip(source, at) + 1)  # over the colon
        if key == step:
            found = at  # of keys that are there twice, the last counts
        at = _skip(source, DECODER.raw_decode(source, at)[1])
        if source[at] == ",":
            at = _skip(source, at + 1)
        count += 1
    return found


def _skip(source: str, at: int) -> int:
    found = SPACE.match(source, at)
    return found.end() if found else at
