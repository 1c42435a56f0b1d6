"""What a test says of the values it looks at: in ``a if b else c``, in ``b and a``, behind a condition of the flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeGuard

from jinja2 import nodes

from runtime.allowlist import LITERAL_WORDS
from runtime.scope import ROOTS
from runtime.shapes import KINDS, Shape

Path: TypeAlias = tuple[str | int, ...]  # the name without $, then keys
DEFAULT = frozenset({"default", "d"})
NOT_NULL = KINDS - {"null"}
TESTED_KINDS = {
    "boolean": {"boolean"},
    "false": {"boolean"},
    "float": {"number"},
    "integer": {"number"},
    "iterable": {"text", "list", "object"},
    "mapping": {"object"},
    "none": {"null"},
    "number": {"number", "boolean"},
    "sequence": {"text", "list", "object"},
    "string": {"text"},
    "true": {"boolean"},
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A value is there, and of one of these kinds; or it is not there. *truth* is what it counts as, where known."""

    kinds: frozenset[str] = KINDS
    is_there: bool = True
    truth: bool | None = None


ABSENT = Fact(is_there=False)


Facts: TypeAlias = Mapping[Path, Fact]


def path_of(node: nodes.Node) -> Path | None:
    """Return where a chain of constant keys leads; None for anything else."""
    keys: list[str | int] = []
    while not isinstance(node, nodes.Name):
        if isinstance(node, nodes.Getattr):
            keys.append(node.attr)
        elif isinstance(node, nodes.Getitem) and (key := constant_key(node.arg)) is not None:
            keys.append(key)
        else:
            return None
        node = node.node
    return (node.name, *reversed(keys)) if node.name in ROOTS else None


def constant_key(node: nodes.Node) -> str | int | None:
    """Return the key that stands between brackets when it is written down."""
    if isinstance(node, nodes.Neg) and isinstance(node.node, nodes.Const) and type(node.node.value) is int:
        return -node.node.value
    if isinstance(node, nodes.Const) and type(node.value) in (str, int):
        return node.value  # type: ignore[no-any-return]
    return None


def is_default(node: nodes.Node) -> TypeGuard[nodes.Filter]:
    """Return whether the filter is applied that puts another value in the place of a missing one."""
    return isinstance(node, nodes.Filter) and node.name in DEFAULT


def is_root(node: nodes.Node, name: str) -> bool:
    """Return whether ``$name`` is written there, and nothing after it."""
    return isinstance(node, nodes.Name) and node.name == name


def is_null(node: nodes.Node) -> bool:
    """Return whether null is written there."""
    return (isinstance(node, nodes.Const) and node.value is None) or (
        isinstance(node, nodes.Name) and node.name in LITERAL_WORDS
    )


def facts_of(node: nodes.Node, holds: bool) -> dict[Path, Fact]:
    """Return what is certain when *node* came to something true, or to something false."""
    if isinstance(node, nodes.Not):
        return facts_of(node.node, not holds)
    if isinstance(node, nodes.And if holds else nodes.Or):
        return joined(facts_of(node.left, holds), facts_of(node.right, holds))
    if isinstance(node, nodes.Test):
        return _of_test(node, holds)
    if isinstance(node, nodes.Compare) and len(node.ops) == 1:
        return _of_comparison(node.expr, node.ops[0], holds)
    if is_default(node) and node.node is not None:
        other = node.args[0] if node.args else nodes.Const("")
        is_false = isinstance(other, nodes.Const) and not other.value
        return facts_of(node.node, True) if holds and is_false else {}
    if (path := path_of(node)) is not None:
        return {path: Fact(NOT_NULL if holds else KINDS, truth=holds)}
    return {}


def question(test: nodes.Expr) -> str:
    """Return what is asked, the same for tests that differ in nothing but how often “not” stands before them."""
    return question(test.node) if isinstance(test, nodes.Not) else repr(test)


def is_affirmed(test: nodes.Expr) -> bool:
    """Return whether the answer to the question is that of the test, and not the other one."""
    return not is_affirmed(test.node) if isinstance(test, nodes.Not) else True


