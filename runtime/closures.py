"""The short way: everything but calls of methods, without Jinja's run time.

It works on the rewritten tree and calls the functions that the long way calls, so both give the same.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeAlias

from jinja2 import nodes

from runtime import access, operators
from runtime.filters import FILTERS, TESTS
from runtime.scope import Scope
from runtime.stand_ins import STAND_INS

Json: TypeAlias = Any
Evaluate: TypeAlias = Callable[[Scope], Json]


class _LongWay(Exception):
    """The tree has a part that is not known here."""


def of(node: nodes.Node) -> Evaluate | None:
    """Return what evaluates *node*, or None when it has parts that need the long way."""
    try:
        return _of(node)
    except _LongWay:
        return None


def _of(node: nodes.Node | None) -> Evaluate:
    if isinstance(node, nodes.Const):
        constant = node.value
        return lambda _scope: constant
    if isinstance(node, nodes.Filter):
        return _filter(node)
    if isinstance(node, nodes.Test):
        return _applied(TESTS[node.name], node)
    if isinstance(node, nodes.BinExpr):
        return _binary(node)
    if isinstance(node, nodes.Not):
        value = _of(node.node)
        return lambda scope: not value(scope)
    if isinstance(node, (nodes.Neg, nodes.Pos)):
        sign, number = node.operator, _of(node.node)
        return lambda scope: operators.unary(sign, number(scope))
    if isinstance(node, nodes.CondExpr):
        test, one, other = _of(node.test), _of(node.expr1), _of(node.expr2)
        return lambda scope: one(scope) if test(scope) else other(scope)
    raise _LongWay


def _filter(node: nodes.Filter) -> Evaluate:
    if node.name == "(path)":
        return _path(node)
    if node.name == "(compare)" and len(node.args) == 2:
        return _comparison(node)
    return _applied(STAND_INS.get(node.name) or FILTERS[node.name], node)


def _applied(function: Callable[..., Json], node: nodes.Filter | nodes.Test) -> Evaluate:
    value = _of(node.node)
    args = [_of(arg) for arg in node.args]
    settings = {str(pair.key): _of(pair.value) for pair in node.kwargs if isinstance(pair, nodes.Keyword)}
    if settings:
        return lambda scope: function(
            value(scope), *[arg(scope) for arg in args], **{name: each(scope) for name, each in settings.items()}
        )
    if all(isinstance(arg, nodes.Const) for arg in node.args):
        constants = tuple(arg.value for arg in node.args if isinstance(arg, nodes.Const))
        return lambda scope: function(value(scope), *constants)
    return lambda scope: function(value(scope), *[arg(scope) for arg in args])


def _binary(node: nodes.BinExpr) -> Evaluate:
    left, right = _of(node.left), _of(node.right)
    if isinstance(node, nodes.And):
        return lambda scope: left(scope) and right(scope)
    if isinstance(node, nodes.Or):
        return lambda scope: left(scope) or right(scope)
    sign = node.operator
    return lambda scope: operators.binary(sign, left(scope), right(scope))


def is_path(node: nodes.Expr) -> bool:
    """Return whether a rewritten tree is nothing but a path such as ``$param.a.b``."""
    return isinstance(node, nodes.Filter) and node.name == "(path)"


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


def _comparison(node: nodes.Filter) -> Evaluate:
    signs, right = node.args
    assert isinstance(signs, nodes.Const)
    written, left, other = signs.value, _of(node.node), _of(right)
    return lambda scope: operators.compare(left(scope), written, other(scope))
