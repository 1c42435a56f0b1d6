from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage import crash_points
from storage.backup import copy
from storage.database import Database, known_versions
from storage.errors import NewerSchema, StorageError
from storage.restore import LEAP, restore

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
KEPT = "pulsewire.db.before-restore-20260504T090000Z"


class Place:
    """A database with an installation's id and runs, and copies of it."""

    def __init__(self, folder: Path, new_database: Callable[[Path], Database]) -> None:
        self.folder = folder
        new_database(folder).dispose()
        self.path = folder / "pulsewire.db"
        self.write("INSERT INTO setting VALUES ('installation', '{\"id\":\"ours\"}', 0)")

    def write(self, sql: str) -> None:
        with closing(sqlite3.connect(self.path)) as raw, raw:
            raw.executescript(sql)

    def run(self, *ids: int, status: str = "succeeded") -> None:
        for run_id in ids:
            self.write(
                "INSERT INTO run (id, flow_id, trigger, status, is_test, is_simulated, epoch, crashes, is_dead, "
                f"created_at) VALUES ({run_id}, 'f', 't', '{status}', 0, 0, 0, 0, 0, 0)"
            )

    def copy(self) -> Path:
        target = self.folder.parent / "copy.db"
        copy(self.path, target, replaces=True)
        return target


@pytest.fixture
def place(tmp_path: Path, new_database: Callable[[Path], Database]) -> Place:
    return Place(tmp_path / "data", new_database)


