"""Real processes that can be killed: a Pulsewire, and a sink that notes what reaches it."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
EVENT = "shop.order_paid"


def _processes() -> Any:
    spec = importlib.util.spec_from_file_location("benchmark_processes", BENCHMARKS / "processes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


processes = _processes()


class Installation:
    """A Pulsewire with a flow: event → insert row into ``orders`` → POST to the sink."""

    def __init__(self, directory: Path, sink_url: str) -> None:
        self._sink_url = sink_url
        self.directory = directory
        self.server = processes.Server(directory, allow_hosts=sink_url.removeprefix("http://"))
        self.server.start()
        self._key = self.server.command("keys", "create", "faults")
        self.call("POST", "/api/tables", {"name": "orders", "columns": [{"name": "n", "type": "integer"}]})
        self.call("POST", "/api/flows", self._flow())
        self.call("POST", "/api/flows/orders/publish", {})

    def _flow(self) -> dict[str, Any]:
        post = {"method": "POST", "url": self._sink_url, "json": {"n": "{{ $param.n }}"}}
        insert = {"table": "orders", "values": {"n": "{{ $param.n }}"}}
        return {
            "format": "pulsewire.flow/1",
            "directed": True,
            "multigraph": True,
            "graph": {"id": "orders", "name": "Orders", "description": ""},
            "nodes": [
                {"id": "paid", "type": "event", "name": "Paid", "params": {"event": EVENT}},
                {"id": "add", "type": "insert_row", "name": "Add", "params": insert},
                {"id": "post", "type": "http_request", "name": "Post", "params": post},
            ],
            "edges": [
                {"source": "paid", "target": "add", "key": "out"},
                {"source": "add", "target": "post", "key": "out"},
            ],
            "samples": [],
            "layout": {},
        }

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.server.url}{path}", data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def emit(self, number: int) -> str | None:
        """Return the id of the event if it was acknowledged, else None."""
        try:
            return str(self.call("POST", "/api/events", {"name": EVENT, "payload": {"n": number}})["id"])
        except (OSError, urllib.error.URLError, ValueError):
            return None

    def emit_many(self, numbers: range, meanwhile: Callable[[], None] | None = None) -> dict[int, str]:
        """Send events 20 at a time and return the ids of the acknowledged ones by number."""
        with ThreadPoolExecutor(20) as pool:
            answers = [(number, pool.submit(self.emit, number)) for number in numbers]
            if meanwhile is not None:
                meanwhile()
            return {number: found for number, answer in answers if (found := answer.result()) is not None}

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        database = sqlite3.connect(f"file:{self.directory / 'pulsewire.db'}?mode=ro", uri=True)
        try:
            return database.execute(sql).fetchall()
        finally:
            database.close()

    def events(self) -> set[str]:
        return {row[0] for row in self.select("SELECT id FROM event")}

    def runs(self) -> dict[str, str]:
        """Return the status of the runs by event."""
        rows = self.select("SELECT event_id, status FROM run WHERE event_id IS NOT NULL")
        assert len(rows) == len({event for event, _status in rows}), "an event has started two runs"
        return dict(rows)

    def orders(self) -> list[int]:
        return sorted(row["n"] for row in self.call("GET", "/api/tables/orders/rows?limit=1000")["rows"])


class Sink:
    def __init__(self, url: str) -> None:
        self.url = url

    def seen(self) -> list[tuple[int, str]]:
        """Return number and Idempotency-Key of everything that arrived."""
        with urllib.request.urlopen(f"{self.url}/report", timeout=10) as answer:
            return [(number, key) for number, _moment, key in json.load(answer)]


def until(condition: Callable[[], bool], timeout_s: float = 40) -> None:
    """Return when *condition* holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    return until


@pytest.fixture
def sink() -> Iterator[Sink]:
    port = processes.free_port()
    process = subprocess.Popen([sys.executable, str(BENCHMARKS / "sink.py"), str(port), "0.3"])
    sink = Sink(f"http://127.0.0.1:{port}")

    def answers() -> bool:
        try:
            return sink.seen() == []
        except OSError:
            return False

    until(answers)
    yield sink
    process.kill()
    process.wait()


@pytest.fixture
def pulsewire(tmp_path: Path, sink: Sink) -> Iterator[Installation]:
    installation = Installation(tmp_path, sink.url)
    yield installation
    installation.server.stop()
