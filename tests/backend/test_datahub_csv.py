from __future__ import annotations

import csv
from collections.abc import Iterator
from errno import ENOSPC
from io import StringIO
from typing import Any

import pytest

from backend.datahub import Column, Datahub
from backend.datahub_csv import IMPORT_ROWS
from backend.errors import BackendError, Conflict, NotFound, StorageFull
from storage.database import Database

from .test_datahub_rows import EVERY_TYPE, faults, stored

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'=1", "''=1", "'plain", "'"]


def without_own(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in ("id", "created_at", "updated_at")} for row in rows]


def test_rows_survive_export_and_import(datahub: Datahub) -> None:
    datahub.create("one", EVERY_TYPE)
    datahub.create("two", EVERY_TYPE)
    rows = [
        {
            "text": 'quote " comma , line\nend\r\n🧨',
            "integer": -(2**63),
            "number": -1.5e-7,
            "boolean": False,
            "date": "2024-02-29",
            "datetime": "2024-05-03T10:30:00.000001Z",
            "uuid": "f76c7770-79c3-45a2-96ad-e4e4321ad66b",
            "json": {"a": [1, None, "ä,\n"]},
        },
        {"json": "=1"},
        {},
        *({"text": text} for text in FORMULAS),
    ]
    datahub.insert("one", rows)

    exported = list(datahub.export_csv("one"))
    count = datahub.import_csv("two", exported)

    assert count == len(rows)
    assert without_own(stored(datahub, "two")) == without_own(stored(datahub, "one"))


def test_export_has_a_line_of_names_and_no_formulas(datahub: Datahub) -> None:
    datahub.create("t", [Column("text", "text"), Column("n", "integer")])
    datahub.insert("t", [{"text": text, "n": -1} for text in FORMULAS])

    lines = list(csv.reader(StringIO("".join(datahub.export_csv("t")), newline="")))

    assert lines[0] == ["id", "text", "n", "created_at", "updated_at"]
    assert not any(line[1][0] in "=+-@\t\r" for line in lines[1:])
    assert {line[2] for line in lines[1:]} == {"-1"}  # a number is no formula


def test_a_file_of_too_many_rows_is_refused(datahub: Datahub) -> None:
    datahub.create("t", [Column("n", "integer")])

    with pytest.raises(BackendError) as caught:
        datahub.import_csv("t", ["n\n", "1\n" * (IMPORT_ROWS + 1)])

    assert faults(caught.value) == [("csv.invalid", f"lines[{IMPORT_ROWS + 2}]")]
    assert datahub.get("t").row_count == 0


def test_a_table_whose_columns_change_while_a_file_is_read_takes_nothing_of_it(datahub: Datahub) -> None:
    datahub.create("t", [Column("n", "integer")])

    def lines() -> Iterator[str]:
        yield "n\n1\n"
        datahub.update("t", columns=[Column("n", "text")])
        yield "2\n"

    with pytest.raises(Conflict) as caught:
        datahub.import_csv("t", lines())

    assert faults(caught.value) == [("table.changed", None)]
    assert datahub.get("t").row_count == 0


@pytest.mark.usefixtures("nobody_listens")
@pytest.mark.parametrize("count", [1_200, 12_000], ids=["memory", "file"])
def test_export_comes_in_pieces(datahub: Datahub, count: int) -> None:
    datahub.create("t", [Column("n", "integer"), Column("text", "text")])
    for start in range(0, count, 6_000):
        datahub.insert("t", [{"n": n, "text": "ä\r\n"} for n in range(start, min(start + 6_000, count))])

    pieces = list(datahub.export_csv("t"))

    assert len(pieces) > 1
    lines = list(csv.reader(StringIO("".join(pieces), newline="")))
    assert [line[1:3] for line in lines[1:]] == [[str(n), "ä\r\n"] for n in range(count)]


def test_export_shows_one_moment_and_keeps_no_transaction_open(datahub: Datahub, database: Database) -> None:
    datahub.create("t", [Column("n", "integer")])
    datahub.insert("t", [{"n": 1}])

    pieces = datahub.export_csv("t")
    datahub.update_where("t", None, {"n": 2})
    datahub.delete("t")

    with database.engine.connect() as connection:  # restarting the log needs it to be read by nobody
        assert connection.exec_driver_sql("PRAGMA wal_checkpoint(RESTART)").one()[0] == 0
    assert "".join(pieces).splitlines()[1].split(",")[1] == "1"
    assert list(database.path.parent.glob("tmp*")) == []


