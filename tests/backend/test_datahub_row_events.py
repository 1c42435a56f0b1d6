"""The events of changed rows: which are reported, with what, and when there are too many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import Session

from backend.datahub import Column, Datahub
from backend.datahub_events import EVENT_ROWS
from backend.errors import BackendError
from backend.events import (
    DataRowEvent,
    DataTableDeleted,
    DataTableEmptied,
    DataTableRowCreated,
    DataTableRowDeleted,
    DataTableRowUpdated,
    DataTableUpdated,
    Event,
)
from storage.database import Database

COLUMNS = [Column("n", "integer"), Column("at", "datetime"), Column("more", "json")]


@pytest.fixture
def table(datahub: Datahub, fired: Any) -> UUID:
    table = datahub.create("orders", COLUMNS, "What people bought")
    fired.clear()
    fired.pokes = 0
    return UUID(table.id)


def test_every_added_row_is_reported_as_it_is_stored(datahub: Datahub, fired: Any, table: UUID) -> None:
    first, second = datahub.insert("orders", [{"n": 1, "at": "2024-05-03T12:00:00+02:00"}, {"n": 2, "more": [1]}])

    assert fired == [
        DataTableRowCreated(ID=table, Name="orders", row=first, before=None),
        DataTableRowCreated(ID=table, Name="orders", row=second, before=None),
    ]
    assert fired.pokes == 1
    assert first["at"] == "2024-05-03T10:00:00Z"
    assert fired[0].payload() == {"ID": str(table), "Name": "orders", "row": first, "before": None}


def test_imported_rows_are_reported_as_rows_are_read(datahub: Datahub, fired: Any, table: UUID) -> None:
    datahub.import_csv("orders", ['n,at,more\n1,2024-05-03T10:00:00Z,"{""a"": 1}"\n2,,\n'])

    rows = datahub.rows("orders", sort="n").rows
    assert fired == [DataTableRowCreated(ID=table, Name="orders", row=row, before=None) for row in rows]
    assert rows[0]["more"] == {"a": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda datahub, row: datahub.update_row("orders", row["id"], {"n": 2}),
        lambda datahub, row: datahub.update_where("orders", {"n": 1}, {"n": 2}),
    ],
    ids=["one", "where"],
)
def test_changed_row_is_reported_with_what_it_was(
    datahub: Datahub, fired: Any, table: UUID, change: Callable[[Datahub, dict[str, Any]], object]
) -> None:
    before, _other = datahub.insert("orders", [{"n": 1, "more": {"a": 1}}, {"n": 7}])
    fired.clear()

    change(datahub, before)

    after = datahub.row("orders", before["id"])
    assert fired == [DataTableRowUpdated(ID=table, Name="orders", row=after, before=before)]
    assert (after["n"], after["more"]) == (2, {"a": 1})
    assert after["updated_at"] > before["updated_at"]


def test_rows_that_keep_their_values_report_nothing(datahub: Datahub, fired: Any, table: UUID) -> None:
    datahub.insert("orders", [{"n": 1, "more": {"a": 1, "b": 2}}, {"n": 2, "more": {"a": 1, "b": 2}}])
    fired.clear()

    datahub.update_where("orders", None, {"more": {"b": 2, "a": 1}})
    datahub.update_where("orders", None, {"n": 2})

    assert [(event.before["n"], event.row["n"]) for event in fired] == [(1, 2)]


def test_true_in_place_of_1_is_a_change(datahub: Datahub, fired: Any, table: UUID) -> None:
    row = datahub.insert("orders", [{"more": {"is_open": 1}}])[0]
    fired.clear()

    datahub.update_row("orders", row["id"], {"more": {"is_open": True}})

    assert [event.row["more"]["is_open"] for event in fired] == [True]


@pytest.mark.parametrize(
    "delete",
    [
        lambda datahub, row: datahub.delete_rows_by_id("orders", [row["id"], *map(str, range(500)), row["id"].upper()]),
        lambda datahub, row: datahub.delete_where("orders", {"n": 1}),
    ],
    ids=["by id", "where"],
)
def test_deleted_row_is_reported_as_it_was(
    datahub: Datahub, fired: Any, table: UUID, delete: Callable[[Datahub, dict[str, Any]], object]
) -> None:
    row, _other = datahub.insert("orders", [{"n": 1}, {"n": 2}])
    fired.clear()

    delete(datahub, row)

    assert fired == [DataTableRowDeleted(ID=table, Name="orders", row=row, before=row)]


def test_operation_that_meets_no_row_reports_nothing(datahub: Datahub, fired: Any, table: UUID) -> None:
    datahub.insert("orders", [])
    datahub.update_where("orders", {"n": 1}, {"n": 2})
    datahub.delete_where("orders", {"n": 1})
    datahub.delete_rows_by_id("orders", ["no id"])

    assert fired == []


def test_table_as_a_whole_reports_no_rows(datahub: Datahub, fired: Any, table: UUID) -> None:
    datahub.insert("orders", [{"n": 1}])
    fired.clear()

    datahub.update("orders", columns=[Column("n", "text")])
    datahub.clear("orders")
    datahub.delete("orders")

    assert [type(event) for event in fired] == [DataTableUpdated, DataTableEmptied, DataTableDeleted]


def test_only_events_that_somebody_waits_for_are_recorded(database: Database) -> None:
    fired: list[Event] = []
    asked: list[tuple[str, dict[str, Any]]] = []

    def listens(session: Session, name: str, known: Any) -> bool:
        assert session.in_transaction()
        asked.append((name, dict(known)))
        return name == DataTableRowUpdated.name

    datahub = Datahub(database, lambda _session, event: fired.append(event), listens=listens)
    table = datahub.create("orders", COLUMNS)
    fired.clear()

    datahub.insert("orders", [{"n": n} for n in range(EVENT_ROWS + 1)])
    datahub.update_where("orders", {"n": 7}, {"n": 8})
    datahub.delete_where("orders", None)

    assert [type(event) for event in fired] == [DataTableRowUpdated]
    known = {"ID": table.id, "Name": "orders"}
    names = [DataTableRowCreated.name, DataTableRowUpdated.name, DataTableRowDeleted.name]
    assert asked == [(name, known) for name in names], "once per operation"


@pytest.mark.parametrize(
    "change",
    [
        lambda datahub: datahub.insert("orders", [{"n": 2}] * (EVENT_ROWS + 1)),
        lambda datahub: datahub.import_csv("orders", ["n\n", "2\n" * (EVENT_ROWS + 1)]),
        lambda datahub: datahub.update_where("orders", None, {"n": 2}),
        lambda datahub: datahub.delete_where("orders", None),
        lambda datahub: datahub.delete_rows_by_id(
            "orders", [row["id"] for row in datahub.rows("orders", limit=10_000).rows]
        ),
    ],
    ids=["insert", "import", "update", "delete", "delete by id"],
)
def test_too_many_rows_at_once_are_refused_and_nothing_changes(
    datahub: Datahub, fired: Any, table: UUID, change: Callable[[Datahub], object]
) -> None:
    fired.hears_rows = False
    datahub.insert("orders", [{"n": 1}] * (EVENT_ROWS + 1))
    fired.hears_rows = True

    with pytest.raises(BackendError, match=r"every one of these rows of “orders”.*at most 1,000") as caught:
        change(datahub)

    assert [fault.code for fault in caught.value.faults] == ["row_events.too_many"]
    assert fired == []
    assert datahub.count("orders", {"n": 1}) == datahub.count("orders") == EVENT_ROWS + 1


def test_as_many_rows_as_may_be_reported_are(datahub: Datahub, fired: Any, table: UUID) -> None:
    datahub.insert("orders", [{"n": n} for n in range(EVENT_ROWS)])
    datahub.update_where("orders", None, {"at": "2024-05-03T10:00:00Z"})
    datahub.delete_where("orders", None)

    kinds = [DataTableRowCreated, DataTableRowUpdated, DataTableRowDeleted]
    assert [type(event) for event in fired] == [kind for kind in kinds for _ in range(EVENT_ROWS)]
    assert all(event.before["n"] == event.row["n"] for event in fired[EVENT_ROWS:])


def test_view_reports_rows_and_tables_elsewhere(datahub: Datahub, fired: Any, table: UUID) -> None:
    elsewhere: list[Event] = []
    view = datahub.reporting(lambda _session, event: elsewhere.append(event))

    row = view.insert("orders", [{"n": 1}])[0]
    view.clear("orders")
    datahub.insert("orders", [{"n": 2}])

    assert elsewhere == [
        DataTableRowCreated(ID=table, Name="orders", row=row, before=None),
        DataTableEmptied(ID=table, Name="orders", Description="What people bought"),
    ]
    assert [event.row["n"] for event in fired if isinstance(event, DataRowEvent)] == [2]
