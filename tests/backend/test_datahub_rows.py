from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from backend.datahub import Column, Datahub
from backend.errors import BackendError, Conflict, NotFound
from storage.database import Database

EVERY_TYPE = [
    Column("text", "text"),
    Column("integer", "integer"),
    Column("number", "number"),
    Column("boolean", "boolean"),
    Column("date", "date"),
    Column("datetime", "datetime"),
    Column("uuid", "uuid"),
    Column("json", "json"),
]
NAMES = [column.name for column in EVERY_TYPE]
DEEP: Any = None
for _ in range(65):
    DEEP = [DEEP]


def faults(error: BackendError) -> list[tuple[str, str | None]]:
    return [(fault.code, fault.field) for fault in error.faults]


@pytest.fixture
def table(datahub: Datahub) -> str:
    return datahub.create("t", EVERY_TYPE).id


def stored(datahub: Datahub, table: str) -> list[dict[str, Any]]:
    return datahub.rows(table, sort=None).rows


@pytest.mark.parametrize(
    ("column", "value", "kept"),
    [
        ("text", "", ""),
        ("text", "'; DROP TABLE t; -- 🧨 \u202eRTL\r\n\ttab", None),
        ("text", "x" * 1_000_000, None),
        ("integer", 2**63 - 1, None),
        ("integer", -(2**63), None),
        ("integer", 5.0, 5),
        ("number", 1.5, None),
        ("number", 3, 3.0),
        ("number", 1e308, None),
        ("boolean", False, None),
        ("date", "2024-02-29", None),
        ("date", "0001-01-01", None),
        ("datetime", "2024-05-03T10:30:00Z", None),
        ("datetime", "2024-05-03T10:30:00.123456+02:00", "2024-05-03T08:30:00.123456Z"),
        ("datetime", "2024-05-03 10:30", "2024-05-03T10:30:00Z"),
        ("uuid", "F76C777079C345A296ADE4E4321AD66B", "f76c7770-79c3-45a2-96ad-e4e4321ad66b"),
        ("json", {"b": [1, None, True, 2.5, "ä\0"], "a": {}}, None),
        ("json", 0, None),
        ("json", "", None),
        ("json", None, None),
    ],
    ids=range(20),
)
def test_value_is_kept_and_read_back(datahub: Datahub, table: str, column: str, value: Any, kept: Any) -> None:
    expected = value if kept is None else kept

    (added,) = datahub.insert(table, [{column: value}])

    assert added[column] == expected
    assert type(added[column]) is type(expected)
    assert datahub.row(table, added["id"]) == added
    assert set(added) == {"id", "created_at", "updated_at", *NAMES}
    assert UUID(added["id"]).version == 4
    assert added["created_at"] == added["updated_at"]
    assert added["created_at"].endswith("Z")
    assert all(added[name] is None for name in NAMES if name != column)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", 5),
        ("text", "a\0b"),
        ("text", "\ud83d"),
        ("text", "x" * 1_000_001),
        ("text", ["x"]),
        ("integer", 2**63),
        ("integer", -(2**63) - 1),
        ("integer", 10**5000),
        ("integer", 1.5),
        ("integer", float("nan")),
        ("integer", float("inf")),
        ("integer", True),
        ("integer", "5"),
        ("number", float("nan")),
        ("number", float("-inf")),
        ("number", 10**400),
        ("number", False),
        ("number", "1"),
        ("boolean", 1),
        ("boolean", "true"),
        ("date", "2024-02-30"),
        ("date", "2024-W18-5"),
        ("date", "20240503"),
        ("date", "2024-05-03T00:00:00Z"),
        ("date", "٢٠٢٤-٠٥-٠٣"),
        ("date", 0),
        ("datetime", "yesterday"),
        ("datetime", "2024-05-03T25:00:00Z"),
        ("datetime", "0001-01-01T00:00:00+14:00"),
        ("datetime", 1714732200),
        ("uuid", "not a uuid"),
        ("uuid", "{f76c7770-79c3-45a2-96ad-e4e4321ad66b}"),
        ("uuid", 1),
        ("json", float("nan")),
        ("json", [{"a": float("inf")}]),
        ("json", 2**64),
        ("json", {"a": "\ud83d"}),
        ("json", {1: 2}),
        ("json", {"a": b"x"}),
        ("json", "x" * 1_000_001),
        ("json", DEEP),
    ],
    ids=range(41),
)
def test_value_that_does_not_fit_is_refused_at_its_field(datahub: Datahub, table: str, column: str, value: Any) -> None:
    (row,) = datahub.insert(table, [{}])

    with pytest.raises(BackendError) as inserted:
        datahub.insert(table, [{}, {column: value}])
    with pytest.raises(BackendError) as updated:
        datahub.update_row(table, row["id"], {column: value})
    with pytest.raises(BackendError) as updated_all:
        datahub.update_where(table, None, {column: value})

    assert faults(inserted.value) == [("row.value_invalid", f"rows[1].{column}")]
    assert faults(updated.value) == [("row.value_invalid", column)]
    assert faults(updated_all.value) == [("row.value_invalid", f"values.{column}")]
    assert stored(datahub, table) == [row]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"id": "x"}], [("row.column_unknown", "rows[0].id")]),
        ([{}, {"nope": 1, "text": 2}], [("row.column_unknown", "rows[1].nope"), ("row.value_invalid", "rows[1].text")]),
        ([{'"; DROP TABLE t': 1}], [("row.column_unknown", 'rows[0]."; DROP TABLE t')]),
        ([{"\ud800": 1}], [("row.column_unknown", "rows[0].?")]),
        ([[]], [("row.invalid", "rows[0]")]),
        ([None], [("row.invalid", "rows[0]")]),
        ({}, [("row.invalid", "rows")]),
        ([{}] * 10_001, [("row.invalid", "rows")]),
        ([{"text": 1}] * 500, [("row.value_invalid", f"rows[{n}].text") for n in range(100)]),
    ],
    ids=range(9),
)
def test_rows_of_the_wrong_shape_are_refused(datahub: Datahub, table: str, rows: Any, expected: Any) -> None:
    with pytest.raises(BackendError) as caught:
        datahub.insert(table, rows)

    assert faults(caught.value) == expected
    assert stored(datahub, table) == []


