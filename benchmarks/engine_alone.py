"""How fast is the engine alone? Runs of pure steps, accepted and journalled durably; no HTTP, no other process.

    python benchmarks/engine_alone.py speed  [--runs 20000] [--at-once 500] [--steps 4] [--rounds 3]
    python benchmarks/engine_alone.py steps  [--total 40000]       cost of a step with 10, 100 and 1,000 nodes
    python benchmarks/engine_alone.py memory [--runs 1000000]      memory of the process while that many runs pass
    python benchmarks/engine_alone.py loop   [--items 10000]       memory and time of one loop

One event starts one run of a trigger and pure nodes (a condition, then texts put together). Everything is durable as
shipped (SQLite, WAL, synchronous=FULL): an event counts when its commit has returned, a run when its end is committed.
*--at-once* events are under way at any time, handed over 50 in a call, as the web process does under load; a call has
ended when all its runs have. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from nodes import spec
from runtime.engine import Engine, NewEvent
from runtime.publishing import subscribe
from runtime.settings import Settings
from runtime.worker import keep_what_is_loaded
from storage.database import Database
from storage.tables import Flow, FlowVersion

EVENT = "bench.order_paid"
TOGETHER = 50  # events that are handed over in one call, each a caller's own, as the web process does under load


def flow(steps: int) -> dict[str, Any]:
    """Return a chain of a trigger, a condition and *steps* - 1 nodes that put a text together."""
    nodes: list[dict[str, Any]] = [
        {"id": "paid", "type": "event", "name": "Paid", "params": {"event": EVENT}},
        {"id": "s0", "type": "condition", "name": "Large?", "params": {"if": "{{ $param.total > 100 }}"}},
    ]
    edges = [{"source": "paid", "target": "s0", "key": "out"}]
    for number in range(1, steps):
        before = "" if number == 1 else f"{{{{ $action.s{number - 1}.n }}}}"
        fields = {"n": "{{ $param.n }}", "text": f"Order {{{{ $param.n }}}} of {{{{ $param.customer.name }}}} {before}"}
        nodes.append({"id": f"s{number}", "type": "set_fields", "name": f"S{number}", "params": {"fields": fields}})
        edges.append({"source": f"s{number - 1}", "target": f"s{number}", "key": "true" if number == 1 else "out"})
    return {
        "format": "pulsewire.flow/1",
        "directed": True,
        "multigraph": True,
        "graph": {"id": "alone", "name": "Alone", "description": ""},
        "nodes": nodes,
        "edges": edges,
        "samples": [],
        "layout": {},
    }


def publish(database: Database, document: dict[str, Any]) -> None:
    """Make *document* live."""
    with database.write() as session:
        live = Flow(id="alone", name="Alone", state="published", draft=document, published_version=1)
        session.add(live)
        session.add(FlowVersion(flow_id="alone", version=1, document=document))
        session.flush()
        subscribe(session, live, spec.load(), datetime.now(UTC))


async def load(engine: Engine, first: int, runs: int, at_once: int) -> tuple[float, list[float]]:
    """Send *runs* events, *at_once* under way; return the seconds it took and the milliseconds of each call."""
    numbers = iter(range(first, first + runs))
    waits: list[float] = []
    together = min(TOGETHER, at_once)

    async def send() -> None:
        while taken := list(itertools.islice(numbers, together)):
            begun = time.perf_counter()
            answers = await engine.accept_groups([[NewEvent(EVENT, payload(number))] for number in taken])
            for answer in answers:
                assert isinstance(answer, list), answer
                await engine.ended(answer[0].runs[0])
            waits.append((time.perf_counter() - begun) * 1000)

    begun = time.perf_counter()
    await asyncio.gather(*[send() for _ in range(at_once // together)])
    return time.perf_counter() - begun, sorted(waits)


def payload(number: int) -> dict[str, Any]:
    """Return what the event of this number carries."""
    return {"n": number, "total": 120, "customer": {"name": "Ada", "city": "London"}}


@asynccontextmanager
async def running(document: dict[str, Any]) -> AsyncIterator[Engine]:
    """Give an engine in a directory of its own, in which *document* is live."""
    with tempfile.TemporaryDirectory(prefix="pulsewire-bench-") as directory:
        database = Database(f"sqlite:///{directory}/pulsewire.db")
        database.migrate()
        publish(database, document)
        engine = Engine(database, Settings(data_dir=Path(directory)))
        await engine.start()
        keep_what_is_loaded()
        yield engine
        await engine.stop()
        database.dispose()


async def speed(runs: int, at_once: int, steps: int, rounds: int) -> dict[str, Any]:
    """Return runs a second, and how long one takes alone."""
    async with running(flow(steps)) as engine:
        await load(engine, 0, 500, 50)
        figures = []
        for number in range(rounds):
            cpu_s = time.process_time()
            took_s, waits = await load(engine, 1_000_000 * (number + 1), runs, at_once)
            cpu_s = time.process_time() - cpu_s
            found = {"runs_per_s": round(runs / took_s), "cpu_us_per_run": round(cpu_s / runs * 1e6)}
            figures.append(found | _ms(waits))
        alone = _ms((await load(engine, 900_000_000, 1_000, 1))[1])
    return {"steps": steps, "at_once": at_once, "rounds": figures, "one_at_a_time": alone, "peak_memory_mb": _peak_mb()}


async def steps(total: int) -> list[dict[str, Any]]:
    """Return what a step costs in flows of different sizes."""
    found = []
    for size in (10, 100, 1_000):
        async with running(flow(size)) as engine:
            await load(engine, 0, 20, 10)
            runs = total // size
            cpu_s = time.process_time()
            took_s, _waits = await load(engine, 1_000_000, runs, 50)
            cpu_s = time.process_time() - cpu_s
            used = runs * size
            cost = {"us_per_step": round(took_s / used * 1e6, 1), "cpu_us_per_step": round(cpu_s / used * 1e6, 1)}
            found.append({"nodes": size} | cost)
    return found


async def memory(runs: int, at_once: int) -> list[dict[str, Any]]:
    """Return the process's memory after each tenth of *runs*."""
    found = []
    async with running(flow(4)) as engine:
        await load(engine, 0, 20_000, at_once)
        for number in range(11):
            found.append({"runs": 20_000 + number * (runs // 10), "memory_mb": _now_mb()})
            if number < 10:
                await load(engine, 1_000_000 + number * (runs // 10), runs // 10, at_once)
    return found


async def loop(items: int) -> dict[str, Any]:
    """Return what one run costs that goes through a list."""
    document = flow(1)
    body = {"fields": {"text": "Item {{ $index }}: {{ $item.name }}"}}
    document["nodes"] += [
        {"id": "loop", "type": "for_each", "name": "Loop", "params": {"items": "{{ $param.items }}"}},
        {"id": "body", "type": "set_fields", "name": "Body", "params": body},
    ]
    document["edges"] += [
        {"source": "s0", "target": "loop", "key": "true"},
        {"source": "loop", "target": "body", "key": "each"},
    ]
    async with running(document) as engine:
        before_mb, begun = _now_mb(), time.perf_counter()
        payload = {"total": 120, "items": [{"name": f"item {number}"} for number in range(items)]}
        (accepted,) = await engine.accept([NewEvent(EVENT, payload)])
        await engine.wait(accepted.runs[0], 120)
        took_s = time.perf_counter() - begun
        return {"items": items, "took_s": round(took_s, 2), "before_mb": before_mb, "peak_mb": _peak_mb()}


def _now_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024, 1)


def _peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _ms(waits: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(waits[len(waits) // 2], 2),
        "p99_ms": round(waits[min(len(waits) - 1, int(len(waits) * 0.99))], 2),
    }


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "steps", "memory", "loop"])
    parser.add_argument("--runs", type=int)
    parser.add_argument("--at-once", type=int, default=500)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--total", type=int, default=40_000)
    parser.add_argument("--items", type=int, default=10_000)
    given = parser.parse_args()
    work: Coroutine[Any, Any, Any]
    match given.what:
        case "speed":
            work = speed(given.runs or 20_000, given.at_once, given.steps, given.rounds)
        case "steps":
            work = steps(given.total)
        case "memory":
            work = memory(given.runs or 1_000_000, given.at_once)
        case _:
            work = loop(given.items)
    print(json.dumps(uvloop.run(work), indent=2))


if __name__ == "__main__":
    main()
