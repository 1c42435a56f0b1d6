"""Tells by an expression's shape where it is evaluated: in place, or in the evaluator process.

In place stays what looks at each value a fixed number of times:

- constants, paths, keys and indexes, slices, list and object literals;
- comparisons, ``in``, ``and``/``or``/``not``, inline ``if``, ``~``, ``+ - * / // %``;
- filters that are declared as cheap (see ``runtime.filter_spec.Group``), tests, and methods that are not named here.
  Each pays for its work before it does it.

Everything else is costly: what goes through a list entry by entry, applies another filter or test, sorts, counts with
``range``, raises to a power or reads a text with a pattern. So are parameters whose expressions have more than
``EXPRESSION_NODES_IN_PLACE`` parts.

Shape alone does not tell how long a list is. What is evaluated in place has a small budget of counted work (see
``runtime.budget``); when that is used up, the same expressions are evaluated anew in the evaluator process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from jinja2 import nodes

from runtime import limits
from runtime.filters import FILTERS

Read: TypeAlias = tuple[str, str | None]  # a name and the key that is read of it; None: all of it may be
COSTLY = 1_000_000  # parts that an expression counts for that is costly by itself

FILTERS_IN_PLACE = frozenset(name for name, guard in FILTERS.items() if not guard.is_costly)
TESTS_COSTLY = frozenset[str]()  # every test looks once at what it is given
METHODS_COSTLY = frozenset({"join", "zfill"})


@dataclass(frozen=True, slots=True)
class Cost:
    """*parts* counts the parts of the tree; *reads* is what the expression needs of its names."""

    parts: int
    reads: frozenset[Read]


FREE = Cost(0, frozenset())


def total(costs: Iterable[Cost]) -> Cost:
    """Return what several expressions cost together."""
    found = list(costs)
    return Cost(sum(each.parts for each in found), frozenset[Read]().union(*(each.reads for each in found)))


def of(tree: nodes.Expr, roots: frozenset[int]) -> Cost:
    """Return the cost of a tree that has passed the checks and is not rewritten yet.

    *roots* are the lines on which a name such as ``$param`` stands, see ``runtime.dialect``.
    """
    found = list(_all(tree))
    parts = len(found) + (COSTLY if any(map(_is_costly, found)) else 0)
    return Cost(parts, frozenset(_reads(found, roots)))


def is_costly(parts: int) -> bool:
    """Return whether expressions with so many parts together are evaluated in the evaluator process."""
    return parts > limits.EXPRESSION_NODES_IN_PLACE


def _all(tree: nodes.Node) -> Iterator[nodes.Node]:
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        stack += node.iter_child_nodes()


def _is_costly(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Filter):
        return node.name not in FILTERS_IN_PLACE
    if isinstance(node, nodes.Test):
        return node.name in TESTS_COSTLY
    if isinstance(node, nodes.Call):
        return not isinstance(node.node, nodes.Getattr) or node.node.attr in METHODS_COSTLY
    return isinstance(node, nodes.Pow)


def _reads(found: list[nodes.Node], roots: frozenset[int]) -> Iterator[Read]:
    keys: dict[int, str | None] = {}  # name node -> the one key that is read of it
    called = {id(node.node) for node in found if isinstance(node, nodes.Call)}
    for node in found:
        if isinstance(node, (nodes.Getattr, nodes.Getitem)) and isinstance(node.node, nodes.Name):
            keys[id(node.node)] = None if id(node) in called else _key(node)
    for node in found:
        if isinstance(node, nodes.Name) and node.lineno in roots:
            yield node.name, keys.get(id(node))


def _key(node: nodes.Getattr | nodes.Getitem) -> str | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and type(node.arg.value) is str else None


def part_of(names: Mapping[str, object], reads: frozenset[Read]) -> dict[str, object]:
    """Return of *names* what expressions with these *reads* need; other keys of what they read hold null.

    A key that is not there leaves the others' names, because an error lists them or suggests one.
    """
    wanted: dict[str, set[str | None]] = {}
    for root, key in reads:
        wanted.setdefault(root, set()).add(key)
    return {root: _needed(root, names[root], keys) for root, keys in wanted.items() if root in names}


def _needed(root: str, value: object, keys: set[str | None]) -> object:
    if not isinstance(value, Mapping):
        return value
    if None in keys:
        return dict(value) if root == "action" else value  # other branches add their outputs meanwhile
    if all(key in value for key in keys):
        return {key: value[key] for key in keys}
    return {key: value[key] if key in keys else None for key in value}
