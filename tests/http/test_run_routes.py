from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from runtime import bulk_cancels
from runtime.outbox import NewEvent
from runtime.run_views import RunView
from runtime.service import Service
from storage.tables import RunRow, StepRow

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def live(service: Service, document: Make) -> str:
    service.flows.create(document())
    service.flows.publish("greet")
    return "greet"


async def run_once(service: Service, total: Any) -> RunView:
    (accepted,) = await service.emit([NewEvent("shop.order_paid", {"total": total})])
    await service.engine.wait(accepted.runs[0], 10)
    return service.runs.get(accepted.runs[0])


def stuck_run(service: Service, *steps: StepRow) -> int:
    """Return a run of ``greet`` that waits, with these steps."""
    with service.database.write() as session:
        run = RunRow(flow_id="greet", version=1, trigger="start", payload={"total": 1}, status="waiting")
        session.add(run)
        session.flush()
        assert run.id is not None
        for step in steps:
            step.run_id = run.id
            session.add(step)
    return run.id


async def test_run_is_retried_where_it_failed_on_the_version_of_now(
    client: httpx.AsyncClient, service: Service, live: str
):
    failed = await run_once(service, "many")

    asked = {"from_failed": True, "version": "now", "payload": {"total": 500}}
    answer = await client.post(f"/api/runs/{failed.id}/retry", json=asked)
    await service.engine.wait(answer.json()["id"], 10)
    seen = (await client.get(f"/api/runs/{answer.json()['id']}")).json()

    assert (answer.status_code, seen["status"], seen["retry_of"]) == (201, "succeeded", failed.id)
    assert (await client.get(f"/api/runs/{failed.id}")).json()["retried_by"] == [seen["id"]]


async def test_failed_runs_are_retried_in_bulk(client: httpx.AsyncClient, service: Service, live: str):
    failed = [await run_once(service, "many") for _ in range(2)]

    answer = await client.post(
        "/api/runs/retry", json={"failed": {"flow": live, "since": "2020-01-01T00:00:00Z"}, "from_failed": True}
    )
    again = await client.post("/api/runs/retry", json={"ids": [failed[0].id, 999]})

    assert [each["run"] for each in answer.json()["started"]] == [run.id for run in failed]
    assert (answer.json()["count"], answer.json()["refused"], answer.json()["left"]) == (2, [], 0)
    assert again.json()["count"] == 1
    assert again.json()["refused"][0]["problems"][0]["code"] == "run.not_found"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": [1], "failed": {}},
        {"ids": ["1"]},
        {"failed": {"since": "2020-01-01"}},
        {"failed": {"status": "succeeded"}},
        {"ids": list(range(1, 1_002))},
    ],
    ids=["nothing", "both", "text", "no zone", "unknown", "too many"],
)
async def test_bulk_retry_that_is_not_clear_is_refused(client: httpx.AsyncClient, live: str, body: dict[str, Any]):
    answer = await client.post("/api/runs/retry", json=body)

    assert answer.status_code == 422, answer.json()


async def test_step_of_unknown_outcome_is_settled(client: httpx.AsyncClient, service: Service, live: str):
    run_id = stuck_run(
        service,
        StepRow(run_id=0, node="start", status="succeeded", port="out", output={"total": 1}),
        StepRow(run_id=0, node="large", status="succeeded", port="true", output={"result": True}),
        StepRow(run_id=0, node="greet", status="unknown"),
    )

    answer = await client.post(
        f"/api/runs/{run_id}/steps/greet/resolve", json={"action": "mark_done", "output": {"text": "by hand"}}
    )
    await service.engine.wait(run_id, 10)
    again = await client.post(f"/api/runs/{run_id}/steps/greet/resolve", json={"action": "send_again"})

    assert answer.status_code == 200
    assert (await client.get(f"/api/runs/{run_id}")).json()["status"] == "succeeded"
    assert (again.status_code, again.json()["problems"][0]["code"]) == (409, "run.ended")
    assert (await client.post(f"/api/runs/{run_id}/steps/greet/resolve", json={"action": "no"})).status_code == 422


async def test_viewer_neither_retries_nor_settles(anonymous: httpx.AsyncClient, service: Service, live: str):
    headers = {"Authorization": f"Bearer {service.keys.create('v', role='viewer')[1]}"}
    run_id = stuck_run(service, StepRow(run_id=0, node="large", status="unknown"))

    answers = [
        await anonymous.post(f"/api/runs/{path}", json=body, headers=headers)
        for path, body in (
            ("retry", {"ids": [run_id]}),
            (f"{run_id}/retry", {}),
            (f"{run_id}/steps/large/resolve", {"action": "send_again"}),
        )
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]


