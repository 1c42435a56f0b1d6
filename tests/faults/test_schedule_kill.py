from __future__ import annotations

import json
import os
import signal
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

KILLS = 3
FLOWS = 10


def flow(name: str) -> dict[str, Any]:
    nodes = [
        {"id": "tick", "type": "on_schedule", "name": "Tick", "params": {"every_s": 1}},
        {"id": "note", "type": "set_fields", "name": "Note", "params": {"fields": {"at": "{{ $param.due_at }}"}}},
    ]
    return {
        "format": "pulsewire.flow/1",
        "directed": True,
        "multigraph": True,
        "graph": {"id": name, "name": name, "description": ""},
        "nodes": nodes,
        "edges": [{"source": "tick", "target": "note", "key": "out"}],
        "samples": [],
        "layout": {},
    }


def fired(pulsewire) -> dict[str, list[dict[str, Any]]]:
    """Return the payloads of the runs of each flow, in the order of their times."""
    query = "SELECT flow_id, payload FROM event JOIN run ON run.event_id = event.id WHERE name = 'schedule.due'"
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for flow_id, payload in pulsewire.select(query.replace("payload", "event.payload")):
        found[flow_id].append(json.loads(payload))
    return {flow_id: sorted(payloads, key=lambda each: each["due_at"]) for flow_id, payloads in found.items()}


def engine_of(pulsewire) -> int | None:
    server = pulsewire.server
    return next((pid for pid in server.pids() if server.name_of(pid) == "engine"), None)


def test_killed_engines_start_each_time_once_and_lose_none(pulsewire, wait_until) -> None:
    names = [f"tick-{number}" for number in range(FLOWS)]
    for name in names:
        pulsewire.call("POST", "/api/flows", flow(name))
        pulsewire.call("POST", f"/api/flows/{name}/publish")

    def ended() -> int:
        return sum(status == "succeeded" for status in pulsewire.runs().values())

    for _kill in range(KILLS):
        before, engine = ended(), engine_of(pulsewire)
        wait_until(lambda before=before: ended() > before)
        assert engine is not None
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda killed=engine: engine_of(pulsewire) not in (None, killed))
    before = ended()
    wait_until(lambda: ended() >= before + 2 * FLOWS)
    for name in names:
        pulsewire.call("POST", f"/api/flows/{name}/unpublish")
    wait_until(lambda: ended() == len(pulsewire.runs()))

    found = fired(pulsewire)
    assert set(found) == set(names)
    for payloads in found.values():
        for one, following in pairwise(payloads):
            apart = datetime.fromisoformat(following["due_at"]) - datetime.fromisoformat(one["due_at"])
            assert apart.total_seconds() == 1 + following["missed"], "a time was lost, or started twice"