def test_required_column_takes_no_empty_value(datahub: Datahub) -> None:
    datahub.create("t", [Column("a", "text", required=True), Column("b", "text")])
    (row,) = datahub.insert("t", [{"a": ""}])

    with pytest.raises(BackendError) as inserted:
        datahub.insert("t", [{"a": "x"}, {"b": "y"}, {"a": None}])
    with pytest.raises(BackendError) as updated:
        datahub.update_row("t", row["id"], {"a": None})

    assert faults(inserted.value) == [("row.required", "rows[1].a"), ("row.required", "rows[2].a")]
    assert faults(updated.value) == [("row.required", "a")]
    assert stored(datahub, "t") == [row]
    assert datahub.update_row("t", row["id"], {"b": "z"})["b"] == "z"  # what is not given stays


def test_unique_column_takes_no_value_twice(datahub: Datahub) -> None:
    datahub.create("t", [Column("a", "text", unique=True), Column("n", "integer", unique=True)])
    rows = datahub.insert("t", [{"a": "x", "n": 1}, {"a": "y"}, {"a": None}])

    with pytest.raises(Conflict) as inserted:
        datahub.insert("t", [{"a": "fresh"}, {"a": "x", "n": 1}, {"a": "fresh"}])
    with pytest.raises(Conflict) as updated:
        datahub.update_row("t", rows[1]["id"], {"a": "x"})
    with pytest.raises(Conflict) as updated_all:
        datahub.update_where("t", None, {"n": 7})

    assert faults(inserted.value) == [
        ("row.not_unique", "rows[1].a"),
        ("row.not_unique", "rows[2].a"),
        ("row.not_unique", "rows[1].n"),
    ]
    assert faults(updated.value) == [("row.not_unique", "a")]
    assert faults(updated_all.value) == [("row.not_unique", "values.n")]
    assert stored(datahub, "t") == rows


def test_row_is_changed_and_deleted_by_id(datahub: Datahub, table: str) -> None:
    rows = datahub.insert(table, [{"integer": n} for n in range(3)])

    changed = datahub.update_row(table, rows[1]["id"], {"text": "new"})
    deleted = datahub.delete_rows_by_id(table, [rows[0]["id"], rows[0]["id"], "no such id", "\ud800", "a\0"])

    assert deleted == 1
    assert (changed["text"], changed["integer"], changed["created_at"]) == ("new", 1, rows[1]["created_at"])
    assert changed["updated_at"] >= rows[1]["updated_at"]
    assert stored(datahub, table) == [changed, rows[2]]


