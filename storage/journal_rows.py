"""The journal's rows and the statements that write many of them at once.

A statement takes its rows as one list of VALUES, so that SQLite works on all of them in one call without Python's lock.
An error of one row undoes the whole transaction. So the statements say OR FAIL or OR IGNORE and call no function where
they can: with OR ABORT, the default, SQLite copies each page before it changes it, to undo a statement alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple, Protocol


class EventSeed(NamedTuple):
    """An event to be stored; *digest* is set where the sender chose the id, *sealed* where *payload* is masked."""

    id: str
    name: str
    payload: dict[str, Any]
    payload_text: str
    digest: str | None
    root_id: str
    parent_run: int | None
    depth: int
    path: tuple[str, ...]
    sealed: str | None = None


class RunSeed(NamedTuple):
    """A run that an event starts; one with an *error* (JSON text) is recorded as failed and never started.

    One that *is_held* is not claimed as it is accepted: its flow is paused or limited.
    """

    flow_id: str
    version: int
    trigger: str
    error: str | None = None
    is_held: bool = False


@dataclass(slots=True)
class StoredRun:
    """A run as it stands in the database."""

    id: int
    seed: RunSeed
    status: str
    epoch: int
    started_us: int | None


@dataclass(slots=True)
class StoredEvent:
    """What became of an event: the stored one, or its duplicate with the runs of the first time."""

    seed: EventSeed
    is_duplicate: bool
    runs: list[StoredRun]
    woken: list[int] = field(default_factory=list)  # suspended runs that may have waited for it


class Router(Protocol):
    """Knows which runs an event starts. Called on the writer's thread, inside its transaction."""

    def refresh(self, cursor: sqlite3.Cursor) -> None:
        """Notice what other processes have committed."""

    def begin(self, cursor: sqlite3.Cursor) -> None:
        """Look into this transaction from now on; called before the events and claims of each."""

    def route(self, event: EventSeed) -> list[RunSeed]: ...

    def held(self) -> Mapping[str, bool]:
        """Return the flows whose runs may have to wait, and whether each is paused."""


class StepWrite(NamedTuple):
    """A step row; JSON columns are texts, times are microseconds. None keeps an *input* or *effect* already there."""

    run_id: int
    node: str
    iteration: str
    attempt: int
    status: str
    port: str | None = None
    input: str | None = None
    output: str | None = None
    error: str | None = None
    effect: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    sealed: str | None = None
    input_hash: str | None = None


class RunWrite(NamedTuple):
    """The state a run reaches. A *wake_at* that someone has set meanwhile stays if it is earlier."""

    id: int
    status: str
    error: str | None
    wake_at: int | None
    ended_at: int | None
    output: str | None = None


class FreshStep(StepWrite):
    """A step row where its run knows that there is none of that step yet."""

    __slots__ = ()


def succeeded(
    run_id: int,
    node: str,
    iteration: str,
    port: str,
    input: str | None,
    output: str | None,
    started_at: int,
    ended_at: int,
) -> FreshStep:
    """Return the row of a new step that has succeeded at once; quicker than calling the class, and most are such."""
    row = (run_id, node, iteration, 1, "succeeded", port, input, output, None, None, started_at, ended_at, None, None)
    return _tuple(FreshStep, row)


def size_of(steps: Iterable[StepWrite]) -> int:
    """Return how many characters *steps* carry, the small columns aside."""
    size = 0
    for step in steps:
        size += len(step[6] or "") + len(step[7] or "") + len(step[12] or "")
    return size


