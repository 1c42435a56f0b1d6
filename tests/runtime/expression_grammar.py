"""Draws expressions of the whole dialect, and of what is just beside it, and says what must hold for each of them."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from runtime import filters, methods
from runtime.expressions import ExpressionError, Scope, TooMuchInPlace, compile_value, problems_of

CANARY = "tok-c4n4ry"  # a value; no message may have it
PAYLOAD: dict[str, Any] = {
    "name": "Ada",
    "secret": CANARY,
    "items": [{"n": 1, "name": CANARY}, {"n": 2.5, "name": None}, {}],
    "list": [3, 1, 2, 1],
    "texts": ["b", "A", "", "1_000", "NaN", "2024-05-03T10:00:00Z"],
    "n": 41,
    "f": 0.5,
    "yes": True,
    "nothing": None,
    "empty": [],
    "keys": "own",
    "__class__": "mine",
    "deep": {"a": {"b": {"c": [1, {"d": "x"}]}}},
    "json": '{"a": [1, 2]}',
    "html": "<b>x</b> &amp; y",
    "long": "ab c-" * 2_000,
    "many": list(range(3_000)),
}
NAMES = {"action": {"find": {"rows": PAYLOAD["items"]}}, "item": {"n": 7}, "index": 3, "now": "2024-05-03T10:00:00Z"}

_KEYS = st.sampled_from([*PAYLOAD, "nope", "a", "b", "items", "append", "format", "__init__", "mro"])
_STRINGS = st.sampled_from(
    [
        "",
        "a",
        "name",
        "n",
        "%d",
        "%s",
        "%Y",
        "upper",
        "gt",
        "Europe/Berlin",
        "{0.__class__}",
        "__class__",
        "}}",
        "\\x5f",
    ]
).map(lambda text: f"'{text}'")
_NUMBERS = st.sampled_from(["0", "1", "-1", "2", "7", "10 ** 9", "9999", "1e308", "0.1", "2 ** 62", "400"])
_CONSTANTS = st.one_of(_STRINGS, _NUMBERS, st.sampled_from(["true", "false", "null", "none", "[]", "{}"]))
_ROOTS = st.sampled_from(
    ["$param", "$action.find", "$item", "$index", "$now", "$var", "$env", "$flow", "$nope", "self"]
)
_STEPS = st.one_of(
    _KEYS.map(lambda key: f".{key}"),
    _KEYS.map(lambda key: f"['{key}']"),
    st.integers(-4, 4).map(lambda index: f"[{index}]"),
    st.sampled_from(["[1:]", "[::-1]", "[:2]", "[$index]", "[::0]"]),
)
_PATHS = st.tuples(_ROOTS, st.lists(_STEPS, max_size=3)).map(lambda parts: parts[0] + "".join(parts[1]))
_FILTERS = st.sampled_from([*sorted(filters.FILTERS), "attr", "xmlattr", "pprint", "nope"])
_TESTS = st.sampled_from([*sorted(filters.TESTS), "callable", "nope"])
_METHODS = st.sampled_from([*sorted(methods.METHOD_NAMES), "format", "format_map", "encode", "pop", "__class__"])
_SIGNS = st.sampled_from(
    ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or", "is", "|", "."]
)


def _arguments(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    named = st.tuples(st.sampled_from(["attribute", "default", "indent", "start", "reverse", "width"]), inner)
    one = st.one_of(inner, named.map(lambda pair: f"{pair[0]}={pair[1]}"), inner.map(lambda text: f"*{text}"))
    return st.lists(st.one_of(inner, inner, inner, one), max_size=3).map(", ".join)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    arguments = _arguments(inner)
    return st.one_of(
        st.tuples(inner, _SIGNS, inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, _FILTERS).map(lambda parts: f"({parts[0]} | {parts[1]})"),
        st.tuples(inner, _FILTERS, arguments).map(lambda parts: f"({parts[0]} | {parts[1]}({parts[2]}))"),
        st.tuples(inner, st.sampled_from(["map", "select", "reject"]), _FILTERS, arguments).map(
            lambda parts: f"({parts[0]} | {parts[1]}('{parts[2]}', {parts[3]}))"
        ),
        st.tuples(inner, _TESTS, arguments).map(lambda parts: f"({parts[0]} is {parts[1]}({parts[2]}))"),
        st.tuples(inner, _METHODS, arguments).map(lambda parts: f"{parts[0]}.{parts[1]}({parts[2]})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
        st.tuples(inner, inner).map(lambda parts: f"{parts[0]}[{parts[1]}]"),
        st.lists(inner, max_size=4).map(lambda parts: f"[{', '.join(parts)}]"),
        st.tuples(_STRINGS, inner).map(lambda pair: f"{{{pair[0]}: {pair[1]}}}"),
        st.tuples(inner, inner).map(lambda parts: f"range({parts[0]}, {parts[1]})"),
        inner.map(lambda text: f"(not {text})"),
        inner.map(lambda text: f"(-{text})"),
    )


def expressions(max_leaves: int = 12) -> st.SearchStrategy[str]:
    """Return texts with one to three expressions, most of them right, some of them hostile."""
    one = st.recursive(st.one_of(_CONSTANTS, _PATHS, _PATHS), _larger, max_leaves=max_leaves)
    alone = one.map(lambda text: "{{ " + text + " }}")
    return st.one_of(alone, st.lists(alone, min_size=2, max_size=3).map(" and ".join))


def hold(text: str) -> None:
    """Raise AssertionError when *text* escapes, changes what it reads, tells a value, or is taken in two ways."""
    problems = problems_of(text)
    try:
        value = compile_value(text)
    except ExpressionError as error:
        assert problems
        _look_at(error, text)
        return
    assert not problems
    scope = Scope(param=copy.deepcopy(PAYLOAD), **copy.deepcopy(NAMES))
    whole = _outcome(value.evaluate, scope, text)
    if not value.is_costly:
        here = _outcome(value.evaluate_in_place, scope, text)
        assert here in (whole, TooMuchInPlace)
    assert scope.param == PAYLOAD
    assert scope.action == NAMES["action"]


def _outcome(evaluate: Any, scope: Scope, text: str) -> Any:
    try:
        found = evaluate(scope)
    except TooMuchInPlace:
        return TooMuchInPlace
    except ExpressionError as error:
        _look_at(error, text)
        return error.code, error.message
    _look_through(found)
    return repr(found)


def _look_at(error: ExpressionError, text: str) -> None:
    assert error.code.startswith("expression."), error.code
    assert CANARY not in error.message
    assert " object at 0x" not in error.message
    assert error.position is None or 0 <= error.position <= len(text)


def _look_through(value: Any) -> None:
    """Refuse what JSON does not have, and subclasses of what it has."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        assert type(each) in (str, int, float, bool, type(None), list, dict), type(each)
        if type(each) is dict:
            assert all(type(key) is str for key in each)
            waiting += each.values()
        elif type(each) is list:
            waiting += each
        elif type(each) is float:
            assert each - each == 0  # finite
