"""Dates and times as filters take and give them: ISO 8601 texts, or seconds since 1970; without a zone they are UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from runtime.errors import WrongValueError
from runtime.filter_spec import Reader

Json: TypeAlias = Any
MOMENT_CHARS = 100
ZONE_CHARS = 100
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Instant:
    """A point in time with its zone, or a whole day (which begins at midnight of UTC)."""

    at: datetime
    is_day: bool = False

    def iso(self) -> str:
        """Return it as ISO 8601."""
        if self.is_day:
            return self.at.date().isoformat()
        text = self.at.isoformat()
        return text[:-6] + "Z" if text.endswith("+00:00") else text

    def into(self, zone: tzinfo | None) -> datetime:
        """Return the time on the clocks of *zone*; None leaves it where it is, and a day is a day everywhere."""
        try:
            return self.at if zone is None or self.is_day else self.at.astimezone(zone)
        except OverflowError:
            raise out_of_years() from None


def read(value: Json) -> Instant:
    """Return the date or time in *value*. Raises WrongValueError."""
    try:
        if not isinstance(value, str):
            return Instant(datetime.fromtimestamp(value, UTC))
        text = value.strip() if len(value) <= MOMENT_CHARS else ""
        at = datetime.fromisoformat(text)
        return Instant(at if at.tzinfo else at.replace(tzinfo=UTC), _DAY.fullmatch(text) is not None)
    except (ValueError, OverflowError, OSError):
        raise WrongValueError("is no date or time such as 2024-05-03 or 2024-05-03T09:30:00Z") from None


def moved(at: datetime, by: timedelta) -> datetime:
    """Return the time *by* later on the same clock; where the clock skips that time, as much later as it skips."""
    try:
        return (at + by).astimezone(UTC).astimezone(at.tzinfo)
    except OverflowError:
        raise out_of_years() from None


def out_of_years() -> WrongValueError:
    return WrongValueError("leads out of the years 1 to 9999")


def zone_of(name: str) -> tzinfo:
    """Return the time zone of that name. Raises WrongValueError."""
    try:
        if name and len(name) <= ZONE_CHARS:
            return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise WrongValueError("is no time zone such as Europe/Berlin")


Moment: TypeAlias = Annotated[Instant, Reader(frozenset({str, int, float}), "a date or time", read)]
Zone: TypeAlias = Annotated[tzinfo, Reader(frozenset({str}), "the name of a time zone", zone_of)]
