"""Cells between what is typed and the values that data tables take."""

from __future__ import annotations

from typing import Any

import pytest

from editor.cells import LONG_CHARS, SHOWN_CHARS, as_text, for_browser, typed, where_of


@pytest.mark.parametrize(
    ("kind", "entered", "value"),
    [
        ("text", " a ", " a "),
        ("text", "", None),
        ("integer", " 42 ", 42),
        ("integer", "9223372036854775807", 2**63 - 1),
        ("integer", "4.5", "4.5"),
        ("number", "1e3", 1000.0),
        ("number", "many", "many"),
        ("boolean", "Yes", True),
        ("boolean", False, False),
        ("date", "2024-05-03", "2024-05-03"),
        ("datetime", "2024-05-03T10:30", "2024-05-03T10:30:00Z"),
        ("datetime", "2024-05-03T10:30:05+02:00", "2024-05-03T10:30:05+02:00"),
        ("json", '{"a": [1]}', {"a": [1]}),
        ("json", " ", None),
        ("uuid", None, None),
    ],
)
def test_what_is_typed_becomes_a_value_of_the_column(kind: str, entered: Any, value: Any) -> None:
    assert typed(kind, entered) == value


def test_what_is_no_json_is_told_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"not JSON: line 1, column \d+"):
        typed("json", "{a}")


@pytest.mark.parametrize("kind", ["json", "datetime", "integer", "text", "date"])
def test_a_value_survives_being_shown_and_typed_again(kind: str) -> None:
    value = {"json": {"a": 1}, "datetime": "2024-05-03T10:30:00Z", "integer": 7, "text": "x", "date": "2024-05-03"}[
        kind
    ]

    assert typed(kind, as_text(kind, value)) == value


def test_numbers_that_browsers_round_are_sent_as_text() -> None:
    assert for_browser({"n": 2**60, "m": 5, "b": True}) == {"n": str(2**60), "m": 5, "b": True}


def test_long_cells_are_cut_and_named() -> None:
    row = for_browser({"id": "1", "note": "x" * (LONG_CHARS + 1), "tree": ["y" * LONG_CHARS]})

    assert len(row["note"]) == SHOWN_CHARS
    assert row["$long"] == ["note", "tree"]


def test_filters_of_the_grid_become_filters_of_the_datahub() -> None:
    filters = [
        {"column": "total", "op": "gte", "text": "10"},
        {"column": "paid", "op": "true", "text": ""},
        {"column": "note", "op": "empty", "text": ""},
    ]

    where = where_of(filters, {"total": "integer", "paid": "boolean", "note": "text"})

    assert where == {"total": {"gte": 10}, "paid": {"eq": True}, "note": {"is_null": True}}