EVENT = (
    "INSERT OR FAIL INTO event "
    "(id, name, payload, digest, root_id, parent_run, depth, path, sealed, created_at) VALUES ",
    "",
)
RUN = (
    "INSERT OR FAIL INTO run (id, flow_id, version, trigger, event_id, status, is_test, is_simulated, epoch, error, "
    "created_at, started_at, ended_at) VALUES ",
    "",
)
STEP = (
    "INSERT INTO step (run_id, node, iteration, attempt, status, port, input, output, error, effect, "
    "started_at, ended_at, sealed, input_hash) VALUES ",
    " ON CONFLICT (run_id, node, iteration) DO UPDATE SET attempt = excluded.attempt, status = excluded.status, "
    "port = excluded.port, input = coalesce(excluded.input, input), output = excluded.output, error = excluded.error, "
    "effect = coalesce(excluded.effect, effect), started_at = excluded.started_at, ended_at = excluded.ended_at, "
    "sealed = excluded.sealed, input_hash = coalesce(excluded.input_hash, input_hash)",
)
SIMPLE = (
    "INSERT INTO step (run_id, node, iteration, attempt, status, port, input, output, started_at, ended_at) VALUES ",
    STEP[1],
)
FRESH = (SIMPLE[0].replace("INSERT INTO", "INSERT OR IGNORE INTO"), "")
STATE = (
    "WITH given (id, status, error, wake_at, ended_at, output) AS (VALUES ",
    ") UPDATE OR FAIL run SET status = given.status, error = given.error, ended_at = given.ended_at, "
    "output = given.output, wake_at = CASE WHEN given.status <> 'waiting' THEN NULL "
    "WHEN run.wake_at IS NULL OR given.wake_at < run.wake_at THEN given.wake_at ELSE run.wake_at END "
    "FROM given WHERE run.id = given.id",
)
CLAIM = (
    "WITH given (id, now) AS (VALUES ",
    ") UPDATE OR FAIL run SET epoch = epoch + 1, status = 'running', wake_at = NULL, "
    "started_at = coalesce(started_at, given.now) FROM given WHERE run.id = given.id "
    "AND status IN ('queued', 'running', 'waiting')",
)
CHUNK = 64
_tuple = tuple.__new__


def write_many(cursor: sqlite3.Cursor, statement: tuple[str, str], rows: Sequence[Sequence[Any]]) -> None:
    """Run *statement* for all *rows*, in few calls whose texts repeat and so stay prepared."""
    for chunk in _chunks(rows):
        _write(cursor, statement, chunk)


def write_steps(cursor: sqlite3.Cursor, steps: Iterable[StepWrite]) -> None:
    """Write step rows, of one step in their order. Most have simply succeeded, and are written with fewer values."""
    fresh: list[tuple[Any, ...]] = []
    simple: list[tuple[Any, ...]] = []
    others: list[StepWrite] = []
    places: set[tuple[Any, ...]] = set()  # of *others*, whose later rows have to come after them
    for step in steps:
        run, node, loop, attempt, status, port, given, output, error, effect, began, ended, sealed, digest = step
        is_simple = status == "succeeded" and error is effect is sealed is digest is None
        if is_simple and not (places and (run, node, loop) in places):
            row = (run, node, loop, attempt, status, port, given, output, began, ended)
            (fresh if type(step) is FreshStep else simple).append(row)
        else:
            others.append(step)
            places.add((run, node, loop))
    for chunk in _chunks(fresh):
        _write(cursor, FRESH, chunk)
        if cursor.rowcount < len(chunk):
            _write(cursor, SIMPLE, chunk)
    write_many(cursor, SIMPLE, simple)
    write_many(cursor, STEP, others)


def _write(cursor: sqlite3.Cursor, statement: tuple[str, str], rows: Sequence[Sequence[Any]]) -> None:
    before, after = statement
    marks = "(" + ",".join("?" * len(rows[0])) + ")"
    cursor.execute(before + ",".join([marks] * len(rows)) + after, list(chain.from_iterable(rows)))


def read_many(cursor: sqlite3.Cursor, before: str, keys: Iterable[int | str]) -> Iterator[Any]:
    """Yield the rows of *before* ``IN (keys)``."""
    for chunk in _chunks([(key,) for key in keys]):
        yield from cursor.execute(f"{before} IN ({','.join('?' * len(chunk))})", [key for (key,) in chunk]).fetchall()


def _chunks(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut *rows* into runs of 64, 32, … 1, so that there are only seven texts of each statement."""
    at, size = 0, CHUNK
    while at < len(rows):
        while size > len(rows) - at:
            size //= 2
        yield rows[at : at + size]
        at += size
