"""What Prometheus reads, in its text format 0.0.4."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from time import monotonic

from sqlalchemy import func, text
from sqlmodel import col, select

from runtime import flow_queue
from runtime.engine_api import EngineStatus
from runtime.rules import rules_in
from runtime.run_views import STATUSES
from runtime.version import version
from storage.database import Database
from storage.tables import RunRow

COUNTED_EVERY_S = 5
SHARE = 0.05  # of the time may go into counting, which is a walk over an index of all runs


class Metrics:
    """Counts what is in the database, at most once in a few seconds."""

    def __init__(self, database: Database, *, now: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._now = now
        self._count_at = float("-inf")
        self._runs: dict[str, int] = {}
        self._events = 0
        self._dead = 0
        self._held = {"paused": 0, "limited": 0}

    def text(self, engine: EngineStatus | None) -> str:
        """Return every metric; *engine* is None while it does not answer."""
        self._count()
        lines = [
            *_metric("pulsewire_build_info", "gauge", "The version that runs.", self._build()),
            *_metric("pulsewire_engine_up", "gauge", "1 while the engine answers.", [("", int(engine is not None))]),
            *_metric("pulsewire_runs", "gauge", "Runs by status.", self._by_status()),
            *_metric("pulsewire_runs_held", "gauge", "Runs that wait for their flow.", self._by_reason()),
            *_metric("pulsewire_dead_letters", "gauge", "Runs given up: they stopped engines.", [("", self._dead)]),
            *_metric(
                "pulsewire_events_accepted_total", "counter", "Events that were ever accepted.", [("", self._events)]
            ),
        ]
        if engine is not None:
            lines += _metric("pulsewire_queue_depth", "gauge", "Runs that have not ended.", [("", engine.open_runs)])
            full = [("", int(engine.storage_full))]
            lines += _metric("pulsewire_storage_full", "gauge", "1 while the disk has no room for steps.", full)
        return "\n".join(lines) + "\n"

    def _by_status(self) -> list[tuple[str, int]]:
        return [(f'{{status="{status}"}}', self._runs.get(status, 0)) for status in STATUSES]

    def _by_reason(self) -> list[tuple[str, int]]:
        return [(f'{{reason="{reason}"}}', count) for reason, count in self._held.items()]

    def _build(self) -> list[tuple[str, int]]:
        return [(f'{{version="{version()}",python="{platform.python_version()}"}}', 1)]

    def _count(self) -> None:
        begun = self._now()
        if begun < self._count_at:
            return
        with self._database.read() as session:
            counted = session.exec(select(RunRow.status, func.count()).group_by(col(RunRow.status))).all()
            newest = (
                session.connection().execute(text("SELECT max(rowid) FROM event")).scalar()
            )  # counts those deleted too
            waiting, rules = flow_queue.waiting_by_flow(session), rules_in(session)
            dead = session.exec(select(func.count()).select_from(RunRow).where(col(RunRow.is_dead))).one()
        self._runs, self._events, self._dead = dict(counted), newest or 0, dead
        paused = sum(count for flow_id, count in waiting.items() if flow_id in rules and rules[flow_id].is_paused)
        limited = sum(count for flow_id, count in waiting.items() if flow_id in rules) - paused
        self._held = {"paused": paused, "limited": limited}
        ended = self._now()
        self._count_at = ended + max(COUNTED_EVERY_S, (ended - begun) / SHARE)


def _metric(name: str, kind: str, words: str, values: list[tuple[str, int]]) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"
    for labels, value in values:
        yield f"{name}{labels} {value}"
