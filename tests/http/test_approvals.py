"""The page that an approval's link opens, and the same decision through the API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from runtime.actors import Actor
from runtime.app import App
from runtime.service import Service
from runtime.waits import approval_token
from tests.operators import COOKIE, sign_in

Make = Callable[..., dict[str, Any]]


@pytest.fixture
async def asked(app: App, service: Service, document: Make) -> int:
    """A run that waits for somebody's approval."""
    params = {"title": "Refund order 7?", "message": "<b>ada</b> asks for 12 €.", "timeout_s": 3600}
    note = {"text": "{{ $action.ask.by ~ ': ' ~ $action.ask.comment }}"}
    flow = document(
        nodes=[
            {"id": "start", "type": "manual", "name": "Start", "params": {}},
            {"id": "ask", "type": "wait_for_approval", "name": "Ask", "params": params},
            {"id": "pay", "type": "set_fields", "name": "Pay", "params": {"fields": note}},
        ],
        edges=[
            {"source": "start", "target": "ask", "key": "out"},
            {"source": "ask", "target": "pay", "key": "approved"},
        ],
        samples=[],
        layout={},
    )
    service.flows.create(flow)
    service.flows.publish("greet")
    run = await service.runs.start("greet")
    async with asyncio.timeout(10):
        while service.runs.get(run.id).status != "waiting":  # noqa: ASYNC110 - nothing tells that a run waits
            await asyncio.sleep(0.01)
    return run.id


def link(app: App, run_id: int) -> str:
    engine: Any = app.engine
    token = approval_token(engine._platform.seals, engine.installation, run_id, "ask", "")
    return f"/approve/{token}"


def form_of(page: httpx.Response) -> dict[str, str]:
    found = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert found, page.text
    return {"form_token": found[1]}


def states(service: Service, run_id: int) -> dict[str, str]:
    return {step.node: step.status for step in service.runs.get(run_id).steps}


async def test_who_tries_links_has_to_wait_but_who_has_one_does_not(app: App, anonymous: httpx.AsyncClient, asked: int):
    good = [await anonymous.get(link(app, asked)) for _ in range(12)]
    wrong = [await anonymous.get(f"/approve/wrong{number}") for number in range(11)]
    posted = await anonymous.post("/approve/wrong", data={"answer": "approve"})

    assert {page.status_code for page in good} == {200}
    assert [page.status_code for page in wrong] == [404] * 10 + [429]
    assert int(wrong[-1].headers["Retry-After"]) >= 1
    assert "too many tries" in wrong[-1].text
    assert posted.status_code == 429


async def test_link_shows_what_is_asked_and_decides_nothing(
    app: App, service: Service, anonymous: httpx.AsyncClient, asked: int
):
    pages = [await anonymous.get(link(app, asked)) for _ in range(2)]

    assert [page.status_code for page in pages] == [200, 200]
    assert "Refund order 7?" in pages[0].text
    assert "&lt;b&gt;ada&lt;/b&gt; asks for 12 €." in pages[0].text
    assert pages[0].headers["cache-control"] == "no-store"
    assert pages[0].headers["referrer-policy"] == "no-referrer"
    assert service.runs.get(asked).status == "waiting"


@pytest.mark.parametrize(
    ("answer", "port", "word"), [("approve", "approved", "Approved"), ("reject", "rejected", "Rejected")]
)
async def test_whoever_has_the_link_decides_once(
    app: App, service: Service, anonymous: httpx.AsyncClient, asked: int, answer: str, port: str, word: str
):
    address = link(app, asked)
    form = form_of(await anonymous.get(address))

    decided = await anonymous.post(address, data={**form, "answer": answer, "comment": "fine by me"})
    await service.engine.wait(asked, 10)
    shown = await anonymous.get(address)
    again = await anonymous.post(address, data={**form, "answer": "approve"})

    step = service.runs.get(asked).step("ask")
    assert (decided.status_code, decided.headers["location"]) == (303, address)
    assert step is not None
    assert step.output is not None
    assert (step.port, step.output["by"], step.output["comment"]) == (port, "link", "fine by me")
    assert f"<h1>{word}</h1>" in shown.text
    assert "with this link" in shown.text
    assert "fine by me" in shown.text
    assert f"<h1>{word}</h1>" in again.text


