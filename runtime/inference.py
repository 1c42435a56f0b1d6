"""What a parameter comes to, read from its text: no expression is evaluated for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from jinja2 import nodes

from runtime import dialect, scanner, shapes
from runtime.scanner import ScanError, Source
from runtime.shapes import TEXT, UNKNOWN, Shape

Json: TypeAlias = Any


def shape_of(value: Json, scope: Mapping[str, Shape]) -> Shape:
    """Return what *value*, any JSON with expressions in its texts, comes to."""
    if isinstance(value, dict):
        return shapes.object_of({str(key): shape_of(entry, scope) for key, entry in value.items()})
    if isinstance(value, list):
        return shapes.list_of(shapes.union(*(shape_of(entry, scope) for entry in value)) if value else None)
    if not isinstance(value, str) or scanner.OPEN not in value:
        return shapes.of_value(value)
    pieces = _pieces(value)
    if len(pieces) != 1:
        return TEXT if pieces else UNKNOWN
    return UNKNOWN if pieces[0] is None else _of(pieces[0], scope)


@lru_cache(maxsize=2048)
def _pieces(text: str) -> tuple[nodes.Expr | None, ...]:
    """Return the trees of the expressions in a text, None for plain pieces; nothing when it cannot be read."""
    try:
        return tuple(dialect.tree_of(piece) if isinstance(piece, Source) else None for piece in scanner.split(text))
    except ScanError:
        return ()


def _of(node: nodes.Expr, scope: Mapping[str, Shape]) -> Shape:
    if isinstance(node, nodes.Name):
        return scope.get(node.name, UNKNOWN)
    if isinstance(node, nodes.Getattr):
        return shapes.reach(_of(node.node, scope), node.attr)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return shapes.reach(_of(node.node, scope), node.arg.value)
    return UNKNOWN
