from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from storage import soundness
from storage.soundness import log_fault, page_fault

KILLED = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("PRAGMA wal_autocheckpoint=0")
connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
reader = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    (reader if statement == "BEGIN" else connection).execute(statement).fetchall()
    reader.execute("SELECT count(*) FROM t").fetchall()
os._exit(9)
"""
INSERT = "INSERT INTO t SELECT hex(randomblob(2000)) FROM (VALUES (1), (2), (3), (4), (5))"
COPY = "PRAGMA wal_checkpoint(PASSIVE)"


@pytest.fixture
def killed(tmp_path: Path) -> Callable[..., Path]:
    """Return a database whose only writer was killed after these statements."""

    def kill(*statements: str) -> Path:
        path = tmp_path / "pulsewire.db"
        subprocess.run([sys.executable, "-c", KILLED, str(path), *statements], check=False)
        return path

    return kill


def cut(path: Path, size: int) -> None:
    os.truncate(path.with_name(f"{path.name}-wal"), size)


def test_a_database_that_was_killed_is_sound(killed) -> None:
    path = killed(INSERT, INSERT)

    assert (log_fault(path), page_fault(path)) == (None, None)


def test_a_database_that_does_not_exist_yet_has_no_faulty_log(tmp_path: Path) -> None:
    assert log_fault(tmp_path / "pulsewire.db") is None


def test_a_log_that_was_copied_into_the_database_is_not_missed(killed) -> None:
    path = killed(INSERT, COPY)
    cut(path, 0)

    assert log_fault(path) is None


def test_a_cut_log_is_missed_and_what_is_left_of_it_can_be_used(killed) -> None:
    path = killed(INSERT, INSERT)
    cut(path, path.with_name("pulsewire.db-wal").stat().st_size - 1)

    words = log_fault(path)

    assert words is not None
    assert words.startswith("The database's log pulsewire.db-wal is 1 bytes shorter than it was")
    assert "or remove pulsewire.db-shm to go on" in words


def test_a_log_that_is_shorter_than_what_was_copied_must_go_as_a_whole(killed) -> None:
    path = killed(INSERT, "BEGIN", INSERT, COPY)  # what came after the reader began was not copied
    cut(path, 5_000)

    words = log_fault(path)

    assert words is not None
    assert "or remove pulsewire.db-wal and pulsewire.db-shm to go on" in words


def test_an_index_of_another_log_says_nothing(killed, tmp_path: Path) -> None:
    path = killed(INSERT, INSERT, INSERT)
    index = path.with_name("pulsewire.db-shm")
    shutil.copy(index, tmp_path / "old")
    index.unlink()
    path.with_name("pulsewire.db-wal").unlink()
    killed(INSERT)
    shutil.copy(tmp_path / "old", index)

    assert log_fault(path) is None


def test_damaged_pages_are_found_and_in_a_large_file_left_to_the_doctor(killed, monkeypatch) -> None:
    path = killed(*[INSERT] * 200, COPY)
    for end in ("-wal", "-shm"):  # all of it is in the database
        path.with_name(f"{path.name}{end}").unlink()
    with path.open("r+b") as file:
        file.seek(100 * 4096)
        file.write(os.urandom(4096))

    found = page_fault(path)

    assert found is not None
    assert "is damaged" in found
    monkeypatch.setattr(soundness, "LARGE_BYTES", 1_000)
    assert page_fault(path) is None
