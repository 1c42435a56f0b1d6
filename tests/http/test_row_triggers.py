"""Rows that change through the doors start the flows that wait for them, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from backend.datahub_events import EVENT_ROWS
from backend.errors import BackendError
from backend.events import Event
from runtime.service import Service
from storage.tables import EventRow

Make = Callable[..., dict[str, Any]]
COLUMNS = [{"name": "number", "type": "integer"}, {"name": "note", "type": "text"}]
KINDS = ["rowCreated", "rowUpdated", "rowDeleted"]


@pytest.fixture
async def rows(client: httpx.AsyncClient, service: Service, document: Make, fired: list[Event]) -> str:
    """Two tables, and a live flow on everything that happens to the rows of “orders”."""
    for name in ("orders", "customers"):
        await client.post("/api/tables", json={"name": name, "columns": COLUMNS})
    triggers = [
        {"id": kind, "type": f"api.dataTable_{kind}", "name": kind, "params": {"table": "orders"}} for kind in KINDS
    ]
    say = {"id": "say", "type": "set_fields", "name": "Say", "params": {"fields": {"n": "{{ $param.row.number }}"}}}
    edges = [{"source": kind, "target": "say", "key": "out"} for kind in KINDS]
    service.flows.create(document(nodes=[*triggers, say], edges=edges, samples=[], layout={}))
    service.flows.publish("greet")
    fired.clear()
    return "/api/tables/orders/rows"


async def started(service: Service) -> list[tuple[str, Any]]:
    """Return each run's trigger and what it said."""
    runs = [service.runs.get(each.id) for each in reversed(service.runs.list().items)]
    for run in runs:
        assert await service.engine.wait(run.id, 10)
    ended = [service.runs.get(run.id) for run in runs]
    return [(run.trigger, run.steps[-1].output["n"]) for run in ended]


async def test_each_change_of_a_row_starts_its_flow_once(client: httpx.AsyncClient, service: Service, rows: str):
    row = (await client.post(rows, json={"number": 1, "note": "new"})).json()
    changed = (await client.patch(f"{rows}/{row['id']}", json={"number": 2})).json()
    await client.patch(f"{rows}/{row['id']}", json={"number": 2})
    await client.delete(f"{rows}/{row['id']}")

    assert await started(service) == [("rowCreated", 1), ("rowUpdated", 2), ("rowDeleted", 2)]
    with service.database.read() as session:
        query = select(EventRow).where(col(EventRow.name).contains("_row")).order_by(col(EventRow.created_at))
        events = [(event.name, event.payload) for event in session.exec(query)]
    table = {"ID": service.tables.get("orders").id, "Name": "orders"}
    latest = events[2][1]["row"]
    assert events == [
        ("api.dataTable_rowCreated", {**table, "row": row, "before": None}),
        ("api.dataTable_rowUpdated", {**table, "row": changed, "before": row}),
        ("api.dataTable_rowDeleted", {**table, "row": latest, "before": latest}),
    ]
    assert latest == {**changed, "updated_at": latest["updated_at"]}


async def test_imported_file_starts_a_run_for_every_line(service: Service, rows: str):
    service.tables.import_csv("orders", ["number,note\n7,a\n8,b\n"])

    assert await started(service) == [("rowCreated", 7), ("rowCreated", 8)]


async def test_other_tables_and_whole_tables_start_nothing(
    client: httpx.AsyncClient, service: Service, rows: str, fired: list[Event]
):
    await client.post("/api/tables/customers/rows", json={"number": 1})
    await client.post("/api/tables/orders/clear")

    assert service.runs.list().items == []
    assert [event.name for event in fired] == ["api.dataTable_emptied"]


async def test_more_rows_than_may_start_runs_are_refused_where_a_flow_listens(service: Service, rows: str):
    file = ["number\n", *(f"{number}\n" for number in range(EVENT_ROWS + 1))]

    with pytest.raises(BackendError) as caught:
        service.tables.import_csv("orders", file)
    service.tables.import_csv("customers", file)
    service.flows.unpublish("greet")
    service.tables.import_csv("orders", file)

    assert [fault.code for fault in caught.value.faults] == ["row_events.too_many"]
    assert service.runs.list().items == []
    assert service.tables.count("customers") == service.tables.count("orders") == EVENT_ROWS + 1
