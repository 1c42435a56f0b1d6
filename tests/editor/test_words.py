"""Times, durations and numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from editor.words import ago, count, duration, on_the_clock, size

NOW = datetime(2024, 5, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "just now"),
        (2, "just now"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7_200, "2 h ago"),
        (90_000, "yesterday"),
        (3 * 86_400, "3 days ago"),
        (30 * 86_400, "3 Apr 2024"),
    ],
)
def test_time_passed_is_told_in_the_unit_that_fits(seconds: int, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2024-05-06T09:00:00+02:00", "Mon 6 May, 09:00"),
        ("2024-05-06T09:00:05+02:00", "Mon 6 May, 09:00:05"),
        ("2025-01-01T00:00:00+05:45", "Wed 1 Jan 2025, 00:00"),
    ],
)
def test_times_are_told_as_the_clocks_of_their_zone_show_them(moment: str, text: str) -> None:
    assert on_the_clock(datetime.fromisoformat(moment), NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123, "12 ms"), (1.26, "1.3 s"), (75, "1 min 15 s"), (7_260, "2 h 1 min")]
)
def test_durations_have_the_precision_that_matters(seconds: float, text: str) -> None:
    assert duration(timedelta(seconds=seconds)) == text


def test_nouns_follow_their_number() -> None:
    assert [count(1, "row"), count(12_400, "row"), count(0, "query", "queries")] == [
        "1 row",
        "12,400 rows",
        "0 queries",
    ]


def test_sizes_are_told_in_the_unit_that_fits() -> None:
    assert [size(999), size(1_500_000)] == ["999 B", "1.5 MB"]
