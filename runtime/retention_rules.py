"""How long runs are kept: the rules of the installation, and those of a flow, which come before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from runtime.errors import Invalid, Problem
from storage.database import Database
from storage.history import Kept
from storage.space import Space, measure
from storage.tables import Flow, Setting

KEY = "retention"
MB = 1_000_000
LARGEST = {"keep_days": 36_500, "keep_runs": 100_000_000, "keep_mb": 1_000_000}
WHOLE = ("keep_runs",)


@dataclass(frozen=True)
class Rules:
    """What is kept of each flow's ended runs; the strictest of the three counts, and None sets no limit.

    *keep_days* since a run ended, the latest *keep_runs*, and about as many runs as take *keep_mb* million bytes.
    """

    keep_days: float | None = 30
    keep_runs: int | None = 100_000
    keep_mb: float | None = 1_000

    def as_json(self) -> dict[str, float | None]:
        """Return the published shape."""
        return dict(vars(self))

    def words(self) -> str | None:
        """Return the limits in words, None where there is none."""
        parts = (
            self.keep_days is not None and f"{self.keep_days:,.9g} days",
            self.keep_runs is not None and f"{self.keep_runs:,} runs",
            self.keep_mb is not None and f"{self.keep_mb:,.9g} MB",
        )
        return " or ".join(part for part in parts if part) or None

    def of_flow(self, limits: Mapping[str, Any] | None) -> Rules:
        """Return these rules with what a flow's *limits* say in their place."""
        given = limits or {}
        given = limits or {}
        own = {name: given[name] for name in LARGEST if given.get(name) is not None}
        return replace(self, **own)

    def kept(self, now: datetime) -> Kept:
        """Return what stays at *now*."""
        return Kept(
            ended_after=None if self.keep_days is None else now - timedelta(days=self.keep_days),
            runs=self.keep_runs,
            bytes=None if self.keep_mb is None else int(self.keep_mb * MB),
        )


class Retention:
    """Reads and keeps the rules of the installation. The engine acts on new ones within seconds."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock

    def read(self) -> Rules:
        """Return the rules in force."""
        with self._database.read() as session:
            return rules_in(session)

    def save(self, rules: Rules) -> Rules:
        """Keep runs by these rules from now on; raises Invalid with every problem."""
        if problems := [*_problems(rules)]:
            raise Invalid(*problems)
        with self._database.write() as session:
            row = session.get(Setting, KEY) or Setting(key=KEY, value={})
            row.value, row.updated_at = rules.as_json(), self._clock()
            session.add(row)
        return rules

    def own_rules(self) -> int:
        """Return how many flows set a limit of their own."""
        with self._database.read() as session:
            return sum(not LARGEST.keys().isdisjoint(limits) for limits in limits_of_flows(session).values())

    def space(self) -> Space:
        """Return what the database takes on the disk."""
        return measure(self._database)


def rules_in(session: Session) -> Rules:
    """Return the rules of the installation."""
    row = session.get(Setting, KEY)
    return Rules() if row is None else Rules(**{field.name: row.value.get(field.name) for field in fields(Rules)})


def limits_of_flows(session: Session) -> dict[str, dict[str, Any]]:
    """Return what the live versions of flows set for themselves, by flow."""
    found = session.exec(select(Flow.id, Flow.limits).where(col(Flow.limits).is_not(None)))
    return {flow_id: dict(limits) for flow_id, limits in found if limits is not None}


def _problems(rules: Rules) -> Iterator[Problem]:
    for name, largest in LARGEST.items():
        value = getattr(rules, name)
        kinds = (int,) if name in WHOLE else (int, float)
        is_number = type(value) in kinds and 0 <= value <= largest
        if value is not None and not is_number:
            what = "a whole number" if name in WHOLE else "a number"
            message = f"This is {what} from 0 to {largest:,}, or empty for no limit."
            yield Problem("retention.invalid", message, param=name)
