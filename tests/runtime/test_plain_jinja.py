"""Harmless expressions give what plain Jinja gives, where both give a value."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment, StrictUndefined

from runtime.expressions import ExpressionError, Scope, compile_value

PAYLOAD: dict[str, Any] = {
    "Name": "orders",
    "a": {"b": 5},
    "items": [{"name": "x"}, {"name": "y"}],
    "user": {"email": "ada@example.com", "id": 7, "nick": None},
    "yes": True,
    "list": [3, 1, 2],
}
PLAIN = Environment(undefined=StrictUndefined)


def value_of(text: str) -> Any:
    return compile_value(text).evaluate(Scope(param=PAYLOAD))


@pytest.mark.parametrize(
    "text",
    [
        "1 + 2 * 3 - 4 / 8",
        "7 // 2 + 7 % 4 + 2 ** 3 ** 2",
        "'a' ~ 'b' ~ 1",
        "1 < 2 < 3 and not 3 > 4 or false",
        "param.list | sort(reverse=true) | join('-')",
        "param['items'] | map(attribute='name') | list",
        "param['items'] | selectattr('name', 'eq', 'x') | list",
        "param.list | select('gt', 1) | map('string') | list",
        "param.list | batch(2) | list",
        "param.list | slice(2) | list",
        "param.Name | upper | replace('O', '0') | center(20)",
        "param.Name | title | truncate(5, true, '')",
        "'one two three four' | truncate(12)",
        "'hello wORLD-foo (bar)' | title",
        "'<b>a</b> &amp; b' | striptags",
        "'%s and %05.1f' | format('x', 2.25)",
        "42.55 | round(1) + (42.1 | round(method='ceil'))",
        "param.list | sum + (param.list | max) - (param.list | min)",
        "param.user | dictsort",
        "['a', 'A', 'b'] | unique | list",
        "'a b/c?d=ä' | urlencode",
        "{'a': 'x y', 'b': 1} | urlencode",
        "'42' | int + ('2.5' | float)",
        "'  x ' | trim ~ ('xxaxx' | trim('x'))",
        "param.Name[1:4] ~ param.Name[::-1]",
        "'a' if param.yes else 'b'",
        "param.list | first + (param.list | last)",
        "'the quick brown' | wordcount",
        "param.Name.split('d') | join('+')",
        "[1, [2, 3], {'k': (4, 5)}]",
        "'x' in param.Name or 'o' in param.Name",
        "param.list is iterable and param.user is mapping and 4 is divisibleby(2)",
        "param.Name | escape ~ ('<\"&>' | e)",
        "'one\\ntwo' | indent(2) ~ ('one\\ntwo' | indent(2, true))",
        "1500000 | filesizeformat ~ (2048 | filesizeformat(true))",
        "[3, 1.5, 2] | sum(start=1) + (-4 | abs)",
        "param['items'] | map(attribute='nick', default='none') | list",
        "param['items'] | map('length') | list",
        "param['items'] | groupby('name') | length",
        "[1, 2, 3, 4] | reject('even') | list + ([0, 1] | select | list)",
        "'a,b,c'.split(',', 1) + ['x'] * 2",
        "1 if param.a.b is divisibleby 5 and param.Name is string else 0",
        "'\\u00e9' ~ '\\x41' ~ '\\'' ~ '\\t'",
    ],
)
def test_harmless_expressions_give_what_plain_jinja_gives(text: str) -> None:
    plain = PLAIN.compile_expression(text)

    mine = value_of("{{ " + text.replace("param", "$param") + " }}")

    assert mine == _listed(plain(param=PAYLOAD))


def _listed(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_listed(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _listed(entry) for key, entry in value.items()}
    return value


# Drawn is nothing that differs on purpose: truth values, null, lists and objects written as text, and “true is number”.
_LEAVES = st.one_of(
    st.integers(-9, 99).map(str),
    st.sampled_from(["0.5", "2.25", "'b'", "'Ada'", "''", "[3, 1, 2]", "['b', 'A']", "[]", "{'k': 1}", "none", "true"]),
    st.sampled_from(["param.Name", "param.a.b", "param.list", "param['items'][0].name", "param.nope", "param.yes"]),
    st.sampled_from(["(param.Name | upper)", "('a b' | title)", "(param.list | join('-'))", "(4 ~ 'a' ~ 0.5)"]),
)
_NUMBERS = st.one_of(st.integers(-9, 9), st.sampled_from([0.5, -2.25, 1e9])).map(lambda number: f"({number})")
_ARITHMETIC = ["+", "-", "*", "/", "//", "%", "**", "<", "==", ">="]
_SIGNS = ["+", "-", "*", "==", "!=", "<", "<=", "in", "not in", "and", "or"]
_APPLIED = [
    *("| abs", "| length", "| first", "| last", "| sort", "| sum", "| max", "| min", "| int(7)", "| round(1)"),
    *("| default('x')", "| default('x', true)", "is defined", "is none", "is string", "is mapping"),
    *("is odd", "is divisibleby(3)", "[1:]", "[0]"),
]


def _combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(_SIGNS), inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, st.sampled_from(_APPLIED)).map(lambda parts: f"({parts[0]} {parts[1]})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
        st.tuples(inner, inner).map(lambda parts: f"[{parts[0]}, {{'k': {parts[1]}}}]"),
        inner.map(lambda part: f"(not {part})"),
        inner.map(lambda part: f"(-{part})"),
    )


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(_NUMBERS, st.sampled_from(_ARITHMETIC)), min_size=1, max_size=4), _NUMBERS)
def test_arithmetic_is_that_of_plain_jinja(parts: list[tuple[str, str]], last: str) -> None:
    _compare(" ".join(f"{number} {sign}" for number, sign in parts) + f" {last}")


@settings(deadline=None, max_examples=400)
@given(st.recursive(_LEAVES, _combined, max_leaves=5))
def test_what_has_a_value_here_has_the_same_in_plain_jinja(text: str) -> None:
    _compare(text)


def _compare(text: str) -> None:
    try:
        mine = value_of("{{ " + text.replace("param", "$param") + " }}")
    except ExpressionError:
        return  # stricter: no truth of what is missing, no order of a number and a truth value

    with suppress(TypeError):  # a list is no key, and so not in an object: false here
        plain = PLAIN.compile_expression(text, undefined_to_none=False)(param=PAYLOAD)
        assert json.dumps(mine) == json.dumps(plain)
