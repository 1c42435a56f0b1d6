"""What is asked of the database often must not become slower with every run that is kept."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy
from sqlmodel import select

from backend.passwords import CHEAP, Passwords
from runtime import bulk_cancels
from runtime.app import build_service
from runtime.bulk_retries import Failed, meant
from runtime.engine import Engine
from runtime.engine_api import NewEvent
from runtime.metrics import Metrics
from runtime.retention_rules import Rules
from runtime.service import Service
from runtime.settings import Settings
from storage.database import Database
from storage.tables import RunRow
from tests.runtime.conftest import Clock

GROWING = ("run", "step", "event", "wait", "wait_event", "audit_entry")
WHOLE = re.compile(rf"SCAN ({'|'.join(GROWING)})\b(?: USING (?:COVERING )?INDEX (\w+))?")
OF_ENDED = "ix_run_ended"  # partial, too, and has nearly every run
COUNTS = f"SCAN run USING COVERING INDEX {OF_ENDED}"  # by retention, twice a minute, beside the writer
BY_NEWEST = "SCAN run"  # by id from the newest one on, until a page is full


class Asked:
    """The statements that a database was asked, and the tables or whole indexes that they walk through."""

    def __init__(self, database: Database) -> None:
        self._path = database.path
        self.statements: list[str] = []
        sqlalchemy.event.listen(database.engine, "connect", self._listen)

    def _listen(self, raw: sqlite3.Connection, _record: object) -> None:
        raw.set_trace_callback(self.statements.append)

    def walks(self) -> set[str]:
        found = set()
        with sqlite3.connect(self._path) as connection:
            sql = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'"
            partial = {name for (name,) in connection.execute(sql)} - {OF_ENDED}  # small: what is open, locked, a test
            for statement in self.statements:
                if statement.split(" ", 1)[0] in ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH"):
                    details = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
                    whole = [match for match in map(WHOLE.match, details) if match and match[2] not in partial]
                    found |= {match[0] for match in whole}
        connection.close()
        return found


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
def installation(settings: Settings, clock: Clock) -> Iterator[tuple[Service, Engine, Asked]]:
    database = Database(settings.url)
    asked = Asked(database)
    engine = Engine(database, settings, clock=clock)
    yield build_service(settings, database, engine, passwords=Passwords(CHEAP)), engine, asked
    database.dispose()


def _run(service: Service) -> int:
    with service.database.write() as session:
        run = RunRow(flow_id="greet", version=1, trigger="start", payload={})
        session.add(run)
        session.flush()
        assert run.id is not None
        return run.id


def _open(service: Service) -> None:
    with service.database.read() as session:
        bulk_cancels.meant(session, "greet")


def _one(service: Service) -> None:
    run_id = _run(service)
    service.runs.get(run_id)
    service.runs.item(run_id, "3")


def _meant(service: Service, failed: Failed) -> None:
    with service.database.read() as session:
        meant(session, failed)


READS: dict[str, tuple[Callable[[Service], Any], set[str]]] = {
    "newest": (lambda service: service.runs.list(), {BY_NEWEST}),
    "older": (lambda service: service.runs.list(after=1_000), set()),
    "of a flow": (lambda service: service.runs.list("greet"), set()),
    "failed": (lambda service: service.runs.list(status="failed"), set()),
    "waiting": (lambda service: service.runs.list(status="waiting"), set()),
    "failed of a flow": (lambda service: service.runs.list("greet", "failed"), set()),
    "succeeded of a flow": (lambda service: service.runs.list("greet", "succeeded"), set()),
    "tests": (lambda service: service.runs.list(is_test=True), set()),
    "tests of a flow": (lambda service: service.runs.list("greet", is_test=True), set()),
    "which failed ones nobody retried": (lambda service: _meant(service, Failed()), set()),
    "which failed ones of a flow nobody retried": (lambda service: _meant(service, Failed(flow="greet")), set()),
    "which open ones of a flow to cancel": (_open, set()),
    "approvals that wait": (lambda service: service.runs.approvals(), set()),
    "one with what retries it": (_one, set()),
    "items of a loop": (lambda service: service.runs.items(_run(service), "each"), set()),
    "flows with their last run": (lambda service: service.flows.list(), set()),
    "metrics": (
        lambda service: Metrics(service.database).text(None),
        {"SCAN run USING COVERING INDEX ix_run_status"},
    ),
}


@pytest.mark.parametrize("read", READS)
def test_what_pages_read_walks_through_no_table_that_grows(
    read: str, installation: tuple[Service, Engine, Asked]
) -> None:
    service, _engine, asked = installation
    ask, expected = READS[read]

    ask(service)

    assert any("FROM" in statement for statement in asked.statements)
    assert asked.walks() == expected


async def test_what_the_engine_asks_walks_through_no_table_that_grows(
    installation: tuple[Service, Engine, Asked], clock: Clock, document: Callable[..., dict[str, Any]]
) -> None:
    service, engine, asked = installation
    service.flows.create(document())
    service.flows.publish("greet")
    asked.statements.clear()

    await engine.start()
    (accepted,) = await engine.accept([NewEvent("shop.order_paid", {"total": 120}, id="one")])
    assert await engine.wait(accepted.runs[0], 10)
    await engine.accept([NewEvent("shop.order_paid", {"total": 120}, id="one")])
    test = await service.runs.start_test("greet")
    assert await engine.wait(test, 10)
    await engine.wake()
    await engine.sweep()
    retried = await service.runs.retry(accepted.runs[0])
    assert await engine.wait(retried.id, 10)
    await engine.cancel(retried.id)
    service.retention.save(Rules(1, 1, 0))
    clock.advance(days=2)
    await engine.sweeper.sweep()
    await engine.stop()

    assert sum("INTO step" in statement for statement in asked.statements) >= 2
    assert asked.walks() == {COUNTS}
    with service.database.read() as session:
        assert session.exec(select(RunRow)).all() == []


async def test_waits_limits_and_pauses_walk_through_no_table_that_grows(
    installation: tuple[Service, Engine, Asked], document: Callable[..., dict[str, Any]]
) -> None:
    service, engine, asked = installation
    wait = {"id": "large", "type": "wait_for_event", "name": "Wait", "params": {"event": "shop.shipped"}}
    edges = [{"source": "start", "target": "large", "key": "out"}]
    start = document()["nodes"][0]
    limited = {"id": "limited", "name": "Limited", "settings": {"runs_at_once": 1, "key": "{{ $param.total }}"}}
    for made in (
        document("greet"),
        document("waits", nodes=[start, wait], edges=edges, samples=[], layout={}),
        document("limited", graph=limited | {"description": ""}),
    ):
        service.flows.create(made)
        service.flows.publish(made["graph"]["id"])
    await engine.start()
    asked.statements.clear()

    runs = [each.runs for each in await engine.accept([NewEvent("shop.order_paid", {"total": n}) for n in range(3)])]
    waiting = [run_id for found in runs for run_id in found if service.runs.get(run_id).flow == "waits"]
    for run_id in {run_id for found in runs for run_id in found}:
        assert await engine.wait(run_id, 10)
    service.flows.pause("greet")
    await engine.accept([NewEvent("shop.shipped", {"total": 9})])
    (held,) = await engine.accept([NewEvent("shop.order_paid", {"total": 9})])
    for run_id in waiting:
        async with asyncio.timeout(10):
            while service.runs.get(run_id).status != "succeeded":  # noqa: ASYNC110 - rows are read
                await asyncio.sleep(0.01)
    service.flows.list()
    service.flows.resume("greet")
    await engine.wake()
    for run_id in held.runs:
        assert await engine.wait(run_id, 10)
    service.flows.pause("greet")
    service.flows.resume("greet", "discard")
    service.flows.unpublish("limited")
    await engine.stop()

    assert len(waiting) == 3
    assert any("wait_event" in statement for statement in asked.statements)
    assert asked.walks() <= {COUNTS}
