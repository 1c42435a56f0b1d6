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
