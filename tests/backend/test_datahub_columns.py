from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from backend.datahub import Column, ColumnChange, Datahub
from backend.errors import BackendError, Conflict, StorageFull
from backend.events import DataTableUpdated
from storage.database import Database

from .test_datahub_rows import faults, stored


def test_columns_are_added_renamed_dropped_and_reordered_with_their_rows(datahub: Datahub, fired: Any) -> None:
    table = datahub.create("t", [Column("a", "text", unique=True), Column("b", "integer"), Column("c", "json")])
    rows = datahub.insert("t", [{"a": "x", "b": 1, "c": [1]}, {"a": "y", "b": 2, "c": None}])
    fired.clear()

    changed = datahub.update(
        "t",
        columns=[
            ColumnChange("new", "text"),
            ColumnChange("c", "json"),
            ColumnChange("A2", "text", required=True, unique=True, was="a"),
        ],
    )

    assert fired == [DataTableUpdated(ID=UUID(table.id), Name="t", Description="")]
    assert [column.as_json() for column in changed.columns] == [
        {"name": "new", "type": "text"},
        {"name": "c", "type": "json"},
        {"name": "A2", "type": "text", "required": True, "unique": True},
    ]
    assert [list(row) for row in stored(datahub, "t")] == [["id", "new", "c", "A2", "created_at", "updated_at"]] * 2
    assert [(row["id"], row["A2"], row["c"], row["new"], row["created_at"]) for row in stored(datahub, "t")] == [
        (row["id"], row["a"], row["c"], None, row["created_at"]) for row in rows
    ]
    with pytest.raises(BackendError):
        datahub.insert("t", [{"A2": "x"}])
    datahub.insert("t", [{"A2": "z"}])
    assert [row["A2"] for row in stored(datahub, "t")] == ["x", "y", "z"]


def test_names_can_be_swapped(datahub: Datahub) -> None:
    datahub.create("t", [Column("a", "text"), Column("b", "text")])
    datahub.insert("t", [{"a": "1", "b": "2"}])

    datahub.update("t", columns=[ColumnChange("b", "text", was="a"), ColumnChange("a", "text", was="b")])

    assert [(row["a"], row["b"]) for row in stored(datahub, "t")] == [("2", "1")]


@pytest.mark.parametrize(
    ("old", "new", "values", "expected"),
    [
        ("text", "integer", ["1", " -2 ", "", None], [1, -2, None, None]),
        ("text", "number", ["1.5", "1e3"], [1.5, 1000.0]),
        ("text", "boolean", ["true", "No", "1"], [True, False, True]),
        ("text", "date", ["2024-05-03"], ["2024-05-03"]),
        ("text", "datetime", ["2024-05-03T10:00:00+02:00"], ["2024-05-03T08:00:00Z"]),
        ("text", "uuid", ["F76C777079C345A296ADE4E4321AD66B"], ["f76c7770-79c3-45a2-96ad-e4e4321ad66b"]),
        ("text", "json", ["x", "1"], ["x", "1"]),
        ("json", "text", ["x", {"a": [1]}, 2], ["x", '{"a":[1]}', "2"]),
        ("json", "integer", [1, "2", None], [1, 2, None]),
        ("integer", "text", [2**63 - 1], ["9223372036854775807"]),
        ("integer", "number", [3], [3.0]),
        ("integer", "boolean", [0, 1], [False, True]),
        ("number", "integer", [3.0], [3]),
        ("number", "text", [1.5], ["1.5"]),
        ("boolean", "integer", [True, False], [1, 0]),
        ("boolean", "text", [True], ["true"]),
        ("boolean", "json", [True], [True]),
        ("date", "datetime", ["2024-05-03"], ["2024-05-03T00:00:00Z"]),
        ("date", "text", ["2024-05-03"], ["2024-05-03"]),
        ("datetime", "date", ["2024-05-03T00:00:00Z"], ["2024-05-03"]),
        ("datetime", "text", ["2024-05-03T10:00:00Z"], ["2024-05-03T10:00:00Z"]),
        ("datetime", "json", ["2024-05-03T10:00:00Z"], ["2024-05-03T10:00:00Z"]),
        ("uuid", "text", ["f76c7770-79c3-45a2-96ad-e4e4321ad66b"], ["f76c7770-79c3-45a2-96ad-e4e4321ad66b"]),
    ],
    ids=str,
)
def test_type_changes_where_every_value_fits(
    datahub: Datahub, old: str, new: str, values: list[Any], expected: list[Any]
) -> None:
    datahub.create("t", [Column("a", old)])
    datahub.insert("t", [{"a": value} for value in values])

    datahub.update("t", columns=[Column("a", new)])

    found = [row["a"] for row in stored(datahub, "t")]
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("old", "new", "values", "misfits"),
    [
        ("text", "integer", ["1", "x", "1.5", "9223372036854775808", "1_000", "٣"], "5 rows have"),
        ("text", "number", ["nan", "inf", "1e999", "0x1"], "4 rows have"),
        ("text", "boolean", ["maybe"], "1 row has"),
        ("text", "datetime", ["soon"], "1 row has"),
        ("number", "integer", [1.0, 1.5], "1 row has"),
        ("integer", "boolean", [1, 2], "1 row has"),
        ("integer", "date", [20240503], "1 row has"),
        ("datetime", "date", ["2024-05-03T00:00:01Z"], "1 row has"),
        ("json", "integer", [[1], {"a": 1}, True], "2 rows have"),
        ("uuid", "integer", ["f76c7770-79c3-45a2-96ad-e4e4321ad66b"], "1 row has"),
    ],
    ids=str,
)
def test_type_change_that_loses_values_is_refused_with_their_number(
    datahub: Datahub, fired: Any, old: str, new: str, values: list[Any], misfits: str
) -> None:
    before = datahub.create("t", [Column("a", old)])
    rows = datahub.insert("t", [{"a": value} for value in values])
    fired.clear()

    with pytest.raises(BackendError, match=misfits) as caught:
        datahub.update("t", name="renamed", columns=[Column("b", "text"), Column("a", new)])

    assert faults(caught.value) == [("row.value_invalid", "columns[1].type")]
    assert datahub.get("t").columns == before.columns
    assert stored(datahub, "t") == rows
    assert fired == []


