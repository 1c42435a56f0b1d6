"""What does an expression cost, and what do others notice of expressions that were written to do harm?

    python benchmarks/expressions.py [--bombs 50] [--json]

*in place*: expressions that are cheap by their shape, evaluated in the engine's own process. *elsewhere*: costly ones,
there and back through an evaluator process. *bombs*: starts its own ``pulsewire serve``, publishes a flow for each
bomb, lets an event start all of them at once and asks for a preview of each at the same time; meanwhile ``/healthz`` is
asked every 10 ms, and runs of a flow beside them are started one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from processes import Server

from runtime.evaluator import Evaluator
from runtime.expressions import Scope, Value, compile_value

ROUNDS = 20_000
HEALTH_EVERY_S = 0.01
PARAM = {"a": {"b": 5}, "first": "Ada", "last": "King", "order": 1001, "total": 120.5, "city": "London", "l": [3, 1, 2]}
IN_PLACE = {
    "a path": "{{ $param.a.b }}",
    "a text of five fields": "Dear {{ $param.first }} {{ $param.last }} of {{ $param.city }}: "
    "order {{ $param.order }} comes to {{ $param.total }} EUR.",
    "a condition": "{{ $param.total > 100 and $param.city in ['London', 'Paris'] }}",
    "a filter": "{{ $param.first | upper }}",
}
NESTED = "([[[[[0]*100]*100]*100]*100]*100)"
BOMBS = [
    "([range(9999)] * 9999) | map('sort') | map('list')",
    "([range(9999)] * 9999) | map('sum')",
    f"{NESTED} == {NESTED}",
    f"{NESTED} | tojson",
    f"{NESTED} in [{NESTED}]",
    f"[{NESTED}] | join",
    "([$param.big] * 9999) | map('upper')",
    "([$param.big] * 9999) | map('urlencode')",
    "([$param.big] * 9999) | map('striptags')",
    "([$param.big] * 9999) | unique",
    "([$param.big] * 300) | map('title') | map('length')",
    "($param.big | replace('', 'xx')) * 9",
    "9 ** 9 ** 9",
    "(range(9999) | map('string') | join) * 99",
    "([$param.numbers] * 9999) | map('sort')",
    "([$param.list] * 400) | map('tojson') | map('parse_json')",
    "([$param.list] * 9999) | map('groupby', 'a')",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bombs", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = {"in_place_us": in_place(), "elsewhere_us": asyncio.run(elsewhere()), "bombs": bombs(asked.bombs)}
    print(json.dumps(found, indent=None if asked.json else 2))


def in_place() -> dict[str, float]:
    """Return microseconds for one evaluation, compiled before: the median of seven."""
    scope = Scope(param=PARAM)
    return {name: _per_call_us(compile_value(text), scope) for name, text in IN_PLACE.items()}


def _per_call_us(value: Value, scope: Scope) -> float:
    assert not value.is_costly
    taken = []
    for _ in range(7):
        begun = time.process_time()  # whatever else the machine does
        for _ in range(ROUNDS):
            value.evaluate_in_place(scope)
        taken.append((time.process_time() - begun) / ROUNDS * 1e6)
    return round(statistics.median(taken), 2)


async def elsewhere() -> dict[str, float]:
    """Return microseconds there and back, one after the other, and until a process is there again after a kill."""
    evaluator, scope = Evaluator(), Scope(param=PARAM)
    value = compile_value("{{ $param.l | sort | join(', ') }}")
    begun = time.perf_counter()
    await evaluator.value_of(value, scope)
    first = time.perf_counter() - begun
    taken = []
    for _ in range(ROUNDS // 4):
        begun = time.perf_counter()
        await evaluator.value_of(value, scope)
        taken.append((time.perf_counter() - begun) * 1e6)
    await evaluator.close()
    shares = statistics.quantiles(taken, n=100)
    return {"p50": round(shares[49]), "p99": round(shares[98]), "first": round(first * 1e6)}


def bombs(many: int) -> dict[str, Any]:
    """Return what others noticed, and how the bombs ended."""
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
        server.start()
        try:
            return _Attack(server, many).run()
        finally:
            server.stop()


class _Attack:
    """Bombs on a server that is watched meanwhile."""

    def __init__(self, server: Server, many: int) -> None:
        self._server = server
        self._key = server.command("keys", "create", "benchmark")
        self._texts = [f"{{{{ {BOMBS[number % len(BOMBS)]} }}}}" for number in range(many)]
        self._payload: dict[str, Any] = {"big": "a <b> " * 25_000, "numbers": list(range(5_000))}
        self._payload["list"] = [{"a": number} for number in range(5_000)]
        self._is_over = threading.Event()
        self._health_ms: list[float] = []
        self._beside_ms: list[float] = []
        self._sizes: list[dict[int, float]] = []
        self._names: dict[int, str] = {}

    def run(self) -> dict[str, Any]:
        for number, text in enumerate(self._texts):
            self._publish(f"bomb-{number}", "bombs", text)
        self._publish("beside", "beside", "{{ $param.n }} {{ $run.id }}")
        for path in ("/healthz", "/api/runs"):
            self._ask("GET", path)  # everything is loaded before the first look
        before = self._memory()
        watchers = [threading.Thread(target=each) for each in (self._watch_health, self._watch_memory, self._go_beside)]
        for watcher in watchers:
            watcher.start()
        begun = time.monotonic()
        self._ask("POST", "/api/events", {"name": "bombs", "payload": self._payload})
        with ThreadPoolExecutor(len(self._texts)) as threads:
            previews = list(threads.map(self._preview, self._texts))
        previews_s = time.monotonic() - begun
        while self._open():
            time.sleep(0.05)
        runs_s = time.monotonic() - begun
        self._is_over.set()
        for watcher in watchers:
            watcher.join()
        return {
            "runs": len(self._texts),
            "runs_ended_after_s": round(runs_s, 1),
            "previews_ended_after_s": round(previews_s, 1),
            "previews_answered_with": sorted(set(previews)),
            "healthz_ms": _shares(self._health_ms),
            "run_beside_ms": _shares(self._beside_ms),
            **self._growth(before),
        }

    def _publish(self, flow_id: str, event: str, text: str) -> None:
        document = {
            "format": "pulsewire.flow/1",
            "directed": True,
            "multigraph": True,
            "graph": {"id": flow_id, "name": flow_id, "description": ""},
            "nodes": [
                {"id": "start", "type": "event", "name": "Start", "params": {"event": event}},
                {"id": "set", "type": "set_fields", "name": "Set", "params": {"fields": {"value": text}}},
            ],
            "edges": [{"source": "start", "target": "set", "key": "out"}],
            "samples": [],
            "layout": {},
        }
        self._ask("POST", "/api/flows", document)
        self._ask("POST", f"/api/flows/{flow_id}/publish")

    def _preview(self, text: str) -> str:
        answer = self._ask("POST", "/api/expressions/evaluate", {"text": text, "param": self._payload})
        return str(answer["problems"][0]["code"]) if "problems" in answer else "a value"

    def _open(self) -> bool:
        return any(self._ask("GET", f"/api/runs?status={status}&limit=1")["items"] for status in ("queued", "running"))

    def _watch_health(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._server.port, timeout=60)
        while not self._is_over.wait(HEALTH_EVERY_S):
            begun = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            self._health_ms.append((time.perf_counter() - begun) * 1000)

    def _go_beside(self) -> None:
        while not self._is_over.wait(HEALTH_EVERY_S):
            begun = time.perf_counter()
            (run_id,) = self._ask("POST", "/api/events", {"name": "beside", "payload": {"n": 1}})["runs"]
            while self._ask("GET", f"/api/runs/{run_id}")["status"] != "succeeded":
                pass
            self._beside_ms.append((time.perf_counter() - begun) * 1000)

    def _watch_memory(self) -> None:
        while not self._is_over.wait(HEALTH_EVERY_S):
            self._sizes.append(self._memory())

    def _memory(self) -> dict[int, float]:
        """Return the resident memory of each process in MB."""
        sizes = {}
        for pid in self._server.pids():
            try:
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                name = self._server.name_of(pid)
            except OSError:
                continue  # it has just ended
            kilobytes = next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
            sizes[pid] = kilobytes / 1024
            self._names[pid] = name
        return sizes

    def _growth(self, before: dict[int, float]) -> dict[str, Any]:
        grown: dict[str, float] = {}
        for sizes in self._sizes:
            for pid, size in sizes.items():
                name = self._names[pid]
                grown[name] = max(grown.get(name, 0.0), size - before.get(pid, 0.0))
        together = max(sum(sizes.values()) for sizes in self._sizes) - sum(before.values())
        return {"growth_mb": {name: round(size) for name, size in grown.items()}, "all_together_mb": round(together)}

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self._server.port, timeout=120)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 400:
            raise RuntimeError(f"{path} answered {answer.status}: {text[:300]!r}")
        try:
            return json.loads(text)
        except ValueError:
            return text


def _shares(taken: list[float]) -> dict[str, float]:
    shares = statistics.quantiles(taken, n=100) if len(taken) > 1 else [taken[0]] * 99
    return {"asked": len(taken), "p50": round(shares[49], 1), "p99": round(shares[98], 1), "most": round(max(taken), 1)}


if __name__ == "__main__":
    main()
