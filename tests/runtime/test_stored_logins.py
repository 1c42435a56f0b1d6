"""Logins that flows name: they reach their own hosts and nothing else; no run, log or answer has a trace of them."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from backend.logins import Login
from backend.passwords import CHEAP, Passwords
from runtime.app import App, build_app
from runtime.masking import MASK
from runtime.outbox import NewEvent
from runtime.settings import Settings
from tests.canary import leaks, stored
from tests.runtime.test_canary import Echo

SECRETS = {
    "basic": ({"user": "anna"}, "hJ5!kq0zRtYw81-Xv"),
    "bearer": ({}, "tok-3bd1f0a2c9e84d7a"),
    "header": ({"header": "X-Api-Key"}, "9f31c07be2ad4465"),
    "hmac": ({"header": "X-Signature"}, "b6c1d9e07f3a4821"),
    "standard_webhooks": ({}, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
}


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    found = Echo()
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
    await server.wait_closed()


@pytest.fixture
async def app(settings: Settings, echo: Echo) -> AsyncIterator[App]:
    settings = settings.model_copy(update={"allow_hosts": frozenset({"127.0.0.1", "localhost"})})
    app = build_app(settings, embedded=True, passwords=Passwords(CHEAP))
    await app.start()
    yield app
    await app.stop()


def request(url: str, credential: str, **more: Any) -> dict[str, Any]:
    return {"method": "POST", "url": url, "json": {"n": 1}, "credential": credential, **more}


def document(steps: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return a flow of these steps, each after the one before, whatever became of it."""
    nodes = [{"id": "start", "type": "event", "name": "Start", "params": {"event": "go"}}]
    nodes += [
        {"id": name, "type": kind, "name": name, "params": params, "on_error": "continue"}
        for name, (kind, params) in steps.items()
    ]
    edges = [{"source": a["id"], "target": b["id"], "key": "out"} for a, b in pairwise(nodes)]
    return {
        "format": "pulsewire.flow/1",
        "graph": {"id": "calls", "name": "Calls"},
        "nodes": nodes,
        "edges": edges,
    }


async def run(app: App, steps: dict[str, tuple[str, dict[str, Any]]], payload: dict[str, Any]) -> dict[str, Any]:
    """Return the steps of a run of the flow, by node."""
    service = app.service
    service.flows.create(document(steps))
    service.flows.publish("calls")
    (accepted,) = await service.emit([NewEvent("go", payload)])
    assert await app.engine.wait(accepted.runs[0], 30)
    return {step.node: step for step in service.runs.get(accepted.runs[0]).steps}


@pytest.mark.parametrize("kind", SECRETS)
async def test_login_reaches_its_host_and_no_other_place(
    app: App, echo: Echo, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, kind: str
):
    caplog.set_level(logging.DEBUG)
    settings, secret = SECRETS[kind]
    body = {"name": "Shop", "kind": kind, "secret": secret, "settings": settings, "hosts": [f"127.0.0.1:{echo.port}"]}
    made = await client.post("/api/credentials", json=body)
    url = f"http://127.0.0.1:{echo.port}/"

    steps = await run(
        app,
        {
            "call": ("http_request", request(url, "shop")),
            "again": ("set_fields", {"fields": {"all": "{{ $action.call }}"}}),
            "broken": ("http_request", request(f"{url}broken", "Shop")),
        },
        {},
    )

    login = Login("Shop", kind, made.json()["settings"], secret)  # type: ignore[arg-type]
    sent = _headers(echo.seen[0])
    assert login.admits(sent, b'{"n":1}', float(sent.get("webhook-timestamp", 0)))
    assert steps["call"].input == request(url, "shop")
    assert steps["broken"].error["code"] == "http.status_500"
    if not login.is_signing:  # what is signed proves that the secret is known, and is no secret
        assert MASK in str(steps["call"].output)
        assert MASK in str(steps["again"].output)
    answers = [await client.get(path) for path in ("/api/credentials", "/api/runs/1", "/api/flows/calls/export")]
    assert [answer.status_code for answer in answers] == [200] * 3
    for text in login.secrets:
        assert leaks(text, made.text, *(answer.text for answer in answers)) == []
        assert leaks(text, *(str(vars(record)) for record in caplog.records)) == []
        assert leaks(text, *stored(app.service.settings.data_dir)) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{port}/",
        "http://127.0.0.1:{port}0/",
        "http://evil.example/",
        "{{{{ $param.url }}}}",
        "http://127.0.0.1:{port}@evil.example/",
        "http://127.0.0.1.evil.example:{port}/",
    ],
)
async def test_login_is_not_sent_to_a_host_that_it_does_not_name(app: App, echo: Echo, url: str):
    app.service.credentials.create("Shop", "bearer", SECRETS["bearer"][1], {}, [f"127.0.0.1:{echo.port}"])
    payload = {"url": f"http://localhost:{echo.port}/"}

    steps = await run(app, {"call": ("http_request", request(url.format(port=echo.port), "Shop"))}, payload)

    assert steps["call"].error["code"] in ("credential.host_refused", "http.url_invalid")
    assert steps["call"].error["param"] in ("credential", "url")
    assert echo.seen == []


