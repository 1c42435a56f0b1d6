"""Commands in this process, on an installation of which no server runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runtime.cli import app
from runtime.settings import Settings
from storage.database import Database


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PULSEWIRE_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def database(data_dir: Path, new_database: Callable[[Path], Database]) -> Iterator[Database]:
    database = new_database(Settings().data_dir)
    yield database
    database.dispose()


@pytest.fixture
def run(data_dir: Path) -> Callable[..., Result]:
    def run(*arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == status, result.output + repr(result.exception)
        return result

    return run
