"""When a trigger is due, in the words of its form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from editor.next_times import upcoming
from nodes import spec
from runtime.flow_views import ScheduleView
from runtime.schedules import Timetable

TYPES = spec.load()
NOW = datetime(2026, 12, 30, 9, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("params", "note", "times"),
    [
        (
            {"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin"},
            "Times in Europe/Berlin",
            ["Thu 31 Dec, 09:00", "Fri 1 Jan 2027, 09:00", "Mon 4 Jan 2027, 09:00"],
        ),
        (
            {"cron": "30 2 * * *", "timezone": "Asia/Kathmandu"},
            "Times in Asia/Kathmandu",
            ["Thu 31 Dec, 02:30", "Fri 1 Jan 2027, 02:30", "Sat 2 Jan 2027, 02:30"],
        ),
        (
            {"every_s": 90},
            "Times in UTC, if it is published now",
            ["Wed 30 Dec, 09:31:42", "Wed 30 Dec, 09:33:12", "Wed 30 Dec, 09:34:42"],
        ),
    ],
)
def test_next_times_are_told_by_the_clocks_of_the_zone(params: dict[str, Any], note: str, times: list[str]) -> None:
    assert upcoming(TYPES["on_schedule"], params, None, NOW) == (note, times)


@pytest.mark.parametrize("params", [{}, {"cron": "0 9"}, {"every_s": 0}, {"every_s": 9, "cron": "* * * * *"}])
def test_a_trigger_that_is_not_set_up_tells_none(params: dict[str, Any]) -> None:
    assert upcoming(TYPES["on_schedule"], params, None, NOW) == ("", [])


def test_other_triggers_tell_none() -> None:
    assert upcoming(TYPES["manual"], {}, None, NOW) == ("", [])


def test_a_live_distance_goes_on_as_it_was_published() -> None:
    live = ScheduleView("s", Timetable(None, 3_600, "UTC"), NOW + timedelta(minutes=20), None)

    same = upcoming(TYPES["on_schedule"], {"every_s": 3_600}, live, NOW)
    changed = upcoming(TYPES["on_schedule"], {"every_s": 7_200}, live, NOW)

    assert same == ("Times in UTC", ["Wed 30 Dec, 09:50:12", "Wed 30 Dec, 10:50:12", "Wed 30 Dec, 11:50:12"])
    assert changed[0] == "Times in UTC, if it is published now"
