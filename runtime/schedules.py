"""When a schedule is due. Times are UTC inside; a cron line is read by the clocks of its time zone.

APScheduler's triggers do the arithmetic on clocks that are never put forward or back: what they answer is a time on
the wall, and it is here that the time on the wall becomes a moment. So nothing is due at a time that does not exist,
nothing is due twice, and no hour is repeated for ever, whatever the zone does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]

from nodes.crontab import crontab
from runtime.errors import ScheduleError

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
LONGEST_S = 366 * 86_400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Timetable:
    """What a schedule's times are made of: a cron line in a time zone, or a distance in seconds."""

    cron: str | None
    every_s: int | None
    timezone: str

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Timetable:
        """Return the timetable of what a trigger listens to."""
        return cls(spec.get("cron"), spec.get("every_s"), spec.get("timezone", "UTC"))

    def is_same_as(self, other: Timetable) -> bool:
        """Return whether both are due at the same times; the time zone of a distance is for show."""
        return self == other if self.every_s is None else self.every_s == other.every_s


def due_times(
    timetable: Timetable, after: datetime, until: datetime, *, anchor: datetime | None = None
) -> list[datetime]:
    """Return every time in the half-open interval (after, until], in UTC, earliest first. Raises ScheduleError."""
    return list(takewhile(lambda moment: moment <= until, times(timetable, after, anchor=anchor)))


def next_due(timetable: Timetable, after: datetime, *, anchor: datetime | None = None) -> datetime | None:
    """Return the first time later than *after*, in UTC; None where the calendar ends. Raises ScheduleError."""
    return next(times(timetable, after, anchor=anchor), None)


def times(timetable: Timetable, after: datetime, *, anchor: datetime | None = None) -> Iterator[datetime]:
    """Yield every time later than *after*, in UTC, earliest first. Raises ScheduleError.

    *anchor* is any one of the times of a distance, so that they do not drift; without it they are counted from *after*.
    """
    if timetable.every_s is not None:
        yield from _at_a_distance(timetable.every_s, after, anchor or after)
        return
    line, zone = _checked(timetable.cron or ""), _zone(timetable.timezone)
    try:
        yield from (_at_their_pace if crontab(line).is_every_hour else _by_the_clock)(line, zone, after)
    except OverflowError:
        return  # the calendar ends in the year 9999


def local_time(timetable: Timetable, moment: datetime) -> datetime:
    """Return *moment* by the clocks of the timetable's zone."""
    return moment.astimezone(_zone(timetable.timezone))


def _at_a_distance(every_s: int, after: datetime, anchor: datetime) -> Iterator[datetime]:
    if not 1 <= every_s <= LONGEST_S:
        raise ScheduleError(f"The times are {every_s:,} seconds apart, but it must be 1 second to 366 days.")
    first = EPOCH + (anchor.replace(microsecond=0) - EPOCH) % timedelta(seconds=every_s)
    trigger = IntervalTrigger(seconds=every_s, start_date=first, timezone=UTC)
    while True:
        try:
            after = trigger.get_next_fire_time(None, after.replace(microsecond=0) + SECOND)
        except (OverflowError, ValueError):
            return
        yield after


def _by_the_clock(line: str, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """Yield the moments of a line that names hours: each time on the wall counts once."""
    for wall in _walls(line, _wall(after, zone)):
        moments = _moments(wall, zone)
        moment = moments[0] if moments else _end_of_gap(wall, zone)
        if moment > after:  # the times that a gap leaves out are all due at its end
            yield moment
            after = moment


def _at_their_pace(line: str, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """Yield the moments of a line for every hour, as its minutes pass: twice where the clocks show them twice."""
    while True:
        first = _first(_walls(line, _wall(after, zone)), zone, after)
        if first is None:
            return
        turned_back = after.astimezone(zone).utcoffset(), (after + DAY).astimezone(zone).utcoffset()
        if turned_back[0] > turned_back[1]:  # type: ignore[operator]
            again = _wall(after, zone) - (turned_back[0] - turned_back[1]) - SECOND  # type: ignore[operator]
            first = min(first, _first(_walls(line, again), zone, after) or first)
        yield first
        after = first


def _first(walls: Iterator[datetime], zone: tzinfo, after: datetime) -> datetime | None:
    return next((moment for wall in walls for moment in _moments(wall, zone) if moment > after), None)


def _walls(line: str, after: datetime) -> Iterator[datetime]:
    """Yield the times on the wall later than *after*, none of which has a time zone."""
    triggers = _triggers(line)
    moment = after.replace(microsecond=0, tzinfo=UTC)
    while True:
        found = [trigger.get_next_fire_time(None, moment + SECOND) for trigger in triggers]
        known = [each for each in found if each is not None]
        if not known:
            return
        moment = min(known)
        yield moment.replace(tzinfo=None)


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _moments(wall: datetime, zone: tzinfo) -> list[datetime]:
    """Return the moments at which the clocks show *wall*: one, two where they are put back, none in a gap."""
    both = [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    return [moment for moment in dict.fromkeys(both) if _wall(moment, zone) == wall]


def _end_of_gap(wall: datetime, zone: tzinfo) -> datetime:
    """Return the first moment after the gap in which *wall* lies."""
    after, before = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    offset = before.astimezone(zone).utcoffset()
    while after - before > SECOND:
        middle = before + (after - before) // SECOND // 2 * SECOND
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == offset else (before, middle)
    return after


def _checked(line: str) -> str:
    try:
        crontab(line)
    except ValueError as error:
        raise ScheduleError(f"The cron line “{line[:60]}” cannot be used: {error}.") from error
    return line


@lru_cache(maxsize=1_000)
def _triggers(line: str) -> tuple[CronTrigger, ...]:
    """Return what finds the times of *line*: two where a day fits by its number or by its weekday."""
    rule = crontab(line)
    common = {"minute": _list(rule.minutes), "hour": _list(rule.hours), "month": _list(rule.months), "timezone": UTC}
    days = _list(rule.days)
    weekdays = _list({(day - 1) % 7 for day in rule.weekdays})  # APScheduler counts from Monday
    if not rule.is_either:
        return (CronTrigger(**common, day=days, day_of_week=weekdays),)
    by_weekday = CronTrigger(**common, day_of_week=weekdays)
    # one that is never due would look through all years for its next time, again and again
    return (CronTrigger(**common, day=days), by_weekday) if rule.has_days else (by_weekday,)


def _list(numbers: frozenset[int] | set[int]) -> str:
    """Return numbers as a list of ranges, which are looked up quicker than their members."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


@lru_cache(maxsize=1_000)
def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(f"There is no time zone “{name[:60]}” on this machine.") from error
