"""A live token through every node that can carry it: the mail has the working link, and nothing else has a trace."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from backend.datahub import Column
from backend.passwords import CHEAP, Passwords
from nodes import spec
from runtime.app import App, build_app
from runtime.masking import MASK
from runtime.settings import Settings
from tests.canary import leaks, stored

VERIFY = "auth.email_verificationRequested"
ENCODED = {
    "raw": "{{ $param.token }}",
    "link": "{{ $param.link }}",
    "percent": "{{ $param.link | urlencode }}",
    "twice percent": "{{ $param.link | urlencode | urlencode }}",
    "html": '<a href="{{ $param.link | escape }}">verify</a>',
    "json": "{{ $param | tojson }}",
    "json in json": "{{ $param | tojson | tojson }}",
    "upper": "{{ $param.token | upper }}",
    "lower": "{{ $param.link | lower }}",
    "title": "{{ $param.token | title }}",
    "backwards": "{{ $param.token | reverse }}",
    "first": "{{ $param.token[:14] }}",
    "middle": "{{ $param.token[10:25] }}",
    "last": "{{ $param.token[-13:] }}",
    "cut": "{{ $param.link | truncate(75, true) }}",
    "letters": "{{ $param.token | list }}",
    "joined": "{{ $param.token | list | join(', ') }}",
    "pieces": "{{ $param.token | batch(8) | list }}",
    "replaced": "{{ $param.token | replace('-', '/') }}",
    "inside": {"deep": [{"er": ["{{ $param.link }}"]}]},
    "whole": "{{ $param }}",
    "a mail": "{{ $param.token }}@example.com",
    "not secret": "{{ $param.email }}",
}
STEPS: list[tuple[str, str, dict[str, Any]]] = [
    ("encoded", "set_fields", {"fields": ENCODED}),
    ("again", "set_fields", {"fields": {"all": "{{ $action.encoded }}", "text": "{{ $action.encoded | tojson }}"}}),
    ("ask", "condition", {"if": "{{ $param.token == $action.encoded.raw and '=' in $action.encoded.link }}"}),
    ("choose", "switch", {"value": "{{ $param.token }}", "cases": ["x"]}),
    ("echo", "http_request", {}),
    ("bounced", "http_request", {}),
    ("odd_url", "http_request", {"method": "GET", "url": "ht tp://{{ $param.token }}/"}),
    ("closed", "http_request", {"method": "GET", "url": "http://127.0.0.1:9/{{ $param.token }}"}),
    ("answer", "respond", {"json": {"link": "{{ $param.link }}"}, "headers": {"X-Token": "{{ $param.token }}"}}),
    ("report", "emit_event", {"name": "mail.wanted", "payload": {"url": "{{ $action.encoded.percent }}"}}),
    ("insert", "insert_row", {"table": "notes", "values": {"text": "{{ $param.token | reverse }}"}}),
    ("update", "update_rows", {"table": "notes", "where": {"text": "x"}, "values": {"text": "{{ $param.link }}"}}),
    ("find", "find_rows", {"table": "notes", "where": {"text": "{{ $param.token }}"}}),
    ("delete", "delete_rows", {"table": "notes", "where": {"text": "{{ $param.token }}"}}),
    ("no_table", "find_rows", {"table": "{{ $param.token }}"}),
    ("create", "create_user", {"email": "eve@example.com", "first_name": "{{ $param.token }}"}),
    ("rename", "update_user", {"value": "ada@example.com", "last_name": "{{ $param.token | upper }}"}),
    ("move", "update_user", {"value": "ada@example.com", "email": "{{ $param.token }}@example.com"}),
    ("roles", "set_user_roles", {"value": "ada@example.com", "roles": ["{{ $param.token }}"]}),
    ("who", "get_user", {"value": "{{ $param.token }}@example.com"}),
    ("by_id", "delete_user", {"by": "id", "value": "{{ $param.token }}"}),
    ("people", "find_users", {"search": "{{ $param.token }}"}),
    ("loop", "for_each", {"items": ["{{ $param.token }}", "{{ $param.link }}"]}),
    ("again_and", "while_loop", {"while": "{{ $param.token == 'x' }}"}),
    ("pause", "delay", {"seconds": 0}),
    ("other", "wait_for_event", {"event": "none.such", "match": {"token": "{{ $param.token }}"}}),
    (
        "approve",
        "wait_for_approval",
        {"title": "{{ $param.token }}", "message": "{{ $param.link }}", "timeout_s": 0.01},
    ),
    ("call_flow", "run_flow", {"flow": "called", "input": {"link": "{{ $param.link }}"}}),
    ("bad_mail", "send_email", {"to": "{{ $param.link }}", "subject": "x"}),
    ("to_token", "send_email", {"to": "{{ $param.token }}@example.com", "subject": "{{ $param.token }}"}),
    ("mail", "send_email", {"to": "{{ $param.email }}", "subject": "Verify", "html": "{{ $action.encoded.html }}"}),
]


@dataclass
class Echo:
    """A server that answers with what it was sent, in several encodings, and sets it as a header."""

    port: int = 0
    seen: list[bytes] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        body = await reader.readexactly(length)
        self.seen.append(head + body)
        said = json.dumps(
            {
                "head": head.decode(),
                "body": body.decode(),
                "base64": [base64.b64encode(b"x" * shift + head + body).decode() for shift in range(3)],
                "hex": (head + body).hex(),
                "keys": {unquote(head.split()[1].decode()): True},
            }
        ).encode()
        status = b"500 Broken" if b"/broken" in head else b"200 OK"
        echoed = b"X-Echo: " + head.split()[1] + b"\r\nContent-Type: application/json\r\nConnection: close\r\n"
        writer.write(b"HTTP/1.1 " + status + b"\r\n" + echoed + b"Content-Length: %d\r\n\r\n" % len(said) + said)
        await writer.drain()
        writer.close()


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
    settings = settings.model_copy(update={"allow_hosts": frozenset({f"127.0.0.1:{echo.port}"})})
    app = build_app(settings, embedded=True, passwords=Passwords(CHEAP))
    await app.start()
    yield app
    await app.stop()


def called() -> dict[str, Any]:
    """Return the sub-flow: it gives back what it was given."""
    given = {"output": {"back": "{{ $param.link }}"}}
    nodes = [("start", "manual", {}), ("note", "set_fields", {"fields": {"all": "{{ $param }}"}})]
    nodes.append(("give", "return_output", given))
    return {
        "format": "pulsewire.flow/1",
        "graph": {"id": "called", "name": "Called"},
        "nodes": [{"id": name, "type": kind, "params": params} for name, kind, params in nodes],
        "edges": [{"source": "start", "target": "note"}, {"source": "note", "target": "give"}],
    }


def document(port: int) -> dict[str, Any]:
    """Return the flow: every step after the one before, whatever became of it, and an error at the end."""
    call = {"headers": {"X-Token": "{{ $param.token }}", "Authorization": "Bearer {{ $param.token }}"}}
    call |= {"method": "POST", "json": {"all": "{{ $action.encoded }}"}, "query": {"token": "{{ $param.token }}"}}
    urls = {
        "echo": f"http://127.0.0.1:{port}/{{{{ $param.token }}}}?link={{{{ $param.link | urlencode }}}}",
        "bounced": f"http://127.0.0.1:{port}/broken/{{{{ $param.token }}}}",
    }
    steps = [(name, kind, call | {"url": urls[name]} if name in urls else params) for name, kind, params in STEPS]
    nodes = [{"id": "start", "type": VERIFY, "name": "Start", "params": {}}]
    nodes += [
        {"id": name, "type": kind, "name": name, "params": params, "on_error": "continue"}
        for name, kind, params in steps
    ]
    message = "no good: {{ $param.link }} and {{ $action.encoded.joined }}"
    given = {"output": {"token": "{{ $param.token }}", "loop": "{{ $action.loop }}"}}
    nodes.append({"id": "give", "type": "return_output", "name": "Give", "params": given})
    nodes.append({"id": "stop", "type": "stop_with_error", "name": "Stop", "params": {"message": message}})
    names = ["start", *(name for name, _kind, _params in steps), "stop"]
    ports = {"ask": "true", "choose": "default", "loop": "done", "again_and": "done", "approve": "timeout"}
    return {
        "format": "pulsewire.flow/1",
        "directed": True,
        "multigraph": True,
        "graph": {"id": "canary", "name": "Canary", "description": ""},
        "nodes": nodes,
        "edges": [
            {"source": "mail", "target": "give", "key": "out"},
            *(
                {"source": before, "target": after, "key": ports.get(before, "out")}
                for before, after in pairwise(names)
            ),
        ],
        "samples": [],
        "layout": {},
    }


def test_every_node_that_can_carry_a_secret_is_tried() -> None:
    cannot = {"block_user", "unblock_user", "send_verification", "send_password_reset"}  # take nothing but a user
    kinds = {kind for _name, kind, _params in STEPS} | {"stop_with_error", "return_output"}

    assert {node.type for node in spec.load().values() if node.kind == "action"} - cannot == kinds


async def test_token_is_in_the_mail_and_nowhere_else(
    app: App, echo: Echo, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service = app.service
    service.tables.create("notes", [Column("text", "text")])
    service.tables.insert("notes", [{"text": "x"}])
    service.flows.create(called())
    service.flows.publish("called")
    service.flows.create(document(echo.port))
    service.flows.publish("canary")
    ada = service.users.create("ada@example.com")

    service.users.request_verification(ada.id)
    await app.engine.wake()
    assert await app.engine.wait(1, 30)
    again = await service.runs.retry(1)
    assert await app.engine.wait(again.id, 30)

    run = service.runs.get(1)
    steps = {step.node: step for step in run.steps}
    assert run.error is not None, {name: step.error for name, step in steps.items() if step.error}
    assert run.error["code"] == "flow.stopped", run.error
    assert [name for name in ENCODED if MASK not in str(steps["encoded"].output[name])] == ["not secret"]
    assert steps["echo"].status == "succeeded", steps["echo"].error
    assert steps["call_flow"].status == "succeeded", steps["call_flow"].error
    refused = ["insert", "update", "create", "rename", "move", "other"]
    assert {name: (steps[name].error or {}).get("code") for name in refused} == dict.fromkeys(
        refused, "secret.not_storable"
    )
    told = ["odd_url", "closed", "no_table", "roles", "who", "by_id", "bad_mail"]
    assert [name for name in told if steps[name].error is None] == []
    assert [step.error["code"] for step in service.runs.get(again.id).steps if step.node == "encoded"] == [
        "secret.expired"
    ]

    (message,) = [found for found in service.mailbox.list() if found.subject == "Verify"]
    token = (service.mailbox.get(message.id).html or "").partition("token=")[2].partition('"')[0]
    assert len(token) == 43
    assert message.has_secret
    assert token.encode() in echo.seen[0]
    answers = [
        await client.get(path)
        for path in ("/api/runs/1", f"/api/runs/{again.id}", "/api/runs", "/api/flows/canary/export", "/metrics")
    ]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert leaks(token, *(answer.text for answer in answers)) == []
    assert leaks(token, *(str(vars(record)) for record in caplog.records), caplog.text) == []
    assert leaks(token, *stored(service.settings.data_dir)) == []

    await service.sign_in.verify(token, address="127.0.0.1")
    assert service.users.get(ada.id).is_verified
