"""How fast is the engine alone? Runs of pure steps, accepted and journalled durably; no HTTP, no other process.

    python benchmarks/engine_alone.py [--runs 20000] [--at-once 500] [--steps 4] [--rounds 3] [--json]

One event starts one run of a trigger and *steps* pure nodes (condition, then set fields with expressions). Everything
is durable as shipped (SQLite, WAL, synchronous=FULL): an event counts when its commit has returned, a run when its end
is committed. *--at-once* events are under way at any time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
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
    """Send *runs* events, *at_once* under way; return the seconds it took and each run's milliseconds."""
    numbers = iter(range(first, first + runs))
    waits: list[float] = []

    async def send() -> None:
        for number in numbers:
            begun = time.perf_counter()
            payload = {"n": number, "total": 120, "customer": {"name": "Ada", "city": "London"}}
            (accepted,) = await engine.accept([NewEvent(EVENT, payload)])
            await engine.ended(accepted.runs[0])
            waits.append((time.perf_counter() - begun) * 1000)

    begun = time.perf_counter()
    await asyncio.gather(*[send() for _ in range(at_once)])
    return time.perf_counter() - begun, sorted(waits)


async def measure(runs: int, at_once: int, steps: int, rounds: int) -> dict[str, Any]:
    """Return every figure."""
    with tempfile.TemporaryDirectory(prefix="pulsewire-bench-") as directory:
        database = Database(f"sqlite:///{directory}/pulsewire.db")
        database.migrate()
        publish(database, flow(steps))
        engine = Engine(database, Settings(data_dir=Path(directory)))
        await engine.start()
        keep_what_is_loaded()
        await load(engine, 0, 500, 50)
        figures = []
        for number in range(rounds):
            cpu = time.process_time()
            took_s, waits = await load(engine, 1_000_000 * (number + 1), runs, at_once)
            cpu = time.process_time() - cpu
            figures.append(
                {"runs_per_s": round(runs / took_s), "cpu_us_per_run": round(cpu / runs * 1e6), **_ms(waits)}
            )
        alone = _ms((await load(engine, 900_000_000, 1_000, 1))[1])
        await engine.stop()
        database.dispose()
        return {
            "steps": steps,
            "at_once": at_once,
            "rounds": figures,
            "one_at_a_time": alone,
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }


def _ms(waits: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(waits[len(waits) // 2], 2),
        "p99_ms": round(waits[min(len(waits) - 1, int(len(waits) * 0.99))], 2),
    }


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--at-once", type=int, default=500)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(json.dumps(uvloop.run(measure(given.runs, given.at_once, given.steps, given.rounds)), indent=2))


if __name__ == "__main__":
    main()
