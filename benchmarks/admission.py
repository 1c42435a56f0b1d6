"""Who has to wait for whom? Bursts, slow services, limited and paused flows beside a flow that is probed.

    python benchmarks/admission.py flows   [--count 1000]     one event that starts that many flows
    python benchmarks/admission.py burst   [--count 10000]    so many events at once for one flow
    python benchmarks/admission.py slow    [--count 2000]     a flow whose service takes half a second
    python benchmarks/admission.py limited [--count 3000]     runs a second of limited flows
    python benchmarks/admission.py held    [--count 100000]   so many runs wait for a paused flow

The probe is a flow of its own, started four times a second; its figures are milliseconds from event to end. The engine
runs in this process, durable as shipped. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from sqlmodel import Session

from nodes import spec
from nodes.spec import Context, NodeType, Output, Params, action
from runtime.backlog import read_backlog, reading
from runtime.engine import Engine, NewEvent
from runtime.publishing import subscribe
from runtime.settings import Settings
from storage.database import Database
from storage.tables import Flow, FlowVersion, RunRow

PROBE_S = 0.25
SERVICE_S = 0.5


class NoParams(Params):
    pass


class NoOutput(Output):
    pass


@action(title="Service", category="Benchmark")
async def service(params: NoParams, ctx: Context) -> NoOutput:
    await asyncio.sleep(SERVICE_S)
    return NoOutput()


@action(title="Quick service", category="Benchmark")
async def quick(params: NoParams, ctx: Context) -> NoOutput:
    return NoOutput()


def types() -> dict[str, NodeType]:
    """Return the library, and two nodes that wait for the outside."""
    return {**spec.load(), service.type: service, quick.type: quick}


def publish(
    session: Session, flow_id: str, event: str, node: str = "set_fields", settings: dict[str, Any] | None = None
) -> None:
    """Make a flow of a trigger and one node live."""
    params = {"fields": {"n": "{{ $param.n }}"}} if node == "set_fields" else {}
    document = {
        "format": "pulsewire.flow/1",
        "directed": True,
        "multigraph": True,
        "graph": {"id": flow_id, "name": flow_id, "description": ""},
        "nodes": [
            {"id": "start", "type": "event", "name": "Start", "params": {"event": event}},
            {"id": "act", "type": node, "name": "Act", "params": params},
        ],
        "edges": [{"source": "start", "target": "act", "key": "out"}],
        "samples": [],
        "layout": {},
    }
    flow = Flow(id=flow_id, name=flow_id, state="published", draft=document, published_version=1, limits=settings)
    session.add(flow)
    session.add(FlowVersion(flow_id=flow_id, version=1, document=document))
    session.flush()
    subscribe(session, flow, types(), datetime.now(UTC))


@asynccontextmanager
async def running(set_up: Callable[[Session], None]) -> AsyncIterator[tuple[Engine, Database]]:
    """Give an engine in a directory of its own, with the flows of *set_up* and the probes."""
    with tempfile.TemporaryDirectory(prefix="pulsewire-bench-") as directory:
        database = Database(f"sqlite:///{directory}/pulsewire.db")
        database.migrate()
        with database.write() as session:
            publish(session, "probe", "probe")
            publish(session, "probe-service", "probe-service", "quick")
            set_up(session)
        engine = Engine(database, Settings(data_dir=Path(directory)), types())
        await engine.start()
        await run(engine, "probe")
        yield engine, database
        await engine.stop(grace_s=0)
        database.dispose()


async def run(engine: Engine, event: str) -> float:
    """Return the milliseconds that one run takes from its event to its end."""
    begun = time.perf_counter()
    (accepted,) = await engine.accept([NewEvent(event, {"n": 1})])
    assert await engine.wait(accepted.runs[0], 60)
    return (time.perf_counter() - begun) * 1000


async def probed(engine: Engine, until: Callable[[], Any], event: str = "probe") -> dict[str, Any]:
    """Probe until *until* is true."""
    waits: list[float] = []
    while not until():
        waits.append(await run(engine, event))
        await asyncio.sleep(PROBE_S)
    waits.sort()
    return {"probes": len(waits), "p50_ms": round(waits[len(waits) // 2], 1), "longest_ms": round(waits[-1], 1)}


async def ended(engine: Engine, runs: list[int]) -> None:
    for run_id in runs:
        assert await engine.wait(run_id, 600)


async def flows(count: int) -> dict[str, Any]:
    def set_up(session: Session) -> None:
        for number in range(count):
            publish(session, f"f{number:04}", "go")

    async with running(set_up) as (engine, _database):
        begun = time.perf_counter()
        (accepted,) = await engine.accept([NewEvent("go", {"n": 1})])
        accepted_s = time.perf_counter() - begun
        assert len(accepted.runs) == count
        await ended(engine, accepted.runs)
        return {"flows": count, "accepted_ms": round(accepted_s * 1000), "all_ended_ms": round(_since(begun) * 1000)}


async def burst(count: int) -> dict[str, Any]:
    async with running(lambda session: publish(session, "f", "go")) as (engine, _database):
        begun = time.perf_counter()
        events = [NewEvent("go", {"n": n}) for n in range(count)]
        answers = [await engine.accept(events[at : at + 500]) for at in range(0, count, 500)]
        accepted_s = _since(begun)
        runs = [accepted.runs[0] for answer in answers for accepted in answer]
        work = asyncio.create_task(ended(engine, runs))
        found = await probed(engine, work.done)
        return {"events": count, "accepted_s": round(accepted_s, 2), "ended_s": round(_since(begun), 1), "probe": found}


async def slow(count: int) -> dict[str, Any]:
    async with running(lambda session: publish(session, "f", "go", "service")) as (engine, _database):
        begun = time.perf_counter()
        answers = await engine.accept([NewEvent("go", {"n": n}) for n in range(count)])
        work = asyncio.create_task(ended(engine, [accepted.runs[0] for accepted in answers]))
        found = await probed(engine, work.done, "probe-service")
        return {"runs": count, "ended_s": round(_since(begun), 1), "probe": found}


async def limited(count: int) -> list[dict[str, Any]]:
    found = []
    for settings in (None, {"runs_at_once": 100}, {"runs_at_once": 1}, {"key": "$param.n % 50"}):
        async with running(lambda session, s=settings: publish(session, "f", "go", settings=s)) as (engine, _database):
            begun = time.perf_counter()
            answers = await engine.accept([NewEvent("go", {"n": n}) for n in range(count)])
            await ended(engine, [accepted.runs[0] for accepted in answers])
            found.append({"settings": settings, "runs_per_s": round(count / _since(begun))})
    return found


async def held(count: int) -> dict[str, Any]:
    async with running(lambda session: publish(session, "f", "go")) as (engine, database):
        with database.write() as session:
            session.get_one(Flow, "f").state = "paused"
            rows = ({"flow_id": "f", "version": 1, "trigger": "start", "payload": {"n": n}} for n in range(count))
            session.add_all(RunRow(**row) for row in rows)
        begun = time.perf_counter()
        with reading(database) as cursor:
            backlog = read_backlog(cursor, 0, 20_000)
        look_s = _since(begun)
        until = time.perf_counter() + 5
        found = await probed(engine, lambda: time.perf_counter() > until)
        assert backlog.held == ["f"]
        return {"held": count, "one_look_ms": round(look_s * 1000, 2), "probe": found}


def _since(begun: float) -> float:
    return time.perf_counter() - begun


def main() -> None:
    modes = {"flows": (flows, 1_000), "burst": (burst, 10_000), "slow": (slow, 2_000)}
    modes |= {"limited": (limited, 3_000), "held": (held, 100_000)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=modes)
    parser.add_argument("--count", type=int)
    given = parser.parse_args()
    measure, count = modes[given.mode]
    print(json.dumps(uvloop.run(measure(given.count or count)), indent=2))


if __name__ == "__main__":
    main()
