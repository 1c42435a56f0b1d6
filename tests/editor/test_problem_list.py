"""What is said of a problem where its name stands above it anyway."""

from __future__ import annotations

import pytest

from editor.problem_list import within


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("“To”: it is no address.", "It is no address."),
        ("“To” ([0]): $param.x may be missing.", "Entry 1: $param.x may be missing."),
        ("“To” (rows[2].name): it is unknown.", "rows[2].name: it is unknown."),
        ("“To” is empty.", "“To” is empty."),
        ("“Cc” (a): it is wrong.", "“Cc” (a): it is wrong."),
    ],
    ids=["field", "entry", "place", "title", "other"],
)
def test_a_field_names_only_the_place_inside_of_it(message: str, told: str) -> None:
    assert within("To", message) == told
