"""An engine without pages: forked from a process that has everything imported, so that it can be killed often."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

from backend.datahub import Column
from runtime.app import build_service, open_database
from runtime.errors import Unavailable
from runtime.link import EngineLink
from runtime.outbox import NewEvent
from runtime.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAID, DONE, LARGE = "shop.order_paid", "shop.order_done", "shop.order_large"
OPEN = {"queued", "running", "waiting"}
STUCK_S = 10  # after a restart every run has ended by then


class Zygote:
    """The process that is forked from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        command = [sys.executable, "-m", "tests.faults.zygote"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def order(self, **order: Any) -> int:
        """Return the id of the process that was started, or for ``wait`` how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:  # an answer belongs to the order before it
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@dataclass
class Outside:
    """What reached the outside: the idempotency keys by the number they came with."""

    http: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    mail: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    delay_s: float = 0.0  # until a request is answered
    url: str = ""
    smtp_url: str = ""

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        lines = envelope.content.decode().splitlines()
        head = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self.mail[int(head["subject"])].append(head["message-id"])
        return "250 OK"

    async def handle_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
                headers = dict(line.split(": ", 1) for line in head[1:] if line)
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                self.http[body["n"]].append(headers["idempotency-key"])
                await asyncio.sleep(self.delay_s)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def repeated_with_another_key(self) -> list[int]:
        """Return the numbers that came with two keys; each must come with one, however often."""
        both = [*self.http.items(), *self.mail.items()]
        return [number for number, keys in both if len(set(keys)) > 1]


@contextmanager
def outside() -> Iterator[Outside]:
    """Give servers for HTTP and mail, in a thread."""
    outside, loop = Outside(), asyncio.new_event_loop()

    async def listen() -> list[asyncio.Server]:
        return [
            await asyncio.start_server(outside.handle_http, "127.0.0.1", 0, backlog=256),
            await loop.create_server(lambda: SMTP(outside, loop=loop), "127.0.0.1", 0),
        ]

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    web, mail = (server.sockets[0].getsockname()[1] for server in servers)
    outside.url, outside.smtp_url = f"127.0.0.1:{web}", f"smtp://127.0.0.1:{mail}?tls=none&from=shop@example.com"
    yield outside
    asyncio.run_coroutine_threadsafe(_close(servers), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _close(servers: list[asyncio.Server]) -> None:
    for server in servers:
        server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def orders_flow(url: str) -> dict[str, Any]:
    """Return: event → insert into ``orders`` → POST → mail → event."""
    n = "{{ $param.n }}"
    mail = {"to": "a@example.com", "subject": "{{ $param.n | string }}", "text": "Paid"}
    return flow(
        "orders",
        PAID,
        [
            ("add", "insert_row", {"table": "orders", "values": {"n": n}}),
            ("post", "http_request", {"method": "POST", "url": f"http://{url}/", "json": {"n": n}}),
            ("mail", "send_email", mail),
            ("tell", "emit_event", {"name": DONE, "payload": {"n": n}}),
        ],
    )


def large_flow() -> dict[str, Any]:
    """Return: event → for each of two items: insert → run a flow → wait → insert."""
    n = "{{ $param.n }}"
    steps = [
        ("loop", "for_each", {"items": "{{ [1, 2] }}"}),
        ("call", "run_flow", {"flow": "called", "input": {"n": n}}),
        ("wait", "delay", {"seconds": 0.05}),
        ("end", "insert_row", {"table": "ends", "values": {"n": "{{ $action.call.output.n }}"}}),
    ]
    document = flow("large", LARGE, steps)
    item = {"table": "items", "values": {"n": "{{ $param.n * 10 + $item }}"}}
    document["nodes"].append({"id": "item", "type": "insert_row", "name": "Item", "params": item})
    next(edge for edge in document["edges"] if edge["source"] == "loop")["key"] = "done"
    document["edges"].append({"source": "loop", "target": "item", "key": "each"})
    return document


def called_flow() -> dict[str, Any]:
    """Return: manual start → insert → return."""
    n = "{{ $param.n }}"
    document = flow(
        "called",
        "",
        [
            ("add", "insert_row", {"table": "called", "values": {"n": n}}),
            ("give", "return_output", {"output": {"n": n}}),
        ],
    )
    document["nodes"][0] |= {"type": "manual", "params": {"inputs": {"n": "integer"}}}
    return document


def flow(flow_id: str, event: str, steps: list[tuple[str, str, dict[str, Any]]]) -> dict[str, Any]:
    """Return a document whose steps follow one another."""
    names = ["start", *(name for name, _type, _params in steps)]
    nodes = [("start", "event", {"event": event}), *steps]
    return {
        "format": "pulsewire.flow/1",
        "directed": True,
        "multigraph": True,
        "graph": {"id": flow_id, "name": flow_id.title(), "description": ""},
        "nodes": [
            {"id": name, "type": kind, "name": name.title(), "params": params, "retry": {"attempts": 10, "delay_s": 1}}
            if kind in ("http_request", "send_email")
            else {"id": name, "type": kind, "name": name.title(), "params": params}
            for name, kind, params in nodes
        ],
        "edges": [{"source": a, "target": b, "key": "out"} for a, b in pairwise(names)],
        "samples": [],
        "layout": {},
    }


def prepare(directory: Path, url: str) -> None:
    """Make a data directory with tables and flows that are live."""
    settings = Settings(data_dir=directory)
    database = open_database(settings)
    service = build_service(settings, database, EngineLink(directory))
    for table in ("orders", "done", "direct", "items", "called", "ends"):
        service.tables.create(table, [Column("n", "integer")])
    n = "{{ $param.n }}"
    row_n = "{{ $param.row.n }}"
    documents = [
        orders_flow(url),
        flow("done", DONE, [("add", "insert_row", {"table": "done", "values": {"n": n}})]),
        flow("direct", "api.dataTable_rowCreated", [("add", "set_fields", {"fields": {"n": row_n}})]),
    ]
    documents[2]["nodes"][0] |= {"type": "api.dataTable_rowCreated", "params": {"table": "direct"}}
    for document in (*documents, called_flow(), large_flow()):
        service.flows.create(document)
        service.flows.publish(document["graph"]["id"])
    service.passwords.close()
    database.dispose()


class Bare:
    """An installation whose engine is started and killed; *lease_s* shortens the lease."""

    def __init__(self, zygote: Zygote, directory: Path, outside: Outside) -> None:
        self._zygote = zygote
        self.directory = directory
        self.outside = outside
        self.pids: set[int] = set()

    def start(self, do: str = "engine", **order: Any) -> int:
        environment = {"PULSEWIRE_ALLOW_HOSTS": self.outside.url, "PULSEWIRE_SMTP_URL": self.outside.smtp_url}
        order["environment"] = environment | order.get("environment", {})
        pid = self._zygote.order(do=do, directory=str(self.directory), **order)
        self.pids.add(pid)
        return pid

    def wait(self, pid: int, timeout_s: float = 30) -> int:
        """Return how a process ended; a signal is negative."""
        until(lambda: _has_ended(pid), timeout_s)
        self.pids.discard(pid)
        return self._zygote.order(wait=pid)

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.wait(pid)

    def stop(self, pid: int) -> int:
        os.kill(pid, signal.SIGTERM)
        return self.wait(pid)

    def close(self) -> None:
        for pid in list(self.pids):
            self.kill(pid)

    def add_flow(self, document: dict[str, Any]) -> None:
        """Make a flow live that has nodes which the library does not know."""
        flow_id, event = document["graph"]["id"], document["nodes"][0]["params"]["event"]
        text, now = json.dumps(document), int(time.time() * 1e6)
        with closing(self.connect()) as database, database:
            database.execute(
                "INSERT INTO flow (id, name, state, draft, revision, published_version, created_at, updated_at) "
                "VALUES (?, ?, 'published', ?, 1, 1, ?, ?)",
                [flow_id, flow_id, text, now, now],
            )
            database.execute("INSERT INTO flow_version VALUES (?, 1, ?, ?)", [flow_id, text, now])
            database.execute(
                'INSERT INTO subscription (flow_id, node, version, event, "match") VALUES (?, ?, 1, ?, ?)',
                [flow_id, "start", event, "{}"],
            )

    def keep_running(self, **order: Any) -> int:
        """Start the engine as often as it ends, until no run is open; return how often it ended."""
        ended = 0
        pid = self.start(**order)
        end = time.monotonic() + 60
        while self.has_open_runs():
            assert time.monotonic() < end, "it did not come to an end"
            if _has_ended(pid):
                self.wait(pid)
                ended += 1
                pid = self.start(**order)
            time.sleep(0.01)
        return ended

    def blame_nobody(self) -> None:
        """Let the next engine know that the kill was ours."""
        with closing(self.connect()) as database, database:
            database.execute("UPDATE engine_lease SET owner = ''")

    def forgive_runs(self) -> None:
        """Let no run be a suspect because of what the test did to its engines."""
        with closing(self.connect()) as database, database:
            database.execute("UPDATE run SET crashes = 0")

    def epoch(self) -> int:
        return int(self.select("SELECT epoch FROM engine_lease")[0][0])

    def until_takes_over(self, pid: int, epoch: int) -> None:
        """Return when the lease is another's than that of *epoch*, or the process has ended."""
        until(lambda: _has_ended(pid) or self.epoch() != epoch)

    def until_sent(self, count: int) -> None:
        """Return when so many requests are under way or answered."""
        until(lambda: len(self.outside.http) >= count)

    def until_ending(self) -> None:
        """Return when the engine has begun to end in peace."""
        until(lambda: self.select("SELECT owner FROM engine_lease") == [("",)])

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.directory / "pulsewire.db", timeout=10)

    def forget(self, flow_id: str) -> None:
        """Remove a flow's runs and their events, so that ``check`` sees the others alone."""
        with closing(self.connect()) as database, database:
            database.execute("DELETE FROM run WHERE flow_id = ?", [flow_id])

    def is_up(self, pid: int) -> bool:
        return not _has_ended(pid)

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(self.connect()) as database:
            return database.execute(sql).fetchall()

    def select_only(self, sql: str) -> list[tuple[Any, ...]]:
        """Do ``select`` without touching the files."""
        with closing(sqlite3.connect(f"file:{self.directory / 'pulsewire.db'}?mode=ro", uri=True)) as database:
            return database.execute(sql).fetchall()

    def rows(self, table: str) -> list[int]:
        """Return the numbers in one of the tables, in order."""
        ((physical,),) = self.select(f"SELECT physical FROM data_table WHERE name = '{table}'")
        return sorted(row[0] for row in self.select(f'SELECT n FROM "{physical}"'))

    def runs(self, flow_id: str) -> dict[int, str]:
        """Return the statuses by the number in the payload; two runs of one number are an error."""
        sql = (
            "SELECT json_extract(event.payload, '$.n'), status FROM run JOIN event ON event.id = run.event_id "
            f"WHERE flow_id = '{flow_id}'"
        )
        found = self.select(sql)
        assert len(found) == len(dict(found)), f"an event has started {flow_id} twice"
        return dict(found)

    def has_open_runs(self) -> bool:
        return self.select("SELECT count(*) FROM run WHERE status IN ('queued', 'running', 'waiting')") != [(0,)]

    def failures(self) -> list[tuple[Any, ...]]:
        return self.select("SELECT id, flow_id, status, error FROM run WHERE status <> 'succeeded' LIMIT 5")

    def log(self) -> str:
        return (self.directory / "engine.log").read_text()

    def has_ended_all(self) -> None:
        """Return when no run is open; one that still is after STUCK_S is stuck."""
        until(lambda: not self.has_open_runs(), STUCK_S)

    def check(self, accepted: set[int], accepted_large: Set[int] = frozenset()) -> None:
        """Check what a kill may and may not do to the numbers that were accepted."""
        orders, done = self.runs("orders"), self.runs("done")
        assert accepted <= set(orders), "an accepted event is lost"
        assert set(Counter([*orders.values(), *done.values()])) <= {"succeeded"}, self.failures()
        assert self.rows("orders") == sorted(orders), "a row is doubled or missing"
        assert self.rows("done") == sorted(orders), "an event of a flow is doubled or missing"
        assert set(self.outside.http) == set(self.outside.mail) == set(orders), "something was not sent"
        assert self.outside.repeated_with_another_key() == []
        large = self.runs("large")
        assert accepted_large <= set(large), "an accepted event is lost"
        assert set(large.values()) | set(self.runs("called").values()) <= {"succeeded"}, self.failures()
        assert self.rows("items") == sorted(10 * n + item for n in large for item in (1, 2)), "an item is doubled"
        assert self.rows("called") == self.rows("ends") == sorted(large), "a called flow or a wait is doubled"
        assert self.select("PRAGMA integrity_check") == [("ok",)]


