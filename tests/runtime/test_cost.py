"""Which expressions stay in place by their shape, and what those may take."""

from __future__ import annotations

import pytest

from runtime import cost, filters, limits, methods
from runtime.errors import ExpressionError
from runtime.expressions import Scope, TooMuchInPlace, compile_condition, compile_params, compile_value, made

CHEAP = [
    "$param.a.b",
    "$param['odd key'][0][-1]",
    "$param[$param.key]",
    "$param.total > 100 and $param.country in ['DE', 'FR'] or not $param.x",
    "'a' if $param.yes else {'k': [1, 2]}",
    "$param.first ~ ' ' ~ $param.last",
    "$param.price * 1.19 - 2 / 3 // 4 % 5",
    "-$param.n + $param.text[:10]",
    "$param.name | default('none') | trim | upper | replace(' ', '-')",
    "$param.tags | join(', ')",
    "$param.rows | length",
    "$now | add_days(7) | date_format('%d.%m.%Y')",
    "$param.name is defined and $param.n is even",
    "$param.name.upper().startswith('A')",
    "$param | tojson",
]
COSTLY = [
    "range(3)",
    "2 ** 3",
    "$param.rows | map(attribute='x')",
    "$param.rows | select('odd')",
    "$param.rows | rejectattr('x')",
    "$param.rows | sort",
    "$param.rows | sum",
    "$param.rows | groupby('x')",
    "$param.rows | unique",
    "$param.text | wordcount",
    "$param.text | parse_json",
    "', '.join($param.rows)",
    "'1'.zfill(9)",
    "[[$param.rows | max]]",
    "'a' if $param.x else 2 ** 3",
    "$param[$param.rows | first | int ** 2]",
]


@pytest.mark.parametrize("text", CHEAP)
def test_what_looks_at_each_value_a_fixed_number_of_times_stays_in_place(text: str) -> None:
    assert not compile_value({"field": ["{{ " + text + " }}"]}).is_costly


@pytest.mark.parametrize("text", COSTLY)
def test_everything_else_goes_to_the_evaluator_process(text: str) -> None:
    assert compile_condition(text).is_costly
    assert compile_value({"field": ["plain", f"between {{{{ {text} }}}} text"]}).is_costly


def test_a_filter_or_method_that_is_not_listed_is_costly() -> None:
    unlisted = set(filters.FILTERS) - cost.FILTERS_IN_PLACE

    assert not cost.FILTERS_IN_PLACE - set(filters.FILTERS)
    assert {"map", "select", "sort", "sum", "groupby", "unique"} <= unlisted
    assert cost.METHODS_COSTLY <= methods.METHOD_NAMES


def test_parameters_with_very_many_parts_go_to_the_evaluator_process() -> None:
    chain = "{{ " + " and ".join(["$param.a"] * 25) + " }}"  # 25 names, 25 keys, 24 times “and”
    field_parts = 74
    most = limits.EXPRESSION_NODES_IN_PLACE // field_parts

    assert not compile_value([chain] * most).is_costly
    assert compile_value([chain] * (most + 1)).is_costly


@pytest.mark.parametrize(
    "text",
    [
        "$param.list == $param.same",
        "$param.list",
        "$param.list | join",
        "$param.big | upper",
        "$param.big | replace('a', 'b')",
        "{'q': $param.big} | urlencode",
        "$param.big | title",
        "$param.list | tojson",
        "$param.big.split('a')",
        "$param.list + $param.list",
        " <= ".join(["$param.big", "$param.other"] * 60),
    ],
)
def test_in_place_no_more_than_a_little_work_is_done(text: str) -> None:
    value = compile_value("{{ " + text + " }}")
    numbers = list(range(100_000))
    names = {"list": numbers, "same": list(numbers), "big": "a" * 900_000, "other": "a" * 900_000}

    assert not value.is_costly
    with pytest.raises(TooMuchInPlace):
        value.evaluate_in_place(Scope(param=names))


