from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.crontab import crontab
from nodes.on_schedule import on_schedule
from nodes.spec import Listen
from runtime.document import Node
from runtime.errors import Problem
from runtime.param_checks import check_params


def problems(**params: object) -> list[Problem]:
    node = Node.model_validate({"id": "s", "type": "on_schedule", "name": "Schedule", "params": params})
    return check_params(node, on_schedule)


@pytest.mark.parametrize(
    ("params", "param", "message"),
    [
        ({}, "cron", "“Cron” is empty. Write a cron line, or say every how many seconds."),
        ({"cron": " "}, "cron", "“Cron” is empty. Write a cron line, or say every how many seconds."),
        ({"cron": "0 9 * * *", "every_s": 60}, "every_s", "there is a cron line as well; empty one of the two."),
        ({"cron": "daily"}, "cron", "it has one field and needs five: minute, hour, day of month, month, day of week."),
        ({"cron": "0 0 9 * * *"}, "cron", "it has 6 fields and needs five: minute, hour, "),
        ({"cron": "@daily"}, "cron", "write the five fields, here 0 0 * * *."),
        ({"cron": "@reboot"}, "cron", "it needs five fields: minute, hour, "),
        ({"cron": "*/0 * * * *"}, "cron", "the minute “*/0” has a step of 0; a step is 1 to 59."),
        ({"cron": "0 */24 * * *"}, "cron", "the hour “*/24” has a step of 24; a step is 1 to 23."),
        ({"cron": "60 * * * *"}, "cron", "the minute “60” must be 0 to 59."),
        ({"cron": f"{'9' * 150} * * * *"}, "cron", "the minute “9999999999999999999…” must be 0 to 59."),
        ({"cron": "0 0 0 * *"}, "cron", "the day of month “0” must be 1 to 31."),
        ({"cron": "0 9 * * 8"}, "cron", "the day of week “8” must be 0 to 7, or sun to sat."),
        ({"cron": "0 9 * may-foo *"}, "cron", "the month “foo” must be 1 to 12, or jan to dec."),
        ({"cron": "0 22-2 * * *"}, "cron", "the hour “22-2” ends before it begins; "),
        ({"cron": "5/15 * * * *"}, "cron", "the minute “5/15” has a step without a range; begin with * or with 0-59."),
        ({"cron": "0 0 1,,2 * *"}, "cron", "the day of month “” is not understood; "),
        ({"cron": "0 9 ? * *"}, "cron", "the day of month “?” is not understood; "),
        ({"cron": "0 0 31 2 *"}, "cron", "it is never due, because no such month has such a day."),
        ({"cron": "0 0 31 4,6,9,11 *"}, "cron", "it is never due, because no such month has such a day."),
        ({"cron": "0 0 30 feb */2"}, "cron", "it is never due, because no such month has such a day."),
        ({"cron": "{{ $param.when }}"}, "cron", "“Cron” cannot be an expression. Write the value itself."),
        ({"every_s": 0}, "every_s", "must be at least 1."),
        ({"every_s": 0.5}, "every_s", "must be a whole number, without a fraction."),
        ({"every_s": 366 * 86_400 + 1}, "every_s", "must be at most 31622400."),
        ({"every_s": 10**6 * 31_556_952}, "every_s", "must be at most 31622400."),
        ({"every_s": 60, "timezone": "Berlin"}, "timezone", "no time zone “Berlin”; perhaps Europe/Berlin is meant."),
        ({"every_s": 60, "timezone": "new york"}, "timezone", "perhaps America/New_York is meant."),
        ({"every_s": 60, "timezone": "europe/berlin"}, "timezone", "perhaps Europe/Berlin is meant."),
        ({"every_s": 60, "timezone": "../UTC"}, "timezone", "there is no time zone “../UTC”"),
        ({"every_s": 60, "timezone": ""}, "timezone", "write its IANA name, such as Europe/Berlin."),
        ({"every_s": 60, "missed": "never"}, "missed", "must be skip, once or all."),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_told_on_its_field(params, param, message):
    (problem,) = problems(**params)

    assert (problem.node, problem.param) == ("s", param)
    assert message in problem.message


def test_a_node_that_is_not_set_up_has_a_gap_and_no_mistake():
    assert [problem.code for problem in problems()] == ["param.missing"]


@pytest.mark.parametrize(
    "line",
    [
        "* * * * *",
        "0 9 * * 1-5",
        "*/15 8-18/2 1,15 JAN-mar Mon,wed",
        "0 0 29 2 *",
        "0 0 31 2 1",
        "0 0 * * 7",
        "0  9\t* * *",
    ],
)
def test_crontab_lines_are_taken(line):
    assert problems(cron=line) == []


@pytest.mark.parametrize("every_s", [1, 90, 366 * 86_400])
def test_distances_up_to_their_limits_are_taken(every_s):
    assert problems(every_s=every_s, timezone="Asia/Kathmandu", missed="all") == []


@given(st.text("*0123456789-/, @?#LWabcjanmonsun²٣", max_size=40))
def test_any_text_is_a_line_or_told_to_be_none(text):
    told, found = "", None
    try:
        found = crontab(text)
    except ValueError as error:
        told = str(error)

    assert 0 < len(told) < 150 if found is None else found.minutes and found.hours and found.months


def test_weekdays_are_counted_from_sunday_and_may_end_with_it():
    assert crontab("0 0 * * 7").weekdays == crontab("0 0 * * sun").weekdays == {0}
    assert crontab("0 0 * * fri-sun").weekdays == crontab("0 0 * * 5-7").weekdays == {5, 6, 0}
    assert crontab("0 0 * * 1-5").weekdays == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("line", "is_either"),
    [("0 0 13 * 5", True), ("0 0 * * 5", False), ("0 0 13 * *", False), ("0 0 */2 * 5", False)],
)
def test_two_restricted_day_fields_mean_either(line, is_either):
    assert crontab(line).is_either is is_either


def test_a_trigger_listens_to_its_timetable():
    by_cron = on_schedule.params.model_validate({"cron": " 0  9 * * 1-5 ", "timezone": "Europe/Berlin"})
    by_distance = on_schedule.params.model_validate({"every_s": 60, "missed": "all"})

    assert on_schedule.listen(by_cron) == Listen(
        None, schedule={"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin", "missed": "once"}
    )
    assert on_schedule.listen(by_distance) == Listen(None, schedule={"every_s": 60, "timezone": "UTC", "missed": "all"})
    assert not on_schedule.listen(by_cron).waits_for_a_person


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, ""),
        ({"cron": "0 9  * * 1-5", "timezone": "Europe/Berlin"}, "0 9 * * 1-5 Europe/Berlin"),
        ({"cron": "0 9 * * *"}, "0 9 * * * UTC"),
        ({"every_s": 45}, "every 45 s"),
        ({"every_s": 900, "timezone": "Europe/Berlin"}, "every 15 min"),
        ({"every_s": 7_200}, "every 2 h"),
        ({"every_s": 86_400}, "every 1 d"),
        ({"every_s": "soon"}, ""),
    ],
)
def test_card_says_when(params, text):
    assert on_schedule.summary(params) == text