class Senders:
    """Clients that send numbered events, each again with the same id until it is acknowledged, *pause_s* between.

    *are_patient*: each also waits until what it started has ended, so that no more is under way than there are clients.
    """

    def __init__(self, directory: Path, count: int = 8, *, pause_s: float = 0, are_patient: bool = False) -> None:
        self._link = EngineLink(directory)
        self._count = count
        self._pause_s = pause_s
        self._are_patient = are_patient
        self._is_over = False
        self._next = 0
        self.accepted: set[int] = set()
        self.large: set[int] = set()  # of the other event
        self.refused: Counter[str] = Counter()  # codes of what was answered instead

    async def __aenter__(self) -> Senders:
        self._tasks = [asyncio.create_task(self._send_forever()) for _ in range(self._count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._link.close()

    async def finish(self) -> None:
        """Begin no further event, and wait until those that were begun are acknowledged."""
        self._is_over = True
        await asyncio.wait_for(asyncio.gather(*self._tasks), 30)

    async def ready(self) -> None:
        """Return when the engine answers."""
        async with asyncio.timeout(20):
            while not await self._answers():  # noqa: ASYNC110 - it comes from another process
                await asyncio.sleep(0.002)

    async def accept_more(self, count: int) -> None:
        """Return when so many more events are acknowledged."""
        enough = len(self.accepted) + count
        async with asyncio.timeout(20):
            while len(self.accepted) < enough:  # noqa: ASYNC110 - it is to be killed at once
                await asyncio.sleep(0.001)

    async def _answers(self) -> bool:
        try:
            return (await self._link.status()).ready
        except Unavailable:
            return False

    async def _send_forever(self) -> None:
        while not self._is_over:
            number, self._next = self._next, self._next + 1
            runs = await self.send(number)
            if number % 8 == 0:
                runs += await self.send(number, LARGE)
            if self._are_patient:
                await self._have_ended(runs)
            await asyncio.sleep(self._pause_s)

    async def _have_ended(self, runs: list[int]) -> None:
        while runs:
            try:
                if await self._link.wait(runs[-1], 0.5):
                    runs.pop()
            except Unavailable:
                await asyncio.sleep(0.005)

    async def send(self, number: int, name: str = PAID) -> list[int]:
        event = NewEvent(name, {"n": number}, f"{name}-{number}")
        while True:
            try:
                (accepted,) = await self._link.accept([event])
            except Unavailable as error:
                self.refused[error.problems[0].code] += 1
                await asyncio.sleep(0.005)
            else:
                (self.large if name == LARGE else self.accepted).add(number)
                return accepted.runs


def _has_ended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Return when *condition* holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
