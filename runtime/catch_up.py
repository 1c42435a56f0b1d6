"""What a schedule does about times that have passed: those it was late for, missed, or is to live through again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile

from runtime.schedules import SECOND, Timetable, next_due, times

ON_TIME = timedelta(seconds=60)  # a time this late is not missed yet
ONCE_WITHIN = timedelta(hours=1)  # how late the one run may be that makes up for all that was missed
CATCH_UP_RUNS = 100  # of one schedule that makes up for all
MISSED_COUNTED = 1_000  # a schedule that has missed more says this
ALWAYS_AGAIN = timedelta(hours=1)  # a clock set back by more repeats every schedule


@dataclass(frozen=True)
class Firing:
    """A time to start a run for; *missed* counts the missed times that the run stands in for."""

    due_at: datetime
    missed: int = 0


@dataclass(frozen=True)
class Passed:
    """What comes of times that have passed: runs, oldest first, and when the schedule is due next."""

    firings: tuple[Firing, ...]
    next_due_at: datetime | None


@lru_cache(maxsize=1_000)
def passed(timetable: Timetable, missed: str, due_at: datetime, now: datetime) -> Passed:
    """Return what to do at *now* about a schedule that was due at *due_at* and, maybe, at times since.

    *missed* is ``skip``, ``once`` or ``all``. Raises ScheduleError.
    """
    count = sum(1 for _ in islice(_since(timetable, due_at, due_at, now), MISSED_COUNTED))
    latest = _latest(timetable, due_at, now, CATCH_UP_RUNS if missed == "all" else 1)
    return Passed(tuple(_firings(missed, latest, count, now)), next_due(timetable, now, anchor=due_at))


def again(
    timetable: Timetable, next_due_at: datetime | None, last_due_at: datetime | None, now: datetime
) -> tuple[datetime | None, bool]:
    """Return when a schedule is due next by a clock that may have been set back, and whether times are repeated.

    Times that no run was started for yet are due as they come. Those that were are repeated if the schedule would
    otherwise rest for longer than the time between two runs, or than an hour: a daily one is repeated after a day,
    not after ten minutes. Raises ScheduleError.
    """
    expected = next_due(timetable, now, anchor=next_due_at or now)
    if next_due_at is None or expected is None or expected >= next_due_at:
        return next_due_at or expected, False
    if last_due_at is None or last_due_at < expected:
        return expected, False
    is_repeated = last_due_at - now >= min(next_due_at - last_due_at, ALWAYS_AGAIN)
    return (expected, True) if is_repeated else (next_due_at, False)


def _firings(missed: str, latest: list[datetime], count: int, now: datetime) -> Iterator[Firing]:
    if not latest:
        return  # the rules of the time zone have changed since the row was written
    if missed == "all":
        for place, due_at in enumerate(latest):
            dropped = count - len(latest) if place == 0 else 0
            yield Firing(due_at, dropped + (now - due_at > ON_TIME))
        return
    late = now - latest[-1]
    if late <= ON_TIME:
        yield Firing(latest[-1], 0 if missed == "skip" else count - 1)
    elif missed == "once" and late <= ONCE_WITHIN:
        yield Firing(latest[-1], count)


def _latest(timetable: Timetable, due_at: datetime, now: datetime, most: int) -> list[datetime]:
    """Return the last *most* times up to *now*, oldest first, looking back no further than it takes."""
    reach = ON_TIME
    while True:
        start = max(due_at, now - reach)
        found = list(_since(timetable, due_at, start, now))
        if len(found) >= most or start == due_at:
            return found[-most:]
        reach *= 2


def _since(timetable: Timetable, anchor: datetime, start: datetime, now: datetime) -> Iterator[datetime]:
    """Yield the times from *start* on, up to *now*."""
    return takewhile(lambda moment: moment <= now, times(timetable, start - SECOND, anchor=anchor))
