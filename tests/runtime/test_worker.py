from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime import worker
from runtime.settings import Settings
from storage import database


def test_an_engine_that_finds_the_database_locked_is_to_be_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    monkeypatch.setenv("PULSEWIRE_DATA_DIR", str(tmp_path))
    other = sqlite3.connect(tmp_path / "pulsewire.db", isolation_level=None)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("BEGIN IMMEDIATE")

    status = worker.main()
    other.close()

    assert status == 1
    assert "cannot start yet: The database is busy" in caplog.text


@pytest.mark.parametrize(("size_mb", "is_taken"), [(0, True), (255, False), (256, True), (-1, False)])
def test_an_engine_gets_the_memory_it_needs_or_no_limit(size_mb: int, is_taken: bool) -> None:
    if is_taken:
        assert Settings(worker_memory_mb=size_mb).worker_memory_mb == size_mb
    else:
        with pytest.raises(ValidationError):
            Settings(worker_memory_mb=size_mb)