def answers(test: nodes.Expr, holds: bool) -> Iterator[tuple[nodes.Expr, bool]]:
    """Yield the test with its answer, and those that it is made of where theirs follow from it."""
    yield test, holds
    if _parts(test, holds):
        waiting = [(test, holds)]
        while waiting:
            part, answer = waiting.pop()
            if found := _parts(part, answer):
                waiting += found
            else:
                yield part, answer


def _parts(test: nodes.Expr, holds: bool) -> list[tuple[nodes.Expr, bool]]:
    if isinstance(test, nodes.Not):
        return [(test.node, not holds)]
    if isinstance(test, nodes.And if holds else nodes.Or):
        return [(test.left, holds), (test.right, holds)]
    return []


def facts_of_default(node: nodes.Filter) -> dict[Path, Fact]:
    """Return what is certain where the value that stands in for a missing one is taken."""
    has_more = node.node is None or len(node.args) + len(node.kwargs) > 1  # then null and empty count as missing
    return {} if has_more or node.node is None else _facts_of_missing(node.node)


def _facts_of_missing(node: nodes.Expr) -> dict[Path, Fact]:
    """Return what is certain where *node* comes to nothing."""
    if is_default(node) and len(node.args) == 1:
        return joined(facts_of_default(node), _facts_of_missing(node.args[0]))
    return {} if (path := path_of(node)) is None else {path: ABSENT}


def joined(*all_facts: Facts) -> dict[Path, Fact]:
    """Return what is certain when all of these are."""
    found: dict[Path, Fact] = {}
    for facts in all_facts:
        for path, fact in facts.items():
            before = found.get(path)
            found[path] = fact if before is None else _both(before, fact)
    return found


def with_prefixes(facts: Facts) -> dict[Path, Fact]:
    """Return the facts, and that whatever leads to a value that is there is there as well."""
    found: dict[Path, Fact] = {}
    for path, fact in facts.items():
        for length in range(1, len(path) if fact.is_there else 1):
            found[path[:length]] = Fact(NOT_NULL)
    return joined(found, facts)


def _both(one: Fact, other: Fact) -> Fact:
    truth = one.truth if other.truth is None else other.truth
    return Fact(one.kinds & other.kinds, one.is_there and other.is_there, truth)


def narrowed(shape: Shape, fact: Fact) -> Shape:
    """Return the shape of a value of which that is certain."""
    found = shape.there()
    if found.kinds <= fact.kinds:
        return found
    kinds = found.kinds & fact.kinds
    return found.only(kinds) if kinds else replace(Shape(), about=shape.about)  # what cannot be is not judged


def _of_test(node: nodes.Test, holds: bool) -> dict[Path, Fact]:
    path = path_of(node.node)
    if path is None:
        return {}
    if node.name in ("defined", "undefined"):
        return {path: Fact() if holds == (node.name == "defined") else ABSENT}
    kinds = TESTED_KINDS.get(node.name)
    if kinds is None:
        return {path: Fact()}
    if holds:
        return {path: Fact(frozenset(kinds))}
    return {path: Fact(NOT_NULL if node.name == "none" else KINDS)}


def _of_comparison(left: nodes.Expr, operand: nodes.Operand, holds: bool) -> dict[Path, Fact]:
    found: dict[Path, Fact] = {}
    sides = (left, operand.expr)
    for one, other in (sides, sides[::-1]):
        if (path := path_of(one)) is None:
            continue
        found[path] = Fact()
        if operand.op in ("eq", "ne") and (is_null(other) or isinstance(other, nodes.Const)):
            is_equal = holds == (operand.op == "eq")
            if is_null(other) != is_equal:
                found[path] = Fact(NOT_NULL)
        elif operand.op not in ("eq", "ne", "in", "notin"):
            found[path] = Fact(NOT_NULL)
    if operand.op in ("in", "notin") and isinstance(left, nodes.Const) and isinstance(left.value, str):
        holder = path_of(operand.expr)
        if holder is not None:
            found[*holder, left.value] = Fact() if holds == (operand.op == "in") else ABSENT
    return found
