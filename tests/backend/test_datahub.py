from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import Session, select

from backend.datahub import Column, ColumnChange, Datahub, columns_from
from backend.errors import BackendError, Conflict, NotFound, StorageFull
from backend.events import DataTableCreated, DataTableDeleted, DataTableEmptied, DataTableUpdated, Event
from storage.database import Database
from storage.tables import DataTable, Setting

HOSTILE = [
    "'; DROP TABLE data_table; --",
    'say "hi" `now` [x]',
    "select",
    "data_table",
    "🧨🇫🇷👩‍👩‍👧",
    "مرحبا",
    "../../etc/passwd",
    "__proto__",
    "<script>alert(1)</script>",
    "=1+1",
    "100 characters" + "x" * 86,
]


def faults(error: BackendError) -> list[tuple[str, str | None]]:
    return [(fault.code, fault.field) for fault in error.faults]


def physical_tables(database: Database) -> set[str]:
    with database.read() as session:
        names = session.connection().exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE name LIKE 'rows!_%' ESCAPE '!'"
        )
        return set(names.scalars())


def test_creating_a_table_reports_it_once(datahub: Datahub, fired: Any) -> None:
    orders = datahub.create("orders", [Column("n", "integer", required=True)], "What people bought")

    assert fired == [DataTableCreated(ID=UUID(orders.id), Name="orders", Description="What people bought")]
    assert fired.pokes == 1
    assert datahub.get("orders") == datahub.get(orders.id) == datahub.get("ORDERS") == orders
    assert orders.as_json()["columns"] == [{"name": "n", "type": "integer", "required": True}]


def test_others_can_see_a_change_when_they_are_told_of_it(database: Database) -> None:
    seen: list[list[str]] = []
    hub = Datahub(database, lambda _session, _event: None, lambda: seen.append([table.name for table in hub.list()]))

    hub.create("orders")
    hub.update("orders", name="sales")
    hub.delete("sales")

    assert seen == [["orders"], ["sales"], []]


def test_updating_a_table_reports_it_once_with_its_new_name(datahub: Datahub, fired: Any) -> None:
    orders = datahub.create("orders")
    fired.clear()

    datahub.update(orders.id, name="Orders 2024", description="New", columns=[Column("n", "integer")])

    assert fired == [DataTableUpdated(ID=UUID(orders.id), Name="Orders 2024", Description="New")]
    assert [table.name for table in datahub.list()] == ["Orders 2024"]


def test_update_that_changes_nothing_reports_nothing(datahub: Datahub, fired: Any) -> None:
    orders = datahub.create("orders", [Column("n", "integer")], "d")
    fired.clear()

    datahub.update(orders.id, name="orders", description="d", columns=[Column("n", "integer")])

    assert fired == []


def test_emptying_a_table_reports_it_once(datahub: Datahub, fired: Any) -> None:
    orders = datahub.create("orders", [Column("n", "integer")])
    datahub.insert(orders.id, [{"n": 1}, {"n": 2}])
    fired.clear()

    assert datahub.clear(orders.id) == 2

    assert fired == [DataTableEmptied(ID=UUID(orders.id), Name="orders", Description="")]
    assert datahub.rows(orders.id).total == 0


def test_emptying_an_empty_table_reports_it_too(datahub: Datahub, fired: Any) -> None:
    orders = datahub.create("orders")
    fired.clear()

    assert datahub.clear("orders") == 0

    assert fired == [DataTableEmptied(ID=UUID(orders.id), Name="orders", Description="")]


def test_deleting_a_table_reports_it_once_and_drops_its_rows(datahub: Datahub, database: Database, fired: Any) -> None:
    orders = datahub.create("orders", [Column("n", "integer", unique=True)], "d")
    fired.clear()

    datahub.delete("orders")

    assert fired == [DataTableDeleted(ID=UUID(orders.id), Name="orders", Description="d")]
    assert physical_tables(database) == set()
    with pytest.raises(NotFound):
        datahub.get(orders.id)


@pytest.mark.parametrize(
    "change",
    [
        lambda datahub: datahub.create("other"),
        lambda datahub: datahub.update("orders", name="other", columns=[Column("m", "text")]),
        lambda datahub: datahub.clear("orders"),
        lambda datahub: datahub.delete("orders"),
        lambda datahub: datahub.insert("orders", [{"n": 2}]),
        lambda datahub: datahub.import_csv("orders", ["n\n2\n"]),
        lambda datahub: datahub.update_where("orders", None, {"n": 2}),
        lambda datahub: datahub.delete_where("orders", None),
    ],
    ids=["create", "update", "clear", "delete", "insert", "import", "update rows", "delete rows"],
)
def test_change_whose_event_cannot_be_recorded_is_undone(
    database: Database, datahub: Datahub, change: Callable[[Datahub], object]
) -> None:
    before = datahub.create("orders", [Column("n", "integer")])
    datahub.insert("orders", [{"n": 1}])
    pokes: list[None] = []

    def refuse(_session: Session, _event: Event) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        change(Datahub(database, refuse, lambda: pokes.append(None)))

    assert [(table.name, table.columns, table.row_count) for table in datahub.list()] == [("orders", before.columns, 1)]
    assert len(physical_tables(database)) == 1
    assert pokes == []