def test_change_tells_every_reason_it_cannot_be(datahub: Datahub) -> None:
    columns = [Column("a", "text"), Column("b", "text"), Column("c", "integer")]
    datahub.create("t", columns)
    rows = datahub.insert("t", [{"a": "x", "b": "x"}, {"a": "x"}, {"b": "y", "c": 1}])

    with pytest.raises(BackendError) as caught:
        datahub.update(
            "t",
            columns=[
                Column("a", "text", unique=True),
                Column("b", "text", required=True),
                Column("c", "integer"),
                Column("d", "text", required=True),
            ],
        )

    assert [(fault.code, fault.field, fault.message.split(":")[1].strip()[:6]) for fault in caught.value.faults] == [
        ("row.required", "columns[1].required", "1 row "),
        ("row.required", "columns[3].required", "3 rows"),
        ("row.not_unique", "columns[0].unique", "2 rows"),
    ]
    assert stored(datahub, "t") == rows


def test_values_that_become_equal_cannot_be_unique(datahub: Datahub) -> None:
    datahub.create("t", [Column("a", "text", unique=True)])
    rows = datahub.insert("t", [{"a": "1"}, {"a": " 1"}, {"a": "+1"}])

    with pytest.raises(BackendError, match="2 rows have") as caught:
        datahub.update("t", columns=[Column("a", "integer", unique=True)])

    assert faults(caught.value) == [("row.not_unique", "columns[0].type")]
    assert stored(datahub, "t") == rows


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([ColumnChange("x", "text", was="nope")], [("column.not_found", "columns[0].was")]),
        ([ColumnChange("x", "text", was=7)], [("column.not_found", "columns[0].was")]),  # type: ignore[arg-type]
        (
            [ColumnChange("x", "text", was="a"), ColumnChange("a", "text")],
            [("column.name_taken", "columns[1].was")],
        ),
        ([Column("b", "text"), Column("B", "text")], [("column.name_taken", "columns[1].name")]),
        ([Column(f"c{n}", "text") for n in range(101)], [("column.too_many", "columns")]),
    ],
    ids=["missing", "number", "twice", "same name", "too many"],
)
def test_change_that_makes_no_sense_is_refused(datahub: Datahub, columns: list[Column], expected: Any) -> None:
    datahub.create("t", [Column("a", "text")])

    with pytest.raises(BackendError) as caught:
        datahub.update("t", columns=columns)

    assert faults(caught.value) == expected
    assert datahub.get("t").columns == (Column("a", "text"),)


def test_full_disk_leaves_columns_and_rows_as_they_were(datahub: Datahub, database: Database, fired: Any) -> None:
    datahub.create("t", [Column("a", "text")])
    rows = datahub.insert("t", [{"a": "x" * 1000} for _ in range(500)])
    fired.clear()
    with database.read() as session:
        pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar_one()
        session.connection().exec_driver_sql(f"PRAGMA max_page_count={pages + 10}")

    for changed in (Column("b", "text"), Column("a", "json")):
        with pytest.raises(StorageFull):
            datahub.update("t", columns=[Column("a", "text"), changed] if changed.name == "b" else [changed])

    assert datahub.get("t").columns == (Column("a", "text"),)
    assert datahub.rows("t", sort=None, limit=1000).rows == rows
    assert fired == []


def test_value_that_becomes_empty_does_not_fit_a_required_column(datahub: Datahub) -> None:
    datahub.create("t", [Column("a", "text", required=True), Column("b", "text")])
    rows = datahub.insert("t", [{"a": "", "b": "x"}, {"a": "1", "b": "1"}, {"a": " ", "b": "2"}])

    with pytest.raises(BackendError) as caught:
        datahub.update("t", columns=[Column("a", "integer", required=True), Column("b", "number")])

    assert [(fault.field, fault.message.split(":")[1].strip()[:6]) for fault in caught.value.faults] == [
        ("columns[0].type", "2 rows"),
        ("columns[1].type", "1 row "),
    ]
    assert stored(datahub, "t") == rows


def test_changed_table_keeps_its_indexes(datahub: Datahub, database: Database) -> None:
    datahub.create("t", [Column("a", "text", unique=True)])
    row = datahub.insert("t", [{"a": "1"}])[0]

    datahub.update("t", columns=[Column("a", "integer", unique=True)])

    with pytest.raises(Conflict):
        datahub.insert("t", [{"a": 2}, {"a": 1}])
    again = Datahub(database, lambda _session, _event: None, new_id=lambda: UUID(row["id"]))
    with pytest.raises(IntegrityError, match="id"):
        again.insert("t", [{"a": 3}])
    assert stored(datahub, "t") == [row | {"a": 1}]


@pytest.mark.usefixtures("nobody_listens")
def test_many_rows_are_converted(datahub: Datahub) -> None:
    datahub.create("t", [Column("a", "text")])
    datahub.insert("t", [{"a": str(n)} for n in range(2_500)])

    datahub.update("t", columns=[Column("a", "integer")])

    assert [row["a"] for row in datahub.rows("t", sort="a", limit=10_000).rows] == list(range(2_500))
