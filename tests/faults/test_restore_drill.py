"""A backup of a server under load, restored where there is nothing, and started: what counts in the end."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.conftest import EVENT, Installation

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
ROOT = Path(__file__).resolve().parents[2]


def command(
    pulsewire: Installation, *arguments: object, data_dir: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = pulsewire.server.environment | ({} if data_dir is None else {"PULSEWIRE_DATA_DIR": str(data_dir)})
    return subprocess.run(
        [sys.executable, "-m", "runtime.cli", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def select(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(sql).fetchall()


@pytest.mark.parametrize("sink", [0.5], indirect=True)
def test_a_backup_under_load_is_a_consistent_prefix_and_its_runs_go_on_once_elsewhere(
    pulsewire, sink, wait_until, tmp_path_factory
) -> None:
    folder = tmp_path_factory.mktemp("restored")
    file, new_dir = folder / "backup.db", folder / "data"
    made: list[subprocess.CompletedProcess[str]] = []

    def back_up() -> None:
        wait_until(lambda: len(sink.seen()) >= 30)
        made.append(command(pulsewire, "backup", "--with-key", file))

    accepted = pulsewire.emit_many(range(400), back_up)
    refused = command(pulsewire, "restore", file)
    wait_until(lambda: set(pulsewire.runs().values()) == {"succeeded"}, 90)
    last_run = max(run_id for (run_id,) in pulsewire.select("SELECT id FROM run"))
    pulsewire.server.stop()

    assert made[0].returncode == 0, made[0].stderr
    assert (refused.returncode, "Stop it first" in refused.stderr) == (1, True)

    restored = command(pulsewire, "restore", file, data_dir=new_dir)
    assert restored.returncode == 0, restored.stderr
    database = new_dir / "pulsewire.db"
    runs = dict(select(database, "SELECT event_id, status FROM run"))
    added = select(database, "SELECT run_id FROM step WHERE node = 'add' AND status = 'succeeded'")
    (table,) = select(database, "SELECT physical FROM data_table")
    (rows,) = select(database, f'SELECT count(*) FROM "{table[0]}"')
    assert select(database, "PRAGMA integrity_check") == [("ok",)]
    events = {event for (event,) in select(database, f"SELECT id FROM event WHERE name = '{EVENT}'")}
    assert events == set(runs) <= set(accepted.values())
    assert rows == (len(added),)
    assert Counter(runs.values())["running"] >= 10, "the backup was not made under load"

    again = Installation(new_dir, pulsewire._key, sink.url)
    try:
        wait_until(lambda: set(again.runs().values()) == {"succeeded"}, 60)
        numbers = {number for number, event in accepted.items() if event in runs}
        assert set(again.orders()) == numbers
        assert len(again.orders()) == len(numbers)
        keys = {number: {key for n, key in sink.seen() if n == number} for number in numbers}
        assert {len(found) for found in keys.values()} == {1}, "a run that went on had another Idempotency-Key"

        used = {key for _number, key in sink.seen()}
        assert again.emit(1_000) is not None
        wait_until(lambda: any(number == 1_000 for number, _key in sink.seen()))
        assert max(run_id for (run_id,) in again.select("SELECT id FROM run")) > last_run
        assert not used & {key for number, key in sink.seen() if number == 1_000}
    finally:
        again.server.stop()