@pytest.mark.parametrize("row_id", ["f76c7770-79c3-45a2-96ad-e4e4321ad66b", "x", "", None, 7, "a\0", "\ud800"])
def test_missing_row_is_reported(datahub: Datahub, table: str, row_id: Any) -> None:
    for call in (lambda: datahub.row(table, row_id), lambda: datahub.update_row(table, row_id, {"text": "x"})):
        with pytest.raises(NotFound) as caught:
            call()
        assert faults(caught.value) == [("row.not_found", None)]


@pytest.mark.parametrize("name", ["nope", "", "a\0", "\ud800", None, 7])
def test_missing_table_is_reported(datahub: Datahub, name: Any) -> None:
    with pytest.raises(NotFound) as caught:
        datahub.rows(name)

    assert faults(caught.value) == [("table.not_found", None)]


def test_caller_decides_about_the_transaction(datahub: Datahub, database: Database, table: str) -> None:
    def change_and_fail() -> None:
        with database.write() as session:
            row = datahub.insert_in(session, table, [{"text": "x"}])[0]
            datahub.update_row_in(session, table, row["id"], {"text": "y"})
            assert datahub.count_in(session, table, {"text": "y"}) == 1
            raise KeyError("later")

    with pytest.raises(KeyError):
        change_and_fail()
    with database.write() as session:
        datahub.insert_in(session, table, [{"text": "kept"}])

    assert [row["text"] for row in stored(datahub, table)] == ["kept"]


def test_check_says_what_would_be_stored_and_stores_nothing(datahub: Datahub, database: Database, table: str) -> None:
    with database.read() as session:
        whole = datahub.check_in(session, table, {"datetime": "2024-05-03T12:00:00+02:00"})
        part = datahub.check_in(session, table, {"integer": 5.0}, partial=True)
        with pytest.raises(BackendError) as caught:
            datahub.check_in(session, table, {"integer": "x"})

    assert whole == dict.fromkeys(NAMES) | {"datetime": "2024-05-03T10:00:00Z"}
    assert part == {"integer": 5}
    assert faults(caught.value) == [("row.value_invalid", "integer")]
    assert stored(datahub, table) == []


PEOPLE = [
    {"text": "Ann", "integer": 1, "number": 1.5, "boolean": True, "date": "2024-01-01"},
    {"text": "bob", "integer": 2, "number": 2.5, "boolean": False, "date": "2024-02-01"},
    {"text": "50%_off\\", "integer": 3, "datetime": "2024-05-03T10:00:00Z", "json": {"a": 1}},
    {"text": None, "integer": 4, "uuid": "f76c7770-79c3-45a2-96ad-e4e4321ad66b"},
]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (None, [1, 2, 3, 4]),
        ({}, [1, 2, 3, 4]),
        ({"text": "Ann"}, [1]),
        ({"text": "ann"}, []),
        ({"text": None}, [4]),
        ({"text": {"ne": "Ann"}}, [2, 3, 4]),
        ({"text": {"ne": None}}, [1, 2, 3]),
        ({"integer": {"gte": 2, "lt": 4}}, [2, 3]),
        ({"integer": {"gt": 3}, "text": None}, [4]),
        ({"integer": {"in": [1, 4, 9]}}, [1, 4]),
        ({"text": {"in": ["bob", None]}}, [2, 4]),
        ({"integer": {"in": []}}, []),
        ({"text": {"contains": "B"}}, [2]),
        ({"text": {"contains": "%_"}}, [3]),
        ({"text": {"contains": "\\"}}, [3]),
        ({"text": {"contains": ""}}, [1, 2, 3]),
        ({"text": {"starts_with": "a"}}, [1]),
        ({"text": {"starts_with": "%"}}, []),
        ({"boolean": False}, [2]),
        ({"integer": {"lte": 2}}, [1, 2]),
        ({"number": {"lte": 2}}, [1]),
        ({"date": {"gt": "2024-01-15"}}, [2]),
        ({"datetime": "2024-05-03T12:00:00+02:00"}, [3]),
        ({"uuid": "F76C7770-79C3-45A2-96AD-E4E4321AD66B"}, [4]),
        ({"json": {"is_null": False}}, [3]),
        ({"json": None}, [1, 2, 4]),
        ({"created_at": {"gt": "2000-01-01T00:00:00Z"}}, [1, 2, 3, 4]),
        ({"or": [{"integer": 1}, {"text": "bob"}]}, [1, 2]),
        ({"or": []}, []),
        ({"and": []}, [1, 2, 3, 4]),
        ({"integer": {"lt": 4}, "or": [{"and": [{"integer": 1}, {"text": "no"}]}, {"integer": 2}]}, [2]),
        ({"integer": {}}, [1, 2, 3, 4]),
    ],
    ids=str,
)
def test_filter_finds(datahub: Datahub, table: str, where: Any, found: list[int]) -> None:
    datahub.insert(table, PEOPLE)

    page = datahub.rows(table, filter=where, sort="integer")

    assert [row["integer"] for row in page.rows] == found
    assert page.total == datahub.count(table, where) == len(found)
    assert datahub.update_where(table, where, {}) == len(found)
    assert datahub.delete_where(table, where) == len(found)
    assert datahub.rows(table).total == 4 - len(found)


