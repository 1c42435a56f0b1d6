"""A database of the version before, with runs in flight: brought up to this version, they finish as they would have."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config

from backend.passwords import CHEAP, Passwords
from backend.secrets import load_or_create_key
from runtime.app import build_app
from runtime.settings import Settings
from storage.database import VERSIONS, Database
from storage.space import measure
from storage.tables import from_us, to_us

BEFORE = "0002"
AT = to_us(datetime.now(UTC) - timedelta(hours=1))
RUNS = "(id, flow_id, version, document, trigger, event_id, payload, status, is_test, is_simulated, epoch, wake_at, "
RUNS += "created_at, started_at, ended_at)"
STEPS = "(run_id, node, iteration, attempt, status, port, input, output, error, started_at, ended_at)"


def insert(raw: sqlite3.Connection, table: str, columns: str, *rows: tuple[Any, ...]) -> None:
    for row in rows:
        values = [json.dumps(value) if isinstance(value, dict | list) else value for value in row]
        raw.execute(f"INSERT INTO {table} {columns} VALUES ({', '.join('?' * len(values))})", values)


def step(run_id: int, node: str, status: str, port: str | None, output: Any, error: Any = None) -> tuple[Any, ...]:
    return (run_id, node, "", 1, status, port, {}, output, error, AT, None if status in ("running", "waiting") else AT)


def in_flight(raw: sqlite3.Connection, document: dict[str, Any]) -> None:
    """Put in what a Pulsewire of schema 0002 left when it was killed, with a run in each state it knew."""
    insert(raw, "flow", "", ("greet", "Greet", "published", document, 1, 1, 1, AT, AT))
    insert(raw, "flow_version", "", ("greet", 1, document, AT))
    insert(raw, "subscription", "", ("greet", "start", 1, "shop.order_paid", {}))
    insert(raw, "setting", "", ("installation", {"id": "abcdef012345"}, AT))
    for number in range(1, 6):
        columns = "(id, name, payload, digest, root_id, parent_run, depth, path, created_at)"
        event = (f"e{number}", "shop.order_paid", {"total": 100 + number}, None, f"e{number}", None, 0, [], AT)
        insert(raw, "event", columns, event)

    def run(number: int, status: str, wake_at: int | None = None, ended_at: int | None = None) -> tuple[Any, ...]:
        started = None if status == "queued" else AT
        head = (number, "greet", 1, None, "start", f"e{number}", None, status, 0, 0, 1)
        return (*head, wake_at, AT, started, ended_at)

    insert(
        *(raw, "run", RUNS),
        *(run(1, "queued"), run(2, "running"), run(3, "waiting", AT + 5), run(4, "succeeded", None, AT)),
        (5, "greet", None, document, "start", None, {"total": 105}, "queued", 1, 1, 0, None, AT, None, None),
    )
    later = {"message": "Later.", "code": "x", "step": "greet", "retry_at": from_us(AT + 5).isoformat()}
    insert(
        *(raw, "step", STEPS),
        step(2, "start", "succeeded", "out", {"total": 102}),
        step(2, "large", "succeeded", "true", {"result": True}),
        step(2, "greet", "running", None, None),
        step(3, "start", "succeeded", "out", {"total": 103}),
        step(3, "large", "succeeded", "true", {"result": True}),
        step(3, "greet", "waiting", None, None, later),
        step(4, "start", "succeeded", "out", {"total": 104}),
        step(4, "large", "succeeded", "true", {"result": True}),
        step(4, "greet", "succeeded", "out", {"text": "Thanks for 104"}),
    )


@pytest.fixture
def settings(tmp_path: Path, document: Callable[..., dict[str, Any]]) -> Iterator[Settings]:
    settings = Settings(data_dir=tmp_path)
    path = tmp_path / "pulsewire.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode=WAL")  # as that version made it: it cannot shrink
    database, config = Database(settings.url), Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    config.set_main_option("path_separator", "os")
    with database.writer.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, BEFORE)
    database.dispose()
    with closing(sqlite3.connect(path)) as raw, raw:
        in_flight(raw, document())
    load_or_create_key(tmp_path, None)
    return settings


async def test_runs_in_flight_finish_with_the_same_result_after_the_upgrade(settings: Settings) -> None:
    app = build_app(settings, embedded=True, passwords=Passwords(CHEAP))
    try:
        await app.start()
        for run_id in range(1, 6):
            assert await app.engine.wait(run_id, 10)
        runs = {run_id: app.service.runs.get(run_id) for run_id in range(1, 6)}
    finally:
        await app.stop()

    assert {run_id: run.status for run_id, run in runs.items()} == dict.fromkeys(range(1, 6), "succeeded")
    for run_id, run in runs.items():
        outputs = {step.node: step.output for step in run.steps}
        assert outputs["greet"] == {"text": f"Thanks for {100 + run_id}"}
        assert [step.node for step in run.steps] == ["start", "large", "greet"]
    attempts = {run_id: run.steps[-1].attempt for run_id, run in runs.items()}
    assert attempts == {1: 1, 2: 1, 3: 2, 4: 1, 5: 1}
    done_before = [step for run_id in (2, 3) for step in runs[run_id].steps[:2]]
    assert {step.started_at for step in done_before} == {runs[2].started_at}, "a step that was done was done again"


async def test_after_the_upgrade_the_file_can_shrink_and_new_runs_are_numbered_on(settings: Settings) -> None:
    before = Database(settings.url)
    could_shrink = measure(before).can_shrink
    before.dispose()

    app = build_app(settings, embedded=True, passwords=Passwords(CHEAP))
    try:
        await app.start()
        run = await app.service.runs.test("greet", payload={"total": 1})
        can_shrink = measure(app.service.database).can_shrink
    finally:
        await app.stop()

    assert (could_shrink, can_shrink) == (False, True)
    assert run.id == 6
