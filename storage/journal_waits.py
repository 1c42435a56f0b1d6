"""Offering events to the suspended steps that may wait for them, in the transaction that stores the event.

What a step wants of an event's payload is kept as the names of its fields and a digest of their values. So an event is
looked up once for each set of names that anybody uses with it, however many steps wait.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

Execute: TypeAlias = Callable[[str, Sequence[Any]], Sequence[Any]]
"""Runs one SQL statement with its parameters and returns the rows it gives."""
OfferedEvent: TypeAlias = tuple[str, str, dict[str, Any], str | None, int]
"""An event's id, name and payload, the payload locked where it is masked, and when it came, in microseconds."""


@dataclass(slots=True)
class WaitState:
    """What a suspended step waits for; *events* are the first of those that came meanwhile."""

    id: int
    node: str
    iteration: str
    kind: str
    resolution: dict[str, Any] | None
    events: list[OfferedEvent] = field(default_factory=list)


NAMES_AT_ONCE = 200
OFFERED_AT_ONCE = 100  # events that a step looks at before it asks for more
_OPEN = "FROM wait INDEXED BY ix_wait_event WHERE resolved_at IS NULL AND event"
_ANY = f"SELECT 1 {_OPEN} IN ({{}}) LIMIT 1"
_FIRST = f"SELECT min(match_fields) {_OPEN} = ?"
_NEXT = f"SELECT min(match_fields) {_OPEN} = ? AND match_fields > ?"
_RUNS = f"SELECT run_id {_OPEN} = ? AND match_fields = ? AND match_digest = ?"
_NOTE = (
    "INSERT OR IGNORE INTO wait_event (wait_id, event_id) SELECT id, ? FROM wait INDEXED BY ix_wait_event "
    "WHERE resolved_at IS NULL AND event = ? AND match_fields = ? AND match_digest = ?"
)
_WAKE = (
    "UPDATE run SET wake_at = ? WHERE +status IN ('waiting', 'running') AND id IN (SELECT run_id FROM wait "
    "INDEXED BY ix_wait_event WHERE resolved_at IS NULL AND event = ? AND match_fields = ? AND match_digest = ?)"
)
_COME = (
    "SELECT id, node, iteration, kind, resolution FROM wait WHERE run_id = ? AND (resolution IS NOT NULL "
    "OR EXISTS (SELECT 1 FROM wait_event WHERE wait_id = wait.id))"
)
_OFFERED = (
    "SELECT event.id, event.name, event.payload, event.sealed, event.created_at FROM (SELECT rowid AS number, event_id "
    "FROM wait_event WHERE wait_id = ? ORDER BY rowid LIMIT ?) AS offered JOIN event ON event.id = offered.event_id "
    "ORDER BY offered.number"
)


def wanted(match: Mapping[str, Any]) -> tuple[str, str]:
    """Return *match* as a wait keeps it: the names of the fields, and the digest of their values."""
    names = sorted(match)
    return orjson.dumps(names).decode(), _digest([match[name] for name in names])


def offer(execute: Execute, events: Iterable[tuple[str, str, Mapping[str, Any]]], now: int) -> dict[str, list[int]]:
    """Note each event (id, name, payload) for the steps that may wait for it; return the runs that this makes due."""
    by_name: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for event_id, name, payload in events:
        by_name.setdefault(name, []).append((event_id, payload))
    woken: dict[str, list[int]] = {}
    for name in _awaited(execute, list(by_name)):
        for fields in _field_sets(execute, name):
            names = orjson.loads(fields)
            for event_id, payload in by_name[name]:
                if all(each in payload for each in names):
                    those = (name, fields, _digest([payload[each] for each in names]))
                    if run_ids := _note(execute, those, event_id, now):
                        woken.setdefault(event_id, []).extend(run_ids)
    return woken


def offered(execute: Execute, wait_id: int) -> list[OfferedEvent]:
    """Return the first events that a step has not looked at yet."""
    rows = execute(_OFFERED, (wait_id, OFFERED_AT_ONCE))
    return [(event_id, name, orjson.loads(payload), *rest) for event_id, name, payload, *rest in rows]


def come(execute: Execute, run_id: int) -> list[WaitState]:
    """Return the waits of a run that is under way for which something has come."""
    return [
        WaitState(wait_id, node, iteration, kind, orjson.loads(resolution or "null"), offered(execute, wait_id))
        for wait_id, node, iteration, kind, resolution in execute(_COME, (run_id,))
    ]


def make_due(execute: Execute, run_id: int, now: int) -> None:
    """Let the engine look at an open run at once; one that is under way looks again before it waits."""
    execute("UPDATE run SET wake_at = ? WHERE id = ? AND status IN ('waiting', 'running')", (now, run_id))


def _awaited(execute: Execute, names: Sequence[str]) -> Iterator[str]:
    """Give the names of events that some step may wait for, and few others."""
    for start in range(0, len(names), NAMES_AT_ONCE):
        chunk = names[start : start + NAMES_AT_ONCE]
        if execute(_ANY.format(",".join("?" * len(chunk))), chunk):
            yield from chunk


def _field_sets(execute: Execute, name: str) -> Iterator[str]:
    """Give the sets of fields by which steps tell the events of this name apart, each as a wait keeps it."""
    ((fields,),) = execute(_FIRST, (name,))
    while fields is not None:
        yield fields
        ((fields,),) = execute(_NEXT, (name, fields))


def _note(execute: Execute, those: tuple[str, str, str], event_id: str, now: int) -> list[int]:
    """Offer an event to the steps that want it, and return their runs."""
    run_ids = [run_id for (run_id,) in execute(_RUNS, those)]
    if run_ids:
        execute(_NOTE, (event_id, *those))
        execute(_WAKE, (now, *those))
    return run_ids


def _digest(values: Any) -> str:
    text = orjson.dumps(_plain(values), option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _plain(value: Any) -> Any:
    """Return *value* so that what is equal has the same JSON: 2.0 as 2. Unlike in Python, 1 is not true."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
