"""Removing old runs, copying and giving room back, while the process is killed or the disk is full."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from runtime.retention import READ_AHEAD
from storage.backup import copy
from storage.database import Database
from storage.errors import StorageFull
from storage.space import make_shrinkable, measure, shorten_log
from tests.faults.bare import Bare, Senders, until
from tests.runtime.conftest import Rig

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
KILLED = -9
DIES_AT = 12  # commits of the engine: retention is under way by then, and none removes more than READ_AHEAD runs
OLD_RUNS = DIES_AT * READ_AHEAD
ORPHANS = (
    "SELECT count(*) FROM step WHERE run_id NOT IN (SELECT id FROM run) AND run_id NOT IN "
    "(SELECT each.value FROM setting, json_each(setting.value, '$.runs') AS each "
    "WHERE setting.key = 'retention_clearing')"
)


def add_old_runs(path: Path, runs: int, steps: int = 4) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.executemany(
            "INSERT INTO event (id, name, payload, root_id, depth, path, created_at) "
            "VALUES (?, 'old', ?, '', 0, '[]', 0)",
            [(f"old-{number}", f'{{"text":"{"x" * 300}"}}') for number in range(runs)],
        )
        raw.executemany(
            "INSERT INTO run (flow_id, version, trigger, event_id, status, is_test, is_simulated, epoch, crashes, "
            "is_dead, created_at, ended_at) VALUES ('old', 1, 'start', ?, 'succeeded', 0, 0, 1, 0, 0, 0, ?)",
            [(f"old-{number}", number) for number in range(runs)],
        )
        raw.execute(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?) INSERT INTO step "
            "(run_id, node, iteration, attempt, status, output) SELECT run.id, 'n' || n, '', 1, 'succeeded', ? "
            "FROM run, n WHERE flow_id = 'old'",
            (steps, f'{{"text":"{"y" * 100}"}}'),
        )


def set_rules(path: Path, rules: str) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO setting (key, value, updated_at) VALUES ('retention', ?, 0)", (rules,))


@pytest.mark.parametrize("point", ["journal.before_commit", "journal.after_commit"])
async def test_a_kill_in_the_middle_of_retention_leaves_no_half_run_and_the_next_start_goes_on(
    bare: Bare, point: str
) -> None:
    path = bare.directory / "pulsewire.db"
    add_old_runs(path, OLD_RUNS)
    set_rules(path, '{"keep_days": null, "keep_runs": 10, "keep_mb": null}')

    def left() -> int:
        return int(bare.select("SELECT count(*) FROM run WHERE flow_id = 'old'")[0][0])

    status = bare.wait(bare.start(crash=f"{point}:{DIES_AT}"))
    at_kill, orphans = left(), bare.select(ORPHANS)
    sizes = bare.select("SELECT DISTINCT count(*) FROM step JOIN run ON run.id = run_id GROUP BY run_id")
    async with Senders(bare.directory, 0) as senders:
        await asyncio.to_thread(bare.start)
        await asyncio.gather(*[senders.send(number) for number in range(20)])
    await asyncio.to_thread(until, lambda: left() == 10, 90)
    await asyncio.to_thread(bare.has_ended_all)

    assert status == KILLED
    assert 10 < at_kill < OLD_RUNS
    assert orphans == [(0,)]
    assert sizes == [(4,)]
    assert bare.select("SELECT count(*) FROM event WHERE name = 'old'") == [(10,)]
    assert bare.select("SELECT count(*) FROM step WHERE run_id NOT IN (SELECT id FROM run)") == [(0,)]
    bare.check(set(range(20)))


@pytest.fixture
def rig(small_disk: Any, data_dir: Path) -> Iterator[Rig]:
    rig = Rig(data_dir)
    yield rig
    rig.database.dispose()


async def is_told_full(rig: Rig) -> None:
    async with asyncio.timeout(30):
        while not (await rig.engine.status()).storage_full:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_while_the_disk_is_full_retention_waits_and_then_goes_on(rig: Rig, small_disk: Any) -> None:
    add_old_runs(rig.database.path, 1_000)  # the usual 30 days have passed for them
    assert shorten_log(rig.database.path)
    await rig.engine.start()
    small_disk.fill()
    with rig.database.read() as reader:
        reader.connection().exec_driver_sql("SELECT count(*) FROM run").all()  # so the log cannot make room by itself
        sweeping = asyncio.create_task(rig.engine.sweeper.sweep())
        await is_told_full(rig)
        is_stuck = not sweeping.done()
    small_disk.clear()
    await asyncio.wait_for(sweeping, 60)
    while not (await rig.engine.sweeper.sweep()).is_done:
        pass
    await rig.engine.stop()

    assert is_stuck
    with closing(sqlite3.connect(rig.database.path)) as raw:
        assert raw.execute("SELECT count(*) FROM run").fetchone() == (0,)
        assert raw.execute("SELECT count(*) FROM step").fetchone() == (0,)
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_work_that_fills_the_disk_with_its_log_goes_on_when_the_log_is_brought_in(rig: Rig) -> None:
    with rig.database.write() as session:
        connection = session.connection()
        for key in ("large", "gone"):  # one leaves room in the file for the other's changes
            connection.exec_driver_sql("INSERT INTO setting VALUES (?, ?, 0)", (key, "x" * 500_000))
        connection.exec_driver_sql("DELETE FROM setting WHERE key = 'gone'")
    assert shorten_log(rig.database.path)
    await rig.engine.start()

    for _ in range(8):  # each writes half a megabyte to the log, and 4 MB are all there is

        def rewrite(session: Session) -> None:
            sql = "UPDATE setting SET value = value || 'x' WHERE key = 'large'"
            session.connection().exec_driver_sql(sql)

        await asyncio.wait_for(rig.engine._journal.call(rewrite), 30)

    with rig.database.look() as found:
        assert found.exec_driver_sql("SELECT length(value) FROM setting WHERE key = 'large'").scalar() == 500_008
    await rig.engine.stop()


def test_a_disk_that_becomes_full_during_a_backup_keeps_no_half_file(
    tmp_path_factory: pytest.TempPathFactory, small_disk: Any, data_dir: Path
) -> None:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('data') / 'pulsewire.db'}")
    database.migrate()
    add_old_runs(database.path, 1_500)
    (data_dir / "backup.db").write_text("the backup of yesterday")

    with pytest.raises(StorageFull, match="has no room for the copy"):
        copy(database.path, data_dir / "backup.db", replaces=True, progress=lambda *_: small_disk.fill())
    small_disk.fill()
    with pytest.raises(StorageFull, match="has no room for the copy"):
        copy(database.path, data_dir / "backup.db", replaces=True)

    assert sorted(path.name for path in data_dir.iterdir()) == ["backup.db", "ballast"]
    assert (data_dir / "backup.db").read_text() == "the backup of yesterday"
    database.dispose()


def test_an_older_database_that_has_no_room_to_be_written_anew_stays_as_it_is(
    small_disk: Any, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = data_dir / "pulsewire.db"
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT, updated_at INTEGER)")
        raw.executemany("INSERT INTO setting VALUES (?, ?, 0)", [(str(n), "x" * 5_000) for n in range(350)])
    database = Database(f"sqlite:///{path}")

    make_shrinkable(database)

    assert not measure(database).can_shrink
    assert "too little room" in caplog.text
    with database.look() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM setting").scalar() == 350
    database.dispose()
