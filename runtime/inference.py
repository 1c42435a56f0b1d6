"""What parameters come to, read from their texts: no expression is evaluated for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from jinja2 import nodes

from runtime import dialect, scanner, shapes
from runtime.findings import NOWHERE, Around, Finding
from runtime.narrowing import Facts
from runtime.reader import Reader
from runtime.scanner import ScanError, Source
from runtime.shapes import TEXT, UNKNOWN, Shape

Json: TypeAlias = Any
NO_FACTS: Facts = {}


class Expression:
    """One expression of a text: its tokens, and its tree."""

    __slots__ = ("source", "tree")

    def __init__(self, source: Source, tree: nodes.Expr) -> None:
        self.source = source
        self.tree = tree


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
    pieces = expressions_in(text, is_bare)
    if pieces is None:
        return UNKNOWN, ()
    found: list[Finding] = []
    shape = TEXT
    for piece in pieces:
        shape = Reader(piece.source, scope, around, found).read(piece.tree, facts)
    return (shape if is_alone(text, is_bare) else TEXT), tuple(found)


@lru_cache(maxsize=4096)
def expressions_in(text: str, is_bare: bool = False) -> tuple[Expression, ...] | None:
    """Return the expressions in a text; None when one of them is not allowed."""
    try:
        sources = list(_sources(text, is_bare))
    except ScanError:
        return None
    found = [Expression(source, tree) for source in sources if (tree := dialect.tree_of(source)) is not None]
    return tuple(found) if len(found) == len(sources) else None


@lru_cache(maxsize=4096)
def is_alone(text: str, is_bare: bool = False) -> bool:
    """Return whether the text is exactly one expression, so that its value keeps its type."""
    if is_bare and not text.lstrip().startswith(scanner.OPEN):
        return True
    pieces = scanner.split(text.strip() if is_bare else text)
    return len(pieces) == 1 and isinstance(pieces[0], Source)


def _sources(text: str, is_bare: bool) -> Iterator[Source]:
    if is_bare and not text.lstrip().startswith(scanner.OPEN):
        yield scanner.bare(text)
        return
    yield from (piece for piece in scanner.split(text) if isinstance(piece, Source))