async def test_operator_decides_in_their_name(app: App, service: Service, anonymous: httpx.AsyncClient, asked: int):
    anonymous.cookies.set(COOKIE, await sign_in(service.database))
    page = await anonymous.get(link(app, asked))

    await anonymous.post(link(app, asked), data={**form_of(page), "answer": "approve"})
    await service.engine.wait(asked, 10)

    step = service.runs.get(asked).step("ask")
    assert step is not None
    assert step.output is not None
    assert f"You decide as <strong>{step.output['by']}</strong>" in page.text
    assert step.output["by"] != "link"
    (entry,) = service.audit.list(action="run.decide").items
    assert (entry.actor, entry.target, entry.details) == (
        step.output["by"],
        str(asked),
        {"node": "ask", "approved": True},
    )


async def test_form_of_another_site_decides_nothing(
    app: App, service: Service, anonymous: httpx.AsyncClient, asked: int
):
    address = link(app, asked)
    form = form_of(await anonymous.get(address))

    answers = [
        await anonymous.post(address, data={"answer": "approve"}),
        await anonymous.post(address, data={"form_token": "x" * 43, "answer": "approve"}),
        await anonymous.post(address, data={**form, "answer": "approve"}, headers={"Origin": "https://evil.example"}),
        await anonymous.post(address, data={**form, "answer": "perhaps"}),
        await anonymous.post(address, data={**form, "answer": "approve", "comment": "x" * 2_001}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403, 422, 422]
    assert service.runs.get(asked).status == "waiting"


async def test_link_says_that_the_run_was_cancelled(
    app: App, service: Service, anonymous: httpx.AsyncClient, asked: int
):
    form = form_of(await anonymous.get(link(app, asked)))
    await service.runs.cancel(asked)

    shown = await anonymous.post(link(app, asked), data={**form, "answer": "approve"})

    assert "No answer is needed" in shown.text
    assert 'name="answer"' not in shown.text


async def test_link_that_was_never_made_shows_nothing(anonymous: httpx.AsyncClient, asked: int):
    for token in ("nope", "x" * 43, "%00", "a" * 5_000):
        answer = await anonymous.get(f"/approve/{token}")
        assert (answer.status_code, "Refund" in answer.text) == (404, False), token


async def test_editor_decides_through_the_api(client: httpx.AsyncClient, service: Service, asked: int):
    waiting = (await client.get(f"/api/runs/{asked}")).json()["steps"][1]["waits_for"]
    answer = await client.post(f"/api/runs/{asked}/steps/ask/decide", json={"approved": True, "comment": "ok"})
    await service.engine.wait(asked, 10)
    again = await client.post(f"/api/runs/{asked}/steps/ask/decide", json={"approved": False})
    nowhere = await client.post(f"/api/runs/{asked}/steps/pay/decide", json={"approved": False})

    assert (waiting["kind"], waiting["title"], waiting["message"]) == (
        "approval",
        "Refund order 7?",
        "<b>ada</b> asks for 12 €.",
    )
    assert answer.status_code == 200
    pay = service.runs.get(asked).step("pay")
    assert pay is not None
    assert pay.output == {"text": "tests: ok"}
    assert (again.status_code, again.json()["problems"][0]["code"]) == (409, "approval.decided")
    assert nowhere.status_code == 404


async def test_who_may_decide_is_told_the_link_and_a_viewer_is_not(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, app: App, service: Service, asked: int
):
    headers = {"Authorization": f"Bearer {service.keys.create('v', role='viewer')[1]}"}

    told = (await client.get(f"/api/runs/{asked}")).json()["steps"][1]["waits_for"]
    seen = (await anonymous.get(f"/api/runs/{asked}", headers=headers)).json()["steps"][1]["waits_for"]

    assert told["link"] == f"{service.settings.public_url}{link(app, asked)}"
    assert seen == {name: value for name, value in told.items() if name != "link"}


async def test_viewer_does_not_decide(anonymous: httpx.AsyncClient, service: Service, asked: int):
    headers = {"Authorization": f"Bearer {service.keys.create('v', role='viewer')[1]}"}

    answer = await anonymous.post(f"/api/runs/{asked}/steps/ask/decide", json={"approved": True}, headers=headers)

    assert (answer.status_code, states(service, asked)["ask"]) == (403, "waiting")


async def test_name_of_whoever_decides_is_not_theirs_to_choose(service: Service, asked: int):
    eve = service.of(Actor("system", "e", "Eve", "editor"))

    await eve.runs.decide(asked, "ask", True, by="the boss")
    await service.engine.wait(asked, 10)

    step = service.runs.get(asked).step("ask")
    assert step is not None
    assert step.output is not None
    assert step.output["by"] == "Eve"
