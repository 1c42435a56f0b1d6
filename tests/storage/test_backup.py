from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage.backup import copy, draft_of
from storage.database import Database
from storage.errors import StorageBusy, StorageError


@pytest.fixture
def database(tmp_path: Path, new_database: Callable[[Path], Database]) -> Iterator[Database]:
    database = new_database(tmp_path / "data")
    yield database
    database.dispose()


def add(database: Database, key: str, chars: int = 10) -> None:
    """Add a row to each of two tables in one transaction."""
    with database.write() as session:
        connection = session.connection()
        connection.exec_driver_sql("INSERT INTO setting (key, value, updated_at) VALUES (?, ?, 0)", (key, "x" * chars))
        connection.exec_driver_sql("INSERT INTO role VALUES (?, ?, ?, '', 0)", (key, key, key))


def keys_in(path: Path, table: str = "setting", column: str = "key") -> set[str]:
    with closing(sqlite3.connect(path)) as raw:
        return {key for (key,) in raw.execute(f"SELECT {column} FROM {table}")}


def test_copy_is_whole_sound_and_for_its_owner_only(database: Database, tmp_path: Path) -> None:
    add(database, "a")  # in the log, not in the file

    size = copy(database.path, tmp_path / "copy.db")

    assert keys_in(tmp_path / "copy.db") == {"a"}
    assert size == (tmp_path / "copy.db").stat().st_size
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "data"]
    with closing(sqlite3.connect(tmp_path / "copy.db")) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("delete",)  # no log beside it


def test_copy_holds_one_moment_of_what_is_written_meanwhile(database: Database, tmp_path: Path) -> None:
    for number in range(40):
        add(database, f"before {number}", 300_000)
    told: list[tuple[int, int]] = []
    written = 0

    def write_more(done: int, pages: int) -> None:
        nonlocal written
        told.append((done, pages))
        writer = threading.Thread(target=add, args=(database, f"meanwhile {len(told)}"))
        writer.start()
        writer.join()
        written += 1

    copy(database.path, tmp_path / "copy.db", progress=write_more)

    assert keys_in(tmp_path / "copy.db") == keys_in(tmp_path / "copy.db", "role", "id")
    assert keys_in(tmp_path / "copy.db") == {f"before {number}" for number in range(40)}
    assert len(keys_in(database.path)) == 40 + written
    assert told[-1][0] == told[-1][1] > 2_000
    assert len(told) >= 2


def test_file_that_exists_is_replaced_only_when_asked_for(database: Database, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("a letter")

    with pytest.raises(StorageError, match="exists"):
        copy(database.path, target)
    refused = target.read_text()
    copy(database.path, target, replaces=True)

    assert refused == "a letter"
    assert keys_in(target) == set()


def test_damaged_database_gives_no_copy_and_leaves_what_was_there(database: Database, tmp_path: Path) -> None:
    for number in range(100):
        add(database, str(number), 4_000)
    database.dispose()
    with database.path.open("r+b") as file:
        file.seek(database.path.stat().st_size // 2)
        file.write(os.urandom(50_000))
    target = tmp_path / "copy.db"
    target.write_text("the backup of yesterday")

    with pytest.raises(StorageError, match="damaged"):
        copy(database.path, target, replaces=True)

    assert target.read_text() == "the backup of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "data"]


def test_folder_that_does_not_exist_is_told(database: Database, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        copy(database.path, tmp_path / "nowhere" / "copy.db")


def test_one_process_at_a_time_writes_a_copy(database: Database, tmp_path: Path) -> None:
    with draft_of(tmp_path / "copy.db"), pytest.raises(StorageBusy):
        copy(database.path, tmp_path / "copy.db")

    copy(database.path, tmp_path / "copy.db")


def test_what_a_killed_copy_left_is_used_again(database: Database, tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from storage.backup import copy\n"
        "copy(Path(sys.argv[1]), Path(sys.argv[2]), progress=lambda *_: os._exit(9))\n"
    )
    command = [sys.executable, "-c", program, str(database.path), str(tmp_path / "copy.db")]
    killed = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    left = sorted(path.name for path in tmp_path.iterdir())

    copy(database.path, tmp_path / "copy.db")

    assert killed.returncode == 9
    assert left == [".copy.db.part", "data"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "data"]
