"""Requests to webhooks: where they lead, how their bodies are read, and what is refused at the door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from runtime import limits
from runtime.http import bodies
from runtime.http.hooks import Hooks
from runtime.run_views import RunView
from runtime.service import Service
from tests.http.hooks.flows import put

Publish = Callable[..., None]
Ended = Callable[[int], Awaitable[RunView]]
FORM = "application/x-www-form-urlencoded"


def codes(answer: httpx.Response) -> list[str]:
    return [problem["code"] for problem in answer.json()["problems"]]


# -- where a request leads


async def test_request_starts_the_flow_with_what_it_brought(
    anonymous: httpx.AsyncClient, publish: Publish, ended: Ended
):
    publish("orders", put(total="{{ $param.body.total }}"), path="orders/new")

    answer = await anonymous.post("/hooks/orders/new?a=1&b=2&b=3&c=", json={"total": 120}, headers={"X-Shop": "7"})
    run = await ended(answer.json()["runs"][0])

    assert (answer.status_code, answer.json()) == (202, {"id": answer.json()["id"], "duplicate": False, "runs": [1]})
    assert run.event_name == "webhook.orders/new"
    assert run.payload.keys() == {"body", "query", "headers", "method", "path"}
    assert (run.payload["body"], run.payload["query"]) == ({"total": 120}, {"a": "1", "b": ["2", "3"], "c": ""})
    assert (run.payload["method"], run.payload["path"], run.payload["headers"]["x-shop"]) == ("POST", "orders/new", "7")
    assert run.steps[1].output == {"total": 120}


async def test_other_paths_lead_nowhere(anonymous: httpx.AsyncClient, publish: Publish):
    publish("orders", path="orders/new")

    for path in ("orders", "orders/", "orders/new/", "ORDERS/new", "orders//new", "orders/new/x", "", "%00", "%FF"):
        answer = await anonymous.post(f"/hooks/{path}", json={})
        assert (answer.status_code, codes(answer)) == (404, ["webhook.not_found"]), path


async def test_each_method_leads_to_its_own_flow(anonymous: httpx.AsyncClient, publish: Publish, ended: Ended):
    publish("reads", path="orders", method="GET")
    publish("writes", path="orders", method="PUT")

    answers = {method: await anonymous.request(method, "/hooks/orders") for method in ("GET", "PUT", "POST", "HEAD")}

    flows = {m: (await ended(a.json()["runs"][0])).flow for m, a in answers.items() if a.status_code == 202}
    assert flows == {"GET": "reads", "PUT": "writes"}
    assert {method: answers[method].status_code for method in ("POST", "HEAD")} == {"POST": 405, "HEAD": 405}
    assert answers["POST"].headers["Allow"] == "GET, OPTIONS, PUT"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def test_any_takes_every_method(anonymous: httpx.AsyncClient, publish: Publish, service: Service, method: str):
    publish("orders", method="ANY")

    answer = await anonymous.request(
        method, "/hooks/orders", content=b'{"n": 1}', headers={"Content-Type": "application/json"}
    )

    payload = service.runs.get(1).payload
    assert (answer.status_code, payload["method"]) == (202, method)
    assert payload["body"] == (None if method in ("GET", "HEAD") else {"n": 1})


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PURGE", "ANY"])
async def test_odd_methods_are_refused(anonymous: httpx.AsyncClient, publish: Publish, service: Service, method: str):
    publish("orders", method="ANY")

    answer = await anonymous.request(method, "/hooks/orders")

    assert answer.status_code == 405
    assert service.runs.list().items == []


async def test_options_tells_the_methods_and_starts_nothing(
    anonymous: httpx.AsyncClient, publish: Publish, service: Service
):
    publish("orders", method="ANY")

    answer = await anonymous.options("/hooks/orders")

    assert (answer.status_code, answer.headers["Allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")
    assert service.runs.list().items == []


async def test_what_is_taken_down_is_gone_at_once(anonymous: httpx.AsyncClient, publish: Publish, service: Service):
    publish("orders")
    seen = [(await anonymous.post("/hooks/orders")).status_code]

    service.flows.unpublish("orders")
    seen.append((await anonymous.post("/hooks/orders")).status_code)
    service.flows.publish("orders")
    seen.append((await anonymous.post("/hooks/orders")).status_code)
    service.flows.delete("orders")
    seen.append((await anonymous.post("/hooks/orders")).status_code)

    assert seen == [202, 404, 202, 404]


async def test_status_of_an_answer_at_once_is_the_flows(anonymous: httpx.AsyncClient, publish: Publish):
    publish("made", status=201)
    publish("silent", status=204)

    made, silent = await anonymous.post("/hooks/made"), await anonymous.post("/hooks/silent")

    assert (made.status_code, made.json()["runs"]) == (201, [1])
    assert (silent.status_code, silent.content) == (204, b"")


# -- bodies


async def test_form_with_a_file_starts_the_flow_with_it(anonymous: httpx.AsyncClient, publish: Publish, ended: Ended):
    publish("orders")

    answer = await anonymous.post("/hooks/orders", files=[("photo", ("a.png", b"abc", "image/png"))], data={"n": "1"})
    run = await ended(answer.json()["runs"][0])

    photo = {"filename": "a.png", "content_type": "image/png", "size": 3, "content_base64": "YWJj"}
    assert run.payload["body"] == {"photo": photo, "n": "1"}


async def test_refused_body_starts_nothing_and_is_not_told(
    anonymous: httpx.AsyncClient, publish: Publish, service: Service
):
    publish("orders")
    refused = {
        (b'{"s3cret": NaN}', "application/json"): 422,
        (b"s3cret", "application/json"): 400,
        (b"s3cret=%FF", FORM): 400,
        (b"s3cret", "multipart/form-data; boundary=x"): 400,
        (b"s3cret", "image/png"): 415,
        (b"s3cret", ""): 415,
    }

    answers = {
        key: await anonymous.post("/hooks/orders", content=key[0], headers={"Content-Type": key[1]}) for key in refused
    }

    assert {key: answer.status_code for key, answer in answers.items()} == refused
    assert not any("s3cret" in answer.text for answer in answers.values())
    assert service.runs.list().items == []


async def test_query_is_read_strictly(anonymous: httpx.AsyncClient, publish: Publish):
    publish("orders")
    queries = {"a=%FF": 400, "a=%C3%A4": 202, "&".join(["a=1"] * 1_001): 400}

    assert {query: (await anonymous.post(f"/hooks/orders?{query}")).status_code for query in queries} == queries


async def test_headers_have_a_limit(anonymous: httpx.AsyncClient, publish: Publish):
    publish("orders")

    answer = await anonymous.post("/hooks/orders", headers={"X-Large": "x" * 1_000_000})

    assert (answer.status_code, codes(answer)) == (431, ["headers.too_large"])


async def test_body_may_have_ten_megabytes(anonymous: httpx.AsyncClient, publish: Publish, ended: Ended):
    publish("orders", put(size="{{ $param.body.file.size }}"))
    large = b"x" * (limits.WEBHOOK_BYTES - 200)

    answer = await anonymous.post("/hooks/orders", files={"file": ("a.bin", large)})
    run = await ended(answer.json()["runs"][0])
    refused = await anonymous.post("/hooks/orders", files={"file": ("a.bin", large + b"x" * 200)})

    assert (answer.status_code, run.steps[1].output) == (202, {"size": len(large)})
    assert (refused.status_code, codes(refused)) == (413, ["body.too_large"])


async def test_body_that_grows_as_json_is_refused(anonymous: httpx.AsyncClient, publish: Publish, service: Service):
    publish("orders")

    answer = await anonymous.post("/hooks/orders", content=b"\x01" * 9_000_000, headers={"Content-Type": "text/plain"})

    assert (answer.status_code, codes(answer)) == (413, ["payload.too_large"])
    assert service.runs.list().items == []


async def test_endless_body_is_read_no_further_than_its_limit(anonymous: httpx.AsyncClient, publish: Publish):
    publish("orders")
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100_000_000:
            sent += 1_000_000
            yield b" " * 1_000_000

    answer = await anonymous.post("/hooks/orders", content=endless(), headers={"Content-Type": "application/json"})

    assert (answer.status_code, codes(answer)) == (413, ["body.too_large"])
    assert sent < limits.WEBHOOK_BYTES + 3_000_000


async def test_slow_body_ends_with_its_time(
    anonymous: httpx.AsyncClient, publish: Publish, service: Service, monkeypatch: pytest.MonkeyPatch
):
    publish("orders")
    monkeypatch.setattr(bodies, "BODY_S", 0.01)
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/hooks/orders",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.005)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    await Hooks(service)(scope, receive, send)  # type: ignore[arg-type]

    assert sent[0]["status"] == 400
    assert b"body.too_slow" in sent[1]["body"]


async def test_bodies_share_a_limit_of_memory(
    anonymous: httpx.AsyncClient, publish: Publish, monkeypatch: pytest.MonkeyPatch
):
    publish("orders")
    monkeypatch.setattr(limits, "WEBHOOKS_HELD_BYTES", 1_000)

    seen = [(await anonymous.post("/hooks/orders", json={"a": "x" * size})).status_code for size in (10, 2_000, 900)]

    assert seen == [202, 503, 202], "what was received before is counted no longer"


# -- pages of other sites

FOREIGN = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


PAGES = [
    ({}, 202),
    ({"Origin": "http://127.0.0.1:8080"}, 202),
    ({"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}, 202),
    ({"Sec-Fetch-Site": "none"}, 202),
    (FOREIGN, 403),
    ({"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"}, 403),
    ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_page_of_another_site_starts_nothing(
    anonymous: httpx.AsyncClient, publish: Publish, service: Service, method: str
):
    publish("orders", method=method)

    answers = [await anonymous.request(method, "/hooks/orders", headers=headers) for headers, _status in PAGES]

    assert [answer.status_code for answer in answers] == [status for _headers, status in PAGES]
    assert len(service.runs.list().items) == 4
    assert not any("Access-Control-Allow-Origin" in answer.headers for answer in answers)


async def test_webhook_may_invite_pages(anonymous: httpx.AsyncClient, publish: Publish):
    publish("shop", origins=["https://Shop.example.com"])
    publish("open", origins=["*"], method="ANY")
    shop = {"Origin": "https://shop.example.com"}
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}

    asked = await anonymous.options("/hooks/shop", headers=shop | ask)
    sent = await anonymous.post("/hooks/shop", json={}, headers=shop)
    wrong = await anonymous.post("/hooks/shop", content=b"{", headers=shop | {"Content-Type": "application/json"})
    others = [await anonymous.post("/hooks/shop", json={}, headers=FOREIGN)]
    others.append(await anonymous.options("/hooks/shop", headers=FOREIGN | ask))
    anyone = await anonymous.get("/hooks/open", headers=FOREIGN)

    assert asked.status_code == 204
    assert asked.headers["Access-Control-Allow-Origin"] == "https://shop.example.com"
    assert asked.headers["Access-Control-Allow-Methods"] == "POST"
    assert (sent.status_code, sent.headers["Access-Control-Allow-Origin"]) == (202, "https://shop.example.com")
    assert (wrong.status_code, wrong.headers["Access-Control-Allow-Origin"]) == (400, "https://shop.example.com")
    assert [other.status_code for other in others] == [403, 204]
    assert not any("Access-Control-Allow-Origin" in other.headers for other in others)
    assert (anyone.status_code, anyone.headers["Access-Control-Allow-Origin"]) == (202, "*")


async def test_foreign_host_is_refused_here_too(anonymous: httpx.AsyncClient, publish: Publish):
    publish("orders")

    assert (await anonymous.post("/hooks/orders", headers={"Host": "evil.example"})).status_code == 403


async def test_what_comes_from_here_is_shown_in_a_sandbox(anonymous: httpx.AsyncClient, publish: Publish):
    publish("orders")

    for answer in (await anonymous.post("/hooks/orders"), await anonymous.post("/hooks/nowhere")):
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("sandbox ")
        assert "allow-same-origin" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
