"""How many requests to webhooks does a whole Pulsewire take, with their runs?

    python benchmarks/webhooks.py [--events 5000] [--at-once 32] [--rounds 3] [--json]

Starts its own ``pulsewire serve`` in an empty directory; everything is durable as shipped (SQLite, WAL,
synchronous=FULL). Webhook → set fields, answered at once when event and run are committed; the same with an HMAC
that is checked; and a webhook whose caller waits for what the flow says. The load comes from this process, on the
same cores. A round is over when every run has succeeded.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import sqlite3
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from processes import Server

SECRET = "a signing secret"
WAIT_S = 120


def flow(flow_id: str, node_type: str, params: dict[str, Any], **hook: Any) -> dict[str, Any]:
    """Return a flow of two nodes that starts at the webhook ``/hooks/<flow_id>``."""
    return {
        "format": "pulsewire.flow/1",
        "graph": {"id": flow_id, "name": flow_id},
        "nodes": [
            {"id": "hook", "type": "on_webhook", "name": "Webhook", "params": {"path": flow_id, **hook}},
            {"id": "step", "type": node_type, "name": "Step", "params": params},
        ],
        "edges": [{"source": "hook", "key": "out", "target": "step"}],
    }


class Sender(asyncio.Protocol):
    """One keep-alive connection that sends the next request when the last one was answered."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        if len(self._buffer) < end + 4 + length:
            return
        if not head.startswith((b"http/1.1 202", b"http/1.1 200")):
            self._load.done.set_exception(RuntimeError(self._buffer.decode()))
            return
        self._buffer = self._buffer[end + 4 + length :]
        self._load.waits.append(time.monotonic() - self._sent_at)
        self._next()

    def _next(self) -> None:
        if self._load.left == 0:
            self._transport.close()
            return
        self._load.left -= 1
        self._sent_at = time.monotonic()
        self._transport.write(self._load.request(self._load.left))

    def connection_lost(self, _error: Exception | None) -> None:
        if len(self._load.waits) >= self._load.events and not self._load.done.done():
            self._load.done.set_result(None)


class Load:
    """*events* requests to a webhook, *at_once* at a time."""

    def __init__(self, server: Server, path: str, events: int, at_once: int, *, is_signed: bool) -> None:
        self.server = server
        self.events = self.left = events
        self.at_once = at_once
        self.waits: list[float] = []
        self._is_signed = is_signed
        self._head = (
            f"POST /hooks/{path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUser-Agent: shop/1.0\r\n"
            "Accept: */*\r\nContent-Type: application/json\r\n"
        )

    def request(self, number: int) -> bytes:
        """Return the bytes of one request."""
        order = {"id": number, "total": 120, "customer": {"name": "Ada", "city": "London"}, "lines": [1, 2, 3]}
        body = json.dumps(order).encode()
        head = self._head
        if self._is_signed:
            head += f"X-Signature: {hmac.digest(SECRET.encode(), body, hashlib.sha256).hex()}\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def run(self) -> None:
        """Send everything; return when all of it is answered."""
        loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = loop.create_future()
        for _ in range(min(self.at_once, self.events)):
            await loop.create_connection(lambda: Sender(self), "127.0.0.1", self.server.port)
        await self.done


def call(server: Server, key: str, path: str, body: Any = None) -> Any:
    """Return the API's answer to a POST."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.url}{path}", data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def succeeded(server: Server) -> int:
    """Return how many runs have succeeded, as the database says."""
    database = sqlite3.connect(f"file:{server.directory / 'pulsewire.db'}?mode=ro", uri=True)
    try:
        return int(database.execute("SELECT count(*) FROM run WHERE status = 'succeeded'").fetchone()[0])
    finally:
        database.close()


def measure(server: Server, path: str, events: int, at_once: int) -> dict[str, Any]:
    """Send a round of requests and return its figures."""
    load = Load(server, path, events, at_once, is_signed=path == "signed")
    before, cpu_before, begun = succeeded(server), server.cpu_s(), time.monotonic()
    asyncio.run(load.run())
    answered_s = time.monotonic() - begun
    while succeeded(server) < before + events:
        if time.monotonic() - begun > WAIT_S:
            raise RuntimeError("not every run has succeeded within two minutes")
        time.sleep(0.01)
    all_s = time.monotonic() - begun
    waits = sorted(wait * 1000 for wait in load.waits)
    return {
        "answered_per_s": round(events / answered_s),
        "runs_per_s": round(events / all_s),
        "answer_ms": {"p50": _share(waits, 0.5), "p99": _share(waits, 0.99)},
        "cpu_s_per_1000": round((server.cpu_s() - cpu_before) * 1000 / events, 2),
    }


def _share(values: list[float], share: float) -> float:
    return round(values[min(len(values) - 1, int(len(values) * share))], 1)


def benchmark(events: int, at_once: int, rounds: int) -> dict[str, Any]:
    """Return every figure."""
    with tempfile.TemporaryDirectory(prefix="pulsewire-bench-") as directory:
        server = Server(Path(directory))
        try:
            server.start()
            key = server.command("keys", "create", "benchmark")
            secret = {"name": "Shop", "kind": "hmac", "settings": {"header": "X-Signature"}, "secret": SECRET}
            call(server, key, "/api/credentials", secret)
            fields = {"fields": {"text": "Order {{ $param.body.id }} of {{ $param.body.customer.name }}"}}
            for document in (
                flow("open", "set_fields", fields),
                flow("signed", "set_fields", fields, auth="Shop"),
                flow("answered", "respond", {"json": {"id": "{{ $param.body.id }}"}}, answer="by respond"),
            ):
                call(server, key, "/api/flows", document)
                call(server, key, f"/api/flows/{document['graph']['id']}/publish")
            found: dict[str, Any] = {"at_once": at_once}
            for path in ("open", "signed", "answered"):
                measure(server, path, 500, at_once)  # warms connections and caches
                found[path] = [measure(server, path, events, at_once) for _ in range(rounds)]
            return found | {"memory_mb": round(sum(server.memory_mb().values()), 1)}
        finally:
            server.stop()


def report(figures: dict[str, Any]) -> None:
    """Print the figures for people."""
    for path in ("open", "signed", "answered"):
        for found in figures[path]:
            waits = found["answer_ms"]
            print(
                f"{path:<9} {found['answered_per_s']:>5} answered/s  {found['runs_per_s']:>5} runs/s   "
                f"answer p50 {waits['p50']} p99 {waits['p99']} ms   {found['cpu_s_per_1000']} CPU s / 1,000"
            )
    print(f"memory    {figures['memory_mb']} MB after the load")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = benchmark(given.events, given.at_once, given.rounds)
    if given.json:
        print(json.dumps(figures, indent=2))
    else:
        report(figures)


if __name__ == "__main__":
    main()
