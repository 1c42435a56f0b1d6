"""Offering events to the suspended steps that may wait for them, in the transaction that stores the event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

Execute: TypeAlias = Callable[[str, Sequence[Any]], Sequence[Any]]
"""Runs one SQL statement with its parameters and returns the rows it gives."""

CHUNK = 200
OPEN_WAITS = "SELECT id, run_id, event, match FROM wait WHERE resolved_at IS NULL AND event IN ({})"


def offer(execute: Execute, events: Iterable[tuple[str, str, Mapping[str, Any]]], now: int) -> dict[str, list[int]]:
    """Note each event (id, name, payload) for the steps that may wait for it; return the runs that this makes due."""
    by_name: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for event_id, name, payload in events:
        by_name.setdefault(name, []).append((event_id, payload))
    woken: dict[str, list[int]] = {}
    names = list(by_name)
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        for wait_id, run_id, name, match in execute(OPEN_WAITS.format(",".join("?" * len(chunk))), chunk):
            wanted = orjson.loads(match) if match else {}
            for event_id, payload in by_name[name]:
                if all(_has(payload, key, value) for key, value in wanted.items()):
                    execute("INSERT OR IGNORE INTO wait_event (wait_id, event_id) VALUES (?, ?)", (wait_id, event_id))
                    make_due(execute, run_id, now)
                    woken.setdefault(event_id, []).append(run_id)
    return woken


def make_due(execute: Execute, run_id: int, now: int) -> None:
    """Let the engine look at an open run at once; one that is under way looks again before it waits."""
    execute("UPDATE run SET wake_at = ? WHERE id = ? AND status IN ('waiting', 'running')", (now, run_id))


def _has(payload: Mapping[str, Any], key: str, value: Any) -> bool:
    """Whether *payload* has *value* under *key*: unlike in Python, 1 is not true."""
    found = payload.get(key)
    return found == value and isinstance(found, bool) == isinstance(value, bool) and key in payload
