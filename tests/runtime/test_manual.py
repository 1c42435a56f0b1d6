"""Starting the live version of a flow by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from runtime.errors import Conflict, Invalid, NotFound
from runtime.service import Service

Make = Callable[..., dict[str, Any]]
BY_HAND = {"id": "hand", "type": "manual", "name": "By hand", "params": {}}


def by_hand(document: Make, **changes: Any) -> dict[str, Any]:
    made = document(**changes)
    made["nodes"].append(BY_HAND)
    made["edges"].append({"source": "hand", "target": "large", "key": "out"})
    return made


async def codes(attempt: Any) -> list[str]:
    with pytest.raises((Invalid, Conflict, NotFound)) as refusal:
        await attempt
    return [problem.code for problem in refusal.value.problems]


async def test_the_live_version_runs_for_real_at_its_manual_trigger(service: Service, document: Make):
    service.flows.create(by_hand(document))
    service.flows.publish("greet")

    started = await service.runs.start("greet", payload={"total": 500})

    async with asyncio.timeout(10):
        while not (run := service.runs.get(started.id)).has_ended:  # noqa: ASYNC110 - the engine tells nobody here
            await asyncio.sleep(0.01)
    assert (run.status, run.version, run.trigger, run.is_test, run.is_simulated) == (
        "succeeded",
        1,
        "hand",
        False,
        False,
    )
    assert {step.node: step.status for step in run.steps} == dict.fromkeys(("hand", "large", "greet"), "succeeded")
    assert run.payload == {"total": 500}


async def test_what_is_not_live_is_not_started(service: Service, document: Make):
    service.flows.create(by_hand(document))

    assert await codes(service.runs.start("greet")) == ["flow.not_live"]
    service.flows.publish("greet")
    service.flows.pause("greet")
    assert await codes(service.runs.start("greet")) == ["flow.not_live"]
    assert await codes(service.runs.start("nowhere")) == ["flow.not_found"]
    assert service.runs.list().items == []


async def test_a_flow_that_only_events_start_is_not_started(service: Service, document: Make):
    service.flows.create(document())
    service.flows.publish("greet")

    assert await codes(service.runs.start("greet")) == ["run.no_manual_trigger"]


async def test_of_several_manual_starts_one_has_to_be_named(service: Service, document: Make):
    made = by_hand(document)
    made["nodes"].append({**BY_HAND, "id": "other"})
    made["edges"].append({"source": "other", "target": "greet", "key": "out"})
    service.flows.create(made)
    service.flows.publish("greet")

    assert await codes(service.runs.start("greet")) == ["run.trigger_missing"]
    assert await codes(service.runs.start("greet", "start")) == ["run.trigger_unknown"]
    assert (await service.runs.start("greet", "other")).trigger == "other"


async def test_the_api_starts_a_flow_by_hand(client: httpx.AsyncClient, service: Service, document: Make):
    service.flows.create(by_hand(document))
    assert (await client.post("/api/flows/greet/run")).status_code == 409
    service.flows.publish("greet")

    answer = await client.post("/api/flows/greet/run", json={"payload": {"total": 1}})

    assert answer.status_code == 201
    assert (answer.json()["trigger"], answer.json()["flow"]) == ("hand", "greet")
    assert (await client.post("/api/flows/greet/run", json={"payload": []})).status_code == 422
