"""How fast is a whole Pulsewire? Webhooks over HTTP, each through a flow that ends in an HTTP request.

    python benchmarks/reference_flow.py [--flow W1|W2] [--events 1000] [--at-once 20] [--rounds 3] [--json]

Starts its own ``pulsewire serve`` in an empty directory and a sink in a process of its own; everything is durable as
shipped (SQLite, WAL, synchronous=FULL). W1: webhook → condition → set fields (template) → POST to the sink. W2: webhook
→ ten times set fields → POST. A webhook is answered 202 after its commit; a run counts when its row says ``succeeded``;
times are of the sender, the acceptance and the sink's arrival.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any

from processes import Server, free_port

PATH = "bench/order-paid"
MIDDLE_NODES = 10  # of W2


def flow(name: str, sink_url: str) -> dict[str, Any]:
    """Return the reference flow *name*."""
    middle = _w1() if name == "W1" else _w2()
    nodes = [
        {"id": "paid", "type": "on_webhook", "name": "Order paid", "params": {"path": PATH}},
        *middle,
        {
            "id": "post",
            "type": "http_request",
            "name": "Post",
            "params": {"method": "POST", "url": sink_url, "json": f"{{{{ $action.{middle[-1]['id']} }}}}"},
        },
    ]
    edges = [
        {"source": one["id"], "key": "true" if one["type"] == "condition" else "out", "target": other["id"]}
        for one, other in pairwise(nodes)
    ]
    return {
        "format": "pulsewire.flow/1",
        "directed": True,
        "multigraph": True,
        "graph": {"id": "reference", "name": name, "description": ""},
        "nodes": nodes,
        "edges": edges,
        "samples": [],
        "layout": {},
    }


def _w1() -> list[dict[str, Any]]:
    order = "$param.body"
    text = f"Order {{{{ {order}.n }}}} of {{{{ {order}.customer.name }}}}: {{{{ {order}.total }}}} €"
    fields = {"n": f"{{{{ {order}.n }}}}", "text": text}
    return [
        {"id": "is_large", "type": "condition", "name": "Large?", "params": {"if": f"{{{{ {order}.total > 100 }}}}"}},
        {"id": "text", "type": "set_fields", "name": "Text", "params": {"fields": fields}},
    ]


def _w2() -> list[dict[str, Any]]:
    nodes = []
    for number in range(MIDDLE_NODES):
        before = "$param.body" if number == 0 else f"$action.f{number - 1}"
        fields = {"n": f"{{{{ {before}.n }}}}", "text": f"{number}: {{{{ $param.body.customer.name }}}}"}
        nodes.append({"id": f"f{number}", "type": "set_fields", "name": f"F{number}", "params": {"fields": fields}})
    return nodes


class Sender(asyncio.Protocol):
    """One keep-alive connection that sends the next event when the last one was accepted."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._number = 0

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
        if not head.startswith(b"http/1.1 202"):
            self._load.done.set_exception(RuntimeError(self._buffer.decode()))
            return
        self._buffer = self._buffer[end + 4 + length :]
        self._load.accepted[self._number] = time.monotonic()
        self._next()

    def _next(self) -> None:
        number = self._load.take()
        if number is None:
            self._transport.close()
            return
        self._number = number
        payload = {"n": number, "total": 120, "customer": {"name": "Ada", "city": "London"}}
        body = json.dumps(payload).encode()
        self._load.sent[number] = time.monotonic()
        self._transport.write(self._load.head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def connection_lost(self, _error: Exception | None) -> None:
        if len(self._load.accepted) >= self._load.events and not self._load.done.done():
            self._load.done.set_result(None)


class Load:
    """*events* numbered from *first*, *at_once* at a time."""

    def __init__(self, server: Server, first: int, events: int, at_once: int) -> None:
        self.server = server
        self.events = events
        self.at_once = at_once
        self.head = (
            f"POST /hooks/{PATH} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
        ).encode()
        self.sent: dict[int, float] = {}
        self.accepted: dict[int, float] = {}
        self._numbers = iter(range(first, first + events))

    def take(self) -> int | None:
        return next(self._numbers, None)

    async def run(self) -> None:
        """Send everything; return when all of it is accepted."""
        loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = loop.create_future()
        for _ in range(min(self.at_once, self.events)):
            await loop.create_connection(lambda: Sender(self), "127.0.0.1", self.server.port)
        await self.done


def call(server: Server, key: str, path: str, body: Any = None) -> Any:
    """Return the API's answer to a POST."""
    request = urllib.request.Request(
        f"{server.url}{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def succeeded(server: Server) -> int:
    """Return how many runs have succeeded, as the database says."""
    database = sqlite3.connect(f"file:{server.directory / 'pulsewire.db'}?mode=ro", uri=True)
    try:
        return int(database.execute("SELECT count(*) FROM run WHERE status = 'succeeded'").fetchone()[0])
    finally:
        database.close()


def measure(server: Server, sink: str, first: int, events: int, at_once: int) -> dict[str, Any]:
    """Send a round of events and return its figures."""
    load = Load(server, first, events, at_once)
    before, cpu_before, begun = succeeded(server), server.cpu_s(), time.monotonic()
    asyncio.run(load.run())
    while succeeded(server) < before + events:
        if time.monotonic() - begun > 120:
            raise RuntimeError("not every run has succeeded within two minutes")
        time.sleep(0.01)
    cpu_s = server.cpu_s() - cpu_before
    with urllib.request.urlopen(f"{sink}/report") as answer:
        arrived = {number: moment for number, moment, _key in json.load(answer) if number >= first}
    assert set(arrived) == set(load.sent), "an event did not arrive"
    waits = sorted(max(0.0, arrived[number] - load.accepted[number]) * 1000 for number in arrived)
    whole = sorted((arrived[number] - load.sent[number]) * 1000 for number in arrived)
    return {
        "runs_per_s": round(events / (max(arrived.values()) - min(load.sent.values()))),
        "accepted_to_sink_ms": {"p50": _share(waits, 0.5), "p99": _share(waits, 0.99)},
        "sent_to_sink_ms": {"p50": _share(whole, 0.5), "p99": _share(whole, 0.99)},
        "cpu_s_per_1000_runs": round(cpu_s * 1000 / events, 2),
    }


def _share(values: list[float], share: float) -> float:
    return round(values[min(len(values) - 1, int(len(values) * share))], 1)


def benchmark(name: str, events: int, at_once: int, rounds: int) -> dict[str, Any]:
    """Return every figure."""
    with tempfile.TemporaryDirectory(prefix="pulsewire-bench-") as directory:
        sink_port = free_port()
        sink_url = f"http://127.0.0.1:{sink_port}"
        sink = subprocess.Popen([sys.executable, str(Path(__file__).with_name("sink.py")), str(sink_port)])
        server = Server(Path(directory), allow_hosts=f"127.0.0.1:{sink_port}")
        try:
            server.start()
            first_start_s = server.start_s
            key = server.command("keys", "create", "benchmark")
            call(server, key, "/api/flows", flow(name, sink_url))
            call(server, key, "/api/flows/reference/publish")
            server.stop()
            server.start()
            idle = server.memory_mb()
            measure(server, sink_url, 0, 200, at_once)  # warms connections and caches
            numbers = [1_000_000 * (number + 1) for number in range(rounds)]
            return {
                "flow": name,
                "at_once": at_once,
                "first_start_s": round(first_start_s, 2),
                "start_s": round(server.start_s, 2),
                "idle_memory_mb": idle | {"all": round(sum(idle.values()), 1)},
                "rounds": [measure(server, sink_url, number, events, at_once) for number in numbers],
                "alone": measure(server, sink_url, 900_000_000, 100, 1),
                "loaded_memory_mb": round(sum(server.memory_mb().values()), 1),
            }
        finally:
            server.stop()
            sink.kill()
            sink.wait()


def report(figures: dict[str, Any]) -> None:
    """Print the figures for people."""
    print(f"start                {figures['start_s']} s warm, {figures['first_start_s']} s with an empty directory")
    print(f"idle memory (PSS)    {figures['idle_memory_mb']} MB; after the load {figures['loaded_memory_mb']} MB")
    for name, found in [(f"{figures['at_once']} at a time", each) for each in figures["rounds"]] + [
        ("one at a time", figures["alone"])
    ]:
        waits, whole = found["accepted_to_sink_ms"], found["sent_to_sink_ms"]
        print(
            f"{name:<20} {found['runs_per_s']:>5} runs/s   accepted to sink p50 {waits['p50']} p99 {waits['p99']} ms   "
            f"sent to sink p50 {whole['p50']} p99 {whole['p99']} ms   {found['cpu_s_per_1000_runs']} CPU s / 1,000 runs"
        )


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flow", choices=["W1", "W2"], default="W1")
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    figures = benchmark(given.flow, given.events, given.at_once, given.rounds)
    print(json.dumps(figures, indent=2)) if given.json else report(figures)


if __name__ == "__main__":
    main()