async def test_credential_without_hosts_goes_nowhere(app: App, echo: Echo):
    app.service.credentials.create("Shop", "bearer", "tok")

    steps = await run(app, {"call": ("http_request", request(f"http://127.0.0.1:{echo.port}/", "Shop"))}, {})

    assert steps["call"].error["code"] == "credential.host_refused"
    assert "“Shop”" in steps["call"].error["message"]
    assert echo.seen == []


async def test_login_is_not_forwarded_to_where_a_redirect_leads(app: App, echo: Echo):
    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        place = f"Location: http://127.0.0.1:{echo.port}/\r\nContent-Length: 0\r\n\r\n"
        writer.write(b"HTTP/1.1 307 Elsewhere\r\n" + place.encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    app.service.credentials.create("Shop", "bearer", "tok", {}, ["127.0.0.1"])

    steps = await run(
        app,
        {"call": ("http_request", {"method": "GET", "url": f"http://127.0.0.1:{port}/", "credential": "Shop"})},
        {},
    )
    server.close()
    await server.wait_closed()

    assert steps["call"].error["code"] == "http.redirect"
    assert echo.seen == []


async def test_header_of_the_flow_does_not_stand_beside_that_of_the_login(app: App, echo: Echo):
    app.service.credentials.create("Shop", "bearer", "tok", {}, ["127.0.0.1"])
    call = request(f"http://127.0.0.1:{echo.port}/", "Shop", headers={"authorization": "Basic x"})

    steps = await run(app, {"call": ("http_request", call)}, {})

    assert (steps["call"].error["code"], steps["call"].error["param"]) == ("credential.header_twice", "headers")
    assert echo.seen == []


async def test_deleted_credential_is_told_by_the_step_that_needs_it(app: App, echo: Echo):
    service = app.service
    service.credentials.create("Shop", "bearer", "tok", {}, ["127.0.0.1"])
    service.flows.create(document({"call": ("http_request", request(f"http://127.0.0.1:{echo.port}/", "Shop"))}))
    service.flows.publish("calls")
    service.credentials.delete("Shop")

    (accepted,) = await service.emit([NewEvent("go", {})])
    assert await app.engine.wait(accepted.runs[0], 30)

    (_start, call) = service.runs.get(accepted.runs[0]).steps
    assert call.error is not None
    assert call.error["code"] == "credential.unknown"


async def test_simulated_request_names_the_credential_and_sends_nothing(app: App, echo: Echo):
    app.service.credentials.create("Shop", "bearer", SECRETS["bearer"][1], {}, ["127.0.0.1"])
    flow = document({"call": ("http_request", request(f"http://127.0.0.1:{echo.port}/", "Shop"))})

    tried = await app.service.runs.test(flow, payload={})

    assert tried.steps[1].effect is not None
    assert tried.steps[1].effect["credential"] == "Shop"
    assert echo.seen == []


def test_secret_of_a_basic_login_is_masked_as_it_travels():
    login = Login("a", "basic", {"user": "anna"}, "pw")

    assert login.secrets == ("pw", b64encode(b"anna:pw").decode())
    assert "pw" not in repr(login)


def _headers(request: bytes) -> dict[str, str]:
    head = request.partition(b"\r\n\r\n")[0].decode("latin-1")
    lines = (line.split(": ", 1) for line in head.split("\r\n")[1:])
    return {name.lower(): value for name, value in lines}
