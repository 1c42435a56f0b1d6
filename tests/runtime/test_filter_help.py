"""The help of filters and tests, which the editor shows and the checker reads."""

from __future__ import annotations

import json

import pytest

from runtime import filters
from runtime.expressions import Scope, compile_value
from runtime.filter_help import HELP, Example


def test_every_filter_and_test_has_help() -> None:
    expected = {("filter", name) for name in filters.FILTERS} | {("test", name) for name in filters.TESTS}

    assert set(HELP) == expected


def test_a_signature_is_what_stands_in_the_expression() -> None:
    found = {name: HELP["filter", name].signature for name in ("upper", "truncate", "join")}

    assert found == {
        "upper": "upper",
        "truncate": "truncate(length=255, killwords=false, end='...', leeway=5)",
        "join": "join(d='', attribute=…)",
    }


def test_a_second_name_says_the_first() -> None:
    assert HELP["filter", "e"].same_as == "escape"
    assert HELP["test", "=="].same_as == "eq"


@pytest.mark.parametrize(
    ("example", "name"),
    [(example, name) for (_kind, name), each in HELP.items() if not each.same_as for example in each.examples],
)
def test_an_example_gives_what_it_says(example: Example, name: str) -> None:
    found = compile_value(example.text).evaluate(Scope())

    assert found == example.value
    assert json.dumps(found) == json.dumps(example.value)
    assert name in example.text


def test_every_filter_and_test_has_a_summary_and_an_example() -> None:
    assert [key for key, each in HELP.items() if not each.summary.endswith((".", "?")) or not each.examples] == []