TOO_DEEP: Any = {"integer": 1}
for _ in range(9):
    TOO_DEEP = {"or": [TOO_DEEP]}


@pytest.mark.parametrize(
    ("where", "field"),
    [
        ([], "filter"),
        ("integer = 1", "filter"),
        ({"nope": 1}, "filter.nope"),
        ({"integer); DROP TABLE t; --": 1}, "filter.integer); DROP TABLE t; --"),
        ({"$n": 1}, "filter.$n"),
        ({"integer": "1"}, "filter.integer"),
        ({"integer": [1]}, "filter.integer"),
        ({"integer": {"like": 1}}, "filter.integer"),
        ({"integer": {"in": 1}}, "filter.integer"),
        ({"integer": {"in": [1, "x"]}}, "filter.integer"),
        ({"integer": {"in": [1] * 1001}}, "filter.integer"),
        ({"integer": {"lt": None}}, "filter.integer"),
        ({"integer": {"contains": "1"}}, "filter.integer"),
        *(({"integer": {operator: "x"}}, "filter.integer") for operator in ("lt", "lte", "gt", "gte", "ne")),
        *(({kind: {"gt": "soon"}}, f"filter.{kind}") for kind in ("number", "date", "datetime", "uuid")),
        ({"text": {"gt": 1}}, "filter.text"),
        ({"integer": 2**63}, "filter.integer"),
        ({"boolean": {"lt": True}}, "filter.boolean"),
        ({"json": {"a": 1}}, "filter.json"),
        ({"json": [1]}, "filter.json"),
        ({"text": {"is_null": 1}}, "filter.text"),
        ({"text": {"contains": None}}, "filter.text"),
        ({"text": {"starts_with": "x" * 1001}}, "filter.text"),
        ({"text": "\0"}, "filter.text"),
        ({"text": "\ud800"}, "filter.text"),
        ({"or": [{"integer": 1}, 7]}, "filter.or[1]"),
        ({"or": {"integer": 1}}, "filter.or"),
        (TOO_DEEP, "filter" + ".or[0]" * 8 + ".or"),
        ({"or": [{"integer": 1}] * 201}, "filter.or[200].integer"),
    ],
    ids=range(36),
)
def test_filter_that_cannot_be_is_refused_at_its_place(datahub: Datahub, table: str, where: Any, field: str) -> None:
    datahub.insert(table, PEOPLE)

    with pytest.raises(BackendError) as read:
        datahub.rows(table, filter=where)
    with pytest.raises(BackendError) as deleted:
        datahub.delete_where(table, where)

    assert faults(read.value) == [("filter.invalid", field)]
    assert faults(deleted.value) == [("filter.invalid", field.replace("filter", "where", 1))]
    assert datahub.rows(table).total == 4


