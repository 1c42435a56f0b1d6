"""What parameters come to, read from their texts: no expression is evaluated for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from jinja2 import nodes

from runtime import dialect, scanner, shapes
from runtime.findings import NOWHERE, Around, Finding
from runtime.narrowing import Facts
from runtime.reader import Reader
from runtime.scanner import ScanError, Source
from runtime.shapes import TEXT, UNKNOWN, Shape

Json: TypeAlias = Any
NO_FACTS: Facts = {}
CACHED_CHARS = 20_000  # a longer text is read each time


class Expression(NamedTuple):
    """One expression of a text: its tokens, and its tree, which is not to be changed."""

    source: Source
    tree: nodes.Expr


class Parts(NamedTuple):
    """The expressions of a text; *is_alone*: it is exactly one, so that its value keeps its type."""

    expressions: tuple[Expression, ...]
    is_alone: bool


def shape_of(value: Json, read_text: Callable[[str], Shape]) -> Shape:
    """Return what *value*, any JSON, comes to; *read_text* says it of a text with expressions."""
    if isinstance(value, dict):
        return shapes.object_of({str(key): shape_of(entry, read_text) for key, entry in value.items()})
    if isinstance(value, list):
        return shapes.list_of(shapes.union(*(shape_of(entry, read_text) for entry in value)) if value else None)
    if not isinstance(value, str) or scanner.OPEN not in value:
        return shapes.of_value(value)
    return read_text(value)


def read(
    text: str,
    scope: Mapping[str, Shape],
    facts: Facts = NO_FACTS,
    around: Around = NOWHERE,
    *,
    is_bare: bool = False,
) -> tuple[Shape, tuple[Finding, ...]]:
    """Return what a text with expressions comes to, and what is wrong in them.

    What the dialect does not allow is told elsewhere, and is unknown here. *is_bare*: it may stand without braces.
    """
    parts = parts_of(text, is_bare)
    if parts is None:
        return UNKNOWN, ()
    found: list[Finding] = []
    shape = TEXT
    for part in parts.expressions:
        shape = Reader(part.source, scope, around, found).read(part.tree, facts)
    return (shape if parts.is_alone else TEXT), tuple(found)


def is_alone(text: str, is_bare: bool = False) -> bool:
    """Return whether the text is exactly one expression, so that its value keeps its type."""
    parts = parts_of(text, is_bare)
    return parts is not None and parts.is_alone


def parts_of(text: str, is_bare: bool = False) -> Parts | None:
    """Return the expressions in a text; None when one of them is not allowed."""
    return _parts_of(text, is_bare) if len(text) <= CACHED_CHARS else _parts_of.__wrapped__(text, is_bare)


@lru_cache(maxsize=4096)
def _parts_of(text: str, is_bare: bool) -> Parts | None:
    try:
        if is_bare and not text.lstrip().startswith(scanner.OPEN):
            pieces: tuple[str | Source, ...] = (scanner.bare(text),)
        else:
            pieces = scanner.pieces(text)
    except ScanError:
        return None
    sources = [piece for piece in pieces if isinstance(piece, Source)]
    found = [Expression(source, tree) for source in sources if (tree := dialect.tree_of(source)) is not None]
    if len(found) < len(sources):
        return None
    rest = [piece for piece in pieces if isinstance(piece, str) and not (is_bare and piece.isspace())]
    return Parts(tuple(found), len(found) == 1 and not rest)