def select(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(sql).fetchall()


def runs_in(path: Path) -> list[object]:
    return [run_id for (run_id,) in select(path, "SELECT id FROM run ORDER BY id")]


def test_the_copy_takes_the_place_and_what_was_there_is_kept(place: Place) -> None:
    place.run(1, 2, status="waiting")
    place.run(3)
    file = place.copy()
    place.run(4)

    done = restore(file, place.path, NOW)

    assert (done.runs, done.open_runs, done.is_old, done.version) == (3, 2, False, known_versions()[-1])
    assert done.kept == place.folder / KEPT
    assert runs_in(place.path) == [1, 2, 3]
    assert runs_in(place.folder / KEPT) == [1, 2, 3, 4]
    assert select(place.path, "PRAGMA integrity_check") == [("ok",)]
    assert sorted(path.name for path in place.folder.iterdir()) == ["pulsewire.db", KEPT]
    assert file.exists()


def test_ids_that_were_used_after_the_copy_are_not_given_again(place: Place) -> None:
    place.run(1)
    place.write("INSERT INTO audit_entry (at, actor_kind, actor_id, actor, action, target) VALUES (0,'','','','','')")
    file = place.copy()
    place.run(2, 50)
    place.write("DELETE FROM run WHERE id > 1")  # and retention has removed them

    done = restore(file, place.path, NOW)
    place.write(
        "INSERT INTO run (flow_id, trigger, status, is_test, is_simulated, epoch, crashes, is_dead, created_at) "
        "VALUES ('f', 't', 'queued', 0, 0, 0, 0, 0, 0)"
    )

    assert done.next_run == 51
    assert runs_in(place.path) == [1, 51]
    assert select(place.path, "SELECT seq FROM sqlite_sequence WHERE name = 'audit_entry'") == [(1,)]


def gone(place: Place) -> None:
    place.path.unlink()


def of_another_installation(place: Place) -> None:
    place.write("UPDATE setting SET value = '{\"id\":\"theirs\"}' WHERE key = 'installation'")


def damaged(place: Place) -> None:
    with place.path.open("r+b") as file:
        file.write(b"Dear diary, ")
    (place.folder / "pulsewire.db-wal").write_bytes(b"its log")


def from_before_the_copy(place: Place) -> None:
    place.write("DELETE FROM run; UPDATE sqlite_sequence SET seq = 3 WHERE name = 'run'")


@pytest.mark.parametrize("spoil", [gone, of_another_installation, damaged, from_before_the_copy])
def test_where_the_present_database_cannot_tell_many_ids_are_left_out(
    place: Place, spoil: Callable[[Place], None]
) -> None:
    place.run(7)
    file = place.copy()
    spoil(place)
    place.path.parent.mkdir(exist_ok=True)

    done = restore(file, place.path, NOW)

    assert done.next_run == 7 + LEAP + 1
    assert select(place.path, "SELECT seq FROM sqlite_sequence WHERE name = 'run'") == [(7 + LEAP,)]


def test_a_damaged_database_is_kept_with_its_log(place: Place) -> None:
    file = place.copy()
    damaged(place)

    done = restore(file, place.path, NOW)

    assert done.kept is not None
    assert done.kept.read_bytes().startswith(b"Dear diary, ")
    assert done.kept.with_name(f"{done.kept.name}-wal").read_bytes() == b"its log"
    assert {path.name for path in place.folder.iterdir()} <= {"pulsewire.db", KEPT, f"{KEPT}-wal", f"{KEPT}-shm"}


def test_a_database_into_an_empty_folder_keeps_nothing_aside(place: Place, tmp_path: Path) -> None:
    place.run(1)
    (tmp_path / "new").mkdir()

    done = restore(place.copy(), tmp_path / "new" / "pulsewire.db", NOW)

    assert done.kept is None
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["pulsewire.db"]


def test_changes_in_the_log_of_the_present_database_are_kept_too(place: Place) -> None:
    file = place.copy()
    with closing(sqlite3.connect(place.path)) as raw:  # as after a kill: the last one out did not tidy up
        raw.execute("INSERT INTO setting VALUES ('late', '{}', 0)")
        raw.commit()
        for end in ("", "-wal", "-shm"):
            shutil.copyfile(f"{place.path}{end}", f"{place.path}{end}.left")
    for end in ("", "-wal", "-shm"):
        os.replace(f"{place.path}{end}.left", f"{place.path}{end}")  # noqa: PTH105

    done = restore(file, place.path, NOW)

    assert done.kept is not None
    assert ("late",) in select(done.kept, "SELECT key FROM setting")
    assert ("late",) not in select(place.path, "SELECT key FROM setting")


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")


def no_database(file: Path) -> None:
    file.write_text("Dear diary, " * 1_000)


def of_something_else(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("CREATE TABLE recipe (name TEXT)")


def damaged_in_the_middle(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        opened.write(os.urandom(100_000))


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (newer, NewerSchema, "schema 9999"),
        (no_database, StorageError, "no database"),
        (of_something_else, StorageError, "no database of Pulsewire"),
        (damaged_in_the_middle, StorageError, "damaged"),
        (Path.unlink, FileNotFoundError, "No such file"),
    ],
    ids=["newer", "no database", "of something else", "damaged", "missing"],
)
def test_what_cannot_be_restored_is_refused_and_nothing_is_changed(
    place: Place, spoil: Callable[[Path], None], error: type[Exception], words: str
) -> None:
    place.run(1)
    file = place.copy()
    spoil(file)
    before = {path: path.read_bytes() for path in place.folder.iterdir()}

    with pytest.raises(error, match=words):
        restore(file, place.path, NOW)

    assert {path: path.read_bytes() for path in place.folder.iterdir()} == before


def test_an_older_schema_is_taken_for_the_next_start_to_migrate(place: Place) -> None:
    file = place.copy()
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '0001'")

    done = restore(file, place.path, NOW)

    assert (done.is_old, done.version) == (True, "0001")


@pytest.mark.parametrize(("point", "expected"), [("backup.before_put", [1, 2]), ("backup.after_put", [1])])
def test_a_restore_that_is_killed_has_happened_or_not_and_loses_neither(
    place: Place, point: str, expected: list[int]
) -> None:
    place.run(1)
    file = place.copy()
    place.run(2)
    program = (
        "import sys\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from storage.restore import restore\n"
        "restore(Path(sys.argv[1]), Path(sys.argv[2]), datetime(2026, 5, 4, 9, 0, tzinfo=UTC))\n"
    )
    command = [sys.executable, "-c", program, str(file), str(place.path)]
    environment = {**os.environ, crash_points.VARIABLE: point}

    killed = subprocess.run(command, cwd=Path(__file__).parents[2], env=environment, check=False)
    between = runs_in(place.path)
    kept = runs_in(place.folder / KEPT)
    restore(file, place.path, NOW.replace(hour=10))

    assert killed.returncode == -9
    assert between == expected
    assert kept == [1, 2]
    assert runs_in(place.path) == [1]
    assert [path.name for path in place.folder.iterdir() if path.name.startswith(".")] == []
