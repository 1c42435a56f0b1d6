"""The five fields of a cron line as sets of numbers, and what is wrong with a line, in plain words.

Source  crontab(5): minute, hour, day of month, month, day of week; a day fits when either of two restricted day
        fields does, and a field that begins with ``*`` counts as not restricted
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SUNDAY_AT_THE_END = 7  # of a range such as sat-sun
LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days, in a leap year
ORDER = "minute, hour, day of month, month, day of week"
NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
PART = re.compile(r"(\*|[0-9a-z]+)(?:-([0-9a-z]+))?(?:/([0-9]+))?", re.IGNORECASE | re.ASCII)
MOST_DIGITS = 6


@dataclass(frozen=True)
class _Field:
    title: str
    first: int
    last: int
    names: tuple[str, ...] = ()
    base: int = 0  # the number of the first name


FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, MONTHS, 1),
    _Field("day of week", 0, 7, WEEKDAYS),
)


@dataclass(frozen=True)
class Crontab:
    """When a line is due, by the clock on the wall. *weekdays* counts from Sunday, which is 0.

    *is_either*: a day fits by its number or by its weekday; otherwise it has to fit by both.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_either: bool

    @property
    def is_every_hour(self) -> bool:
        return len(self.hours) == 24

    @property
    def has_days(self) -> bool:
        """Whether one of its months has one of its days."""
        return any(day <= LONGEST_MONTH[month - 1] for day in self.days for month in self.months)


@lru_cache(maxsize=1_000)
def crontab(line: str) -> Crontab:
    """Return what *line* says; raises ValueError with the end of a sentence that begins with the field's name."""
    texts = line.split()
    if len(texts) == 1 and texts[0].startswith("@"):
        written = NICKNAMES.get(texts[0].lower())
        raise ValueError(f"write the five fields, here {written}" if written else f"it needs five fields: {ORDER}")
    if len(texts) != len(FIELDS):
        count = "one field" if len(texts) == 1 else f"{len(texts)} fields"
        tail = "; there are no seconds or years" if len(texts) > len(FIELDS) else ""
        raise ValueError(f"it has {count} and needs five: {ORDER}{tail}")
    minutes, hours, days, months, weekdays = (_numbers(*each) for each in zip(FIELDS, texts, strict=True))
    found = Crontab(
        minutes, hours, days, months, frozenset(day % 7 for day in weekdays), _is_restricted(texts[2], texts[4])
    )
    if not found.is_either and not found.has_days:
        raise ValueError("it is never due, because no such month has such a day")
    return found


def _is_restricted(*texts: str) -> bool:
    return not any(text.startswith("*") for text in texts)


def _numbers(field: _Field, text: str) -> frozenset[int]:
    return frozenset(number for part in text.split(",") for number in _part(field, part))


def _part(field: _Field, text: str) -> range:
    found = PART.fullmatch(text)
    subject = f"the {field.title} “{_cut(text)}”"
    if found is None or (found[1] == "*" and found[2] is not None):
        raise ValueError(f"{subject} is not understood; write numbers, *, lists, ranges and steps")
    first, last = (field.first, field.last) if found[1] == "*" else _bounds(field, found[1], found[2])
    if first > last:
        raise ValueError(f"{subject} ends before it begins; write two ranges with a comma between them")
    if found[3] is None:
        return range(first, last + 1)
    if found[1] != "*" and found[2] is None:
        raise ValueError(f"{subject} has a step without a range; begin with * or with {field.first}-{field.last}")
    step, most = _number(found[3]), field.last - field.first
    if not 1 <= step <= most:
        raise ValueError(f"{subject} has a step of {_cut(found[3])}; a step is 1 to {most}")
    return range(first, last + 1, step)


def _bounds(field: _Field, first: str, last: str | None) -> tuple[int, int]:
    begin = _value(field, first)
    if last is None:
        return begin, begin
    end = _value(field, last)
    return begin, SUNDAY_AT_THE_END if field.names == WEEKDAYS and end == 0 < begin else end


def _value(field: _Field, text: str) -> int:
    if text.lower() in field.names:
        return field.names.index(text.lower()) + field.base
    number = _number(text) if text.isdecimal() else -1
    if not field.first <= number <= field.last:
        names = f", or {field.names[0]} to {field.names[-1]}" if field.names else ""
        raise ValueError(f"the {field.title} “{_cut(text)}” must be {field.first} to {field.last}{names}")
    return number


def _number(text: str) -> int:
    return int(text) if len(text) <= MOST_DIGITS else 10**MOST_DIGITS


def _cut(text: str) -> str:
    return text if len(text) <= 20 else text[:19] + "…"
