"""Counting within a span of time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.window import Window

STEPS = st.lists(st.tuples(st.integers(0, 3_000), st.booleans()), max_size=200)


@settings(deadline=None)
@given(STEPS)
def test_no_moment_of_the_span_is_forgotten_and_none_is_kept_much_longer(steps: list[tuple[int, bool]]) -> None:
    window, now, moments = Window(20_000), 1_000_000, list[int]()
    for step, happens in steps:
        now += step
        if happens:
            window.add(now)
            moments.append(now)
        within = sum(moment > now - 20_000 for moment in moments)
        within_a_grain_more = sum(moment > now - 20_000 - 20 for moment in moments)
        assert within <= window.count(now) <= within_a_grain_more


@settings(deadline=None)
@given(STEPS, st.integers(1, 5))
def test_a_start_at_the_time_that_is_told_keeps_the_rate(steps: list[tuple[int, bool]], most: int) -> None:
    window, now, moments = Window(20_000), 1_000_000, list[int]()
    for step, _ in steps:
        now = max(now + step, window.free_at(most, now + step))
        assert window.count(now) < most
        window.add(now)
        moments.append(now)
    for at, moment in enumerate(moments):
        assert sum(moment - 20_000 < other <= moment for other in moments[: at + 1]) <= most


def test_a_moment_that_is_taken_back_does_not_count() -> None:
    window = Window(20_000)
    window.add(1_000_000)
    window.add(1_010_000)

    window.take_back()

    assert window.count(1_010_000) == 1
    assert window.free_at(1, 1_010_000) == 1_020_000


def test_a_clock_that_is_set_back_blocks_for_one_span_at_most() -> None:
    window = Window(20_000)
    window.add(90_000_000)

    assert window.count(1_000_000) == 1
    assert window.count(1_020_000) == 0
