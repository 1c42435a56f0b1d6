from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import open_lock, web, worker
from runtime.settings import Settings
from runtime.supervisor import REFUSED


@pytest.fixture
def restoring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Keep the database of an installation as a restore does."""
    monkeypatch.setenv("PULSEWIRE_DATA_DIR", str(tmp_path))
    lock = open_lock.alone(tmp_path / "pulsewire.db")
    assert lock is not None
    yield Settings()
    os.close(lock)


def test_an_engine_does_not_start_while_the_database_is_restored(
    restoring: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    status = worker.main()

    assert status == REFUSED
    assert "is being restored" in caplog.text
    assert not (restoring.data_dir / "pulsewire.db").exists()


def test_pages_are_not_served_while_the_database_is_restored(
    restoring: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as listener:
        status = web.serve_app(restoring, listener, lambda _app: None)

    assert status == REFUSED
    assert "is being restored" in capsys.readouterr().err
    assert not (restoring.data_dir / "pulsewire.db").exists()


def test_many_share_the_database_and_one_alone_keeps_it(tmp_path: Path) -> None:
    database = tmp_path / "pulsewire.db"
    shared = [open_lock.share(database) for _ in range(2)]

    while_shared = open_lock.alone(database)
    for lock in shared:
        os.close(lock)
    afterwards = open_lock.alone(database)

    assert while_shared is None
    assert afterwards is not None
    os.close(afterwards)
