"""Reads one expression's syntax tree: what it comes to, and what is wrong in it on the way.

Nothing is evaluated. A problem is told only where it is certain, or where the ways through the flow make it possible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes

from runtime import applied, narrowing, operations, reaching, shapes
from runtime.check_codes import CODES
from runtime.findings import NOWHERE, Around, Finding
from runtime.kinds import as_truth
from runtime.narrowing import Facts
from runtime.scanner import Source, Token
from runtime.shapes import BOOLEAN, NULL, UNKNOWN, Shape


@dataclass(slots=True)
class Reader:
    """Reads one expression. What it finds is added to *found*."""

    source: Source
    scope: Mapping[str, Shape]
    around: Around = NOWHERE
    found: list[Finding] = field(default_factory=list)

    def read(self, node: nodes.Node, facts: Facts, *, is_guarded: bool = False, is_called: bool = False) -> Shape:
        """Return what *node* comes to where *facts* hold.

        *is_guarded*: it may be missing. *is_called*: a method of it is called.
        """
        if isinstance(node, nodes.Const):
            return shapes.of_value(node.value)
        if isinstance(node, reaching.CHAIN):
            return reaching.read_chain(self, node, facts, is_guarded=is_guarded, is_called=is_called)
        if is_guarded and narrowing.is_default(node):
            return applied.read_filter(self, node, facts, is_guarded=True)
        method = _READERS.get(type(node))
        return UNKNOWN if method is None else method(self, node, facts)

    def with_facts(self, facts: Facts, test: nodes.Node, holds: bool) -> Facts:
        """Return *facts* and what is certain when *test* came to something true, or false."""
        more = narrowing.facts_of(test, holds)
        return narrowing.joined(facts, narrowing.with_prefixes(more)) if more else facts

    def with_answer(self, facts: Facts, test: nodes.Expr, holds: bool) -> Facts:
        """Return what ``with_facts`` does, and that conditions of the flow that ask the same had this answer."""
        asked = (
            self.around.asked(narrowing.question(each), narrowing.is_affirmed(each) == answer)
            for each, answer in narrowing.answers(test, holds)
        )
        return narrowing.joined(self.with_facts(facts, test, holds), *asked)

    def tell(self, code: str, message: str, node: nodes.Node) -> None:
        """Take note of a problem of all that belongs to *node*."""
        self.found.append(Finding(code, message, *self.span(node), CODES[code].severity))

    def tell_at(self, code: str, message: str, token: Token, severity: str = "", suggestion: str | None = None) -> None:
        """Take note of a problem of one token."""
        severity = severity or CODES[code].severity
        self.found.append(Finding(code, message, token.position, len(token.text), severity, suggestion))

    def token(self, number: int) -> Token:
        """Return the token of this number, or the last one."""
        return self.source.tokens[min(number, len(self.source.tokens) - 1)]

    def tokens_of(self, node: nodes.Node) -> tuple[Token, ...]:
        """Return the tokens from the first to the last that belongs to *node*; brackets around it do not."""
        numbers = _numbers(node)
        return self.source.tokens[min(numbers) : max(numbers) + 1]

    def span(self, node: nodes.Node) -> tuple[int, int]:
        """Return where *node* begins in the text, and over how many characters it goes."""
        tokens = self.tokens_of(node)
        return tokens[0].position, tokens[-1].position + len(tokens[-1].text) - tokens[0].position

    def has_told(self, code: str, node: nodes.Node) -> bool:
        """Return whether a problem with this code begins where *node* does."""
        return any(each.code == code and each.position == self.span(node)[0] for each in self.found)


def _numbers(node: nodes.Node) -> set[int]:
    """Return the numbers of the tokens that are sure to belong to a node: each has a line of its own."""
    found = set() if node.lineno is None else {node.lineno - 1}  # an operand has no line
    if isinstance(node, (nodes.Getattr, nodes.Test)):
        found.add(node.lineno)  # the name behind the dot, or behind “is”
    for child in node.iter_child_nodes():
        found |= _numbers(child)
    if isinstance(node, nodes.Getitem):
        found.add(max(_numbers(node.arg)) + 1)  # the closing bracket
    return found


def _not(reader: Reader, node: nodes.Not, facts: Facts) -> Shape:
    truth = as_truth(reader.read(node.node, facts))
    return BOOLEAN if truth is None else shapes.of_value(not truth)


def _both(reader: Reader, node: nodes.And | nodes.Or, facts: Facts) -> Shape:
    is_and = isinstance(node, nodes.And)
    left = reader.read(node.left, facts)
    right = reader.read(node.right, reader.with_facts(facts, node.left, is_and))
    truth = as_truth(left)
    if truth is not None:
        return right if truth == is_and else left
    if left.kinds == {"boolean"} and as_truth(right) is (not is_and):
        return shapes.of_value(not is_and)  # whatever the left side is
    return shapes.union(left if is_and or not left.known else left.only(left.known), right)


def _choice(reader: Reader, node: nodes.CondExpr, facts: Facts) -> Shape:
    truth = as_truth(reader.read(node.test, facts))
    if truth is not None and not reader.has_told("expression.always", node.test):
        reader.tell("expression.always", f"this condition is always {'true' if truth else 'false'}", node.test)
    one = reader.read(node.expr1, reader.with_answer(facts, node.test, True))
    other = NULL if node.expr2 is None else reader.read(node.expr2, reader.with_answer(facts, node.test, False))
    return shapes.union(one, other) if truth is None else one if truth else other


def _list(reader: Reader, node: nodes.List | nodes.Tuple, facts: Facts) -> Shape:
    entries = [reader.read(entry, facts) for entry in node.items]
    return shapes.list_of(shapes.union(*entries) if entries else None)


def _object(reader: Reader, node: nodes.Dict, facts: Facts) -> Shape:
    fields: dict[str, Shape] = {}
    others: Shape | None = None
    for pair in node.items:
        value, key = reader.read(pair.value, facts), reader.read(pair.key, facts)
        if "text" not in key.kinds:
            reader.tell("expression.type", "the keys of an object must be text", pair.key)
        if isinstance(pair.key, nodes.Const):
            fields[str(pair.key.value)] = value
        else:
            others = UNKNOWN
    return shapes.object_of(fields, others=others)


_READERS: Mapping[type[nodes.Node], Callable[[Reader, Any, Facts], Shape]] = {
    **dict.fromkeys(operations.BINARY, operations.read_binary),
    nodes.Neg: operations.read_sign,
    nodes.Pos: operations.read_sign,
    nodes.Concat: operations.read_concat,
    nodes.Compare: operations.read_compare,
    nodes.Not: _not,
    nodes.And: _both,
    nodes.Or: _both,
    nodes.CondExpr: _choice,
    nodes.List: _list,
    nodes.Tuple: _list,
    nodes.Dict: _object,
    nodes.Filter: applied.read_filter,
    nodes.Test: applied.read_test,
    nodes.Call: applied.read_call,
}
