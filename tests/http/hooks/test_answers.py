"""What the caller of a webhook gets that answers with what its flow says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from runtime import limits
from runtime.app import App
from runtime.engine_api import RunResponse
from runtime.errors import Problem, Unavailable
from runtime.http.hooks import Hooks
from runtime.masking import MASK
from runtime.run_views import RunView
from runtime.service import Service
from tests.canary import leaks, stored
from tests.http.hooks.flows import put, respond

Publish = Callable[..., None]
Ended = Callable[[int], Awaitable[RunView]]
BY_RESPOND = {"answer": "by respond", "method": "ANY"}


@pytest.mark.parametrize(
    ("given", "status", "content_type", "content"),
    [
        ({"json": {"id": "{{ $param.body.id }}"}}, 200, "application/json", b'{"id":7}'),
        ({"json": "{{ $param.body.id }}", "status": 201}, 201, "application/json", b"7"),
        ({"json": "text"}, 200, "application/json", b'"text"'),
        ({"body": "grün {{ $param.body.id }}"}, 200, "text/plain; charset=utf-8", "grün 7".encode()),
        ({"body": '{"a":1}', "headers": {"content-type": "application/json"}}, 200, "application/json", b'{"a":1}'),
        ({"body": "<p>Hi</p>", "headers": {"Content-Type": "text/html"}}, 200, "text/html", b"<p>Hi</p>"),
        ({"status": 503, "json": {"wait": True}}, 503, "application/json", b'{"wait":true}'),
        ({"status": 204}, 204, None, b""),
        ({}, 200, None, b""),
    ],
    ids=str,
)
async def test_caller_gets_exactly_what_the_flow_says(
    anonymous: httpx.AsyncClient, publish: Publish, given: Any, status: int, content_type: str | None, content: bytes
):
    publish("ask", respond(**given), **BY_RESPOND)

    answer = await anonymous.post("/hooks/ask", json={"id": 7})

    assert (answer.status_code, answer.headers.get("Content-Type"), answer.content) == (status, content_type, content)


async def test_headers_of_the_answer_are_the_flows(anonymous: httpx.AsyncClient, publish: Publish):
    headers = {"Location": "/elsewhere", "X-Order": "{{ $param.body.id }}7", "Cache-Control": "no-store"}
    publish("ask", respond(status=303, headers=headers), **BY_RESPOND)

    answer = await anonymous.post("/hooks/ask", json={"id": "1"})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/elsewhere")
    assert (answer.headers["X-Order"], answer.headers["Cache-Control"]) == ("17", "no-store")


async def test_first_answer_counts_and_the_flow_goes_on(
    anonymous: httpx.AsyncClient, publish: Publish, service: Service, ended: Ended
):
    publish(
        "ask",
        respond(json=1),
        put(after="{{ $action.answer.status }}"),
        ("second", "respond", {"json": 2}),
        **BY_RESPOND,
    )

    answer = await anonymous.get("/hooks/ask")
    run = await ended(1)

    assert answer.json() == 1
    assert [step.status for step in run.steps] == ["succeeded"] * 4
    assert run.steps[1].output == {
        "status": 200,
        "headers": {"Content-Type": "application/json"},
        "body": 1,
        "kind": "json",
    }


async def test_run_that_ends_without_an_answer_says_that_it_succeeded(anonymous: httpx.AsyncClient, publish: Publish):
    publish("ask", put(secret="s3cret"), **BY_RESPOND)

    answer = await anonymous.get("/hooks/ask")

    assert (answer.status_code, answer.json()) == (200, {"run": 1, "status": "succeeded"})


@pytest.mark.parametrize(
    "steps",
    [
        [("stop", "stop_with_error", {"message": "no {{ $param.body.word }}"})],
        [put(a="{{ $param.body.word.s3cret }}"), respond(json="{{ $param }}")],
        [respond(json="{{ $param.body.s3cret }}")],
        [respond(headers={"Set-Cookie": "{{ $param.body.word }}"})],
        [respond(headers={"X-A": "a\r\nX-B: {{ $param.body.word }}"})],
        [respond(status="{{ $param.body.word }}")],
    ],
    ids=["stopped", "broken before", "broken", "cookie", "line break", "status"],
)
async def test_run_that_fails_tells_its_number_and_nothing_else(
    anonymous: httpx.AsyncClient, publish: Publish, steps: Any
):
    publish("ask", *steps, **BY_RESPOND)

    answer = await anonymous.post("/hooks/ask", json={"word": "s3cret"})

    assert (answer.status_code, answer.json()["run"]) == (500, 1)
    assert [problem["code"] for problem in answer.json()["problems"]] == ["webhook.run_failed"]
    assert "s3cret" not in answer.text + str(answer.headers)


async def test_secret_in_an_answer_reaches_the_caller_and_no_record(
    anonymous: httpx.AsyncClient, publish: Publish, service: Service, ended: Ended
):
    publish("ask", respond(json={"you": "{{ $param.headers.authorization }}"}), **BY_RESPOND)

    answer = await anonymous.get("/hooks/ask", headers={"Authorization": "Bearer s3cret-9f31c07be2ad"})
    run = await ended(1)

    assert answer.json() == {"you": "Bearer s3cret-9f31c07be2ad"}
    assert MASK in str(run.steps[1].output)
    assert leaks("s3cret-9f31c07be2ad", *stored(service.settings.data_dir)) == []


async def test_same_request_again_gets_the_same_answer(anonymous: httpx.AsyncClient, publish: Publish):
    publish("ask", respond(json={"run": "{{ $run.id }}"}), **BY_RESPOND)

    answers = await asyncio.gather(
        *(anonymous.post("/hooks/ask", json={}, headers={"Idempotency-Key": "a"}) for _ in range(20))
    )
    later = await anonymous.post("/hooks/ask", json={}, headers={"Idempotency-Key": "a"})

    assert {answer.text for answer in (*answers, later)} == {'{"run":1}'}


async def test_paused_flow_takes_requests_and_lets_nobody_wait(
    anonymous: httpx.AsyncClient, publish: Publish, service: Service, ended: Ended
):
    publish("ask", respond(json=1), **BY_RESPOND)
    service.flows.pause("ask")

    kept = await anonymous.get("/hooks/ask")
    status = service.runs.get(1).status
    service.flows.resume("ask")
    answered = await anonymous.get("/hooks/ask")

    assert (kept.status_code, kept.json()["runs"], status) == (202, [1], "queued")
    assert answered.json() == 1
    assert (await ended(1)).status == "succeeded"


class Slow:
    """A server that answers nobody until it is told to."""

    def __init__(self) -> None:
        self.arrived = asyncio.Queue[None]()
        self.may_answer = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.arrived.put_nowait(None)
        await self.may_answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@pytest.fixture
async def slow() -> Any:
    made = Slow()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    made.may_answer.set()
    server.close()
    await server.wait_closed()


@pytest.fixture
def settings(settings: Any, slow: Slow) -> Any:
    return settings.model_copy(update={"allow_hosts": frozenset({f"127.0.0.1:{slow.port}"})})


def call(slow: Slow) -> Any:
    return ("call", "http_request", {"url": f"http://127.0.0.1:{slow.port}/"})


async def test_caller_waits_no_longer_than_a_minute_and_the_run_goes_on(
    anonymous: httpx.AsyncClient, publish: Publish, ended: Ended, slow: Slow, monkeypatch: pytest.MonkeyPatch
):
    assert limits.RESPONSE_WAIT_S == 60
    monkeypatch.setattr(limits, "RESPONSE_WAIT_S", 0.05)
    publish("ask", call(slow), respond(json=1), **BY_RESPOND)

    answer = await anonymous.get("/hooks/ask")
    slow.may_answer.set()
    run = await ended(1)

    assert (answer.status_code, answer.json()["run"]) == (504, 1)
    assert run.status == "succeeded"


async def test_callers_who_wait_are_counted(
    anonymous: httpx.AsyncClient, publish: Publish, slow: Slow, monkeypatch: pytest.MonkeyPatch, service: Service
):
    monkeypatch.setattr(limits, "WEBHOOK_CALLERS", 2)
    publish("ask", call(slow), respond(json=1), **BY_RESPOND)
    waiting = [asyncio.ensure_future(anonymous.get("/hooks/ask")) for _ in range(2)]
    for _ in waiting:
        await slow.arrived.get()

    refused = await anonymous.get("/hooks/ask")
    slow.may_answer.set()
    answered = await asyncio.gather(*waiting)
    again = await anonymous.get("/hooks/ask")

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert [each.status_code for each in (*answered, again)] == [200] * 3
    assert len(service.runs.list().items) == 3, "what was refused is not stored"


async def test_caller_who_leaves_is_not_waited_for(publish: Publish, slow: Slow, service: Service, ended: Ended):
    publish("ask", call(slow), respond(json=1), **BY_RESPOND)
    has_left = asyncio.Event()
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        if (message := next(asked, None)) is not None:
            return message
        await has_left.wait()
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None: ...

    scope = {"type": "http", "method": "GET", "path": "/hooks/ask", "query_string": b"", "headers": []}
    answering = asyncio.ensure_future(Hooks(service)(scope, receive, send))
    await slow.arrived.get()
    has_left.set()
    await answering

    assert service.runs.get(1).ended_at is None
    slow.may_answer.set()
    assert (await ended(1)).status == "succeeded"


async def test_engine_that_starts_again_is_waited_for(
    app: App, anonymous: httpx.AsyncClient, publish: Publish, monkeypatch: pytest.MonkeyPatch
):
    publish("ask", respond(json=1), **BY_RESPOND)
    answers = iter([Unavailable(Problem("engine.down", "")), Unavailable(Problem("engine.down", ""))])
    wait_response = app.engine.wait_response

    async def down_for_a_moment(run: int, timeout_s: float) -> RunResponse:
        if (error := next(answers, None)) is not None:
            raise error
        return await wait_response(run, timeout_s)

    monkeypatch.setattr(app.engine, "wait_response", down_for_a_moment)

    assert (await anonymous.get("/hooks/ask")).json() == 1
