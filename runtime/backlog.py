"""What the engine reads about runs that wait: which may go on, which have to wait for their flow, and in what order.

Everything here reads in the transaction of the cursor it is given, by indexes that hold only what waits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from runtime.rules import Rule, read_rules
from storage.database import Database
from storage.journal_rows import read_many

PAGE = 200  # waiting runs read at once
PAGE_CHARS = 4_000_000  # of their payloads together, unless the first has more
CALLERS = 100  # runs that wait for each other, looked at to tell whether a run is called by its own flow

_FLOWS = (
    "WITH RECURSIVE found(flow_id) AS (SELECT (SELECT min(flow_id) FROM run INDEXED BY ix_run_queued "
    "WHERE status = 'queued') UNION ALL SELECT (SELECT min(flow_id) FROM run INDEXED BY ix_run_queued "
    "WHERE status = 'queued' AND flow_id > found.flow_id) FROM found WHERE flow_id IS NOT NULL) "
    "SELECT flow_id FROM found WHERE flow_id IS NOT NULL"
)
_QUEUED = "FROM run INDEXED BY ix_run_queued WHERE flow_id = ? AND status = 'queued'"
_PAGE = (
    "SELECT run.id, run.key, CASE WHEN ? AND coalesce(run.key, '') = '' "
    "THEN coalesce(run.payload, event.payload, '{}') END "
    "FROM run INDEXED BY ix_run_queued LEFT JOIN event ON event.id = run.event_id "
    "WHERE run.flow_id = ? AND run.status = 'queued' AND run.id > ? AND run.started_at IS NULL AND run.is_test = 0 "
    "ORDER BY run.id LIMIT ?"
)
_OF_KEY = (
    "SELECT id FROM run INDEXED BY ix_run_queued WHERE flow_id = ? AND status = 'queued' AND id > ? AND id <= ? "
    "AND key = ? AND started_at IS NULL AND is_test = 0 ORDER BY id LIMIT ?"
)
_BEGUN = (
    "SELECT id, key, CASE WHEN ? AND coalesce(key, '') = '' THEN "
    "coalesce(payload, (SELECT payload FROM event WHERE event.id = run.event_id), '{}') END "
    "FROM run WHERE flow_id = ? AND status IN ('running', 'waiting') AND is_test = 0"
)
_CUT_OFF = _BEGUN.replace("status IN ('running', 'waiting')", "status = 'queued' AND started_at IS NOT NULL")
_TIMED = (
    "SELECT wake_at, id, flow_id FROM run INDEXED BY ix_run_wake WHERE status IN ('waiting', 'running') "
    "AND wake_at <= ? ORDER BY wake_at LIMIT ?"
)
_CALLED = f"SELECT id, called_by {_QUEUED} AND called_by IS NOT NULL AND started_at IS NULL"
_CALLS = (
    "SELECT wait.run_id, run.id, run.flow_id, run.key, run.status <> 'queued' OR run.started_at IS NOT NULL FROM wait "
    "JOIN run ON run.id = json_extract(wait.match, '$.run') WHERE wait.kind = 'run' AND wait.resolved_at IS NULL"
)
_NESTED = (
    "WITH RECURSIVE up(flow_id, called_by) AS (SELECT run.flow_id, run.called_by FROM wait "
    "JOIN run ON run.id = wait.run_id WHERE wait.id = ? UNION ALL SELECT run.flow_id, run.called_by FROM up "
    "JOIN wait ON wait.id = up.called_by JOIN run ON run.id = wait.run_id LIMIT ?) "
    "SELECT 1 FROM up WHERE flow_id = ?"
)


class Backlog(NamedTuple):
    """*due* are runs that may go on, with their flows, the oldest first; *held* flows whose runs have to wait.

    *coming* are those whose time comes next: the time, the run and its flow.
    """

    rules: dict[str, Rule]
    due: list[tuple[int, str]]
    held: list[str]
    coming: list[tuple[int, int, str]]


class Found(NamedTuple):
    """A run that waits, or has begun. *payload* is its JSON where its key is not known yet."""

    id: int
    key: str
    payload: str | None


@contextmanager
def reading(database: Database) -> Iterator[sqlite3.Cursor]:
    """Give a cursor that sees the database in one state."""
    with database.read() as session:
        raw = session.connection().connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        yield raw.cursor()


def read_backlog(
    cursor: sqlite3.Cursor, now_us: int, most: int, *, ahead_us: int = 0, is_start: bool = False
) -> Backlog:
    """Return what may go on, at most *most* runs, and what will within *ahead_us*.

    *is_start*: also what was cut off when the engine stopped.
    """
    rules = read_rules(cursor)
    waiting = [flow_id for (flow_id,) in cursor.execute(_FLOWS)]
    held = [flow_id for flow_id in waiting if flow_id in rules]
    free = [flow_id for flow_id in waiting if flow_id not in rules]
    timed = cursor.execute(_TIMED, [now_us + ahead_us, most]).fetchall()
    coming = [timer for timer in timed if timer[0] > now_us]
    due = [(run_id, flow_id) for moment_us, run_id, flow_id in timed if moment_us <= now_us]
    for flow_id in free:  # each flow its share, so that one alone does not fill what is read
        ids = cursor.execute(f"SELECT id {_QUEUED} ORDER BY id LIMIT ?", [flow_id, max(1, most // len(free))])
        due += [(run_id, flow_id) for (run_id,) in ids]
    for flow_id in held:
        tests = "SELECT id FROM run INDEXED BY ix_run_test WHERE is_test = 1 AND flow_id = ? AND status = 'queued'"
        due += [(run_id, flow_id) for (run_id,) in cursor.execute(tests, [flow_id])]
        if is_start:
            cut_off = cursor.execute(f"SELECT id {_QUEUED} AND started_at IS NOT NULL", [flow_id])
            due += [(run_id, flow_id) for (run_id,) in cut_off]
    return Backlog(rules, sorted(due), held, coming)


def page(cursor: sqlite3.Cursor, flow_id: str, after: int, *, has_key: bool) -> tuple[list[Found], bool]:
    """Return the next waiting runs of a flow, and whether these are all."""
    found: list[Found] = []
    chars = 0
    for run_id, key, payload in cursor.execute(_PAGE, [has_key, flow_id, after, PAGE]):
        chars += len(payload or "")
        if found and chars > PAGE_CHARS:
            return found, False
        found.append(Found(run_id, key or "", payload))
    return found, len(found) < PAGE


def of_key(cursor: sqlite3.Cursor, flow_id: str, key: str, after: int, last: int, most: int) -> list[int]:
    """Return waiting runs with a key between two ids."""
    return [run_id for (run_id,) in cursor.execute(_OF_KEY, [flow_id, after, last, key, most])]


def begun(cursor: sqlite3.Cursor, flow_id: str, *, has_key: bool) -> list[Found]:
    """Return the runs of a flow that have begun, also those that were cut off and wait to go on."""
    rows = [row for query in (_BEGUN, _CUT_OFF) for row in cursor.execute(query, [has_key, flow_id])]
    return [Found(run_id, key or "", payload) for run_id, key, payload in rows]


def nested(cursor: sqlite3.Cursor, flow_id: str, run_ids: Collection[int] | None) -> list[int]:
    """Return waiting runs that are called, directly or not, by a run of their own flow, which waits for them.

    *run_ids* None looks at all that wait for the flow.
    """
    if run_ids is None:
        rows = cursor.execute(_CALLED, [flow_id]).fetchall()
    else:
        query = "SELECT id, called_by FROM run WHERE called_by IS NOT NULL AND status = 'queued' AND id"
        rows = list(read_many(cursor, query, run_ids))
    return [run_id for run_id, called_by in rows if cursor.execute(_NESTED, [called_by, CALLERS, flow_id]).fetchone()]


class Callee(NamedTuple):
    """A run that was called and has not begun."""

    id: int
    flow_id: str
    key: str


def calls(cursor: sqlite3.Cursor, run_ids: Collection[int]) -> tuple[dict[int, set[int]], list[Callee]]:
    """Return which runs these have called and wait for, and those in turn; and which of all have not begun."""
    waits_for: dict[int, set[int]] = {}
    callees: dict[int, Callee] = {}
    level = set(run_ids)
    for _depth in range(CALLERS):
        query = f"{_CALLS} AND wait.run_id"
        found = list(read_many(cursor, query, level))
        level = set()
        for caller, run_id, flow_id, key, has_begun in found:
            waits_for.setdefault(caller, set()).add(run_id)
            if not has_begun:
                callees[run_id] = Callee(run_id, flow_id, key or "")
            elif run_id not in waits_for:
                level.add(run_id)
        if not level:
            break
    return waits_for, list(callees.values())


def starts_since(cursor: sqlite3.Cursor, flow_id: str, since_us: int) -> list[int]:
    """Return when runs of a limited flow have begun, the earliest first."""
    rows = cursor.execute(
        "SELECT started_at FROM run INDEXED BY ix_run_started WHERE key IS NOT NULL AND flow_id = ? "
        "AND started_at > ? ORDER BY started_at",
        [flow_id, since_us],
    )
    return [moment for (moment,) in rows]


def still_open(cursor: sqlite3.Cursor, run_ids: Collection[int]) -> set[int]:
    """Return which of the runs have not ended."""
    query = "SELECT id FROM run WHERE status IN ('queued', 'running', 'waiting') AND id"
    return {run_id for (run_id,) in read_many(cursor, query, run_ids)}
