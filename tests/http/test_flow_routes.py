from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from runtime.service import Service
from storage.tables import Flow

Make = Callable[..., dict[str, Any]]


def codes(response: httpx.Response) -> list[str]:
    return [problem["code"] for problem in response.json()["problems"]]


async def test_flow_has_the_published_shape(client: httpx.AsyncClient, document: Make):
    created = await client.post("/api/flows", json=document())

    assert created.status_code == 201
    body = created.json()
    assert {key: body[key] for key in ("id", "name", "state", "published_version", "problems")} == {
        "id": "greet",
        "name": "Greet",
        "state": "draft",
        "published_version": None,
        "problems": [],
    }
    assert body["draft"] == document()
    assert (await client.get("/api/flows/greet")).json() == body


async def test_a_live_flow_says_when_its_schedules_are_due(client: httpx.AsyncClient, document: Make):
    daily = {"id": "daily", "type": "on_schedule", "name": "Daily", "params": {"cron": "0 9 * * *"}}
    nodes = [daily, *document()["nodes"]]

    draft = (await client.post("/api/flows", json=document(nodes=nodes))).json()["schedules"]
    (live,) = (await client.post("/api/flows/greet/publish")).json()["schedules"]
    (listed,) = (await client.get("/api/flows")).json()["items"]
    (paused,) = (await client.post("/api/flows/greet/pause")).json()["schedules"]

    assert draft == []
    assert live == {"node": "daily", "next_due_at": live["next_due_at"], "last_due_at": None}
    assert live["next_due_at"].endswith("T09:00:00Z")
    assert listed["next_due_at"] == live["next_due_at"]
    assert paused == live | {"next_due_at": None}


async def test_journey_of_a_flow(client: httpx.AsyncClient, service: Service, document: Make):
    await client.post("/api/flows", json=document())
    assert (await client.post("/api/flows/greet/publish")).json()["published_version"] == 1

    event = await client.post("/api/events", json={"name": "shop.order_paid", "payload": {"total": 120}})
    await service.engine.wait(event.json()["runs"][0], 10)
    run = (await client.get("/api/runs", params={"flow": "greet", "status": "succeeded"})).json()["items"][0]
    steps = (await client.get(f"/api/runs/{run['id']}")).json()["steps"]
    await client.post("/api/flows/greet/unpublish")
    ignored = await client.post("/api/events", json={"name": "shop.order_paid", "payload": {"total": 120}})
    exported = (await client.get("/api/flows/greet/export")).json()
    deleted = await client.delete("/api/flows/greet")
    imported = await client.post("/api/flows/import", json=exported)

    assert [(step["node"], step["status"]) for step in steps] == [
        ("start", "succeeded"),
        ("large", "succeeded"),
        ("greet", "succeeded"),
    ]
    assert steps[2]["output"] == {"text": "Thanks for 120"}
    assert ignored.json()["runs"] == []
    assert (deleted.status_code, imported.status_code) == (204, 201)
    assert imported.json()["draft"] == document()


async def test_second_of_two_savers_is_told(client: httpx.AsyncClient, document: Make):
    await client.post("/api/flows", json=document())
    tag = (await client.get("/api/flows/greet")).headers["ETag"]
    theirs, mine = document(), document()
    theirs["graph"]["name"], mine["graph"]["name"] = "Theirs", "Mine"

    first = await client.put("/api/flows/greet", json=theirs, headers={"If-Match": tag})
    second = await client.put("/api/flows/greet", json=mine, headers={"If-Match": tag})
    third = await client.put("/api/flows/greet", json=mine, headers={"If-Match": first.headers["ETag"]})

    assert (first.status_code, second.status_code, third.status_code) == (200, 409, 200)
    assert codes(second) == ["flow.changed"]
    assert third.json()["name"] == "Mine"


async def test_tag_of_something_else_is_no_match(client: httpx.AsyncClient, document: Make):
    await client.post("/api/flows", json=document())

    answers = [
        await client.put("/api/flows/greet", json=document(), headers={"If-Match": tag})
        for tag in ('"stale"', 'W/"stale"', '""', '"99"')
    ]

    assert [(answer.status_code, codes(answer)) for answer in answers] == [(409, ["flow.changed"])] * 4


async def test_test_needs_no_body(client: httpx.AsyncClient, document: Make):
    await client.post("/api/flows", json=document())

    run = await client.post("/api/flows/greet/test")

    assert (run.status_code, run.json()["payload"]) == (200, {"total": 120})


async def test_unreadable_if_match_is_refused(client: httpx.AsyncClient, document: Make):
    await client.post("/api/flows", json=document())

    response = await client.put("/api/flows/greet", json=document(), headers={"If-Match": "yesterday"})

    assert (response.status_code, codes(response)) == (422, ["header.invalid"])