def test_export_without_room_on_the_disk_is_refused_at_once(datahub: Datahub, monkeypatch: pytest.MonkeyPatch) -> None:
    datahub.create("t", [Column("n", "integer")])
    datahub.insert("t", [{"n": n} for n in range(10)])

    def full(*_args: Any, **_options: Any) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("backend.datahub_csv.SpooledTemporaryFile", full)

    with pytest.raises(StorageFull, match="no room for the export"):
        datahub.export_csv("t")


def test_import_takes_columns_in_any_order_case_and_pieces(datahub: Datahub) -> None:
    datahub.create("t", [Column("a", "text"), Column("n", "integer"), Column("b", "boolean")])

    count = datahub.import_csv("t", iter(["\ufeffN,", " A \r\n1,x", "\n\n", "2,", '"y\nz"\n3,']))

    assert count == 3
    assert [(row["n"], row["a"], row["b"]) for row in stored(datahub, "t")] == [
        (1, "x", None),
        (2, "y\nz", None),
        (3, None, None),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n,a\n1,x\ntwo,y\n3\n4.5,z\n", ["lines[3].n", "lines[4]", "lines[5].n"]),
        ("n,a\n1,\n", ["lines[2].a"]),
        ("n\n1\n", ["lines[2].a"]),
        ('n,a\n1,"x\ny"\nz,b\n', ["lines[4].n"]),
        ("n,a,nope\n1,x,y\n", ["lines[1].nope"]),
        ("n,a,N\n1,x,2\n", ["lines[1].n"]),
        ('n,a\n1,"x\n', ["lines[2]"]),
        ('n,a\n1,"x"y\n', ["lines[2]"]),
        ("n,a\n1,x\0\n", ["lines[2].a"]),
        ("n,a\n1,\ud83d\n", ["lines[2].a"]),
        ("n,a\n9223372036854775808,x\n", ["lines[2].n"]),
        ("n,a\n1," + "x" * 1_000_001 + "\n", ["lines[2]"]),
        ("", ["lines[1]"]),
        ("\n", ["lines[1]"]),
        ("id,created_at\n1,2\n", ["lines[1]"]),
        ("n;a\n1;x\n", ["lines[1].n;a"]),
        ("PK\x03\x04\x14\0\0\0\x08\0", ["lines[1].PK\x03\x04\x14\0\0\0\x08\0"]),
    ],
    ids=range(17),
)
def test_import_is_all_or_nothing_and_names_line_and_column(datahub: Datahub, text: str, expected: list[str]) -> None:
    datahub.create("t", [Column("n", "integer"), Column("a", "text", required=True)])

    with pytest.raises(BackendError) as caught:
        datahub.import_csv("t", [text])

    assert faults(caught.value) == [("csv.invalid", field) for field in expected]
    assert all(fault.message.startswith("Line ") for fault in caught.value.faults)
    assert stored(datahub, "t") == []


def test_import_of_a_value_that_is_there_is_refused_at_its_line(datahub: Datahub) -> None:
    datahub.create("t", [Column("a", "text", unique=True)])
    rows = datahub.insert("t", [{"a": "x"}])

    with pytest.raises(Conflict) as caught:
        datahub.import_csv("t", ["a\ny\n\nx\ny\n"])

    assert faults(caught.value) == [("row.not_unique", "lines[4].a"), ("row.not_unique", "lines[5].a")]
    assert stored(datahub, "t") == rows


def test_import_of_one_value_twice_is_refused_at_the_second(datahub: Datahub) -> None:
    datahub.create("t", [Column("a", "text", unique=True), Column("n", "integer", unique=True)])

    with pytest.raises(Conflict) as caught:
        datahub.import_csv("t", ["a,n\nx,1\ny,2\n,\n,\nz,1\nx,3\n"])

    assert faults(caught.value) == [("row.not_unique", "lines[7].a"), ("row.not_unique", "lines[6].n")]
    assert stored(datahub, "t") == []


def test_only_the_first_hundred_faults_are_told(datahub: Datahub) -> None:
    datahub.create("t", [Column("n", "integer")])

    with pytest.raises(BackendError) as caught:
        datahub.import_csv("t", ["n\n", *("x\n" for _ in range(100_000))])

    assert len(caught.value.faults) == 100


def test_missing_table_is_reported_before_the_first_piece(datahub: Datahub) -> None:
    with pytest.raises(NotFound):
        datahub.export_csv("nope")
    with pytest.raises(NotFound):
        datahub.import_csv("nope", ["n\n"])
