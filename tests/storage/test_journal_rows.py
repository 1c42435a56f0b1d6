from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from storage import journal_rows
from storage.database import Database
from storage.journal_rows import CLAIM, EVENT, RUN, STATE, FreshStep, RunWrite, succeeded, write_many, write_steps

RUNS = 2_000
OPEN_FILES = Path("/proc/self/fd")
TEXT = '{"text":"' + "x" * 200 + '"}'


@pytest.fixture
def cursor(tmp_path: Path, new_database: Callable[[Path], Database]) -> Iterator[sqlite3.Cursor]:
    database = new_database(tmp_path)
    connection = sqlite3.connect(database.path, isolation_level=None)
    yield connection.cursor()
    connection.close()
    database.dispose()


def begin_runs(cursor: sqlite3.Cursor, count: int) -> None:
    columns = ("a", 1, "start")
    write_many(
        cursor,
        RUN,
        [(run_id, *columns, f"e{run_id}", "running", 0, 0, 1, None, 1, 1, None) for run_id in range(1, count + 1)],
    )


def fresh(run_id: int, node: str, output: str = TEXT) -> FreshStep:
    return succeeded(run_id, node, "", "out", TEXT, output, 1, 2)


def ended(run_id: int, status: str = "succeeded", wake_at: int | None = None) -> RunWrite:
    return RunWrite(run_id, status, None, wake_at, 2, TEXT)


def opens_a_file(cursor: sqlite3.Cursor, write: Callable[[], Any]) -> bool:
    """Return whether SQLite keeps a file without a name in the transaction of *write*: its copies of pages."""
    before = set(unnamed_files())
    cursor.execute("BEGIN IMMEDIATE")
    write()
    has_opened = bool(set(unnamed_files()) - before)
    cursor.execute("COMMIT")
    return has_opened


def unnamed_files() -> Iterator[str]:
    for each in OPEN_FILES.iterdir():
        with suppress(OSError):
            if "etilqs_" in (target := str(each.readlink())):
                yield target


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="only Linux shows which files a process has open")
def test_what_is_written_most_makes_sqlite_copy_no_pages(
    cursor: sqlite3.Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_rows, "CHUNK", 1_024)  # pages of so many rows would not stay in memory
    ids = [f"{number:0200}" for number in sorted(range(RUNS), key=lambda number: number % 2)]  # every page twice
    events = [(event_id, "order", TEXT, None, event_id, None, 0, "[]", None, 1) for event_id in ids]
    steps = [fresh(run_id, node) for run_id in range(1, RUNS + 1) for node in ("a", "b")]
    again = [step._replace(output="null") for step in steps]

    found = {
        "events": opens_a_file(cursor, lambda: write_many(cursor, EVENT, events)),
        "runs": opens_a_file(cursor, lambda: begin_runs(cursor, RUNS)),
        "claims": opens_a_file(cursor, lambda: write_many(cursor, CLAIM, [(n, 1) for n in range(1, RUNS + 1)])),
        "steps": opens_a_file(cursor, lambda: write_steps(cursor, steps)),
        "ends": opens_a_file(cursor, lambda: write_many(cursor, STATE, [ended(n) for n in range(1, RUNS + 1)])),
        "steps again": opens_a_file(cursor, lambda: write_steps(cursor, again)),  # so that it is seen where it is so
    }

    assert [name for name, has_opened in found.items() if has_opened] == ["steps again"]


def test_row_of_a_new_step_that_is_there_is_written_over(cursor: sqlite3.Cursor) -> None:
    write_steps(cursor, [fresh(1, "a")])

    write_steps(cursor, [fresh(1, "a", '{"n":2}'), fresh(1, "b")])

    rows = cursor.execute("SELECT node, input, output FROM step ORDER BY node").fetchall()
    assert rows == [("a", TEXT, '{"n":2}'), ("b", TEXT, TEXT)]


def test_row_of_a_new_step_that_cannot_be_written_is_an_error(cursor: sqlite3.Cursor) -> None:
    nameless: Any = None

    with pytest.raises(sqlite3.IntegrityError):
        write_steps(cursor, [fresh(1, "a"), fresh(1, nameless)])


@pytest.mark.parametrize(
    ("known", "status", "given", "left"),
    [
        (None, "waiting", 5, 5),
        (None, "waiting", None, None),
        (3, "waiting", 5, 3),
        (7, "waiting", 5, 5),
        (7, "waiting", None, 7),
        (7, "succeeded", None, None),
    ],
    ids=["first", "none", "known is earlier", "given is earlier", "known stays", "ended"],
)
def test_run_wakes_at_the_earlier_moment(
    cursor: sqlite3.Cursor, known: int | None, status: str, given: int | None, left: int | None
) -> None:
    begin_runs(cursor, 1)
    cursor.execute("UPDATE run SET wake_at = ?", [known])

    write_many(cursor, STATE, [ended(1, status, given)])

    assert cursor.execute("SELECT wake_at FROM run").fetchone() == (left,)
