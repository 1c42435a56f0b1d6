"""Real processes that can be killed: a Pulsewire, and a sink that notes what reaches it."""

from __future__ import annotations

import http.client
import importlib.util
import json
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from backend.datahub import Column
from runtime import link
from runtime.app import build_service, open_database
from runtime.link import EngineLink
from runtime.settings import Settings
from tests.faults.bare import Bare, Zygote, outside, prepare

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
EVENT = "shop.order_paid"
OUTSIDE = "outside.invalid"  # stands for the servers of a test in what is prepared for all


def _processes() -> Any:
    spec = importlib.util.spec_from_file_location("benchmark_processes", BENCHMARKS / "processes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


processes = _processes()


class Installation:
    """A Pulsewire that runs, with a flow: event → insert row into ``orders`` → POST to the sink."""

    def __init__(self, directory: Path, key: str, sink_url: str) -> None:
        self._key = key
        self.directory = directory
        self.server = processes.Server(directory, allow_hosts=sink_url.removeprefix("http://"))
        self.server.start()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.server.url}{path}", data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def problems(self, method: str, path: str, body: Any = None) -> list[str]:
        """Return the codes of the problems that the answer tells, none when it is a success."""
        try:
            self.call(method, path, body)
        except urllib.error.HTTPError as error:
            return [problem["code"] for problem in json.load(error)["problems"]]
        return []

    def metric(self, name: str) -> str:
        request = urllib.request.Request(f"{self.server.url}/metrics", headers={"Authorization": f"Bearer {self._key}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return next(line.partition(" ")[2] for line in lines if line.partition(" ")[0] == name)

    def doctor(self, what: str) -> dict[str, str]:
        """Return what ``pulsewire doctor`` says of one thing."""
        command = [sys.executable, "-m", "runtime.cli", "doctor", "--json"]
        root, environment = BENCHMARKS.parent, self.server.environment
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        return next(finding for finding in json.loads(done.stdout) if finding["what"] == what)

    def emit(self, number: int) -> str | None:
        """Return the id of the event if it was acknowledged, else None."""
        try:
            return str(self.call("POST", "/api/events", {"name": EVENT, "payload": {"n": number}})["id"])
        except (OSError, urllib.error.URLError, http.client.HTTPException, ValueError):  # cut off by a kill, too
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


class SmallDisk:
    def __init__(self, directory: Path) -> None:
        self._ballast = directory / "ballast"

    def fill(self) -> None:
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)

    def clear(self) -> None:
        self._ballast.unlink()


def until(condition: Callable[[], bool], timeout_s: float = 40) -> None:
    """Return when *condition* holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    return until


def _flow(sink_url: str) -> dict[str, Any]:
    post = {"method": "POST", "url": sink_url, "json": {"n": "{{ $param.n }}"}}
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


@pytest.fixture(scope="session")
def sink_port() -> int:
    return int(processes.free_port())


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, sink_port: int) -> tuple[Path, str]:
    """Return a data directory to copy, with a table and a published flow, and an API key of it."""
    directory = tmp_path_factory.mktemp("prepared")
    settings = Settings(data_dir=directory)
    database = open_database(settings)
    service = build_service(settings, database, EngineLink(directory))
    service.tables.create("orders", [Column("n", "integer")])
    service.flows.create(_flow(f"http://127.0.0.1:{sink_port}"))
    service.flows.publish("orders")
    _info, key = service.keys.create("faults")
    database.dispose()
    return directory, key


@pytest.fixture
def sink(request: pytest.FixtureRequest, sink_port: int) -> Iterator[Sink]:
    """Give a sink that answers after 0.3 s, or after as many seconds as it is parametrized with."""
    command = [sys.executable, str(BENCHMARKS / "sink.py"), str(sink_port), str(getattr(request, "param", 0.3))]
    process = subprocess.Popen(command)
    sink = Sink(f"http://127.0.0.1:{sink_port}")

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
def data_dir(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def small_disk(data_dir: Path) -> Iterator[SmallDisk]:
    """Put the data directory on a disk of its own, of a few megabytes; needs the right to mount."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(data_dir)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield SmallDisk(data_dir)
    subprocess.run(["umount", "--lazy", str(data_dir)], check=True)


@pytest.fixture
def pulsewire(data_dir: Path, prepared: tuple[Path, str], sink: Sink) -> Iterator[Installation]:
    directory, key = prepared
    shutil.copytree(directory, data_dir, dirs_exist_ok=True)
    installation = Installation(data_dir, key, sink.url)
    yield installation
    installation.server.stop()


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    zygote = Zygote()
    yield zygote
    zygote.close()


@pytest.fixture(scope="session")
def prepared_bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory to copy; its flows call where ``{outside}`` stands."""
    directory = tmp_path_factory.mktemp("bare")
    prepare(directory, OUTSIDE)
    return directory


@pytest.fixture
def bare(tmp_path: Path, prepared_bare: Path, zygote: Zygote, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bare]:
    """Give an installation of its own, with servers outside; its engine is not started."""
    monkeypatch.setattr(link, "RECONNECT_S", 0.002)  # clients are there again as soon as the engine is
    directory = tmp_path / "data"
    shutil.copytree(prepared_bare, directory)
    with outside() as reached:
        with closing(sqlite3.connect(directory / "pulsewire.db")) as database, database:
            for column, table in (("document", "flow_version"), ("draft", "flow")):
                database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", [OUTSIDE, reached.url])
        bare = Bare(zygote, directory, reached)
        yield bare
        bare.close()


@pytest.fixture
def faults_told(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print what a fault test found out, past pytest's capture."""

    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}", flush=True)

    return tell
