"""Filters for dates and times. None knows the time of day: `$now`, which a run records, is the only clock."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeAlias, get_args

from runtime import moments
from runtime.errors import WrongArgumentError, WrongValueError
from runtime.filter_spec import Group
from runtime.moments import Instant, Moment, Zone

Json: TypeAlias = Any
FORMAT_CHARS = 100
WRITTEN = frozenset("aAbBdHIjmMpSuUVWyYzZfG")  # directives of strftime(3) that are the same everywhere
READ = frozenset("aAbBdHIjmMpSyYzf")
_DIRECTIVE = re.compile(r"%(-?)(.|$)", re.DOTALL)
Span: TypeAlias = Literal["seconds", "minutes", "hours", "days", "weeks"]
Unit: TypeAlias = Literal["year", "quarter", "month", "week", "day", "hour", "minute"]
_SECONDS: Mapping[Span, int] = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400, "weeks": 604_800}
_UNITS = get_args(Unit)
_MOST = 400_000_000  # of any unit; more leads out of the years there are


def add_days(value: Moment, days: float, zone: Zone | None = None) -> str:
    """The date or time that many days later; earlier with a negative number. In *zone* the time of day stays the same.

    {{ '2024-05-03' | add_days(30) }} → "2024-06-02"
    {{ '2024-03-30T12:00:00+01:00' | add_days(1, 'Europe/Berlin') }} → "2024-03-31T12:00:00+02:00"
    """
    return _later(value, timedelta(days=_few("days", days)), zone)


def add_hours(value: Moment, hours: float) -> str:
    """The time that many hours later; earlier with a negative number.

    {{ '2024-05-03T23:30:00Z' | add_hours(1.5) }} → "2024-05-04T01:00:00Z"
    """
    return _later(value, timedelta(hours=_few("hours", hours)))


def add_minutes(value: Moment, minutes: float) -> str:
    """The time that many minutes later; earlier with a negative number.

    {{ '2024-05-03T09:30:00Z' | add_minutes(-45) }} → "2024-05-03T08:45:00Z"
    """
    return _later(value, timedelta(minutes=_few("minutes", minutes)))


def add_months(value: Moment, months: int, zone: Zone | None = None) -> str:
    """The date or time that many months later: the same day, or the last of a shorter month.

    {{ '2024-01-31' | add_months(1) }} → "2024-02-29"
    {{ '2024-01-31' | add_months(-12) }} → "2023-01-31"
    """
    return Instant(_months_later(value.into(zone), int(_few("months", months))), value.is_day).iso()


def add_seconds(value: Moment, seconds: float) -> str:
    """The time that many seconds later; earlier with a negative number.

    {{ '2024-05-03T09:30:00Z' | add_seconds(90) }} → "2024-05-03T09:31:30Z"
    """
    return _later(value, timedelta(seconds=_few("seconds", seconds)))


def add_weeks(value: Moment, weeks: float, zone: Zone | None = None) -> str:
    """The date or time that many weeks later. In *zone* the time of day stays the same.

    {{ '2024-05-03' | add_weeks(2) }} → "2024-05-17"
    """
    return _later(value, timedelta(weeks=_few("weeks", weeks)), zone)


def add_years(value: Moment, years: int, zone: Zone | None = None) -> str:
    """The date or time that many years later; the 28th where there is no 29th of February.

    {{ '2024-02-29' | add_years(1) }} → "2025-02-28"
    """
    return Instant(_months_later(value.into(zone), 12 * int(_few("years", years))), value.is_day).iso()


def date_diff(value: Moment, other: Moment, unit: Span = "days") -> float:
    """How much later than *other* the date or time is, in `seconds`, `minutes`, `hours`, `days` or `weeks`.

    {{ '2024-05-10' | date_diff('2024-05-03') }} → 7
    {{ '2024-05-03T09:00:00Z' | date_diff('2024-05-03T12:00:00+02:00', 'minutes') }} → -60
    """
    seconds = (value.at - other.at).total_seconds() / _SECONDS[unit]
    return _whole(seconds)


def date_format(value: Moment, format: str = "%Y-%m-%d", zone: Zone | None = None) -> str:
    """The date or time as *format* says, on the clocks of *zone*; `%-d` is the day without a zero before it.

    {{ '2024-05-03' | date_format('%d.%m.%Y') }} → "03.05.2024"
    {{ '2024-05-03T22:30:00Z' | date_format('%A, %-d %B, %H:%M', 'Europe/Berlin') }} → "Saturday, 4 May, 00:30"
    """
    _check(format, WRITTEN)
    at = value.into(zone)

    def written(directive: re.Match[str]) -> str:
        text = at.strftime(f"%{directive[2]}")
        return text.lstrip("0") or "0" if directive[1] else text

    return _DIRECTIVE.sub(written, format)


def end_of(value: Moment, unit: Unit, zone: Zone | None = None) -> str:
    """The last day, or the last moment, of the `year`, `quarter`, `month`, `week`, `day`, `hour` or `minute`.

    {{ '2024-02-10' | end_of('month') }} → "2024-02-29"
    {{ '2024-05-03T09:30:00Z' | end_of('day') }} → "2024-05-03T23:59:59.999999Z"
    """
    begin = _start(value.into(zone), unit)
    if unit in ("year", "quarter", "month"):
        after = _months_later(begin, {"year": 12, "quarter": 3, "month": 1}[unit])
    elif unit in ("week", "day"):
        after = moments.moved(begin, timedelta(days=7 if unit == "week" else 1))
    else:
        after = moments.moved(begin, timedelta(hours=1) if unit == "hour" else timedelta(minutes=1))
    before = timedelta(days=1) if value.is_day else timedelta(microseconds=1)
    return Instant(moments.moved(after, -before), value.is_day).iso()


def in_zone(value: Moment, zone: Zone) -> str:
    """The time on the clocks of *zone*.

    {{ '2024-05-03T22:30:00Z' | in_zone('Europe/Berlin') }} → "2024-05-04T00:30:00+02:00"
    {{ 1714732200 | in_zone('UTC') }} → "2024-05-03T10:30:00Z"
    """
    return Instant(value.into(zone), value.is_day).iso()


def parse_date(value: str, format: str | None = None, zone: Zone = UTC) -> str:
    """The date or time in a text that is written as *format* says, as ISO 8601; in *zone* if none is told.

    Without *format* it reads ISO 8601 and dates of mails.

    {{ '03.05.2024' | parse_date('%d.%m.%Y') }} → "2024-05-03"
    {{ '5/3/2024 9:30 PM' | parse_date('%m/%d/%Y %I:%M %p', 'Europe/Berlin') }} → "2024-05-03T21:30:00+02:00"
    {{ 'Fri, 03 May 2024 09:30:00 +0200' | parse_date }} → "2024-05-03T09:30:00+02:00"
    """
    if len(value) > moments.MOMENT_CHARS:
        raise WrongValueError("is too long for a date or time")
    if format is None:
        return _of_a_mail(value)
    used = _check(format, READ)
    if len(set(used)) < len(used):
        raise WrongArgumentError("format", "has something twice")
    try:
        at = datetime.strptime(value.strip(), format)
    except (ValueError, re.error):
        raise WrongValueError("is not written as “format” says") from None
    return Instant(at if at.tzinfo else at.replace(tzinfo=zone), not set(used) & set("HIMSpfz")).iso()


def start_of(value: Moment, unit: Unit, zone: Zone | None = None) -> str:
    """The first day, or the first moment, of the `year`, `quarter`, `month`, `week`, `day`, `hour` or `minute`.

    {{ '2024-05-03' | start_of('month') }} → "2024-05-01"
    {{ '2024-05-03T09:30:00Z' | start_of('week') }} → "2024-04-29T00:00:00Z"
    """
    return Instant(_start(value.into(zone), unit), value.is_day).iso()


def timestamp(value: Moment) -> float:
    """The date or time as seconds since 1970.

    {{ '2024-05-03T10:30:00Z' | timestamp }} → 1714732200
    """
    return _whole(value.at.timestamp())


def weekday(value: Moment, zone: Zone | None = None) -> int:
    """The day of the week: 1 for Monday to 7 for Sunday.

    {{ '2024-05-03' | weekday }} → 5
    """
    return value.into(zone).isoweekday()


def _few(name: str, number: float) -> float:
    if abs(number) > _MOST * (1_000 if name == "seconds" else 1):
        raise WrongArgumentError(name, "leads out of the years 1 to 9999")
    return number


def _later(value: Instant, by: timedelta, zone: Zone | None = None) -> str:
    return Instant(moments.moved(value.into(zone), by), value.is_day and not by % timedelta(days=1)).iso()


def _months_later(at: datetime, months: int) -> datetime:
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise moments.out_of_years()
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return moments.moved(at.replace(year=year, month=month + 1, day=day), timedelta())


def _start(at: datetime, unit: Unit) -> datetime:
    place = _UNITS.index(unit)
    at = at.replace(second=0, microsecond=0)
    if unit == "minute":
        return at
    at = at.replace(minute=0)
    if unit == "hour":
        return at
    at = at.replace(hour=0, fold=0)
    if unit == "week":
        return moments.moved(at, timedelta(days=1 - at.isoweekday()))
    if place < _UNITS.index("week"):
        at = at.replace(day=1, month={"year": 1, "quarter": at.month - (at.month - 1) % 3}.get(unit, at.month))
    return moments.moved(at, timedelta())


def _check(format: str, allowed: frozenset[str]) -> list[str]:
    """Return the directives in *format*. Raises WrongArgumentError."""
    if len(format) > FORMAT_CHARS:
        raise WrongArgumentError("format", f"may have {FORMAT_CHARS} characters")
    used = [directive[2] for directive in _DIRECTIVE.finditer(format)]
    if not all(one in allowed or one == "%" for one in used):
        raise WrongArgumentError("format", f"may have “%” before one of: {' '.join(sorted(allowed))}")
    return [one for one in used if one != "%"]


def _of_a_mail(value: str) -> str:
    try:
        return moments.read(value).iso()
    except WrongValueError:
        pass
    try:
        at = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        raise WrongValueError("is no date that can be read without “format”") from None
    return Instant(at if at.tzinfo else at.replace(tzinfo=UTC)).iso()


def _whole(number: float) -> float:
    return int(number) if number.is_integer() else number


DATES = Group(
    "Date and time",
    cheap=(
        *(add_days, add_hours, add_minutes, add_months, add_seconds, add_weeks, add_years),
        *(date_diff, date_format, end_of, in_zone, parse_date, start_of, timestamp, weekday),
    ),
)
