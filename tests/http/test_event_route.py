from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from runtime.limits import BATCH_EVENTS, PAYLOAD_BYTES, PAYLOAD_DEPTH
from runtime.service import Service

CLOUD_EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "shop.order_paid", "data": {"total": 120}}


@pytest.fixture
def live(service: Service, document: Callable[..., dict[str, Any]]) -> None:
    service.flows.create(document())
    service.flows.publish("greet")


def codes(response: httpx.Response) -> list[str]:
    return [problem["code"] for problem in response.json()["problems"]]


async def post(client: httpx.AsyncClient, content: str | bytes, **headers: str) -> httpx.Response:
    given = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post("/api/events", content=content, headers=given)


@pytest.mark.usefixtures("live")
async def test_event_starts_a_run_once(client: httpx.AsyncClient):
    event = {"name": "shop.order_paid", "payload": {"total": 1}, "id": "order-1"}

    first = await client.post("/api/events", json=event)
    again = await client.post("/api/events", json=event)
    other = await client.post("/api/events", json=event | {"payload": {"total": 2}})

    assert (first.status_code, first.json()) == (202, {"id": "order-1", "duplicate": False, "runs": [1]})
    assert (again.status_code, again.json()) == (202, {"id": "order-1", "duplicate": True, "runs": [1]})
    assert (other.status_code, codes(other)) == (422, ["event.id_reused"])


@pytest.mark.usefixtures("live")
async def test_hundred_equal_posts_at_once_are_one_event(client: httpx.AsyncClient):
    event = {"name": "shop.order_paid", "payload": {"total": 1}, "id": "order-1"}

    answers = await asyncio.gather(*(client.post("/api/events", json=event) for _ in range(100)))

    assert {answer.status_code for answer in answers} == {202}
    assert sum(not answer.json()["duplicate"] for answer in answers) == 1
    assert {tuple(answer.json()["runs"]) for answer in answers} == {(1,)}


@pytest.mark.usefixtures("live")
async def test_cloud_event_is_the_same_event_in_every_mode(client: httpx.AsyncClient):
    encoded = {key: value for key, value in CLOUD_EVENT.items() if key != "data"}
    encoded["data_base64"] = base64.b64encode(b'{"total": 120}').decode()
    attributes = {f"ce-{key}": value for key, value in CLOUD_EVENT.items() if isinstance(value, str)}

    structured = await post(client, json.dumps(CLOUD_EVENT), Content_Type="application/cloudevents+json")
    again = await post(client, json.dumps(encoded), Content_Type="application/cloudevents+json; charset=utf-8")
    binary = await post(client, '{"total": 120}', **attributes)
    batch = await post(client, json.dumps([CLOUD_EVENT]), Content_Type="application/cloudevents-batch+json")

    assert structured.json() == {"id": "/shop#1", "duplicate": False, "runs": [1]}
    assert again.json() == binary.json() == {"id": "/shop#1", "duplicate": True, "runs": [1]}
    assert batch.json() == {"items": [binary.json()]}
    assert {structured.status_code, again.status_code, binary.status_code, batch.status_code} == {202}


async def test_same_id_of_two_sources_is_two_events(client: httpx.AsyncClient):
    batch = [CLOUD_EVENT, CLOUD_EVENT | {"source": "/other"}]

    answer = await post(client, json.dumps(batch), Content_Type="application/cloudevents-batch+json")

    assert [each["duplicate"] for each in answer.json()["items"]] == [False, False]


