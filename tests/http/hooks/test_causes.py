"""Flows that call their own installation: each call is a link of a chain, and chains end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import uvicorn
from sqlmodel import select

from backend.secrets import SecretBox
from runtime.app import App
from runtime.causes import HEADER, LIVES_S, Causes
from runtime.service import Service
from runtime.settings import Settings
from storage.journal_runs import RunState
from storage.tables import EventRow, RunRow
from tests.http.hooks.flows import respond

Publish = Callable[..., None]
KEY = "the key of this installation"


def state(**changes: Any) -> RunState:
    given: dict[str, Any] = {"id": 41, "flow_id": "a", "root_id": "root", "depth": 2, "path": ("x", "y")} | changes
    rest = {"epoch": 1, "version": 1, "document": None, "trigger": "start", "payload": {}, "event_id": "e"}
    return RunState(**rest, **given, is_test=False, is_simulated=False, is_retry=False, started_us=0)


def causes(now_s: float = 1_000.0, **settings: Any) -> Causes:
    return Causes(SecretBox(KEY), Settings(**settings), now_s=lambda: now_s)


# -- the header


def test_header_says_what_led_to_a_call():
    cause = causes().read({"pulsewire-cause": causes().signed(state())})

    assert cause == ("root", 41, 3, ("x", "y", "a"))


def test_header_that_is_forged_foreign_or_old_proves_nothing():
    text = causes().signed(state())
    body, _, tag = text.partition(".")
    other = Causes(SecretBox("the key of another place"), Settings(), now_s=lambda: 1_000.0).signed(state())

    forged = [
        "",
        ".",
        text[:-1],
        text + "0",
        f"{body}A.{tag}",
        f"{body}.",
        tag,
        other,
        "ä",
        "x" * 9_000,
        f"{body}.\udcff",
    ]
    assert [causes().read({HEADER.lower(): each}) for each in forged] == [None] * len(forged)
    assert causes(1_000 + LIVES_S).read({HEADER.lower(): text}) is not None
    assert causes(1_001 + LIVES_S).read({HEADER.lower(): text}) is None
    assert causes().read({}) is None


@pytest.mark.parametrize(
    ("url", "is_own"),
    [
        ("http://127.0.0.1:8080/hooks/a", True),
        ("http://localhost:8080/hooks/a", True),
        ("http://LOCALHOST:08080/", True),
        ("http://a.localhost:8080/", True),
        ("http://[::1]:8080/", True),
        ("http://127.0.0.1:8081/", False),
        ("https://flows.example.com/hooks/a", True),
        ("https://Flows.Example.Com.:443/hooks/a", True),
        ("http://flows.example.com/hooks/a", False),
        ("https://flows.example.com.evil.example/hooks/a", False),
        ("https://example.com/?u=http://127.0.0.1:8080", False),
        ("http://192.168.0.7:8080/", False),
        ("ht tp://127.0.0.1:8080/", False),
    ],
)
def test_only_calls_that_come_back_carry_the_header(url: str, is_own: bool):
    ours = causes(base_url="https://flows.example.com")

    assert (HEADER in ours.headers(url, state())) is is_own


def test_bound_to_every_address_each_of_them_is_our_own():
    assert HEADER in causes(host="0.0.0.0").headers("http://192.168.0.7:8080/", state())
    assert HEADER not in causes(host="0.0.0.0").headers("http://93.184.216.34:8080/", state())


# -- chains


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def settings(settings: Settings, port: int) -> Settings:
    return settings.model_copy(update={"port": port, "allow_hosts": frozenset({f"127.0.0.1:{port}"})})


@pytest.fixture
async def base(app: App, port: int) -> AsyncIterator[str]:
    """The address of the installation, served."""
    server = uvicorn.Server(uvicorn.Config(app.http, port=port, lifespan="off", log_level="critical"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it by this flag alone
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


def call(url: str, **more: Any) -> Any:
    return ("call", "http_request", {"method": "POST", "url": url, "json": {}, **more})


async def settled(app: App, service: Service) -> list[RunRow]:
    """Return every run, oldest first, when none is open."""
    while True:
        with service.database.read() as session:
            runs = list(session.exec(select(RunRow).order_by(RunRow.id)))  # type: ignore[arg-type]
        if runs and all(run.ended_at for run in runs):
            return runs
        await app.engine.wait(next(run.id for run in runs if not run.ended_at) or 0, 30)


async def test_webhook_that_calls_itself_is_stopped_and_says_why(
    app: App, service: Service, publish: Publish, base: str, anonymous: httpx.AsyncClient
):
    publish("self", call(f"{base}/hooks/self"), on_error="continue")

    await anonymous.post("/hooks/self", json={})
    runs = await settled(app, service)

    assert len(runs) == 4
    assert [run.status for run in runs] == ["succeeded"] * 3 + ["failed"]
    assert runs[-1].error is not None
    assert runs[-1].error["code"] == "event.loop"
    with service.database.read() as session:
        events = {row.id: row for row in session.exec(select(EventRow))}
    chain = [events[run.event_id or ""] for run in runs]
    assert [event.depth for event in chain] == [0, 1, 2, 3]
    assert {event.root_id for event in chain} == {chain[0].id}
    assert [event.parent_run for event in chain] == [None, 1, 2, 3]
    assert not any("pulsewire-cause" in event.payload["headers"] for event in chain)


@pytest.mark.parametrize("answer", ["at once", "by respond"])
async def test_webhooks_that_call_each_other_are_stopped(
    app: App, service: Service, publish: Publish, base: str, anonymous: httpx.AsyncClient, answer: str
):
    publish("one", call(f"{base}/hooks/two"), respond(), on_error="continue", answer=answer)
    publish("two", call(f"{base}/hooks/one"), respond(), on_error="continue", answer=answer)

    await anonymous.post("/hooks/one", json={})
    runs = await settled(app, service)

    assert len(runs) == 7
    assert runs[-1].error is not None


async def test_call_of_our_own_api_is_a_link_of_the_chain_too(
    app: App, service: Service, publish: Publish, base: str, anonymous: httpx.AsyncClient, api_key: str
):
    service.credentials.create("Own", "bearer", api_key, {}, ["127.0.0.1"])
    event = {"name": "again", "payload": {}}
    ask = ("call", "http_request", {"method": "POST", "url": f"{base}/api/events", "json": event, "credential": "Own"})
    publish("hook", ask)
    service.flows.create(
        {
            "format": "pulsewire.flow/1",
            "graph": {"id": "again", "name": "Again"},
            "nodes": [
                {"id": "start", "type": "event", "name": "Start", "params": {"event": "again"}},
                {"id": "call", "type": "http_request", "name": "Call", "params": ask[2]},
            ],
            "edges": [{"source": "start", "target": "call", "key": "out"}],
        }
    )
    service.flows.publish("again")

    await anonymous.post("/hooks/hook", json={})
    runs = await settled(app, service)

    assert [run.flow_id for run in runs] == ["hook"] + ["again"] * 4
    assert [run.status for run in runs] == ["succeeded"] * 4 + ["failed"]


async def test_flow_cannot_write_the_header_itself(
    app: App, service: Service, publish: Publish, base: str, anonymous: httpx.AsyncClient
):
    publish("self", call(f"{base}/hooks/self", headers={"pulsewire-cause": "forged"}), on_error="continue")

    await anonymous.post("/hooks/self", json={}, headers={HEADER: "forged"})

    assert len(await settled(app, service)) == 4


async def test_own_address_is_called_only_where_it_is_allowed(
    app: App, service: Service, publish: Publish, anonymous: httpx.AsyncClient, base: str, port: int
):
    publish("self", call(f"http://localhost:{port}/hooks/self"))

    await anonymous.post("/hooks/self", json={})
    (run,) = await settled(app, service)

    assert run.error is not None
    assert run.error["code"] == "http.address_blocked"
