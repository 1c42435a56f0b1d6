from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from runtime.service import Service
from storage.tables import RunRow

ERROR = {"message": "The engine stopped 3 times.", "code": "run.dead_letter", "node": None}


@pytest.fixture
def runs(service: Service, document: Callable[..., dict[str, Any]]) -> list[int]:
    """Return a failed run and a dead letter of a live flow."""
    service.flows.create(document())
    service.flows.publish("greet")
    ids = []
    with service.database.write() as session:
        for is_dead in (False, True):
            run = RunRow(flow_id="greet", version=1, trigger="start", payload={"total": 120}, status="failed")
            run.is_dead, run.error, run.ended_at = is_dead, ERROR, datetime.now(UTC)
            session.add(run)
            session.flush()
            assert run.id is not None
            ids.append(run.id)
    return ids


@pytest.mark.parametrize(
    ("query", "found"), [("", [1, 0]), ("?dead=true", [1]), ("?dead=false", [0])], ids=["all", "dead", "others"]
)
async def test_dead_letters_are_listed_apart(
    client: httpx.AsyncClient, runs: list[int], query: str, found: list[int]
) -> None:
    answer = (await client.get(f"/api/runs{query}")).json()

    assert [item["id"] for item in answer["items"]] == [runs[each] for each in found]
    assert [item["is_dead"] for item in answer["items"]] == [each == 1 for each in found]


async def test_a_dead_letter_runs_again_when_a_person_says_so(
    client: httpx.AsyncClient, service: Service, runs: list[int]
) -> None:
    answer = await client.post(f"/api/runs/{runs[1]}/retry")
    await service.engine.wait(answer.json()["id"], 10)
    again = (await client.get(f"/api/runs/{answer.json()['id']}")).json()

    assert (again["status"], again["is_dead"], again["retry_of"]) == ("succeeded", False, runs[1])


async def test_metrics_count_dead_letters(client: httpx.AsyncClient, runs: list[int]) -> None:
    assert "\npulsewire_dead_letters 1\n" in (await client.get("/metrics")).text
