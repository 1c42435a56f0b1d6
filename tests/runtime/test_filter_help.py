"""The help of filters and tests, which the editor shows and the checker reads."""

from __future__ import annotations

from runtime import filters
from runtime.filter_help import HELP


def test_every_filter_and_test_has_help() -> None:
    expected = {("filter", name) for name in filters.FILTERS} | {("test", name) for name in filters.TESTS}

    assert set(HELP) == expected


def test_a_signature_is_what_stands_in_the_expression() -> None:
    found = {name: HELP["filter", name].signature for name in ("upper", "add_days", "join")}

    assert found == {"upper": "upper", "add_days": "add_days(days)", "join": "join(d='', attribute=null)"}


def test_a_second_name_says_the_first() -> None:
    assert HELP["filter", "e"].same_as == "escape"
    assert HELP["test", "=="].same_as == "eq"
