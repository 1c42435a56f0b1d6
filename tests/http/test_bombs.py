"""Fifty expressions that were written to do harm, at once and at every door: all are answered, nobody else waits."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtime import limits
from runtime.app import App
from runtime.service import Service

MANY = 50
GROWTH_BYTES = 256 * 1024 * 1024
NESTED = "([[[[[0]*100]*100]*100]*100]*100)"
BOMBS = [
    "([range(9999)] * 9999) | map('sort') | map('list')",
    f"{NESTED} == {NESTED}",
    f"{NESTED} | tojson",
    f"[{NESTED}] | join",
    "([$param.big] * 9999) | map('upper')",
    "([$param.big] * 9999) | map('urlencode')",
    "([$param.big] * 9999) | unique",
    "9 ** 9 ** 9",
    "(range(9999) | map('string') | join) * 99",
    "([$param.list] * 9999) | map('sort')",
]
PAYLOAD = {"big": "a" * 100_000, "list": list(range(5_000))}


def bomb(number: int) -> str:
    return "{{ " + BOMBS[number % len(BOMBS)] + " }}"


def resident() -> int:
    """Return the memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the evaluator its time on a machine that runs many tests at once; counted work ends every bomb."""
    monkeypatch.setattr(limits, "EXPRESSION_WALL_S", 30.0)
    monkeypatch.setattr("runtime.previews.WAIT_S", 180.0)


@pytest.mark.timeout(200)
async def test_fifty_previews_at_once_all_end_in_a_problem_and_health_is_answered_meanwhile(
    client: httpx.AsyncClient,
) -> None:
    before = resident()
    previews = [
        asyncio.create_task(client.post("/api/expressions/evaluate", json={"text": bomb(n), "param": PAYLOAD}))
        for n in range(MANY)
    ]

    answered = 0
    while not all(each.done() for each in previews):
        assert (await client.get("/healthz")).status_code == 200
        answered += 1
        await asyncio.sleep(0.02)
    problems = [(await each).json()["problems"][0]["code"] for each in previews]

    assert answered > 5  # long before the last bomb has ended
    assert set(problems) <= {"expression.too_much_work", "expression.too_large", "expression.number_range"}
    assert resident() - before < GROWTH_BYTES
    good = await client.post("/api/expressions/evaluate", json={"text": "{{ [2, 1] | sort }}"})
    assert good.json() == {"value": [1, 2]}


@pytest.mark.timeout(200)
async def test_fifty_runs_at_once_all_fail_and_a_run_beside_them_ends_before(
    app: App, client: httpx.AsyncClient, service: Service
) -> None:
    for number in range(MANY):
        _publish(service, _flow(f"bomb-{number}", "bombs", bomb(number)))
    _publish(service, _flow("beside", "beside", "{{ $param.n }}!"))
    before = resident()

    bombs = (await client.post("/api/events", json={"name": "bombs", "payload": PAYLOAD})).json()["runs"]
    (beside,) = (await client.post("/api/events", json={"name": "beside", "payload": {"n": 1}})).json()["runs"]
    assert await app.engine.wait(beside, 60)
    first = [service.runs.get(run).status for run in (beside, bombs[-1])]
    assert all(await asyncio.gather(*(app.engine.wait(run, 180) for run in bombs)))

    assert len(bombs) == MANY
    assert first == ["succeeded", "running"]
    assert {service.runs.get(run).status for run in bombs} == {"failed"}
    assert resident() - before < GROWTH_BYTES


async def test_saving_checking_and_publishing_a_bomb_evaluate_nothing(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("compiled or evaluated while saving")

    monkeypatch.setattr("runtime.dialect._long_way", never)
    monkeypatch.setattr("runtime.dialect.closures.of", never)

    for number, text in enumerate(BOMBS):
        flow = _flow(f"bomb-{number}", "bombs", "{{ " + text + " }}")
        created = await client.post("/api/flows", json=flow)
        published = await client.post(f"/api/flows/bomb-{number}/publish")
        assert (created.status_code, published.status_code) == (201, 200)


def _flow(flow_id: str, event: str, text: str) -> dict[str, Any]:
    return {
        "format": "pulsewire.flow/1",
        "directed": True,
        "multigraph": True,
        "graph": {"id": flow_id, "name": flow_id, "description": ""},
        "nodes": [
            {"id": "start", "type": "event", "name": "Start", "params": {"event": event}},
            {"id": "set", "type": "set_fields", "name": "Set", "params": {"fields": {"value": text}}},
        ],
        "edges": [{"source": "start", "target": "set", "key": "out"}],
        "samples": [],
        "layout": {},
    }


def _publish(service: Service, document: dict[str, Any]) -> None:
    service.flows.create(document)
    service.flows.publish(document["graph"]["id"])