def test_event_is_recorded_in_the_transaction_of_the_change(database: Database) -> None:
    def record(session: Session, event: Event) -> None:
        session.add(Setting(key=event.name, value=event.payload()))

    Datahub(database, record).create("orders", description="d")

    with database.read() as session:
        table, setting = session.exec(select(DataTable)).one(), session.exec(select(Setting)).one()
    assert setting.key == "api.dataTable_created"
    assert setting.value == {"ID": table.id, "Name": "orders", "Description": "d"}


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_table_name_is_inert(datahub: Datahub, name: str) -> None:
    table = datahub.create(name, [Column("n", "integer")])
    datahub.insert(name, [{"n": 1}])

    assert datahub.get(name).id == table.id
    assert datahub.get(name).row_count == 1
    assert datahub.clear(name) == 1
    assert datahub.list()[0].name == name
    datahub.delete(name)
    assert datahub.list() == []


@pytest.mark.parametrize(
    "name",
    ["", "   ", "x" * 101, "x" * 10_000, "a\0b", "a\nb", "\ud800", "a\u2028b", "\x1b[31m", None, 3, ["x"]],
    ids=range(12),
)
def test_name_that_cannot_be_is_refused(datahub: Datahub, database: Database, fired: Any, name: Any) -> None:
    with pytest.raises(BackendError) as caught:
        datahub.create(name)

    assert faults(caught.value) == [("table.name_invalid", "name")]
    assert (physical_tables(database), fired) == (set(), [])
    with pytest.raises(NotFound):
        datahub.get(name)


@pytest.mark.parametrize("other", ["orders", "ORDERS", " Orders "])
def test_name_in_use_is_refused_whatever_its_case(datahub: Datahub, fired: Any, other: str) -> None:
    datahub.create("orders")
    datahub.create("second")
    fired.clear()

    with pytest.raises(Conflict) as created:
        datahub.create(other)
    with pytest.raises(Conflict) as renamed:
        datahub.update("second", name=other)

    assert faults(created.value) == faults(renamed.value) == [("table.name_taken", "name")]
    assert fired == []
    assert datahub.update("orders", name="Orders").name == "Orders"  # its own name in another case


@pytest.mark.parametrize("name", ["select", "from", "table", "_", "rowid", "or", "and", "a" * 63, "OID", "values"])
def test_sql_words_are_column_names_like_any_other(datahub: Datahub, name: str) -> None:
    datahub.create("t", [Column(name, "text", unique=True), Column("other", "text")])

    row = datahub.insert("t", [{name: "x"}])[0]
    datahub.update_row("t", row["id"], {name: "y"})

    assert datahub.rows("t", filter={name: "y"}, sort=name, search="y").rows[0][name] == "y"
    datahub.update("t", columns=[ColumnChange("renamed", "text", was=name)])
    assert datahub.rows("t").rows[0]["renamed"] == "y"


@pytest.mark.parametrize(
    "name",
    ["", "1a", "a b", 'a"b', "a'b", "a;b", "a-b", "é", "🧨", "a" * 64, "a" * 10_000, "a\0", "\ud800", "$n", None, 7],
    ids=range(16),
)
def test_column_name_that_cannot_be_is_refused(datahub: Datahub, fired: Any, name: Any) -> None:
    with pytest.raises(BackendError) as caught:
        datahub.create("t", [Column("fine", "text"), Column(name, "text")])

    assert faults(caught.value) == [("column.name_invalid", "columns[1].name")]
    assert (datahub.list(), fired) == ([], [])


def test_every_fault_of_a_table_is_told_at_once(datahub: Datahub) -> None:
    columns = [
        Column("a", "text"),
        Column("A", "text"),
        Column("Created_At", "date"),
        Column("b", "money"),
        Column("c", "json", unique=True),
        Column("d", "text", required="yes"),  # type: ignore[arg-type]
    ]

    with pytest.raises(BackendError) as caught:
        datahub.create("", columns, "x" * 2001)

    assert faults(caught.value) == [
        ("table.name_invalid", "name"),
        ("table.description_invalid", "description"),
        ("column.name_taken", "columns[1].name"),
        ("column.name_taken", "columns[2].name"),
        ("column.type_unknown", "columns[3].type"),
        ("column.unique_invalid", "columns[4].unique"),
        ("column.invalid", "columns[5].required"),
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("x", [("column.invalid", "columns")]),
        ([1], [("column.invalid", "columns[0]")]),
        ([{"name": "a", "type": "text", "size": 3}], [("column.invalid", "columns[0]")]),
    ],
    ids=["no list", "no object", "unknown setting"],
)
def test_columns_of_the_wrong_shape_are_refused(data: Any, expected: Any) -> None:
    with pytest.raises(BackendError) as caught:
        columns_from(data)

    assert faults(caught.value) == expected


def test_full_disk_changes_nothing_and_reports_nothing(datahub: Datahub, database: Database, fired: Any) -> None:
    datahub.create("orders", [Column("text", "text")])
    fired.clear()
    with database.read() as session:
        pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar_one()
        session.connection().exec_driver_sql(f"PRAGMA max_page_count={pages}")

    with pytest.raises(StorageFull) as caught:
        datahub.insert("orders", [{"text": "x" * 50_000}])

    def create_many() -> None:
        for number in range(100):
            datahub.create(f"table {number}", [Column("n", "integer", unique=True)])

    with pytest.raises(StorageFull):
        create_many()
    kept = len(datahub.list())

    assert faults(caught.value) == [("storage.full", None)]
    assert datahub.rows("orders").total == 0
    assert len(physical_tables(database)) == kept
    assert len(fired) == kept - 1
