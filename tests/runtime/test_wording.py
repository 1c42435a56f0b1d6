"""Words for people."""

from __future__ import annotations

import pytest

from runtime import wording


@pytest.mark.parametrize(
    ("span_s", "words"),
    [(1, "1 second"), (1.0, "1 second"), (0.5, "0.5 seconds"), (31_622_400, "31,622,400 seconds")],
    ids=str,
)
def test_a_span_is_told_as_people_read_it(span_s: float, words: str) -> None:
    assert wording.seconds(span_s) == words


@pytest.mark.parametrize(("bound", "words"), [(0.0, "must be at least 0"), (0.1, "must be at least 0.1")], ids=str)
def test_a_bound_is_told_without_a_fraction_that_it_does_not_have(bound: float, words: str) -> None:
    error = {"type": "greater_than_equal", "loc": (), "msg": "", "input": -1, "ctx": {"ge": bound}}

    assert wording.ending(error) == words  # type: ignore[arg-type]
