"""``/api/credentials``: secrets go in and never come out, whoever asks."""

from __future__ import annotations

import httpx
import pytest

from runtime.service import Service

NEW = {
    "name": "Shop",
    "kind": "basic",
    "settings": {"user": "anna"},
    "secret": "hunter2-hunter2",
    "hosts": ["a.example.com"],
}


@pytest.fixture
def as_editor(anonymous: httpx.AsyncClient, service: Service) -> dict[str, str]:
    return {"Authorization": f"Bearer {service.keys.create('editor', 'editor')[1]}"}


def codes(answer: httpx.Response) -> list[str]:
    return [problem["code"] for problem in answer.json()["problems"]]


async def test_secret_is_in_no_answer_and_no_entry_of_the_log(client: httpx.AsyncClient, service: Service):
    made = await client.post("/api/credentials", json=NEW)
    path = f"/api/credentials/{made.json()['id']}"

    answers = [
        made,
        await client.get(path),
        await client.get("/api/credentials/SHOP"),
        await client.get("/api/credentials"),
    ]
    answers.append(await client.patch(path, json={"secret": "hunter3-hunter3", "hosts": ["b.example.com"]}))
    answers.append(await client.post("/api/credentials", json=NEW | {"name": ""}))
    answers.append(await client.post("/api/credentials", json=NEW | {"secret": ["hunter2-hunter2"]}))
    answers.append(await client.delete(path))

    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 422, 422, 204]
    assert answers[3].json()["items"] == [made.json()]
    assert made.json()["has_secret"] is True
    entries = service.audit.list().items
    assert [entry.action for entry in entries] == ["credential.delete", "credential.change", "credential.create"]
    assert [entry.target for entry in entries] == ["Shop"] * 3
    assert not any("hunter" in text for text in (*(answer.text for answer in answers), repr(entries)))


async def test_editors_are_told_names_alone(client: httpx.AsyncClient, as_editor: dict[str, str]):
    made = (await client.post("/api/credentials", json=NEW)).json()

    listed = await client.get("/api/credentials", headers=as_editor)
    one = await client.get(f"/api/credentials/{made['id']}", headers=as_editor)

    assert listed.json()["items"] == [{"id": made["id"], "name": "Shop", "kind": "basic"}]
    assert one.status_code == 403


async def test_refusals_have_their_status(client: httpx.AsyncClient):
    await client.post("/api/credentials", json=NEW)

    twice = await client.post("/api/credentials", json=NEW)
    nowhere = [await client.request(method, "/api/credentials/x", json={}) for method in ("GET", "PATCH", "DELETE")]
    new_host = await client.patch("/api/credentials/Shop", json={"hosts": ["a.example.com", "evil.example.com"]})
    renamed = await client.patch("/api/credentials/Shop", json={"name": "Other"})

    assert (twice.status_code, codes(twice)) == (409, ["credential.name_taken"])
    assert [(each.status_code, codes(each)) for each in nowhere] == [(404, ["credential.not_found"])] * 3
    assert (new_host.status_code, codes(new_host)) == (422, ["credential.secret_missing"])
    assert (renamed.status_code, codes(renamed)) == (422, ["body.unknown_field"])


async def test_credential_is_in_no_export(client: httpx.AsyncClient, service: Service):
    await client.post("/api/credentials", json=NEW)
    call = {"url": "https://a.example.com", "credential": "Shop"}
    service.flows.create(
        {
            "format": "pulsewire.flow/1",
            "graph": {"id": "a", "name": "A"},
            "nodes": [
                {"id": "start", "type": "manual", "name": "Start", "params": {}},
                {"id": "call", "type": "http_request", "name": "Call", "params": call},
            ],
            "edges": [{"source": "start", "target": "call", "key": "out"}],
        }
    )

    exported = await client.get("/api/flows/a/export")

    assert exported.json()["nodes"][1]["params"] == call
    assert "hunter2" not in exported.text
