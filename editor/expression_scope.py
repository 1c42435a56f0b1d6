"""What a node's expressions can use, as the browser needs it for completion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from runtime.shapes import NOTHING, Shape

Json: TypeAlias = Any
DEPTH = 6
MOST = 2_000  # values
SAMPLE_CHARS = 40
KINDS = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}


def browser_scope(scope: Mapping[str, Shape]) -> dict[str, Json]:
    """Return a tree of what can be named: root without ``$`` -> value.

    A value is ``{"k": kind}`` and, where known, ``"f"``: its fields, ``"i"``: what its entries are, ``"v"``:
    an example on one line, ``"d"``: what it is, ``"w"``: why it may be missing. What is never there is left out.
    """
    return _Tree().fields(scope, DEPTH)


class _Tree:
    def __init__(self) -> None:
        self._left = MOST

    def fields(self, fields: Mapping[str, Shape], depth: int) -> dict[str, Json]:
        found = {}
        for name, shape in fields.items():
            if self._left > 0 and not shape.is_absent:
                found[name] = self._value(shape, depth)
        return found

    def _value(self, shape: Shape, depth: int) -> dict[str, Json]:
        self._left -= 1
        value: dict[str, Json] = {"k": _kind(shape)}
        said = {"v": _sample(shape.sample), "d": shape.about, "w": shape.missing}
        value |= {key: text for key, text in said.items() if text}
        if depth and (inside := self.fields(shape.fields, depth - 1)):
            value["f"] = inside
        if depth and shape.items is not None and not shape.items.is_absent:
            value["i"] = self._value(shape.items, depth - 1)
        return value


def _kind(shape: Shape) -> str:
    if len(shape.known) == 1:
        return next(iter(shape.known))
    if shape.sample is NOTHING:
        return "any" if shape.known else "null"
    return KINDS.get(type(shape.sample), "null")


def _sample(value: Json) -> str:
    if value is NOTHING:
        return ""
    if isinstance(value, list | dict):
        return ""  # its fields say more
    text = " ".join(value.split()) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SAMPLE_CHARS else f"{text[: SAMPLE_CHARS - 1]}…"
