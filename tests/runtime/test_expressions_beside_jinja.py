"""Drawn harmless expressions give what plain Jinja gives, with the same types."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import Environment, StrictUndefined

from runtime.expressions import Scope, compile_value

PARAM: dict[str, Any] = {
    "n": 41,
    "f": 2.5,
    "name": "Ada King",
    "empty": "",
    "number": "1_000",
    "list": [3, 1, 2, 1],
    "words": ["b", "A", "c d", ""],
    "rows": [{"n": 2, "s": "x"}, {"n": 1, "s": "y"}, {"n": 2, "s": "z"}],
    "user": {"name": "Ada", "age": 36},
    "yes": True,
    "nothing": None,
}
# NOTE: where ours differs on purpose nothing is drawn: ``~`` of anything but text and numbers, comparing and adding
# what does not go together, numbers beyond 63 bits, and a chain such as ``1 < a < b``, of which we look at every part.
_PLAIN = Environment(undefined=StrictUndefined)

_numbers = st.sampled_from(["0", "1", "-3", "7", "2.5", "$param.n", "$param.f", "$param.rows[0].n", "$param['n']"])
_texts = st.sampled_from(["''", "'b'", "'a-b'", "'ä 1'", "$param.name", "$param.empty", "$param.number", "'{{ x }}'"])
_lists = st.sampled_from(["[]", "[2, 1]", "$param.list", "($param.rows | map(attribute='n') | list)"])
_word_lists = st.sampled_from(["$param.words", "['x', 'y']", "($param.rows | map(attribute='s') | list)"])
_truths = st.sampled_from(["true", "false", "$param.yes", "$param.user is mapping", "$param.nope is defined"])


def _form(text: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda chosen: text.format(*chosen))


def _any_of(*forms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(*forms)


numbers = st.deferred(
    lambda: _any_of(
        _numbers,
        _form("({} {} {})", numbers, st.sampled_from(["+", "-", "*"]), numbers),
        _form("({} {} {})", numbers, st.sampled_from(["/", "//", "%"]), numbers),
        _form("(-{})", numbers),
        _form("({} | abs)", numbers),
        _form("({} | float | round({}))", numbers, st.sampled_from(["", "1", "2, 'floor'", "0, 'ceil'"])),
        _form("({} | int)", numbers),
        _form("({} | {})", lists, st.sampled_from(["sum", "length", "count"])),
        _form("({} | {})", texts, st.sampled_from(["length", "wordcount"])),
        _form("({} if {} else {})", numbers, truths, numbers),
    )
)
texts = st.deferred(
    lambda: _any_of(
        _texts,
        _form("({} ~ {})", texts, _any_of(texts, numbers)),
        _form("({} + {})", texts, texts),
        _form("({} * {})", texts, st.sampled_from(["0", "1", "3"])),
        _form("({} | {})", texts, st.sampled_from(["upper", "lower", "trim", "title", "capitalize", "reverse"])),
        _form("({} | replace({}, {}))", texts, _texts.filter(lambda text: text != "''"), texts),
        _form("({} | center({}))", texts, st.sampled_from(["3", "20"])),
        _form("({} | truncate({}))", texts, st.sampled_from(["5", "4, true", "6, false, '…', 0"])),
        _form("({} | default({}))", _any_of(texts, st.just("$param.nope")), texts),
        _form("{}[{}]", texts, st.sampled_from(["1:", ":2", "::-1", "-3:"])),
        _form("({} | join({}))", word_lists, texts),
        _form("({} if {} else {})", texts, truths, texts),
        _form("('%s: %d' | format({}, {}))", texts, st.sampled_from(["1", "$param.n"])),
        _form("({} | urlencode)", texts),
        _form("({} | striptags)", texts),
    )
)
truths = st.deferred(
    lambda: _any_of(
        _truths,
        _form("({} {} {})", numbers, st.sampled_from(["==", "!=", "<", ">=", "<=", ">"]), numbers),
        _form("({} {} {})", texts, st.sampled_from(["==", "!=", "<", ">="]), texts),
        _form("({} {} {})", truths, st.sampled_from(["and", "or"]), truths),
        _form("(not {})", truths),
        _form("({} in {})", texts, texts),
        _form("({} not in {})", numbers, lists),
        _form("({} is {})", numbers, st.sampled_from(["number", "string", "none", "defined", "gt(3)", "in([1, 7])"])),
        _form("({} < {} <= {})", _numbers, _numbers, _numbers),
    )
)
lists = st.deferred(
    lambda: _any_of(
        _lists,
        _form("[{}, {}]", numbers, numbers),
        _form("({} + {})", lists, lists),
        _form("({} | sort({}))", lists, st.sampled_from(["", "reverse=true"])),
        _form("({} | {} | list)", lists, st.sampled_from(["unique", "reverse", "select('gt', 1)", "reject('odd')"])),
        _form("{}[{}]", lists, st.sampled_from(["1:", ":2", "::-1"])),
        _form("({} | map('abs') | list)", lists),
    )
)
word_lists = st.deferred(
    lambda: _any_of(
        _word_lists,
        _form("({} | sort)", word_lists),
        _form("({} | map('upper') | list)", word_lists),
        _form("({} | select | list)", word_lists),
        _form("({}.split({}))", texts, _texts.filter(lambda text: text in ("'b'", "'a-b'"))),
        _form("[{}, {}]", texts, texts),
    )
)
others = _any_of(
    _form("({} | batch(2) | list)", lists),
    _form("({} | slice(2) | list)", lists),
    _form("({} | first)", st.just("$param.list")),
    _form("({} | last)", st.just("$param.words")),
    _form("{{'a': {}, 'b': [{}, {}]}}", numbers, texts, truths),
    st.sampled_from(
        [
            "$param.user | dictsort",
            "$param.rows | sort(attribute='n') | map(attribute='s') | list",
            "$param.rows | selectattr('n', 'eq', 2) | map(attribute='s') | join",
            "$param.rows | groupby('n') | map('first') | list",
            "$param.rows | sum(attribute='n')",
            "$param.user.items() | list",
        ]
    ),
)


def outcome_of(evaluate: Any) -> Any:
    """Return what comes of it, with its types; an error is an error, whichever."""
    try:
        return repr(_listed(evaluate()))
    except Exception:
        return "an error"


def _listed(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_listed(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _listed(entry) for key, entry in value.items()}
    return str(value) if isinstance(value, str) else value  # what Jinja marks as safe is text


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(_any_of(numbers, texts, truths, lists, word_lists, others))
def test_drawn_harmless_expressions_give_what_plain_jinja_gives(text: str) -> None:
    plain = outcome_of(lambda: _PLAIN.compile_expression(text.replace("$param", "param"), False)(param=PARAM))

    mine = outcome_of(lambda: compile_value("{{ " + text + " }}").evaluate(Scope(param=PARAM)))

    assert mine == plain
