"""What becomes of a run that an event starts: it may begin, it has to wait, or it is refused and says why.

The journal's writer and sessions decide here alike; each brings the cursor of its own transaction.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from runtime import limits
from runtime.chains import Chains, loop_error
from runtime.rules import Rule
from storage.journal_rows import EventSeed, RunSeed

_WAITING = (
    "SELECT count(*) FROM (SELECT 1 FROM run INDEXED BY ix_run_queued WHERE flow_id = ? AND status = 'queued' LIMIT ?)"
)


class Subscriber(NamedTuple):
    """A trigger of a flow that hears events: a live one, or one that is paused."""

    flow_id: str
    version: int
    node: str
    match: Mapping[str, Any]


class Intake:
    """Knows the rules of flows and how many of their runs wait. *chains* stops what goes round."""

    def __init__(self, chains: Chains) -> None:
        self.rules: Mapping[str, Rule] = {}
        self._chains = chains
        self._waiting: dict[str, int] = {}
        self._fresh: Counter[str] = Counter()  # of this transaction, and not written yet
        self._is_counted: set[str] = set()  # in this transaction
        self._cursor: sqlite3.Cursor | None = None

    @property
    def cursor(self) -> sqlite3.Cursor:
        """The cursor of the transaction that ``begin`` named."""
        assert self._cursor is not None
        return self._cursor

    def begin(self, cursor: sqlite3.Cursor) -> None:
        """Let what follows happen in the cursor's transaction, whose earlier runs are written."""
        self._cursor = cursor
        self._fresh.clear()
        self._is_counted.clear()

    def set_rules(self, rules: Mapping[str, Rule]) -> None:
        """Replace the rules; of flows without one nothing is counted any more."""
        self.rules = rules
        self._waiting = {flow_id: count for flow_id, count in self._waiting.items() if flow_id in rules}

    def runs_of(self, subscribers: Iterable[Subscriber], event: EventSeed) -> list[RunSeed]:
        """Return the runs that *event* starts; one that is refused carries its error and is never started."""
        if not self.rules and not event.depth:
            return [RunSeed(flow_id, version, node) for flow_id, version, node, _match in subscribers]
        return [self._run(found, event) for found in subscribers]

    def called(self, found: Subscriber, event: EventSeed) -> RunSeed:
        """Return the run of a sub-flow. How often a flow is called, its callers decide: only chains are stopped."""
        if (error := loop_error(found.flow_id, event)) is not None:
            return RunSeed(found.flow_id, found.version, found.node, error)
        return self._queued(found)

    def _run(self, found: Subscriber, event: EventSeed) -> RunSeed:
        flow_id, version, node, _match = found
        if event.depth:
            rule = self.rules.get(flow_id, Rule())
            error, pauses = self._chains.verdict(self.cursor, flow_id, event, is_paused=rule.is_paused)
            if pauses:
                self.rules = {**self.rules, flow_id: replace(rule, is_paused=True)}
            if error is not None:
                return RunSeed(flow_id, version, node, error)
        return self._queued(found)

    def _queued(self, found: Subscriber) -> RunSeed:
        flow_id, version, node, _match = found
        is_held = flow_id in self.rules
        if is_held and not self._has_seat(flow_id):
            return RunSeed(flow_id, version, node, _queue_full())
        return RunSeed(flow_id, version, node, None, is_held)

    def _has_seat(self, flow_id: str) -> bool:
        """Take a place in the queue of a flow; the count is an upper bound until it gets near the limit."""
        is_exact = flow_id in self._is_counted
        if not is_exact and self._waiting.get(flow_id, limits.HELD_RUNS) >= limits.HELD_RUNS:
            (count,) = self.cursor.execute(_WAITING, [flow_id, limits.HELD_RUNS]).fetchone()
            self._waiting[flow_id] = count + self._fresh[flow_id]
            self._is_counted.add(flow_id)
        if self._waiting[flow_id] >= limits.HELD_RUNS:
            return False
        self._waiting[flow_id] += 1
        self._fresh[flow_id] += 1
        return True


def _queue_full() -> str:
    message = (
        f"{limits.HELD_RUNS:,} runs of this flow wait already, and no more are kept. "
        "Resume the flow, or raise its limits, and start this run again."
    )
    return orjson.dumps({"code": "flow.queue_full", "message": message, "node": None}).decode()