async def test_batch_is_accepted_whole_or_not_at_all(client: httpx.AsyncClient):
    batch = [CLOUD_EVENT, CLOUD_EVENT | {"id": ""}, CLOUD_EVENT | {"id": "3", "data": []}]

    refused = await post(client, json.dumps(batch), Content_Type="application/cloudevents-batch+json")
    accepted = await post(client, json.dumps(batch[:1]), Content_Type="application/cloudevents-batch+json")

    assert refused.status_code == 422
    assert [problem["param"] for problem in refused.json()["problems"]] == ["[1]", "[2]"]
    assert accepted.json()["items"][0]["duplicate"] is False


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def sized(size: int) -> str:
    return json.dumps({"a": "x" * (size - len('{"a":""}'))}, separators=(",", ":"))


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (nested(PAYLOAD_DEPTH), 202),
        (nested(PAYLOAD_DEPTH + 1), 422),
        (sized(PAYLOAD_BYTES), 202),
        (sized(PAYLOAD_BYTES + 1), 413),
        ('{"a": NaN}', 422),
        ('{"a": 1, "a": 2}', 422),
        ('{"a": "\\ud800"}', 422),
        ("[]", 422),
        ("null", 422),
        ('"text"', 422),
        ('{"a": 99999999999999999999999}', 422),
        (nested(5_000), 422),
        (json.dumps(dict.fromkeys(map(str, range(100_000)))), 422),
        ('{"total": 1', 400),
    ],
    ids=[
        "deep",
        "deeper",
        "large",
        "larger",
        "nan",
        "twice",
        "surrogate",
        "list",
        "null",
        "text",
        "number",
        "abyss",
        "keys",
        "cut",
    ],
)
async def test_payload_at_the_door(client: httpx.AsyncClient, payload: str, status: int):
    answer = await post(client, f'{{"name": "shop.order_paid", "payload": {payload}}}')

    assert answer.status_code == status
    assert answer.status_code == 202 or answer.json()["problems"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 400, "json.invalid"),
        ("[]", 422, "event.invalid"),
        ("{}", 422, "event.invalid"),
        ('{"name": ""}', 422, "event.invalid"),
        ('{"name": 7}', 422, "event.invalid"),
        ('{"name": "a\\u0000b"}', 422, "event.invalid"),
        (json.dumps({"name": "x" * 201}), 422, "event.invalid"),
        ('{"name": "a", "id": 5}', 422, "event.invalid"),
        ('{"name": "a", "payloads": {}}', 422, "event.invalid"),
        (b'{"name": "\xff"}', 400, "json.invalid"),
    ],
)
async def test_envelope_at_the_door(client: httpx.AsyncClient, body: str | bytes, status: int, code: str):
    answer = await post(client, body)

    assert (answer.status_code, codes(answer)) == (status, [code])


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
async def test_what_is_not_called_json_is_not_read_as_json(client: httpx.AsyncClient, kind: str):
    answer = await post(client, '{"name": "a"}', Content_Type=kind)

    assert (answer.status_code, codes(answer)) == (400, ["body.not_json"])


@pytest.mark.parametrize(
    "changes", [{"specversion": "0.3"}, {"id": ""}, {"source": None}, {"type": 5}, {"data": "text"}]
)
async def test_cloud_event_needs_its_attributes(client: httpx.AsyncClient, changes: dict[str, Any]):
    answer = await post(client, json.dumps(CLOUD_EVENT | changes), Content_Type="application/cloudevents+json")

    assert answer.status_code == 422


async def test_batch_has_an_end(client: httpx.AsyncClient):
    batch = [CLOUD_EVENT | {"id": str(number)} for number in range(BATCH_EVENTS + 1)]

    answer = await post(client, json.dumps(batch), Content_Type="application/cloudevents-batch+json")

    assert answer.status_code == 422
    assert f"{BATCH_EVENTS:,}" in answer.json()["problems"][0]["message"]


async def test_body_is_not_read_further_than_the_limit(client: httpx.AsyncClient):
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100_000_000:
            sent += 1_000_000
            yield b" " * 1_000_000

    answer = await client.post("/api/events", content=endless(), headers={"Content-Type": "application/json"})
    told = await client.post("/api/events", content=b"{}", headers={"Content-Length": "99999999"})

    assert (answer.status_code, codes(answer)) == (413, ["body.too_large"])
    assert sent < 10_000_000
    assert told.status_code == 413


async def test_stranger_is_refused_before_the_body_is_read(anonymous: httpx.AsyncClient):
    answer = await anonymous.post("/api/events", content=b"not json")

    assert (answer.status_code, codes(answer)) == (401, ["auth.key_missing"])
