from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from runtime import worker
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