def test_column_called_or_is_a_column(datahub: Datahub) -> None:
    datahub.create("t", [Column("or", "integer")])
    datahub.insert("t", [{"or": 1}, {"or": 2}])

    assert datahub.rows("t", filter={"or": 1}).total == 1
    assert datahub.rows("t", filter={"or": [{"or": 1}, {"or": {"gt": 1}}]}).total == 2


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("integer", [1, 2, 3, 4]),
        ("-integer", [4, 3, 2, 1]),
        (None, [1, 2, 3, 4]),
        ("", [1, 2, 3, 4]),
        ("-created_at", [4, 3, 2, 1]),
        ("boolean,-integer", [4, 3, 2, 1]),
        ("-boolean, integer", [1, 2, 3, 4]),
    ],
)
def test_sort_orders_and_equal_rows_keep_theirs(
    datahub: Datahub, table: str, sort: str | None, order: list[int]
) -> None:
    datahub.insert(table, PEOPLE)

    pages = [datahub.rows(table, sort=sort, limit=2, offset=offset).rows for offset in (0, 2, 4)]

    assert [row["integer"] for page in pages for row in page] == order


@pytest.mark.parametrize(
    "sort", ["nope", "json", "integer;DROP", "--integer", "$n", 7, ["integer"], ",".join(["id"] * 9)]
)
def test_sort_order_that_cannot_be_is_refused(datahub: Datahub, table: str, sort: Any) -> None:
    with pytest.raises(BackendError) as caught:
        datahub.rows(table, sort=sort)

    assert faults(caught.value) == [("sort.invalid", "sort")]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ann", [1]),
        ("%", [3]),
        ("_", [3]),
        ("f76c7770", [4]),
        ("2024-02", [2]),
        ("", [1, 2, 3, 4]),
        ("'", []),
        ("2.5", [2]),
        ("true", []),
    ],
)
def test_search_looks_into_every_column(datahub: Datahub, table: str, search: str, found: list[int]) -> None:
    datahub.insert(table, PEOPLE)

    rows = datahub.rows(table, search=search, sort="integer").rows

    assert [row["integer"] for row in rows] == found


@pytest.mark.parametrize("search", ["x" * 1001, "\0", "\ud800", 7, {"a": 1}])
def test_search_that_cannot_be_is_refused(datahub: Datahub, table: str, search: Any) -> None:
    with pytest.raises(BackendError) as caught:
        datahub.rows(table, search=search)

    assert faults(caught.value) == [("filter.invalid", "search")]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ({"limit": -1}, ["limit"]),
        ({"limit": 10_001}, ["limit"]),
        ({"limit": "5", "offset": None}, ["limit", "offset"]),
        ({"offset": -1}, ["offset"]),
        ({"offset": 2**63}, ["offset"]),
        ({"limit": True}, ["limit"]),
    ],
    ids=str,
)
def test_page_that_cannot_be_is_refused(datahub: Datahub, table: str, page: Any, expected: list[str]) -> None:
    with pytest.raises(BackendError) as caught:
        datahub.rows(table, **page)

    assert faults(caught.value) == [("page.invalid", field) for field in expected]


def test_page_beyond_the_end_is_empty(datahub: Datahub, table: str) -> None:
    datahub.insert(table, PEOPLE)

    assert datahub.rows(table, offset=2**63 - 1).rows == []
    assert datahub.rows(table, limit=0).rows == []
    assert datahub.rows(table, limit=0).total == 4
    assert datahub.rows(table, limit=0, filter={"integer": 1}).total == 1
    assert datahub.rows(table, offset=9, filter={"integer": 1}).total == 1


@pytest.mark.usefixtures("nobody_listens")
def test_sorting_a_large_table_makes_an_index_for_the_next_time(
    datahub: Datahub, database: Database, table: str
) -> None:
    datahub.insert(table, [{"integer": n % 7, "text": str(n)} for n in range(5_000)])

    before = [datahub.rows(table, sort=sort).rows for sort in ("-integer", "integer,text", "updated_at", "id")]
    after = [datahub.rows(table, sort=sort).rows for sort in ("-integer", "integer,text", "updated_at", "id")]

    with database.read() as session:
        names = session.connection().exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE name LIKE '%!_by!_%' ESCAPE '!'"
        )
        assert sorted(name.rsplit("_by_")[1] for name in names.scalars()) == ["1", "updated"]
    assert after == before


@pytest.mark.usefixtures("nobody_listens")
def test_full_disk_makes_no_index_and_still_shows_the_page(datahub: Datahub, database: Database, table: str) -> None:
    datahub.insert(table, [{"integer": n % 7} for n in range(5_000)])
    with database.read() as session:
        pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar_one()
        session.connection().exec_driver_sql(f"PRAGMA max_page_count={pages}")

    assert datahub.rows(table, sort="-integer", limit=1).rows[0]["integer"] == 6
