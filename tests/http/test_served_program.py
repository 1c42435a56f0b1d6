"""The served program, as its users meet it: real processes, HTTP calls and commands."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx
import networkx
import pytest

from runtime.settings import Settings
from storage.database import Database
from tests.operators import COOKIE, signed_in

pytestmark = pytest.mark.faults  # starts, stops and kills processes

PATIENCE_S = 60  # generous: other work may share the machine
Found = TypeVar("Found")
Json = dict[str, Any]

JOURNEY: Json = {
    "format": "pulsewire.flow/1",
    "directed": True,
    "multigraph": True,
    "graph": {"id": "warn-on-emptied-table", "name": "Warn on emptied table", "description": ""},
    "nodes": [
        {"id": "table_emptied", "type": "api.dataTable_emptied", "name": "Table emptied", "params": {}},
        {"id": "is_orders", "type": "condition", "name": "Orders?", "params": {"if": "{{ $param.Name == 'orders' }}"}},
        {
            "id": "warn",
            "type": "send_email",
            "name": "Warn",
            "params": {"to": "ops@example.com", "subject": "{{ $param.Name }} was emptied", "text": "Please look."},
            "retry": {"attempts": 3, "delay_s": 5, "backoff": 2},
        },
    ],
    "edges": [
        {"source": "table_emptied", "target": "is_orders", "key": "out"},
        {"source": "is_orders", "target": "warn", "key": "true"},
    ],
    "samples": [{"name": "orders", "trigger": "table_emptied", "payload": {"ID": "f7", "Name": "orders"}}],
    "layout": {"table_emptied": [0, 0], "is_orders": [280, 0], "warn": [560, 20]},
}


class Installation:
    """A data directory, the program that serves it, and a client that has a key."""

    def __init__(self, folder: Path) -> None:
        ours = ("PULSEWIRE_", "PYTEST_")  # NiceGUI would leave its processes behind under pytest
        clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.data_dir = folder / "data"
        self.log = folder / "log"
        self.port = free_port()
        self._starts = 0
        self.environment = clean | {"PULSEWIRE_DATA_DIR": str(self.data_dir), "PULSEWIRE_PORT": str(self.port)}
        self.start()
        self.key = self.command("keys", "create", "tests").stdout.strip()
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=PATIENCE_S,
        )

    @cached_property
    def cookie(self) -> str:
        """The cookie of an owner who is signed in to the editor."""
        database = Database(Settings(data_dir=self.data_dir).url)
        try:
            return signed_in(database)
        finally:
            database.dispose()

    def start(self) -> None:
        self._starts += 1
        with self.log.open("a") as log:
            command = [sys.executable, "-m", "runtime.cli", "serve"]
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        until(self._is_ready)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def _is_ready(self) -> bool:
        said = self.log.read_text()
        assert self.process.poll() is None, said
        return said.count("Pulsewire is ready") == self._starts  # of this start: one that was killed ends later

    def command(
        self, *words: object, status: int = 0, stdin: str = "", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-m", "runtime.cli", *map(str, words)],
            env=self.environment | settings,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert ended.returncode == status, ended.stdout + ended.stderr
        return ended

    def call(self, method: str, path: str, status: int, body: object = None) -> Any:
        answer = self.client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def publish(self, document: Json) -> None:
        self.call("POST", "/api/flows", 201, document)
        self.call("POST", f"/api/flows/{document['graph']['id']}/publish", 200)

    def run_of(self, event: str, payload: Json) -> Json:
        """Hand in an event and return the one run that it started, once that has ended."""
        (run,) = self.call("POST", "/api/events", 202, {"name": event, "payload": payload})["runs"]
        return self.ended(run)

    def ended(self, run: int) -> Json:
        def find() -> Json | None:
            found: Json = self.call("GET", f"/api/runs/{run}", 200)
            return found if found["status"] in ("succeeded", "failed", "cancelled") else None

        return until(find)

    def runs(self, flow: str) -> list[Json]:
        found: list[Json] = self.call("GET", f"/api/runs?flow={flow}", 200)["items"]
        return found


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    served = Installation(tmp_path_factory.mktemp("served"))
    yield served
    served.client.close()
    assert served.stop() == 0, served.log.read_text()
    assert "Traceback" not in served.log.read_text()


def until(find: Callable[[], Found | None]) -> Found:
    limit = time.monotonic() + PATIENCE_S
    while not (found := find()):
        assert time.monotonic() < limit, "not in time"
        time.sleep(0.02)
    return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def flow(flow_id: str, nodes: list[Json], edges: list[str]) -> Json:
    """Return a document; an edge is written ``source>target`` or ``source.port>target``."""
    pairs = [(source.partition("."), target) for source, target in (edge.split(">") for edge in edges)]
    return {
        "format": "pulsewire.flow/1",
        "graph": {"id": flow_id, "name": flow_id},
        "nodes": nodes,
        "edges": [{"source": source, "target": to, "key": port or "out"} for (source, _, port), to in pairs],
    }


def on(event: str, **params: Any) -> Json:
    return {"id": "start", "type": "event", "params": {"event": event, **params}}


def put(node_id: str, value: object) -> Json:
    return {"id": node_id, "type": "set_fields", "params": {"fields": {"value": value}}}


def node(node_id: str, node_type: str, *, on_error: str = "stop", **params: Any) -> Json:
    return {"id": node_id, "type": node_type, "params": params, "on_error": on_error}


def statuses(run: Json) -> dict[str, str]:
    return {step["node"]: step["status"] for step in run["steps"]}


def codes(answer: httpx.Response) -> list[str]:
    return [problem["code"] for problem in answer.json()["problems"]]


# -- the journey


def test_mail_leaves_because_a_table_was_emptied(installation: Installation):
    columns = [{"name": "customer", "type": "text", "required": True}, {"name": "total", "type": "number"}]
    table = installation.call("POST", "/api/tables", 201, {"name": "orders", "columns": columns})
    installation.call("POST", "/api/tables/orders/rows", 201, {"rows": [{"customer": "Ada"}, {"customer": "Bob"}]})
    drawn = installation.call("POST", "/api/flows", 201, JOURNEY)
    path = f"/api/flows/{drawn['id']}"

    tried = installation.call("POST", f"{path}/test", 200, {"sample": "orders"})
    unsent = installation.call("GET", "/api/mailbox", 200)["items"]
    live = installation.call("POST", f"{path}/publish", 200)
    installation.call("POST", f"/api/tables/{table['id']}/clear", 200)
    run = installation.ended(until(lambda: installation.runs(drawn["id"]))[0]["id"])
    (mail,) = installation.call("GET", "/api/mailbox", 200)["items"]

    assert (drawn["state"], drawn["problems"], drawn["draft"]) == ("draft", [], JOURNEY)
    assert (tried["status"], tried["steps"][2]["effect"]["kind"], unsent) == ("succeeded", "email", [])
    assert (live["state"], live["published_version"]) == ("published", 1)
    assert (run["version"], statuses(run)) == (1, dict.fromkeys(JOURNEY["layout"], "succeeded"))
    assert run["event"]["name"] == "api.dataTable_emptied"
    assert (mail["subject"], mail["recipients"]) == ("orders was emptied", ["ops@example.com"])
    assert installation.call("GET", "/api/tables/orders/rows", 200) == {"rows": [], "total": 0}


def test_flow_that_left_comes_back_the_same(installation: Installation):
    document = JOURNEY | {"graph": {"id": "leaves", "name": "Leaves", "description": "And comes back."}}
    installation.call("POST", "/api/flows", 201, document)
    exported = installation.client.get("/api/flows/leaves/export")

    installation.call("DELETE", "/api/flows/leaves", 204)
    installation.call("GET", "/api/flows/leaves", 404)
    installation.call("POST", "/api/flows/import", 201, exported.json())

    assert exported.json() == document
    assert installation.client.get("/api/flows/leaves/export").content == exported.content
    graph = networkx.node_link_graph(exported.json(), edges="edges")
    assert list(graph.edges(keys=True)) == [("table_emptied", "is_orders", "out"), ("is_orders", "warn", "true")]


def test_commands_do_the_same(installation: Installation, tmp_path: Path):
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(JOURNEY | {"graph": {"id": "by-command", "name": "By command", "description": ""}}))
    installation.call("POST", "/api/tables", 201, {"name": "cleared"})

    installation.command("flow", "check", file)
    installation.command("flow", "import", file)
    tried = json.loads(installation.command("flow", "test", "by-command", "--sample", "orders", "--json").stdout)
    installation.command("flow", "publish", "by-command")
    installation.command("table", "clear", "cleared", "--yes")
    run = installation.ended(until(lambda: installation.runs("by-command"))[0]["id"])
    listed = json.loads(installation.command("run", "list", "--flow", "by-command", "--json").stdout)
    exported = installation.command("flow", "export", "by-command").stdout
    installation.command("flow", "delete", "by-command", "--yes")

    assert installation.command("flow", "import", "-", stdin=exported).stdout == "by-command\n"
    assert (tried["status"], tried["is_simulated"]) == ("succeeded", True)
    assert statuses(run) == {"table_emptied": "succeeded", "is_orders": "succeeded", "warn": "skipped"}
    assert [each["id"] for each in listed] == [run["id"]]
    assert json.loads(exported) == json.loads(file.read_text())


# -- what a graph means


@pytest.mark.parametrize(
    ("size", "taken", "left_out"), [(9, "large", ["small", "tiny"]), (1, "small", ["large"])], ids=["large", "small"]
)
def test_branch_that_is_not_taken_is_skipped_up_to_the_join(
    installation: Installation, size: int, taken: str, left_out: list[str]
):
    name = f"join-{size}"
    nodes = [on(name), node("if", "condition", **{"if": "{{ $param.size > 5 }}"})]
    nodes += [put("large", "L"), put("small", "S"), put("tiny", "T"), put("beside", 1), put("join", "{{ $run.id }}")]
    edges = ["start>if", "start>beside", "if.true>large", "if.false>small", "small>tiny"]
    installation.publish(flow(name, nodes, [*edges, "large>join", "tiny>join", "beside>join"]))

    run = installation.run_of(name, {"size": size})

    assert run["status"] == "succeeded"
    assert [each for each, status in statuses(run).items() if status == "skipped"] == left_out
    assert statuses(run)[taken] == statuses(run)["beside"] == statuses(run)["join"] == "succeeded"


def test_switch_takes_its_default(installation: Installation):
    choose = node("choose", "switch", value="{{ $param.kind }}", cases=["a", "b"])
    edges = ["start>choose", "choose.a>first", "choose.default>other"]
    installation.publish(flow("switch", [on("switch"), choose, put("first", 1), put("other", 2)], edges))

    taken = {kind: statuses(installation.run_of("switch", {"kind": kind})) for kind in ("a", "b", "z")}

    assert [(each["first"], each["other"]) for each in taken.values()] == [
        ("succeeded", "skipped"),
        ("skipped", "skipped"),
        ("skipped", "succeeded"),
    ]


@pytest.mark.parametrize(
    ("on_error", "port", "seen"),
    [("continue", "out", None), ("port", "error", {"message": "no 7", "code": "flow.stopped", "step": "fail"})],
)
def test_run_goes_on_after_a_failed_step(installation: Installation, on_error: str, port: str, seen: Json | None):
    name = f"fail-{on_error}"
    fail = node("fail", "stop_with_error", message="no {{ $param.n }}", on_error=on_error)
    nodes = [on(name), fail, put("after", "{{ $action.fail }}")]
    installation.publish(flow(name, nodes, ["start>fail", f"fail.{port}>after"]))

    run = installation.run_of(name, {"n": 7})

    assert (run["status"], statuses(run)["fail"]) == ("succeeded", "failed")
    assert run["steps"][2]["output"] == {"value": seen}


def test_trigger_filters_its_events(installation: Installation):
    installation.publish(flow("filter", [on("filter", filter="{{ $param.total > 10 }}"), put("a", 1)], ["start>a"]))

    for payload in ({"total": 5}, {"total": 20}, {}):
        installation.call("POST", "/api/events", 202, {"name": "filter", "payload": payload})

    def both() -> list[Json]:
        found = installation.runs("filter")
        return found if len(found) == 2 and all(run["ended_at"] for run in found) else []

    broken, passed = until(both)
    assert (passed["status"], broken["status"]) == ("succeeded", "failed")
    assert broken["error"]["code"] == "expression.missing"


def test_each_trigger_starts_its_own_part(installation: Installation):
    second = on("two.b") | {"id": "second"}
    nodes = [on("two.a"), second, put("only_a", 1), put("both", 2)]
    installation.publish(flow("two", nodes, ["start>only_a", "only_a>both", "second>both"]))

    parts = [list(statuses(installation.run_of(event, {}))) for event in ("two.a", "two.b")]

    assert parts == [["start", "only_a", "both"], ["second", "both"]]
    answer = installation.client.post("/api/flows/two/test", json={})
    assert (answer.status_code, codes(answer)) == (422, ["test.trigger_missing"])


def test_rows_are_written_and_a_simulated_test_writes_none(installation: Installation):
    installation.call("POST", "/api/tables", 201, {"name": "stock", "columns": [{"name": "n", "type": "integer"}]})
    nodes = [
        on("rows"),
        node("insert", "insert_row", table="stock", values={"n": "{{ $param.n }}"}),
        node("update", "update_rows", table="stock", where={"n": "{{ $param.n }}"}, values={"n": "{{ $param.n + 1 }}"}),
        node("find", "find_rows", table="stock", where={"n": {"gt": 1}}, order_by="-n", limit=1),
        node("delete", "delete_rows", table="stock", where={"n": 100}),
    ]
    installation.publish(flow("rows", nodes, ["start>insert", "insert>update", "update>find", "find>delete"]))

    tried = installation.call("POST", "/api/flows/rows/test", 200, {"payload": {"n": 5}})
    untouched = installation.call("GET", "/api/tables/stock/rows", 200)["total"]
    runs = [installation.run_of("rows", {"n": n}) for n in (5, 99)]
    broken = installation.run_of("rows", {"n": "many"})
    rows = installation.call("GET", "/api/tables/stock/rows", 200)

    assert (tried["status"], untouched) == ("succeeded", 0)
    assert [step["effect"]["action"] for step in tried["steps"] if "effect" in step] == ["insert", "update", "delete"]
    assert [run["steps"][4]["output"] for run in runs] == [{"count": 0}, {"count": 1}]
    assert (broken["status"], broken["error"]["code"]) == ("failed", "row.value_invalid")
    assert [row["n"] for row in rows["rows"]] == [6]


def test_flows_that_start_each_other_are_stopped(installation: Installation):
    for here, there in (("ping", "pong"), ("pong", "ping")):
        emit = node("emit", "emit_event", name=there, payload={"n": "{{ $param.n + 1 }}"})
        installation.publish(flow(here, [on(here), emit], ["start>emit"]))

    installation.call("POST", "/api/events", 202, {"name": "ping", "payload": {"n": 0}})

    def stopped() -> list[Json]:
        return [run for run in installation.runs("ping") + installation.runs("pong") if run["status"] == "failed"]

    (last,) = until(stopped)
    assert last["error"]["code"] == "event.loop"
    assert len(installation.runs("ping") + installation.runs("pong")) <= 17


def test_run_again_from_a_node_keeps_what_was_before_it(installation: Installation):
    check = node("check", "condition", **{"if": "{{ $param.n > 1 }}"})
    nodes = [on("again"), put("before", "{{ $param.n }}"), check, node("fail", "stop_with_error", message="no")]
    installation.publish(flow("again", nodes, ["start>before", "before>check", "check.true>fail"]))
    failed = installation.run_of("again", {"n": 2})

    asked = installation.call("POST", f"/api/runs/{failed['id']}/retry", 201, {"from": "check", "payload": {"n": 0}})
    again = installation.ended(asked["id"])
    unknown = installation.client.post(f"/api/runs/{failed['id']}/retry", json={"from": "nowhere"})

    assert (failed["status"], again["status"], again["retry_of"]) == ("failed", "succeeded", failed["id"])
    assert [step["output"] for step in again["steps"]][1:3] == [{"value": 2}, {"result": False}]
    assert (unknown.status_code, codes(unknown)) == (422, ["run.node_unknown"])


def test_run_that_waits_can_be_cancelled(installation: Installation):
    ask = node("ask", "http_request", url="http://nowhere.invalid/") | {"retry": {"attempts": 5, "delay_s": 60}}
    installation.publish(flow("cancel", [on("cancel"), ask, put("after", 1)], ["start>ask", "ask>after"]))
    (run,) = installation.call("POST", "/api/events", 202, {"name": "cancel"})["runs"]
    until(lambda: installation.call("GET", f"/api/runs/{run}", 200)["status"] == "waiting")

    cancelled = installation.call("POST", f"/api/runs/{run}/cancel", 200)
    second = installation.client.post(f"/api/runs/{run}/cancel")

    assert cancelled["status"] == "cancelled"
    assert (second.status_code, codes(second)) == (409, ["run.ended"])


def test_flow_cannot_reach_this_machine(installation: Installation):
    ask = node("ask", "http_request", url=f"http://127.0.0.1:{installation.port}/healthz")
    installation.publish(flow("inside", [on("inside"), ask], ["start>ask"]))

    assert installation.run_of("inside", {})["error"]["code"] == "http.address_blocked"


# -- events


def test_event_is_accepted_once(installation: Installation):
    installation.publish(flow("once", [on("once"), put("a", 1)], ["start>a"]))
    event = {"name": "once", "payload": {"n": 1}, "id": "once-1"}

    first, second = (installation.call("POST", "/api/events", 202, event) for _ in range(2))
    other = installation.client.post("/api/events", json=event | {"payload": {"n": 2}})

    assert (first["id"], first["duplicate"], second["duplicate"]) == ("once-1", False, True)
    assert first["runs"] == second["runs"] == [installation.runs("once")[0]["id"]]
    assert (other.status_code, codes(other)) == (422, ["event.id_reused"])


def test_cloud_events_come_in_each_mode(installation: Installation):
    event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "cloud", "data": {"n": 1}}
    binary = {f"ce-{name}": str(event[name]) for name in ("specversion", "id", "source", "type")}

    answers = [
        installation.client.post("/api/events", content=json.dumps(body), headers=headers)
        for body, headers in (
            (event, {"Content-Type": "application/cloudevents+json"}),
            (event["data"], {"Content-Type": "application/json", **binary}),
            ([event, event | {"id": "2"}], {"Content-Type": "application/cloudevents-batch+json"}),
            (event | {"specversion": "0.3"}, {"Content-Type": "application/cloudevents+json"}),
        )
    ]

    assert [answer.status_code for answer in answers] == [202, 202, 202, 422]
    assert [answers[0].json()["duplicate"], answers[1].json()["duplicate"]] == [False, True]
    assert [each["duplicate"] for each in answers[2].json()["items"]] == [True, False]


BAD_INPUT: list[tuple[str, bytes | str, int, str]] = [
    ("/api/events", b'{"name": ', 400, "json.invalid"),
    ("/api/events", b'{"name": "a", "payload": {"n": NaN}}', 422, "json.number_range"),
    ("/api/events", b'{"name": "a", "payload": {"n": 1, "n": 2}}', 422, "json.key_duplicate"),
    ("/api/events", rb'{"name": "a", "payload": {"n": "\ud800"}}', 422, "json.text_invalid"),
    ("/api/events", b'{"name": "a", "payload": []}', 422, "payload.not_an_object"),
    ("/api/events", b'{"name": "a", "payload": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001, 422, "json.too_deep"),
    ("/api/events", json.dumps({"name": "a", "payload": {"t": "x" * 5_000_000}}), 413, "body.too_large"),
    ("/api/events", json.dumps({"name": "a", "payload": {"t": "x" * 1_000_000}}), 413, "payload.too_large"),
    (
        "/api/events",
        json.dumps({"name": "a", "payload": {str(n): n for n in range(100_000)}}),
        422,
        "payload.too_many_keys",
    ),
    ("/api/flows", b"[]", 422, "document.not_an_object"),
    ("/api/flows", b"null", 422, "document.not_an_object"),
    ("/api/flows/import", json.dumps(JOURNEY | {"format": "pulsewire.flow/2"}), 422, "document.format_unknown"),
    ("/api/flows/import", json.dumps(JOURNEY | {"nodes": JOURNEY["nodes"] * 2}), 422, "node.id_duplicate"),
    (
        "/api/flows/import",
        json.dumps(JOURNEY | {"edges": [{"source": "warn", "target": "ghost"}]}),
        422,
        "edge.dangling",
    ),
    ("/api/tables", json.dumps({"name": "x" * 10_000}), 422, "table.name_invalid"),
    ("/api/tables", json.dumps({"name": "a\0b"}), 422, "table.name_invalid"),
    (
        "/api/tables",
        json.dumps({"name": "t", "columns": [{"name": 'a"; DROP', "type": "text"}]}),
        422,
        "column.name_invalid",
    ),
    (
        "/api/tables",
        json.dumps({"name": "t", "columns": [{"name": "a", "type": "blob"}]}),
        422,
        "column.type_unknown",
    ),
]


@pytest.mark.parametrize(("path", "body", "status", "code"), BAD_INPUT, ids=[each[3] for each in BAD_INPUT])
def test_bad_input_is_told_and_leaves_nothing(
    installation: Installation, path: str, body: bytes | str, status: int, code: str
):
    listed = "/api/runs" if path == "/api/events" else path.removesuffix("/import")
    before = installation.client.get(listed).content

    answer = installation.client.post(path, content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, code in codes(answer)) == (status, True), answer.text
    assert all(problem["message"].endswith(".") for problem in answer.json()["problems"])
    assert installation.client.get(listed).content == before


@pytest.mark.parametrize("closes", ["close", "TE, Close"])
@pytest.mark.parametrize(
    ("path", "key", "status"),
    [("/api/events", "", 413), ("/api/flows/import", "", 413), ("/api/flows", "x", 401), ("/hooks/nowhere", "", 404)],
)
def test_a_caller_who_closes_the_connection_hears_why_a_large_request_is_refused(
    installation: Installation, path: str, key: str, status: int, closes: str
):
    headers = {"Connection": closes, "Authorization": f"Bearer {installation.key}{key}"}
    connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=PATIENCE_S)

    connection.request("POST", path, b"x" * 30_000_000, headers | {"Content-Type": "application/json"})
    answer = connection.getresponse()

    assert (answer.status, len(json.loads(answer.read())["problems"])) == (status, 1)


@pytest.mark.parametrize("name", ["sel\"ect'; DROP TABLE flow;--", "<b>x</b>", "🦊", "../../etc", "__proto__"])
def test_odd_names_are_only_names(installation: Installation, name: str):
    columns = [{"name": "select", "type": "text"}, {"name": "Order", "type": "integer", "unique": True}]
    table = installation.call("POST", "/api/tables", 201, {"name": name, "columns": columns})
    path = f"/api/tables/{table['id']}"

    installation.call("POST", f"{path}/rows", 201, {"select": "=1+1", "Order": 1})
    installation.call("POST", f"{path}/rows", 409, {"Order": 1})
    exported = installation.client.get(f"{path}/export.csv")

    assert installation.call("GET", path, 200)["name"] == name
    assert installation.call("GET", f'{path}/rows?filter={{"Order":{{"gte":1}}}}', 200)["total"] == 1
    assert "'=1+1" in exported.text
    assert "/" not in exported.headers["Content-Disposition"]
    installation.call("DELETE", path, 204)


# -- who gets in


def test_deleted_key_is_refused_within_a_second(installation: Installation):
    made = installation.call("POST", "/api/keys", 201, {"name": "short-lived"})
    with httpx.Client(base_url=installation.client.base_url) as other:
        other.headers["Authorization"] = f"Bearer {made['key']}"
        assert other.get("/api/flows").status_code == 200

        installation.call("DELETE", f"/api/keys/{made['id']}", 204)
        deleted_at = time.monotonic()
        until(lambda: other.get("/api/flows").status_code == 401)

        assert time.monotonic() - deleted_at < 1


def test_no_key_no_answer(installation: Installation):
    for path in (
        "/metrics",
        "/api/flows",
        "/api/runs",
        "/api/tables",
        "/api/keys",
        "/api/mailbox",
        "/api/settings/smtp",
    ):
        answer = httpx.get(f"{installation.client.base_url}{path}")
        assert (answer.status_code, codes(answer)) == (401, ["auth.key_missing"])
    for path in ("/healthz", "/readyz", "/api/docs", "/api/openapi.json", "/api/schema/flow.json"):
        assert httpx.get(f"{installation.client.base_url}{path}").status_code == 200


def test_other_sites_stay_outside(installation: Installation):
    refused = [
        installation.client.post("/api/tables", json={"name": "theirs"}, headers=headers)
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"})
    ]

    assert [answer.status_code for answer in refused] == [403] * 3
    cookie, ours = f"{COOKIE}={installation.cookie}", f"http://127.0.0.1:{installation.port}"
    assert opened_socket(installation, "http://evil.example", cookie) == 403
    assert opened_socket(installation, ours) == 403
    assert opened_socket(installation, ours, cookie) == 101


def opened_socket(installation: Installation, origin: str, cookie: str = "") -> int:
    headers = {
        "Cookie": cookie,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Origin": origin,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    with installation.client.stream("GET", path, headers=headers) as answer:
        return answer.status_code


def test_secrets_are_neither_told_nor_kept_in_the_clear(installation: Installation):
    smtp = {"host": "127.0.0.1", "port": 9, "tls": "none", "sender": "a@example.com", "username": "u"}
    installation.call("PUT", "/api/settings/smtp", 200, smtp | {"password": "canary-password"})

    told = installation.client.get("/api/settings/smtp").text + installation.client.get("/api/keys").text
    failed = installation.client.post("/api/settings/smtp/test", json={"to": "b@example.com"})
    installation.call("DELETE", "/api/settings/smtp", 204)

    assert (failed.status_code, codes(failed)) == (422, ["mail.delayed"])
    kept = b"".join(path.read_bytes() for path in installation.data_dir.rglob("*") if path.is_file())
    for secret in ("canary-password", installation.key):
        assert secret not in told + failed.text + installation.log.read_text()
        assert secret.encode() not in kept


# -- operating it


def test_first_start_brings_the_flows_that_send_account_mails(installation: Installation):
    flows = {flow["id"]: flow["state"] for flow in installation.call("GET", "/api/flows", 200)["items"]}

    starters = {"send-verification-email", "send-password-reset-email"}
    assert {flow: flows.get(flow) for flow in starters} == dict.fromkeys(starters, "published")


def test_metrics_tell_the_state(installation: Installation):
    lines = installation.client.get("/metrics").text.splitlines()
    metrics = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

    assert metrics["pulsewire_engine_up"] == "1"
    assert {"pulsewire_queue_depth", "pulsewire_events_accepted_total", 'pulsewire_runs{status="failed"}'} < set(
        metrics
    )


def test_start_prints_a_new_set_up_link_until_there_is_an_owner(tmp_path: Path):
    served = Installation(tmp_path)

    def links() -> list[str]:
        return re.findall(r"http://\S+/set-up\?token=\S+", served.log.read_text())

    until(links)
    served.stop()
    served.start()
    until(lambda: links()[1:])
    old, new = links()
    answers = [httpx.get(link).status_code for link in (old, new)]
    kept = b"".join(path.read_bytes() for path in served.data_dir.rglob("pulsewire.db*"))
    assert served.cookie
    served.stop()
    served.start()
    served.stop()

    assert answers == [400, 200]
    assert links() == [old, new]
    assert not any(link.rpartition("=")[2].encode() in kept for link in (old, new))


def test_second_server_is_refused(installation: Installation):
    same_port = installation.command("serve", status=3, PULSEWIRE_DATA_DIR=str(installation.data_dir / "other"))
    same_data = installation.command("serve", status=3, PULSEWIRE_PORT=str(free_port()))

    assert f"cannot listen on 127.0.0.1:{installation.port}" in same_port.stderr
    assert f"Another Pulsewire serves {installation.data_dir}" in same_data.stderr
    assert same_port.stdout == same_data.stdout == ""
    assert same_port.stderr.count("\n") == same_data.stderr.count("\n") == 1


def test_everything_is_there_after_a_kill_and_a_start(installation: Installation):
    installation.publish(flow("stays", [on("stays"), put("a", 1)], ["start>a"]))
    installation.call("POST", "/api/tables", 201, {"name": "stays", "columns": [{"name": "n", "type": "integer"}]})
    installation.call("POST", "/api/tables/stays/rows", 201, {"n": 1})
    installation.run_of("stays", {})
    paths = ("/api/flows", "/api/tables", "/api/runs", "/api/mailbox", "/api/tables/stays/rows")
    before = [installation.call("GET", path, 200) for path in paths]

    installation.stop(signal.SIGKILL)
    installation.start()

    assert [installation.call("GET", path, 200) for path in paths] == before
    assert installation.run_of("stays", {})["status"] == "succeeded"
