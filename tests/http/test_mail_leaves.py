"""Mail on its whole way: from an emptied table through a published flow to a real SMTP server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
from aiosmtpd.smtp import SMTP, Envelope

WAIT_S = 15


class Inbox:
    """A real SMTP server on a loopback port, and what it took."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[Envelope] = asyncio.Queue()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        self.taken.put_nowait(envelope)
        return "250 OK"


@pytest.fixture
async def inbox() -> AsyncIterator[tuple[Inbox, int]]:
    found = Inbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(found), "127.0.0.1", 0)
    yield found, server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def publish_and_clear(
    client: httpx.AsyncClient, document: Callable[..., Any], retry: dict[str, Any] | None = None
) -> str:
    """Publish “mail when a table is emptied”, empty one, and return the flow's id."""
    warn = {
        "id": "warn",
        "type": "send_email",
        "name": "Warn",
        "params": {
            "to": "ops@example.com",
            "subject": "{{ $param.Name }} was emptied",
            "html": "<b>{{ $param.ID }}</b>",
        },
    }
    if retry:
        warn["retry"] = retry
    nodes = [{"id": "emptied", "type": "api.dataTable_emptied", "name": "Emptied", "params": {}}, warn]
    flow = document(
        "warn", nodes=nodes, edges=[{"source": "emptied", "target": "warn", "key": "out"}], samples=[], layout={}
    )
    assert (await client.post("/api/flows", json=flow)).status_code == 201
    assert (await client.post("/api/flows/warn/publish")).status_code == 200
    table = (await client.post("/api/tables", json={"name": "orders"})).json()
    assert (await client.post(f"/api/tables/{table['id']}/clear")).is_success
    return "warn"


async def ended_run(client: httpx.AsyncClient, flow: str) -> dict[str, Any]:
    async with asyncio.timeout(WAIT_S):
        while True:
            runs = (await client.get("/api/runs", params={"flow": flow})).json()["items"]
            if runs and runs[0]["status"] in ("succeeded", "failed"):
                run: dict[str, Any] = (await client.get(f"/api/runs/{runs[0]['id']}")).json()
                return run
            await asyncio.sleep(0.02)


async def test_the_server_in_the_settings_has_the_mail_and_the_mailbox_does_not(
    client: httpx.AsyncClient, document: Callable[..., Any], inbox: tuple[Inbox, int]
) -> None:
    taken, port = inbox[0].taken, inbox[1]
    smtp = {"host": "127.0.0.1", "port": port, "tls": "none", "sender": "Shop <shop@example.com>"}
    assert (await client.put("/api/settings/smtp", json=smtp)).status_code == 200

    run = await ended_run(client, await publish_and_clear(client, document))

    assert run["status"] == "succeeded"
    envelope = await asyncio.wait_for(taken.get(), WAIT_S)
    assert isinstance(envelope.content, bytes)
    message = message_from_bytes(envelope.content, _class=EmailMessage, policy=policy.default)
    assert (message["From"], message["To"], message["Subject"]) == (
        "Shop <shop@example.com>",
        "ops@example.com",
        "orders was emptied",
    )
    assert message["Message-ID"] == run["steps"][-1]["output"]["message_id"]
    assert run["steps"][-1]["output"]["via"] == "smtp"
    assert taken.empty()
    assert (await client.get("/api/mailbox")).json()["items"] == []


async def test_a_missing_server_is_tried_again_and_then_told(
    client: httpx.AsyncClient, document: Callable[..., Any]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    smtp = {"host": "127.0.0.1", "port": port, "tls": "none", "sender": "shop@example.com"}
    assert (await client.put("/api/settings/smtp", json=smtp)).status_code == 200

    run = await ended_run(client, await publish_and_clear(client, document, {"attempts": 2, "delay_s": 0}))

    step = run["steps"][-1]
    assert (run["status"], step["status"], step["attempt"]) == ("failed", "failed", 2)
    assert step["error"]["code"].startswith("mail.")
    assert "127.0.0.1" in step["error"]["message"]
