"""Where the values of a JSON text stand, as line and column: for reports about files."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+', re.DOTALL)
_CHARACTER = re.compile(r"\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|\\u\w{4}|\\.|.", re.DOTALL)


class Place(NamedTuple):
    """Both count from 1, columns in characters."""

    line: int
    column: int


class Places:
    """The places of one text, which has to be JSON: read it first."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._offsets = _offsets(text)

    def of(self, path: Sequence[str | int], position: int | None = None) -> Place:
        """Return where the value at *path* begins, or the innermost value around it that is there.

        With a *position* it is that character's place, if the value is a text.
        """
        found = tuple(path)
        while found and found not in self._offsets:
            found, position = found[:-1], None
        offset = self._offsets.get(found, 0)
        if position is not None and self._text.startswith('"', offset):
            offset = self._inside(offset + 1, position)
        line = bisect_right(self._lines, offset)
        return Place(line, offset - self._lines[line - 1] + 1)

    def _inside(self, offset: int, position: int) -> int:
        """Return where the character number *position* of the text that begins at *offset* stands."""
        for _ in range(position):
            found = _CHARACTER.match(self._text, offset)
            if found is None or found.group() == '"':
                break
            offset = found.end()
        return offset


def place_of_fault(text: str) -> Place | None:
    """Return where *text* stops being JSON, its start when it is nested too deeply to be read; None when it is."""
    try:
        json.loads(text, parse_int=str)  # also one that is too long for a number
    except json.JSONDecodeError as error:
        return Place(error.lineno, error.colno)
    except RecursionError:
        return Place(1, 1)
    return None


def _offsets(text: str) -> dict[Path, int]:
    offsets: dict[Path, int] = {}
    path: list[str | int] = []
    is_key = False  # whether the next text is a key
    for found in _TOKEN.finditer(text):
        mark = found.group()
        if mark in ("}", "]"):
            path.pop()
            is_key = False
        elif mark == ",":
            is_key = isinstance(path[-1], str)
            if isinstance(path[-1], int):
                path[-1] += 1
        elif mark == ":":
            is_key = False
        elif is_key:
            path[-1] = json.loads(mark)
        else:
            offsets[tuple(path)] = found.start()
            if mark in ("{", "["):
                path.append("" if mark == "{" else 0)
                is_key = mark == "{"
    return offsets