async def test_draft_with_problems_is_saved_and_not_published(client: httpx.AsyncClient, document: Make):
    unfinished = document()
    unfinished["nodes"][1]["params"] = {}
    await client.post("/api/flows", json=document())

    saved = await client.put("/api/flows/greet", json=unfinished)
    published = await client.post("/api/flows/greet/publish")

    assert (saved.status_code, published.status_code) == (200, 422)
    assert saved.json()["problems"] == published.json()["problems"]
    assert saved.json()["problems"][0] | {"message": ""} == {
        "code": "param.missing",
        "message": "",
        "node": "large",
        "param": "if",
    }


async def test_hostile_import_is_told_and_leaves_nothing(client: httpx.AsyncClient, document: Make):
    nodes = [{"id": f"n{number}", "type": "event", "name": "N", "params": {}} for number in range(10_000)]
    broken = [
        document(nodes=nodes, edges=[], samples=[], layout={}),
        document(nodes=[{"id": "__proto__", "type": "event", "name": "N"}], edges=[], samples=[], layout={}),
        document(format="pulsewire.flow/0"),
        document(extra={"credential": "x"}),
        [],
        None,
        "flow",
    ]

    for bad in broken:
        response = await client.post("/api/flows/import", json=bad)
        assert (response.status_code, bool(response.json()["problems"])) == (422, True), bad

    assert (await client.get("/api/flows")).json() == {"items": [], "next": None}


async def test_list_is_paged(client: httpx.AsyncClient, document: Make):
    for number in range(3):
        await client.post("/api/flows", json=document(f"flow-{number}"))

    first = (await client.get("/api/flows", params={"limit": 2})).json()
    second = (await client.get("/api/flows", params={"limit": 2, "after": first["next"]})).json()

    assert [flow["id"] for flow in first["items"] + second["items"]] == ["flow-2", "flow-1", "flow-0"]
    assert second["next"] is None


async def test_test_simulates_what_it_is_given(client: httpx.AsyncClient, document: Make):
    await client.post("/api/flows", json=document())

    by_sample = (await client.post("/api/flows/greet/test", json={"sample": "large"})).json()
    by_payload = (await client.post("/api/flows/greet/test", json={"payload": {"total": 1}})).json()

    assert (by_sample["status"], by_sample["version"], by_sample["is_simulated"]) == ("succeeded", None, True)
    assert [step["status"] for step in by_payload["steps"]] == ["succeeded", "succeeded", "skipped"]
    assert (await client.get("/api/runs")).json()["items"] == []
    assert len((await client.get("/api/runs", params={"test": True})).json()["items"]) == 2


async def test_test_says_what_it_cannot_run(client: httpx.AsyncClient, document: Make):
    await client.post("/api/flows", json=document())
    asked = {
        "sample.not_found": {"sample": "none"},
        "test.trigger_unknown": {"trigger": "greet"},
        "body.invalid": {"effects": "maybe"},
        "body.unknown_field": {"payloads": {}},
        "payload.too_large": {"payload": {"text": "x" * 1_000_000}},
    }

    found = {code: codes(await client.post("/api/flows/greet/test", json=body)) for code, body in asked.items()}

    assert found == {code: [code] for code in asked}


async def test_names_come_back_as_they_were(client: httpx.AsyncClient, document: Make):
    for number, name in enumerate(
        ["<script>alert(1)</script>", "‮evil", "🦊", "../../etc", "__proto__", "'; DROP TABLE flow"]
    ):
        shaped = document(f"flow-{number}")
        shaped["graph"]["name"] = name
        answer = await client.post("/api/flows", json=shaped)
        assert (answer.status_code, answer.json()["name"]) == (201, name)

    too_long = document("long")
    too_long["graph"]["name"] = "x" * 10_000
    assert (await client.post("/api/flows", json=too_long)).status_code == 422


