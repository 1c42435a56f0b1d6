"""Open runs as the engine takes them up: the row, what its event says, and the steps recorded so far."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import orjson

from storage.journal_rows import StoredEvent, StoredRun, read_many
from storage.journal_waits import WaitState, offered


@dataclass(slots=True)
class StepState:
    """A step as it was recorded; *sealed* is its output locked, where *output* is masked."""

    node: str
    iteration: str
    attempt: int
    status: str
    port: str | None
    output: Any
    error: dict[str, Any] | None
    effect: dict[str, Any] | None
    started_us: int | None
    sealed: str | None = None
    input_hash: str | None = None
    ended_us: int | None = None


@dataclass(slots=True)
class RunState:
    """A claimed run. *document* is set for a test of a draft; otherwise the flow's *version* is walked.

    *sealed* is the event's payload locked, where *payload* is masked; empty where it was blanked.
    """

    id: int
    epoch: int
    flow_id: str
    version: int | None
    document: dict[str, Any] | None
    trigger: str
    payload: dict[str, Any]
    event_id: str | None
    root_id: str | None
    depth: int
    path: tuple[str, ...]
    is_test: bool
    is_simulated: bool
    is_retry: bool
    started_us: int
    steps: list[StepState] = field(default_factory=list)
    sealed: str | None = None
    scope: dict[str, Any] | None = None
    called_by: int | None = None
    waits: list[WaitState] = field(default_factory=list)
    payload_text: str | None = None  # *payload* as JSON, where it is at hand
    size_bytes: int = 0  # of the payload and the recorded outputs, as JSON


RUNS = (
    "SELECT run.id, epoch, flow_id, version, document, trigger, coalesce(run.payload, event.payload, '{}'), event_id, "
    "root_id, coalesce(depth, 0), coalesce(path, '[]'), is_test, is_simulated, run.parent_run, started_at, "
    "event.sealed, scope, called_by FROM run LEFT JOIN event ON event.id = run.event_id "
    "WHERE run.status = 'running' AND run.id"
)
STEPS = (
    "SELECT run_id, node, iteration, attempt, status, port, output, error, effect, started_at, sealed, input_hash, "
    "ended_at "
    "FROM step WHERE run_id"
)
WAITS = (
    "SELECT id, run_id, node, iteration, kind, resolution FROM wait "
    "WHERE (resolved_at IS NULL OR resolution IS NOT NULL) AND run_id"
)
WAITS_WITH_EVENTS = "SELECT DISTINCT wait_id FROM wait_event WHERE wait_id"


def load_runs(cursor: sqlite3.Cursor, run_ids: Collection[int]) -> list[RunState]:
    """Return the runs among *run_ids* that are under way, oldest first, with their steps."""
    states = {}
    for row in read_many(cursor, RUNS, sorted(run_ids)):
        (run_id, epoch, flow_id, version, document, trigger, payload, event_id, root_id, depth, path) = row[:11]
        states[run_id] = RunState(
            *(run_id, epoch, flow_id, version, _json(document), trigger, orjson.loads(payload), event_id, root_id),
            *(depth, tuple(orjson.loads(path)), bool(row[11]), bool(row[12]), row[13] is not None, row[14]),
            sealed=row[15],
            scope=_json(row[16]),
            called_by=row[17],
            size_bytes=len(payload),
        )
    for run_id, node, iteration, attempt, status, port, output, error, effect, *rest in read_many(
        cursor, STEPS, list(states)
    ):
        states[run_id].size_bytes += len(output or "")
        states[run_id].steps.append(
            StepState(*(node, iteration, attempt, status, port, _json(output), _json(error), _json(effect), *rest))
        )
    _load_waits(cursor, {state.id: state for state in states.values() if state.steps})
    return list(states.values())


def _load_waits(cursor: sqlite3.Cursor, states: dict[int, RunState]) -> None:
    waits = {}
    for wait_id, run_id, node, iteration, kind, resolution in read_many(cursor, WAITS, list(states)):
        wait = waits[wait_id] = WaitState(wait_id, node, iteration, kind, _json(resolution))
        states[run_id].waits.append(wait)
    for (wait_id,) in read_many(cursor, WAITS_WITH_EVENTS, list(waits)):
        waits[wait_id].events = offered(lambda sql, values: cursor.execute(sql, values).fetchall(), wait_id)


def started(event: StoredEvent, run: StoredRun) -> RunState:
    """Return a run that was claimed as it was accepted."""
    seed, cause = run.seed, event.seed
    assert run.started_us is not None
    return RunState(
        *(run.id, run.epoch, seed.flow_id, seed.version, None, seed.trigger, cause.payload, cause.id, cause.root_id),
        *(cause.depth, cause.path, False, False, False, run.started_us),
        sealed=cause.sealed,
        payload_text=cause.payload_text,
        size_bytes=len(cause.payload_text),
    )


def _json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
