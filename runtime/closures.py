"""The short way: paths, constants, comparisons, ``and``/``or``/``not`` and inline ``if`` without Jinja's run time.

It works on the rewritten tree and calls the functions that the long way calls, so both give the same.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeAlias

from jinja2 import nodes

from runtime import access, operators
from runtime.scope import Scope

Json: TypeAlias = Any
Evaluate: TypeAlias = Callable[[Scope], Json]


def of(node: nodes.Node | None) -> Evaluate | None:
    """Return what evaluates *node*, or None when it has parts that need the long way."""
    if isinstance(node, nodes.Const):
        constant = node.value
        return lambda _scope: constant
    if isinstance(node, nodes.Filter):
        return _path(node) if node.name == "(path)" else _comparison(node) if node.name == "(compare)" else None
    if isinstance(node, nodes.Not):
        return _not(of(node.node))
    if isinstance(node, (nodes.And, nodes.Or)):
        return _both(of(node.left), of(node.right), is_and=isinstance(node, nodes.And))
    if isinstance(node, nodes.CondExpr):
        return _choice(of(node.test), of(node.expr1), of(node.expr2))
    return None


def _path(node: nodes.Filter) -> Evaluate:
    assert isinstance(node.node, nodes.Name)
    root, steps = (argument.value for argument in node.args if isinstance(argument, nodes.Const))
    read = attrgetter(node.node.name)
    if not steps:
        return lambda scope: access.walk(read(scope), root, steps)
    keys = tuple(key for key, _is_attribute in steps)

    def follow(scope: Scope) -> Json:
        value = start = read(scope)
        try:
            for key in keys:
                value = value[key]
        except (LookupError, TypeError):
            return access.walk(start, root, steps)  # a method, or a Missing with the reason
        return value

    return follow


def _comparison(node: nodes.Filter) -> Evaluate | None:
    left = of(node.node)
    signs, *rest = node.args
    others = [of(other) for other in rest]
    assert isinstance(signs, nodes.Const)
    if left is None or None in others:
        return None
    return _compared(left, signs.value, [other for other in others if other is not None])


def _compared(left: Evaluate, signs: tuple[str, ...], others: list[Evaluate]) -> Evaluate:
    if len(others) == 1:
        other = others[0]
        return lambda scope: operators.compare(left(scope), signs, other(scope))
    return lambda scope: operators.compare(left(scope), signs, *(each(scope) for each in others))


def _not(value: Evaluate | None) -> Evaluate | None:
    return None if value is None else lambda scope: not value(scope)


def _both(left: Evaluate | None, right: Evaluate | None, *, is_and: bool) -> Evaluate | None:
    if left is None or right is None:
        return None
    if is_and:
        return lambda scope: left(scope) and right(scope)
    return lambda scope: left(scope) or right(scope)


def _choice(test: Evaluate | None, one: Evaluate | None, other: Evaluate | None) -> Evaluate | None:
    if test is None or one is None or other is None:
        return None
    return lambda scope: one(scope) if test(scope) else other(scope)