async def test_a_paused_flow_keeps_its_runs_and_whoever_resumes_it_says_what_becomes_of_them(
    client: httpx.AsyncClient, service: Service, document: Make
):
    await client.post("/api/flows", json=document())
    await client.post("/api/flows/greet/publish")

    async def paused_with(count: int) -> list[int]:
        await client.post("/api/flows/greet/pause")
        body = {"name": "shop.order_paid", "payload": {"total": 120}}
        answers = [await client.post("/api/events", json=body) for _ in range(count)]
        return [run for answer in answers for run in answer.json()["runs"]]

    dropped = await paused_with(2)
    waiting = (await client.get("/api/flows/greet")).json()
    listed = (await client.get("/api/flows")).json()["items"][0]
    empty = (await client.post("/api/flows/greet/resume", json={"queue": "discard"})).json()
    kept = await paused_with(1)
    held = (await client.get(f"/api/runs/{kept[0]}")).json()["held"]
    await client.post("/api/flows/greet/resume")
    wrong = await client.post("/api/flows/greet/resume", json={"queue": "later"})

    assert (waiting["state"], waiting["queued"], listed["queued"]) == ("paused", 2, 2)
    assert (empty["state"], empty["queued"], empty["notice"]) == ("published", 0, None)
    shown = (await client.get(f"/api/runs/{dropped[0]}")).json()
    assert (shown["status"], shown["error"]["code"]) == ("cancelled", "flow.discarded")
    assert await service.engine.wait(kept[0], 10)
    ended = (await client.get(f"/api/runs/{kept[0]}")).json()
    assert (held, ended["status"], "held" in ended) == ("paused", "succeeded", False)
    assert wrong.status_code == 422


async def test_a_notice_is_shown_until_it_is_dismissed(client: httpx.AsyncClient, service: Service, document: Make):
    await client.post("/api/flows", json=document())
    await client.post("/api/flows/greet/publish")
    notice = {"code": "event.loop", "message": "It went round.", "at": "2026-01-01T00:00:00Z"}
    with service.database.write() as session:
        session.get_one(Flow, "greet").notice = notice

    before = (await client.get("/api/flows/greet")).json()["notice"]
    answer = await client.delete("/api/flows/greet/notice")

    assert before == notice
    assert (answer.status_code, answer.json()["notice"]) == (200, None)


async def test_node_is_renamed_with_what_names_it(client: httpx.AsyncClient, document: Make):
    made = document()
    made["nodes"][2]["params"]["fields"]["of"] = "{{ $action.large }}"
    await client.post("/api/flows", json=made)

    renamed = await client.post("/api/flows/greet/nodes/large/rename", json={"id": "is_large"})
    taken = await client.post("/api/flows/greet/nodes/is_large/rename", json={"id": "start"})
    gone = await client.post("/api/flows/greet/nodes/large/rename", json={"id": "other"})

    draft = renamed.json()["draft"]
    assert [node["id"] for node in draft["nodes"]] == ["start", "is_large", "greet"]
    assert draft["nodes"][2]["params"]["fields"]["of"] == "{{ $action.is_large }}"
    assert draft["edges"][1]["source"] == "is_large"
    assert (taken.status_code, codes(taken)) == (422, ["node.id_duplicate"])
    assert (gone.status_code, codes(gone)) == (404, ["node.unknown"])


async def test_problems_between_flows_are_told_and_follow_what_is_live(client: httpx.AsyncClient, document: Make):
    def telling(flow_id: str, hears: str, tells: str) -> dict[str, Any]:
        made = document(flow_id, layout={})
        made["nodes"][0]["params"]["event"] = hears
        made["nodes"][2] = {"id": "greet", "type": "emit_event", "name": "Tell", "params": {"name": tells}}
        return made

    async def codes_of(flow_id: str) -> list[str]:
        return codes(await client.get(f"/api/flows/{flow_id}"))

    alone = await client.post("/api/flows", json=telling("one", "shop.a", "shop.b"))
    second = await client.post("/api/flows", json=telling("two", "shop.b", "shop.a"))
    published = await client.post("/api/flows/two/publish")
    changed = await client.put("/api/flows/two", json=telling("two", "shop.b", "shop.c"))
    while_live = await codes_of("one")
    await client.post("/api/flows/two/publish")

    assert codes(alone) == []
    assert codes(second) == codes(published) == ["flow.circle"]
    assert (codes(changed), while_live, await codes_of("one")) == ([], ["flow.circle"], [])


async def test_address_that_is_taken_is_told_before_publishing(client: httpx.AsyncClient, document: Make):
    hook = {"id": "start", "type": "on_webhook", "name": "Hook", "params": {"path": "orders"}}
    rest = json.loads(json.dumps(document()["nodes"][1:]).replace("$param.", "$param.body."))
    for flow_id in ("one", "two"):
        await client.post("/api/flows", json=document(flow_id, nodes=[hook, *rest]))
    before = (await client.get("/api/flows/two")).json()["problems"]
    await client.post("/api/flows/one/publish")
    after = (await client.get("/api/flows/two")).json()["problems"]
    listed = {flow["id"]: flow["problem_count"] for flow in (await client.get("/api/flows")).json()["items"]}

    assert [(each["code"], each["severity"]) for each in before] == [("webhook.path_taken", "warning")]
    assert [(each["code"], "severity" in each) for each in after] == [("webhook.path_taken", False)]
    assert listed == {"one": 0, "two": 1}
    assert codes(await client.post("/api/flows/two/publish")) == ["webhook.path_taken"]
