"""When schedules are due: tables of moments, and odd days compared with a clock that is read every minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from nodes.crontab import crontab
from runtime.errors import ScheduleError
from runtime.schedules import Timetable, due_times, local_time, next_due, times

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
LORD_HOWE, KATHMANDU = "Australia/Lord_Howe", "Asia/Kathmandu"
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(moments: list[datetime]) -> list[str]:
    return [f"{moment.astimezone(UTC):%m-%d %H:%M}" for moment in moments]


@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        ("0 9 * * 1-5", BERLIN, "2026-05-01T08:00", ["05-04 07:00", "05-05 07:00"]),
        ("30 2 * * *", BERLIN, "2026-03-28T00:00", ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),  # gap
        ("15,45 2 * * *", BERLIN, "2026-03-29T00:00", ["03-29 01:00", "03-30 00:15", "03-30 00:45"]),
        ("0 3 * * *", BERLIN, "2026-03-29T00:00", ["03-29 01:00", "03-30 01:00"]),  # the first moment after the gap
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["10-25 00:30", "10-26 01:30"]),  # overlap
        ("30 2 * * *", BERLIN, "2026-10-25T00:45", ["10-26 01:30"]),
        ("30 2 * * *", BERLIN, "2026-10-25T01:15", ["10-26 01:30"]),  # between the two times that it is 02:30
        ("0 */2 * * *", BERLIN, "2026-10-24T21:00", ["10-24 22:00", "10-25 00:00", "10-25 03:00", "10-25 05:00"]),
        ("30 2 * * *", NEW_YORK, "2026-03-07T12:00", ["03-08 07:00", "03-09 06:30"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31T12:00", ["11-01 05:30", "11-02 06:30"]),
        ("0 2 * * *", LORD_HOWE, "2026-10-03T12:00", ["10-03 15:30", "10-04 15:00"]),  # 02:00 to 02:30
        ("15 2 * * *", LORD_HOWE, "2026-10-03T12:00", ["10-03 15:30", "10-04 15:15"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-04T12:00", ["04-04 14:45", "04-05 15:15"]),  # 02:00 to 01:30
        ("0 0 * * 0", KATHMANDU, "2026-05-01T00:00", ["05-02 18:15", "05-09 18:15"]),  # UTC+05:45, no summer time
        ("30 0 * * *", "Asia/Beirut", "2026-03-28T12:00", ["03-28 22:00", "03-29 21:30"]),  # a day that begins at 01:00
        ("30 * * * *", BERLIN, "2026-03-28T23:40", ["03-29 00:30", "03-29 01:30"]),  # every hour: at its pace
        ("30 * * * *", BERLIN, "2026-10-24T23:40", ["10-25 00:30", "10-25 01:30", "10-25 02:30"]),
        ("*/30 * 24 10 *", "Asia/Beirut", "2026-10-24T20:10", ["10-24 20:30", "10-24 21:00", "10-24 21:30"]),
        ("0 0 31 * *", "UTC", "2026-03-31T00:00", ["05-31 00:00", "07-31 00:00", "08-31 00:00"]),
        ("0 0 13 * 5", "UTC", "2026-04-01T00:00", ["04-03 00:00", "04-10 00:00", "04-13 00:00", "04-17 00:00"]),
        ("0 0 31 2 1", "UTC", "2026-02-10T00:00", ["02-16 00:00", "02-23 00:00", "02-01 00:00"]),
        ("0 0 * * 7", "UTC", "2026-04-01T00:00", ["04-05 00:00", "04-12 00:00"]),
        ("59 23 31 12 *", "UTC", "2026-04-01T00:00", ["12-31 23:59", "12-31 23:59"]),
    ],
)
def test_cron_line_is_due(line, zone, after, expected):
    found = list(islice(times(Timetable(line, None, zone), at(after)), len(expected)))

    assert shown(found) == expected


@pytest.mark.parametrize(
    ("line", "years"),
    [("0 0 29 2 *", [2028, 2032, 2036]), ("0 0 29 2 */7", [2032, 2060, 2088])],
    ids=["leap day", "leap day on a Sunday"],
)
def test_leap_day_comes_when_it_comes(line, years):
    found = list(islice(times(Timetable(line, None, "UTC"), at("2026-01-01")), 3))

    assert [moment.year for moment in found] == years


def test_a_leap_day_after_a_year_without_one_of_a_century():
    assert next_due(Timetable("0 0 29 2 *", None, "UTC"), at("2096-03-01")) == at("2104-02-29")


@pytest.mark.parametrize(
    "line",
    ["* * * * *", "*/7 * * * *", "30 2 * * *", "*/10 1-3 * * *", "0 */2 * * *", "15,45 * 24-26 10 *", "59 23 * * *"],
)
@pytest.mark.parametrize(
    ("zone", "day"),
    [
        (BERLIN, "2026-03-28"),
        (BERLIN, "2026-10-24"),
        (NEW_YORK, "2026-03-07"),
        (NEW_YORK, "2026-10-31"),
        (LORD_HOWE, "2026-10-03"),
        (LORD_HOWE, "2026-04-04"),
        (KATHMANDU, "2026-03-28"),
        ("Asia/Beirut", "2026-10-23"),
    ],
)
def test_odd_days_are_what_a_clock_on_the_wall_shows(line, zone, day):
    start, end = at(day), at(day) + timedelta(days=3)

    assert due_times(Timetable(line, None, zone), start, end) == read_from_the_wall(line, zone, start, end)


def read_from_the_wall(line: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Return the moments of (start, end], found by reading the clock each minute, as the rules are written down."""
    rule, there = crontab(line), ZoneInfo(zone)
    shown_before: set[datetime] = set()
    found = []
    moment = start - timedelta(days=1)
    wall = moment.astimezone(there).replace(tzinfo=None)
    while moment <= end:
        now = moment.astimezone(there).replace(tzinfo=None)
        shown_now = [now]
        if not rule.is_every_hour:
            left_out = [wall + MINUTE * step for step in range(1, (now - wall) // MINUTE)]
            shown_now = [each for each in (*left_out, now) if each not in shown_before]
        if any(fits(rule, each) for each in shown_now) and moment > start:
            found.append(moment)
        shown_before.add(now)
        wall, moment = now, moment + MINUTE
    return found


def fits(rule, wall: datetime) -> bool:
    by_day, by_weekday = wall.day in rule.days, wall.isoweekday() % 7 in rule.weekdays
    is_day = by_day or by_weekday if rule.is_either else by_day and by_weekday
    return wall.minute in rule.minutes and wall.hour in rule.hours and wall.month in rule.months and is_day


@pytest.mark.parametrize("line", ["* * * * *", "*/20 2 * * *", "7 * * * *"])
def test_asking_again_and_again_gives_each_time_once(line):
    timetable, start = Timetable(line, None, BERLIN), at("2026-10-24T22:00")
    all_at_once = due_times(timetable, start, start + timedelta(hours=5))

    asked, moment = [], start
    while (moment := next_due(timetable, moment)) is not None and moment <= start + timedelta(hours=5):
        asked.append(moment)

    assert asked == all_at_once == sorted(set(all_at_once))


def test_an_interval_is_half_open():
    daily = Timetable("0 9 * * *", None, "UTC")

    assert due_times(daily, at("2026-05-04T09:00"), at("2026-05-05T09:00")) == [at("2026-05-05T09:00")]


def test_distance_is_counted_from_where_it_was_set_and_does_not_drift():
    timetable = Timetable(None, 7, BERLIN)
    anchor = datetime(2026, 5, 4, 9, 0, 3, 250_000, tzinfo=UTC)

    first = next_due(timetable, anchor)
    late = next_due(timetable, anchor + timedelta(days=200, microseconds=1), anchor=first)

    assert first == datetime(2026, 5, 4, 9, 0, 10, tzinfo=UTC)
    assert late is not None
    assert (late - first) % timedelta(seconds=7) == timedelta(0)
    assert timedelta(0) < late - (anchor + timedelta(days=200, microseconds=1)) <= timedelta(seconds=7)


def test_distance_is_even_through_summer_time():
    timetable = Timetable(None, 3_600, BERLIN)

    found = due_times(timetable, at("2026-10-24T23:30"), at("2026-10-25T03:30"), anchor=at("2026-10-24T00:30"))

    assert shown(found) == ["10-25 00:30", "10-25 01:30", "10-25 02:30", "10-25 03:30"]


def test_distance_knows_the_times_before_its_anchor():
    assert next_due(Timetable(None, 60, "UTC"), at("2026-05-03T12:00"), anchor=at("2026-05-04T09:00:30")) == at(
        "2026-05-03T12:00:30"
    )


def test_local_time_has_the_offset_of_its_moment():
    timetable = Timetable("30 2 * * *", None, BERLIN)

    assert local_time(timetable, at("2026-10-25T00:30")).isoformat() == "2026-10-25T02:30:00+02:00"
    assert local_time(timetable, at("2026-10-25T01:30")).isoformat() == "2026-10-25T02:30:00+01:00"


@pytest.mark.parametrize(
    ("timetable", "message"),
    [
        (Timetable(None, 10**6 * 31_556_952, "UTC"), "31,556,952,000,000 seconds apart"),
        (Timetable(None, 0, "UTC"), "0 seconds apart"),
        (Timetable("0 0 31 2 *", None, "UTC"), "never due"),
        (Timetable("*/0 * * * *", None, "UTC"), "step of 0"),
        (Timetable("* * * * * *", None, "UTC"), "it has 6 fields"),
        (Timetable("* * * * *", None, "Mars/Olympus"), "no time zone “Mars/Olympus”"),
        (Timetable("* * * * *", None, "../etc"), "no time zone “../etc”"),
    ],
)
def test_what_cannot_be_computed_says_why(timetable, message):
    with pytest.raises(ScheduleError, match=message):
        next_due(timetable, at("2026-05-04"))


@pytest.mark.parametrize("zone", ["UTC", BERLIN, NEW_YORK, KATHMANDU])
@pytest.mark.parametrize("line", ["0 0 1 1 *", "* * * * *"])
def test_nothing_is_due_after_the_end_of_the_calendar(line, zone):
    assert next_due(Timetable(line, None, zone), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)) is None
    assert next_due(Timetable(None, 86_400, zone), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)) is None
