from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from runtime.catch_up import CATCH_UP_RUNS, MISSED_COUNTED, Firing, again, passed
from runtime.schedules import Timetable

MINUTELY, DAILY = Timetable("* * * * *", None, "UTC"), Timetable("0 9 * * *", None, "UTC")
SECONDLY = Timetable(None, 1, "UTC")
NINE = datetime(2026, 5, 4, 9, tzinfo=UTC)


def later(**by: float) -> datetime:
    return NINE + timedelta(**by)


@pytest.mark.parametrize("missed", ["skip", "once", "all"])
@pytest.mark.parametrize("late_s", [0, 0.4, 59])
def test_a_time_that_has_just_come_is_on_time(missed, late_s):
    found = passed(DAILY, missed, NINE, later(seconds=late_s))

    assert (found.firings, found.next_due_at) == ((Firing(NINE, 0),), later(days=1))


@pytest.mark.parametrize(
    ("missed", "late", "firings"),
    [
        ("skip", timedelta(minutes=1, seconds=1), ()),
        ("once", timedelta(minutes=1, seconds=1), (Firing(NINE, 1),)),
        ("once", timedelta(hours=1), (Firing(NINE, 1),)),
        ("once", timedelta(hours=1, seconds=1), ()),
        ("all", timedelta(hours=20), (Firing(NINE, 1),)),
    ],
)
def test_a_missed_time_is_made_up_for_as_the_schedule_says(missed, late, firings):
    found = passed(DAILY, missed, NINE, NINE + late)

    assert (found.firings, found.next_due_at) == (firings, later(days=1))


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("skip", (Firing(later(minutes=100), 0),)),
        ("once", (Firing(later(minutes=100), 100),)),
    ],
)
def test_a_hundred_missed_times_are_one_run(missed, expected):
    found = passed(MINUTELY, missed, NINE, later(minutes=100, seconds=20))

    assert found.firings == expected
    assert found.next_due_at == later(minutes=101)


def test_all_missed_times_are_made_up_for_up_to_a_limit_and_the_oldest_run_counts_the_rest():
    few = passed(MINUTELY, "all", NINE, later(minutes=3, seconds=30))
    many = passed(MINUTELY, "all", NINE, later(minutes=150))

    assert few.firings == tuple(Firing(later(minutes=n), int(n < 3)) for n in range(4))
    assert len(many.firings) == CATCH_UP_RUNS
    assert many.firings[0] == Firing(later(minutes=51), 52)
    assert many.firings[-1] == Firing(later(minutes=150), 0)


@pytest.mark.parametrize("missed", ["skip", "once", "all"])
@pytest.mark.parametrize("timetable", [MINUTELY, SECONDLY], ids=["minutely", "every second"])
def test_years_of_missed_times_are_not_counted_one_by_one(missed, timetable):
    found = passed(timetable, missed, NINE - timedelta(days=3_000), NINE)

    assert 1 <= len(found.firings) <= CATCH_UP_RUNS
    assert sum(firing.missed for firing in found.firings) <= MISSED_COUNTED
    assert found.firings[-1].due_at == NINE


def test_a_stall_of_seconds_is_one_run_that_counts_what_it_stands_in_for():
    assert passed(SECONDLY, "once", NINE, later(seconds=5)).firings == (Firing(later(seconds=5), 5),)
    assert passed(SECONDLY, "skip", NINE, later(seconds=5)).firings == (Firing(later(seconds=5), 0),)


def test_a_time_that_the_zone_knows_no_more_starts_nothing():
    moved = passed(DAILY, "once", NINE - timedelta(minutes=7), NINE - timedelta(minutes=5))

    assert (moved.firings, moved.next_due_at) == ((), NINE)


@pytest.mark.parametrize(
    ("timetable", "next_due", "last_due", "now", "expected"),
    [
        (DAILY, later(days=1), NINE, later(hours=1), (later(days=1), False)),  # nothing happened to the clock
        (
            DAILY,
            later(days=1),
            NINE,
            later(minutes=-10),
            (later(days=1), False),
        ),  # no second run for this
        (DAILY, later(days=1), NINE, later(hours=-1), (NINE, True)),
        (DAILY, later(days=1), NINE, later(days=-1, hours=1), (NINE, True)),
        (DAILY, later(days=1), None, later(days=-1, hours=1), (NINE, False)),  # nothing ran yet: nothing is repeated
        (DAILY, later(days=5), later(days=-1), later(days=-1, hours=1), (NINE, False)),
        (MINUTELY, later(minutes=1), NINE, later(seconds=-30), (later(minutes=1), False)),
        (MINUTELY, later(minutes=1), NINE, later(minutes=-10), (later(minutes=-9), True)),
        (SECONDLY, later(seconds=1), NINE, later(seconds=-30), (later(seconds=-29), True)),
        (MINUTELY, None, None, NINE, (later(minutes=1), False)),  # could not be computed before
    ],
)
def test_a_clock_that_was_set_back_repeats_what_would_rest_too_long(timetable, next_due, last_due, now, expected):
    assert again(timetable, next_due, last_due, now) == expected