@pytest.mark.parametrize(
    "text",
    [
        "$param.long.rfind($param.part)",
        "$param.long.rpartition($param.part)",
        "$param.long.rsplit($param.part)",
        "$param.long.strip($param.part)",
        "$param.long.lstrip($param.part)",
        "$param.long.rstrip($param.part)",
        "$param.long | trim($param.part)",
        "$param.long.startswith([$param.long] * 5000)",
        "$param.long.endswith([$param.long] * 5000)",
        "[1] in $param.list",
        "{} in $param.list",
        "([$param.umlauts] * 9000) | join",
        "('https://' ~ $param.marks) | parse_url",
        "('https://' ~ $param.marks) | with_query({'a': 1})",
    ],
)
def test_what_compares_many_pairs_of_parts_is_paid_for_before_it_is_done(text: str) -> None:
    value = compile_value("{{ " + text + " }}")
    names = {
        "long": "a" * 20_000,
        "part": "ab" + "a" * 10_000,
        "list": [1] * 100_000,
        "umlauts": "ü" * 10_000,
        "marks": "\u0315\u0300" * 5_000,
    }

    assert not value.is_costly
    with pytest.raises(TooMuchInPlace):
        value.evaluate_in_place(Scope(param=names))


def test_after_an_evaluation_in_place_the_whole_budget_is_there_again() -> None:
    value = compile_value("{{ $param.list | join }}")
    scope = Scope(param={"list": list(range(100_000))})
    with pytest.raises(TooMuchInPlace):
        value.evaluate_in_place(scope)

    assert value.evaluate(scope).startswith("0123")


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("$param.a.b ~ $param['c d']", {("param", "a"), ("param", "c d")}),
        ("$param", {("param", None)}),
        ("$param[0] ~ $param[$item.x]", {("param", None), ("item", "x")}),
        ("$param.keys() | join", {("param", None)}),
        ("$param.user.keys() | join", {("param", "user")}),
        ("'x' in $action", {("action", None)}),
        ("'$flow.x'", set()),
    ],
)
def test_what_an_expression_reads_is_known(text: str, reads: set[tuple[str, str | None]]) -> None:
    assert compile_value("x {{ " + text + " }}").reads == reads


def test_only_what_is_read_is_handed_on_and_errors_stay_the_same() -> None:
    names = {"param": {"a": {"x": 1}, "b": 2}, "action": {"one": {"rows": [1]}, "two": 2}, "now": "2024"}

    def part(*reads: tuple[str, str | None]) -> dict[str, object]:
        return cost.part_of(names, frozenset(reads))

    assert part(("param", "a"), ("action", "one")) == {"param": {"a": {"x": 1}}, "action": {"one": {"rows": [1]}}}
    assert part(("param", None), ("item", None)) == {"param": {"a": {"x": 1}, "b": 2}}
    assert part(("param", "nope"), ("action", "nope")) == {
        "param": {"a": None, "b": None},
        "action": {"one": None, "two": None},
    }


@pytest.mark.parametrize(
    "text", ["$param.nope", "$action.nope.x", "$action.onee.x", "$param.a.nope", "$item.x", "$param.get('b')"]
)
def test_with_what_is_read_an_expression_gives_what_it_gives_with_everything(text: str) -> None:
    value = compile_value("{{ " + text + " }}")
    names = {"param": {"a": {"x": 1}, "b": 2}, "action": {"one": {"rows": [1]}}, "now": "2024"}
    answers = []
    for given in (names, cost.part_of(names, value.reads)):
        try:
            answers.append(value.evaluate(Scope(**given)))
        except ExpressionError as error:
            answers.append(error.message)

    assert answers[0] == answers[1]


def test_what_is_written_makes_the_same_value_again() -> None:
    scope = Scope(param={"a": 5})
    values = [
        compile_value(["{{ $param.a }}"]),
        compile_condition("$param.a > 3"),
        compile_params({"x": "{{ $param.a }}", "where": "$item > {{ 1"}, ["where"]),
    ]

    for value in values:
        assert made(*value.written).evaluate(scope) == value.evaluate(scope)
