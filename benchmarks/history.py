"""What does a long history cost? The same installation with few and with many runs kept.

    python benchmarks/history.py [--runs 1000 1000000] [--flows 20] [--json]

Each round fills a database of its own with ended runs (an event, a run and four steps each, some failed), in bulk; then
it measures what people and the engine do all the time: start, accept and run events, the pages' queries, a look for due
runs; then a backup and its restore, and removing runs by retention, both while events arrive.
Everything is durable as shipped. Bytes written tell more than times where other work shares the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from engine_alone import EVENT, flow, load, publish

from backend.passwords import CHEAP, Passwords
from runtime.app import build_service
from runtime.engine import Engine, NewEvent
from runtime.metrics import Metrics
from runtime.retention_rules import Rules
from runtime.service import Service
from runtime.settings import Settings
from storage.backup import copy
from storage.database import Database
from storage.restore import restore
from storage.space import measure

AT_ONCE = 20
EVENTS = 2_000
BATCH = 20_000
DAY_US = 86_400_000_000
REMOVED = 50_000  # at most, by retention


def fill(path: Path, runs: int, flows: int) -> None:
    """Put in *runs* that ended within the last twenty days, in the order of their ends."""
    first = int(time.time() * 1e6) - 20 * DAY_US
    step_us = (20 * DAY_US - 3_600_000_000) // max(runs, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA synchronous=OFF")
        raw.execute("PRAGMA cache_size=-200000")
        for number in range(flows):
            document = flow(4) | {"graph": {"id": f"f{number}", "name": f"Flow {number}", "description": ""}}
            raw.execute(
                "INSERT INTO flow (id, name, state, draft, revision, created_at, updated_at) "
                "VALUES (?, ?, 'draft', ?, 1, 0, 0)",
                (f"f{number}", f"Flow {number}", json.dumps(document)),
            )
        for start in range(0, runs, BATCH):
            numbers = range(start, min(start + BATCH, runs))
            raw.execute("BEGIN")
            raw.executemany(
                "INSERT INTO event (id, name, payload, root_id, depth, path, created_at) "
                "VALUES (?, 'bench', ?, '', 0, '[]', ?)",
                ((_id(n), f'{{"n":{n},"total":120,"text":"{"x" * 120}"}}', first + n * step_us) for n in numbers),
            )
            raw.executemany(
                "INSERT INTO run (flow_id, version, trigger, event_id, status, is_test, is_simulated, epoch, crashes, "
                "is_dead, error, created_at, started_at, ended_at) VALUES (?, 1, 't', ?, ?, 0, 0, 1, 0, 0, ?, ?, ?, ?)",
                (_run(n, flows, first + n * step_us) for n in numbers),
            )
            raw.executemany(
                "INSERT INTO step (run_id, node, iteration, attempt, status, port, input, output, started_at, "
                "ended_at) VALUES (?, ?, '', 1, 'succeeded', 'out', ?, ?, ?, ?)",
                (
                    (n + 1, node, f'{{"value":"{"y" * 60}"}}', f'{{"n":{n},"text":"Order of Ada"}}', at, at + 500)
                    for n in numbers
                    for at in (first + n * step_us,)
                    for node in ("start", "large", "text", "post")
                ),
            )
            raw.execute("COMMIT")


def _id(number: int) -> str:
    return f"019c{number:08x}-0000-7000-8000-{number:012x}"


def _run(number: int, flows: int, at: int) -> tuple[Any, ...]:
    is_failed = number % 100 == 7
    error = '{"message":"The shop did not answer.","code":"http.failed","node":"post"}' if is_failed else None
    status = "failed" if is_failed else "succeeded"
    return (f"f{number % flows}", _id(number), status, error, at, at, at + 2_000)


PAGES: dict[str, Callable[[Service], Any]] = {
    "newest": lambda service: service.runs.list(),
    "older": lambda service: service.runs.list(after=500),
    "of a flow": lambda service: service.runs.list("f3"),
    "failed": lambda service: service.runs.list(status="failed"),
    "failed of a flow": lambda service: service.runs.list("f7", "failed"),
    "cancelled of a flow": lambda service: service.runs.list("f3", "cancelled"),
    "tests": lambda service: service.runs.list(is_test=True),
    "flows": lambda service: service.flows.list(),
    "metrics": lambda service: Metrics(service.database).text(None),
}


def written() -> int:
    """Return the bytes that this process has handed to files so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def median_ms(work: Callable[[], Any], times: int = 7) -> float:
    """Return the median milliseconds of a call."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        found.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(found), 1)


async def speed(engine: Engine, first: int) -> dict[str, float]:
    """Return what accepting and running events costs."""
    cpu, disk = time.process_time(), written()
    took_s, _waits = await load(engine, first, EVENTS, AT_ONCE)
    return {
        "runs_per_s": round(EVENTS / took_s),
        "cpu_us_per_run": round((time.process_time() - cpu) / EVENTS * 1e6),
        "bytes_per_run": round((written() - disk) / EVENTS),
    }


@asynccontextmanager
async def arriving(engine: Engine) -> Any:
    """Let an event arrive every 10 ms meanwhile; gives the list of milliseconds until each was accepted."""
    waits: list[float] = []

    async def send() -> None:
        while True:
            begun = time.perf_counter()
            await engine.accept([NewEvent(EVENT, {"n": 1, "total": 120, "customer": {"name": "Ada"}})])
            waits.append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(0.01)

    sending = asyncio.create_task(send())
    yield waits
    sending.cancel()


def shares(waits: list[float]) -> dict[str, float]:
    """Return the median and the 99th percentile."""
    values = sorted(waits) or [0.0]
    return {"p50": round(values[len(values) // 2], 1), "p99": round(values[int(len(values) * 0.99)], 1)}


async def backed_up(engine: Engine, path: Path) -> dict[str, Any]:
    """Make a backup while events arrive, and restore it elsewhere."""
    target = path.with_name("backup.db")
    async with arriving(engine) as waits:
        begun = time.perf_counter()
        size = await asyncio.to_thread(copy, path, target)
        took_s = time.perf_counter() - begun
    begun = time.perf_counter()
    folder = path.with_name("elsewhere")
    folder.mkdir()
    await asyncio.to_thread(restore, target, folder / "pulsewire.db", datetime.now(UTC))
    restored_s = time.perf_counter() - begun
    shutil.copyfile(path.with_name("secret.key"), folder / "secret.key")
    again = Database(f"sqlite:///{folder / 'pulsewire.db'}")
    begun = time.perf_counter()
    started = Engine(again, Settings(data_dir=folder))
    await started.start()
    started_s = time.perf_counter() - begun
    await started.stop()
    again.dispose()
    target.unlink()
    shutil.rmtree(folder)
    return {
        "backup_mb": round(size / 1e6),
        "backup_s": round(took_s, 1),
        "accept_ms_meanwhile": shares(waits),
        "restore_s": round(restored_s, 1),
        "restored_engine_start_s": round(started_s, 2),
    }


async def swept(engine: Engine, service: Service, runs: int, flows: int) -> dict[str, Any]:
    """Let retention remove nine tenths of the runs, or as many as are enough to measure, while events arrive."""
    async with arriving(engine) as quiet:
        await asyncio.sleep(3)
    kept = runs - min(runs * 9 // 10, REMOVED)
    removed, turns, longest_s, cpu, begun = 0, 0, 0.0, time.process_time(), time.perf_counter()
    await asyncio.to_thread(service.retention.save, Rules(None, kept // flows, None))
    async with arriving(engine) as waits:
        is_done = False
        while not is_done:
            found = await engine.sweeper.sweep()
            removed, turns, is_done = removed + found.runs, turns + found.turns, found.is_done
            longest_s = max(longest_s, found.longest_s)
    took_s = time.perf_counter() - begun
    return {
        "removed": removed,
        "removed_per_s": round(removed / took_s),
        "cpu_us_per_removed": round((time.process_time() - cpu) / max(removed, 1) * 1e6),
        "turns": turns,
        "longest_turn_ms": round(longest_s * 1000, 1),
        "accept_ms_before": shares(quiet),
        "accept_ms_meanwhile": shares(waits),
    }


async def measured(folder: Path, runs: int, flows: int) -> dict[str, Any]:
    """Return every figure of one size."""
    settings = Settings(data_dir=folder)
    database = Database(settings.url)
    database.migrate()
    fill(database.path, runs, flows)
    publish(database, flow(4))
    file_mb = measure(database).file_bytes / 1e6
    engine = Engine(database, settings)
    service = build_service(settings, database, engine, passwords=Passwords(CHEAP))
    begun = time.perf_counter()
    await engine.start()
    start_ms = (time.perf_counter() - begun) * 1000
    await load(engine, 0, 300, AT_ONCE)
    pages = {name: await asyncio.to_thread(median_ms, partial(ask, service)) for name, ask in PAGES.items()}
    figures = {
        "runs": runs,
        "file_mb": round(file_mb),
        "engine_start_ms": round(start_ms, 1),
        "speed": [await speed(engine, (number + 1) * 1_000_000) for number in range(3)],
        "pages_ms": pages,
        **await backed_up(engine, database.path),
        "retention": await swept(engine, service, runs, flows),
    }
    await engine.stop()
    figures["file_mb_after"] = round(database.path.stat().st_size / 1e6)
    database.dispose()
    return figures


def lines(figures: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the figures for people, a column for each size."""
    flat = [dict(_flat(each)) for each in figures]
    for name in flat[0]:
        yield f"{name:<40}" + "".join(f"{each.get(name, ''):>22}" for each in flat)


def _flat(figures: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name} ")
        elif isinstance(value, list):
            for key in value[0]:
                yield f"{before}{name} {key}", " ".join(f"{each[key]:,}" for each in value)
        else:
            yield f"{before}{name}", f"{value:,}"


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--flows", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    figures = []
    for runs in given.runs:
        with tempfile.TemporaryDirectory(prefix="pulsewire-bench-") as directory:
            figures.append(uvloop.run(measured(Path(directory), runs, given.flows)))
    print(json.dumps(figures, indent=2) if given.json else "\n".join(lines(figures)))


if __name__ == "__main__":
    main()