async def test_part_of_a_flow_is_tested_and_the_items_of_its_loop_are_read(
    client: httpx.AsyncClient, service: Service, document: Make
):
    each = {"items": "{{ [1, 'x', 3] }}", "on_item_error": "continue"}
    nodes = [
        {"id": "start", "type": "manual", "name": "Start", "params": {}},
        {"id": "each", "type": "for_each", "name": "Each", "params": each},
        {"id": "plus", "type": "set_fields", "name": "Plus", "params": {"fields": {"n": "{{ $item + 1 }}"}}},
        {"id": "after", "type": "set_fields", "name": "After", "params": {"fields": {"a": 1}}},
    ]
    ends = [("start", "out", "each"), ("each", "each", "plus"), ("each", "done", "after")]
    edges = [{"source": source, "key": key, "target": target} for source, key, target in ends]
    service.flows.create(document("loop", nodes=nodes, edges=edges, samples=[], layout={}))

    alone = await client.post("/api/flows/loop/test", json={"only": "plus"})
    run = (await client.post("/api/flows/loop/test", json={"until": "plus"})).json()
    items = (await client.get(f"/api/runs/{run['id']}/items/each", params={"limit": 2})).json()
    failed = (await client.get(f"/api/runs/{run['id']}/items/each", params={"status": "failed"})).json()
    nowhere = [await client.get(f"/api/runs/{run['id']}/items/{node}") for node in ("plus", "nope")]
    item = (await client.get(f"/api/runs/{run['id']}/item/2")).json()
    after = (await client.post("/api/flows/loop/test", json={"from": "after", "run": run["id"]})).json()

    assert (alone.status_code, alone.json()["problems"][0]["code"]) == (422, "test.in_loop")
    assert (run["scope"], run["repeated"]) == ({"until": "plus"}, {"plus": {"failed": 1, "succeeded": 2}})
    assert ([each["iteration"] for each in items["items"]], items["next"], items["total"]) == (["0", "1"], 2, 3)
    assert [each["iteration"] for each in failed["items"]] == ["1"]
    assert [(each.status_code, each.json()["problems"][0]["code"]) for each in nowhere] == [(404, "loop.not_found")] * 2
    assert [(step["node"], step["output"]) for step in item["steps"]] == [("plus", {"n": 4})]
    assert [step["node"] for step in after["steps"] if step.get("kept")] == ["each"]


async def test_run_tells_what_it_returned_and_which_inputs_it_was_not_given(
    client: httpx.AsyncClient, service: Service, document: Make
):
    nodes = [
        {"id": "start", "type": "manual", "name": "Start", "params": {"inputs": {"n": "integer"}}},
        {"id": "twice", "type": "return_output", "name": "Twice", "params": {"output": {"n": "{{ $param.n * 2 }}"}}},
    ]
    edges = [{"source": "start", "key": "out", "target": "twice"}]
    service.flows.create(document("double", nodes=nodes, edges=edges, samples=[], layout={}))
    service.flows.publish("double")

    started = (await client.post("/api/flows/double/run", json={"payload": {"n": 4}})).json()
    await service.engine.wait(started["id"], 10)
    run = (await client.get(f"/api/runs/{started['id']}")).json()
    tested = (await client.post("/api/flows/double/test", json={"payload": {"n": 5}})).json()
    refused = await client.post("/api/flows/double/run", json={"payload": {"n": "4"}})

    assert [each["output"] for each in (started, run, tested)] == [None, {"n": 8}, {"n": 10}]
    assert (refused.status_code, refused.json()["problems"][0]["param"]) == (422, "payload")


async def test_open_runs_of_a_flow_are_cancelled_together(client: httpx.AsyncClient, service: Service, live: str):
    ended = await run_once(service, 500)
    stuck = [stuck_run(service, StepRow(run_id=0, node="greet", status="unknown")) for _ in range(3)]
    with service.database.write() as session:
        session.get_one(RunRow, stuck[0]).flow_id = "another"

    answer = await client.post("/api/runs/cancel", json={"flow": "greet"})
    none = await client.post("/api/runs/cancel", json={"flow": "greet"})

    assert answer.json() == {"count": 2, "runs": [stuck[2], stuck[1]], "left": 0}
    assert none.json()["count"] == 0
    assert [service.runs.get(each).status for each in (ended.id, *stuck)] == [
        "succeeded",
        "waiting",
        "cancelled",
        "cancelled",
    ]
    assert (await client.post("/api/runs/cancel", json={})).status_code == 422
    assert [(each.action, each.target) for each in service.audit.list().items][:2] == [
        ("run.cancel_many", "0 runs"),
        ("run.cancel_many", "2 runs"),
    ]


async def test_of_many_open_runs_some_are_left(
    client: httpx.AsyncClient, service: Service, live: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bulk_cancels, "RETRIES", 2)
    for _ in range(3):
        stuck_run(service, StepRow(run_id=0, node="greet", status="unknown"))

    answer = await client.post("/api/runs/cancel", json={"flow": "greet"})

    assert (answer.json()["count"], answer.json()["left"]) == (2, 1)
