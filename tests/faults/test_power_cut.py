"""The power fails in the middle of the journal's statements, at a random write or synchronisation.

The connection has what ``storage/database.py`` sets, and the statements are the journal's own. In a WAL whose index is
in memory, because the index is not what a cut is about.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import apsw
import pytest

from storage.database import Database
from storage.journal_events import store_events
from storage.journal_rows import STEP as STEP_ROWS
from storage.journal_rows import EventSeed, RunSeed, StepWrite, write_many
from tests.faults.power import Disk, DiskVFS, PowerCut

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
CUTS = int(os.environ.get("PULSEWIRE_FAULT_CUTS", "300"))
MOST_WRITES = 600


class OneFlow:
    def refresh(self, cursor: object) -> None: ...

    def route(self, event: EventSeed) -> list[RunSeed]:
        return [RunSeed("orders", 1, "start")]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "pulsewire.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.dispose()
    return path


def work_until_cut(path: Path, synchronous: str, chance: Random) -> tuple[Disk, list[str]]:
    """Accept events until the power fails; return the disk, and the events that were acknowledged."""
    disk, acknowledged = Disk(chance.randint(1, MOST_WRITES)), list[str]()
    vfs = DiskVFS(disk)
    database = Database(f"sqlite:///{path}")
    connection = None
    try:
        connection = apsw.Connection(str(path), vfs=vfs.name)
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        database._set_up(connection, None)  # type: ignore[arg-type]
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint={chance.choice([10, 40, 4_000])}")
        while True:
            group = [f"{len(acknowledged)}-{number}" for number in range(chance.randint(1, 8))]
            accept(connection.cursor(), group, "x" * chance.randint(0, 3_000))
            acknowledged += group
    except (PowerCut, apsw.Error):
        assert disk.is_off
    finally:
        if connection is not None:
            connection.close(True)
        database.dispose()
    return disk, acknowledged


def accept(cursor: apsw.Cursor, group: list[str], text: str) -> None:
    seeds = [EventSeed(each, "paid", {}, f'{{"text":"{text}"}}', None, each, None, 0, ()) for each in group]
    cursor.execute("BEGIN IMMEDIATE")
    (stored,) = store_events(cursor, OneFlow(), [([seeds], True)], time.time_ns() // 1000)  # type: ignore[arg-type]
    runs = [run.id for event in stored[0] for run in event.runs]  # type: ignore[union-attr]
    write_many(cursor, STEP_ROWS, [StepWrite(run, "start", "", 1, "succeeded") for run in runs])  # type: ignore[arg-type]
    cursor.execute("COMMIT")


def lost_after(directory: Path, acknowledged: list[str]) -> int:
    """Return how many acknowledged events are gone; what is there must be whole."""
    database = Database(f"sqlite:///{directory / 'pulsewire.db'}")
    database.check()
    with database.read() as session:
        connection = session.connection()
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        rows = connection.exec_driver_sql(
            "SELECT event.id, count(DISTINCT run.id), count(step.run_id) FROM event "
            "LEFT JOIN run ON run.event_id = event.id LEFT JOIN step ON step.run_id = run.id GROUP BY event.id"
        ).all()
    database.dispose()
    assert {(runs, steps) for _id, runs, steps in rows} <= {(1, 1)}, "an event without its run or step"
    return len(set(acknowledged) - {row[0] for row in rows})


def cut_often(migrated: Path, tmp_path: Path, synchronous: str, cuts: int) -> tuple[int, int, int]:
    """Return how many events were acknowledged and lost, and in how many of the *cuts* any was."""
    chance, count, lost, bad = Random(), 0, 0, 0
    for number in range(cuts):
        before, after = tmp_path / f"before-{number}", tmp_path / f"after-{number}"
        before.mkdir()
        after.mkdir()
        shutil.copy(migrated, before / "pulsewire.db")
        disk, acknowledged = work_until_cut(before / "pulsewire.db", synchronous, chance)
        disk.leave_in(after, chance)
        gone = lost_after(after, acknowledged)
        count, lost, bad = count + len(acknowledged), lost + gone, bad + bool(gone)
        shutil.rmtree(before)
        shutil.rmtree(after)
    return count, lost, bad


def test_no_acknowledged_event_is_lost_in_a_power_cut(
    migrated: Path, tmp_path: Path, faults_told: Callable[[str], None]
) -> None:
    count, lost, _bad = cut_often(migrated, tmp_path, "FULL", CUTS)

    faults_told(f"synchronous=FULL: {CUTS} cuts, {count} events acknowledged, {lost} lost, the database always sound")
    assert lost == 0
    assert count > CUTS


def test_with_less_synchronisation_events_would_be_lost(
    migrated: Path, tmp_path: Path, faults_told: Callable[[str], None]
) -> None:
    cuts = max(10, CUTS // 10)

    count, lost, bad = cut_often(migrated, tmp_path, "NORMAL", cuts)

    faults_told(f"synchronous=NORMAL, to compare: {count} events acknowledged, {lost} lost, in {bad} of {cuts} cuts")
    assert lost
