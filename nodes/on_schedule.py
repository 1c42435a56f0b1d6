"""Start at set times.

The times are those of a cron line, read by the clocks of a time zone, or come at a fixed distance, counted from when
the flow was published. Where clocks are put forward, a time that they leave out is due at the first moment after the
gap; where they are put back, a time that they show twice is due the first time only. A cron line for every hour keeps
its pace through both.

Out     ``{"due_at": str, "local_time": str, "missed": int}``; the time this run stands for, in UTC and by the clocks
        of the time zone, and how many missed times it stands in for, 0 when it is on time
Units   times are ISO 8601; ``every_s`` counts seconds, and a day among them is always 86,400 of them
Effect  none
Errors  none of its own
Source  crontab(5): ``minute hour day-of-month month day-of-week``; the IANA time zone database
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from typing import Literal, LiteralString
from zoneinfo import available_timezones

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from nodes.crontab import crontab
from nodes.spec import Json, Listen, Output, Params, trigger, ui

LONGEST_S = 366 * 86_400
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


class OnScheduleParams(Params):
    cron: str = Field(
        "",
        title="Cron",
        description="0 9 * * 1-5 is 09:00 from Monday to Friday: minute, hour, day of month, month, day of week.",
        max_length=200,
        json_schema_extra=ui("text", placeholder="0 9 * * 1-5", is_literal=True),
    )
    every_s: int | None = Field(
        None,
        title="Every (seconds)",
        description="Seconds from one time to the next, at most 366 days, in place of a cron line.",
        ge=1,
        le=LONGEST_S,
        json_schema_extra=ui("number", placeholder="3600", is_literal=True),
    )
    timezone: str = Field(
        "UTC",
        title="Time zone",
        description="Whose clocks the cron line means.",
        max_length=100,
        json_schema_extra=ui("timezone", is_literal=True),
    )
    missed: Literal["skip", "once", "all"] = Field(
        "once",
        title="Missed times",
        description=(
            "After a pause or an outage. Skip: nothing is made up for. Once: one run, if the latest missed time is at "
            "most an hour ago. All: a run for each of the latest 100."
        ),
        json_schema_extra=ui("select", is_advanced=True, is_literal=True),
    )

    @field_validator("cron")
    @classmethod
    def _is_a_cron_line(cls, line: str) -> str:
        if line.strip():
            crontab(line)
        return line

    @field_validator("timezone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        if name not in zones():
            likely = _likely(name)
            todo = f"perhaps {likely} is meant" if likely else "write its IANA name, such as Europe/Berlin"
            raise ValueError(f"there is no time zone “{name[:40]}”; {todo}")
        return name

    @model_validator(mode="after")
    def _says_when(self) -> OnScheduleParams:
        has_cron = bool(self.cron.strip())
        if has_cron and self.every_s is not None:
            raise _at("every_s", self.every_s, "value_error", "there is a cron line as well; empty one of the two")
        if not has_cron and self.every_s is None:
            raise _at("cron", self.cron, "value_missing", "Write a cron line, or say every how many seconds")
        return self


class OnSchedulePayload(Output):
    due_at: datetime = Field(title="Due at", description="The time this run stands for, in UTC.")
    local_time: datetime = Field(title="Local time", description="The same, by the clocks of the time zone.")
    missed: int = Field(title="Missed", description="How many missed times it stands in for; 0 when it is on time.")


def summary(params: Mapping[str, Json]) -> str:
    """Return what a node is set to on one line: the cron line and its zone, or the distance."""
    line, every_s = params.get("cron"), params.get("every_s")
    if isinstance(line, str) and line.strip():
        return f"{' '.join(line.split())} {params.get('timezone', 'UTC')}"
    return f"every {_distance(every_s)}" if isinstance(every_s, int) else ""


@trigger(
    title="Schedule",
    icon="schedule",
    payload=OnSchedulePayload,
    sample={"due_at": "2026-05-04T07:00:00Z", "local_time": "2026-05-04T09:00:00+02:00", "missed": 0},
    summary=summary,
)
def on_schedule(params: OnScheduleParams) -> Listen:
    times: dict[str, Json] = {"every_s": params.every_s} if params.every_s else {"cron": " ".join(params.cron.split())}
    return Listen(None, schedule={**times, "timezone": params.timezone, "missed": params.missed})


@cache
def zones() -> frozenset[str]:
    """Return the names of the time zones that this machine knows."""
    return frozenset(available_timezones()) - {"localtime", "Factory"} | {"UTC"}


def _likely(name: str) -> str | None:
    """Return the zone that was probably meant: of the same letters, of that city, or written much like it."""
    words = name.strip().replace(" ", "_").casefold()
    by_name = {zone.casefold(): zone for zone in sorted(zones())}
    if words in by_name:
        return by_name[words]
    by_city = {zone.rpartition("/")[2]: zone for zone in by_name if "/" in zone}
    close = get_close_matches(words, by_name, 1, 0.8) or get_close_matches(words, by_city, 1, 0.8)
    return by_name[by_city.get(close[0], close[0])] if close else None


def _distance(seconds: int) -> str:
    for size, unit in UNITS:
        if seconds % size == 0 and seconds:
            return f"{seconds // size:,} {unit}"
    return f"{seconds:,} s"


def _at(name: str, value: Json, kind: LiteralString, message: str) -> ValidationError:
    """Return an error of the whole that is told on one field."""
    error = PydanticCustomError(kind, "{error}", {"error": message})
    return ValidationError.from_exception_data("on_schedule", [InitErrorDetails(type=error, loc=(name,), input=value)])
