"""Storing events and the runs they start: one lookup, two inserts, however many came together."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import orjson

from storage.journal_rows import EVENT, RUN, EventSeed, Router, RunSeed, StoredEvent, StoredRun, read_many, write_many
from storage.journal_waits import offer

RUNS_AT_ONCE = 20_000  # that one commit begins


class EventIdReused(Exception):
    """An event id came back with another name or payload; nothing of its group was stored."""

    def __init__(self, event_id: str) -> None:
        super().__init__(event_id)
        self.event_id = event_id


class TooManyRuns(Exception):
    """A group starts more runs than are written at once; *is_for_good*: alone, too. Nothing of it was stored."""

    def __init__(self, is_for_good: bool) -> None:
        super().__init__(is_for_good)
        self.is_for_good = is_for_good


Group = Sequence[EventSeed]
Refused: TypeAlias = EventIdReused | TooManyRuns
Answer = list[list[StoredEvent] | Refused]


def store_events(
    cursor: sqlite3.Cursor,
    router: Router,
    requests: Sequence[tuple[Sequence[Group], bool]],
    now: int,
    most: int = RUNS_AT_ONCE,
) -> list[Answer]:
    """Store the groups of each request and the runs that *router* names; one answer for each request.

    A request is its groups, and whether their runs are claimed at once. A group is stored whole or not at all. Of all
    requests together at most *most* runs are stored, or those of one event.
    """
    known = _known_digests(cursor, requests)
    run_ids = _free_run_ids(cursor)
    runs: list[tuple[Any, ...]] = []

    def store(seed: EventSeed, claims: bool) -> StoredEvent:
        if seed.digest and seed.id in known:
            return StoredEvent(seed, True, [])
        known[seed.id] = seed.digest
        started = [_stored(next(run_ids), run, claims, now) for run in router.route(seed)]
        runs.extend(_run_row(run, seed, now) for run in started)
        return StoredEvent(seed, False, started)

    def store_group(group: Group, claims: bool) -> list[StoredEvent] | Refused:
        if (reused := _reused(group, known)) is not None:
            return EventIdReused(reused)
        before = len(runs)
        stored: list[StoredEvent] = []
        for seed in group:
            stored.append(store(seed, claims))
            if len(runs) > most and (before or len(stored) > 1):
                is_for_good = len(runs) - before > most
                for each in stored:
                    if not each.is_duplicate:
                        del known[each.seed.id]
                del runs[before:]
                return TooManyRuns(is_for_good)
        return stored

    answers: list[Answer] = [[store_group(group, claims) for group in groups] for groups, claims in requests]
    stored = [event for answer in answers for group in answer if isinstance(group, list) for event in group]
    fresh = [event for event in stored if not event.is_duplicate]
    _offer_to_waits(cursor, fresh, now)
    write_many(cursor, EVENT, [_event_row(event, now) for event in fresh])
    write_many(cursor, RUN, runs)
    _fill_duplicates(cursor, answers)
    return answers


def _offer_to_waits(cursor: sqlite3.Cursor, events: Sequence[StoredEvent], now: int) -> None:
    seeds = ((event.seed.id, event.seed.name, event.seed.payload) for event in events)
    woken = offer(lambda sql, values: cursor.execute(sql, values).fetchall(), seeds, now)
    for event in events if woken else ():
        event.woken = woken.get(event.seed.id, [])


def _known_digests(cursor: sqlite3.Cursor, requests: Sequence[tuple[Sequence[Group], bool]]) -> dict[str, str | None]:
    named = [seed.id for groups, _claims in requests for group in groups for seed in group if seed.digest]
    return dict(read_many(cursor, "SELECT id, digest FROM event WHERE id", named))


def _free_run_ids(cursor: sqlite3.Cursor) -> Iterator[int]:
    row = cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = 'run'").fetchone()
    run_id = int(row[0]) if row else 0
    while True:
        run_id += 1
        yield run_id


def _reused(group: Group, known: dict[str, str | None]) -> str | None:
    first = {seed.id: seed.digest for seed in reversed(group) if seed.digest}
    for seed in group:
        if seed.digest and seed.digest != known.get(seed.id, first[seed.id]):
            return seed.id
    return None


def _fill_duplicates(cursor: sqlite3.Cursor, answers: list[Answer]) -> None:
    for answer in answers:
        for group in answer:
            for event in group if isinstance(group, list) else ():
                if event.is_duplicate:
                    event.runs = _runs_of(cursor, event.seed.id)


def _runs_of(cursor: sqlite3.Cursor, event_id: str) -> list[StoredRun]:
    rows = cursor.execute(
        "SELECT id, flow_id, version, trigger, status, epoch FROM run WHERE event_id = ? ORDER BY id", [event_id]
    )
    return [StoredRun(row[0], RunSeed(*row[1:4]), row[4], row[5], None) for row in rows.fetchall()]


def _stored(run_id: int, seed: RunSeed, claims: bool, now: int) -> StoredRun:
    if seed.error is not None:
        return StoredRun(run_id, seed, "failed", 0, None)
    if claims and not seed.is_held:
        return StoredRun(run_id, seed, "running", 1, now)
    return StoredRun(run_id, seed, "queued", 0, None)


def _event_row(event: StoredEvent, now: int) -> tuple[Any, ...]:
    seed = event.seed
    path = orjson.dumps(seed.path).decode() if seed.path else "[]"
    is_awaited = event.woken or any(run.status != "failed" for run in event.runs)
    sealed = seed.sealed and (seed.sealed if is_awaited else "")  # nobody needs it: blanked
    return (
        *(seed.id, seed.name, seed.payload_text, seed.digest, seed.root_id, seed.parent_run, seed.depth, path),
        *(sealed, now),
    )


def _run_row(run: StoredRun, event: EventSeed, now: int) -> tuple[Any, ...]:
    seed, ended = run.seed, None if run.seed.error is None else now
    return (
        *(run.id, seed.flow_id, seed.version, seed.trigger, event.id, run.status, False, False, run.epoch),
        *(seed.error, now, run.started_us, ended),
    )
