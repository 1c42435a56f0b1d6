"""What tests share: an installation in a temporary directory, with its engine in the same process."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from shutil import copyfile
from typing import Any

import httpx
import hypothesis
import pytest

from backend.events import Event
from backend.passwords import CHEAP, Passwords
from runtime.app import App, build_app
from runtime.service import Service
from runtime.settings import Settings
from storage.database import Database

HOST = "127.0.0.1:8080"

# a landing must not depend on luck: CI tries the same examples every time, a developer's machine new ones
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith("PULSEWIRE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database file with this version's schema, to be copied."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('migrated') / 'pulsewire.db'}")
    database.migrate()
    database.dispose()  # brings the log into the file
    return database.path


@pytest.fixture
def new_database(migrated: Path) -> Callable[[Path], Database]:
    """Make a database in a directory: a copy takes milliseconds, a migration a tenth of a second."""

    def make(directory: Path) -> Database:
        directory.mkdir(exist_ok=True)
        copyfile(migrated, directory / "pulsewire.db")
        return Database(f"sqlite:///{directory / 'pulsewire.db'}")

    return make


@pytest.fixture
def settings(tmp_path: Path, new_database: Callable[[Path], Database]) -> Settings:
    new_database(tmp_path / "data").dispose()
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def fired() -> list[Event]:
    """Every event that the backend reported, in order."""
    return []


@pytest.fixture
async def app(settings: Settings, fired: list[Event]) -> AsyncIterator[App]:
    """A started installation whose engine runs in the test's event loop."""
    app = build_app(settings, embedded=True, heard=fired.append, passwords=Passwords(CHEAP))
    await app.start()
    yield app
    await app.stop()


@pytest.fixture
def service(app: App) -> Service:
    return app.service


@pytest.fixture
def api_key(service: Service) -> str:
    return service.keys.create("tests")[1]


@pytest.fixture
async def anonymous(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """The HTTP API, without a key."""
    transport = httpx.ASGITransport(app.http, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        yield client


@pytest.fixture
async def client(anonymous: httpx.AsyncClient, api_key: str) -> httpx.AsyncClient:
    """The HTTP API, with a key."""
    anonymous.headers["Authorization"] = f"Bearer {api_key}"
    return anonymous


@pytest.fixture
def document() -> Callable[..., dict[str, Any]]:
    """Make the flow document of the tests: an event, a condition, a field set in one branch."""

    def make(flow_id: str = "greet", **changes: Any) -> dict[str, Any]:
        return {
            "format": "pulsewire.flow/1",
            "directed": True,
            "multigraph": True,
            "graph": {"id": flow_id, "name": "Greet", "description": ""},
            "nodes": [
                {"id": "start", "type": "event", "name": "Start", "params": {"event": "shop.order_paid"}},
                {"id": "large", "type": "condition", "name": "Large?", "params": {"if": "{{ $param.total > 100 }}"}},
                {
                    "id": "greet",
                    "type": "set_fields",
                    "name": "Greet",
                    "params": {"fields": {"text": "{{ 'Thanks for ' ~ $param.total }}"}},
                },
            ],
            "edges": [
                {"source": "start", "target": "large", "key": "out"},
                {"source": "large", "target": "greet", "key": "true"},
            ],
            "samples": [{"name": "large", "trigger": "start", "payload": {"total": 120}}],
            "layout": {"start": [0, 0], "large": [280, 0], "greet": [560, 0]},
            **changes,
        }

    return make
