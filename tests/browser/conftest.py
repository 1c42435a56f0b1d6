"""One real server in a process of its own, one Chromium, and a fresh context for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from nodes import spec
from runtime.flows import Flows
from runtime.settings import Settings
from storage.database import Database
from tests.browser.flow_page import Server
from tests.operators import COOKIE, signed_in

HERE = Path(__file__).resolve().parent
CHROMIUM = shutil.which("chromium")  # None: the one that Playwright brought
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_S = 30

expect.set_options(timeout=15_000)  # ms; the machines that run this are small and shared


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("browser")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PULSEWIRE_")}
    environment["NICEGUI_STORAGE_PATH"] = str(folder / "nicegui")
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "server.py"), str(folder / "data")],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            cwd=HERE.parents[1],
        )
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, (folder / "server.log").read_text()
        _wait_for(address)
        database = Database(Settings(data_dir=folder / "data").url)
        yield Server(address, Flows(database, spec.load()), database)
        database.dispose()
        process.terminate()
        process.wait(15)
        process.stdout.close()


def _wait_for(address: str) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            urllib.request.urlopen(f"{address}/healthz", timeout=2).close()
        except OSError:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for one module: Playwright keeps an event loop running, which asynchronous tests must not meet."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    """One context for a module's tests, so that scripts are fetched once; each test has tabs of its own."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900},
        reduced_motion="reduce",
        base_url=server.url,
        accept_downloads=True,
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(8000)
    context.add_cookies([{"name": COOKIE, "value": signed_in(server.database), "url": server.url}])
    yield context
    context.close()


@pytest.fixture
def faults(context: BrowserContext) -> Iterator[list[str]]:
    """What went wrong in the browser; a test during which something did fails."""
    found: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: found.append(str(error)))
        page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)

    context.on("page", watch)
    yield found
    for page in context.pages:
        page.close()
    context.remove_listener("page", watch)
    assert not found, found


@pytest.fixture
def page(context: BrowserContext, faults: list[str]) -> Page:
    return context.new_page()


@pytest.fixture
def make_flow(server: Server) -> Callable[..., str]:
    """Create a flow of short words: ``make_flow({"a": "manual", "b": "condition"}, ["a out b"])``."""

    def make(nodes: dict[str, str] | None = None, edges: list[str] | None = None, **params: dict[str, Any]) -> str:
        types = spec.load()
        document = {
            "format": "pulsewire.flow/1",
            "directed": True,
            "multigraph": True,
            "graph": {"name": "Test flow"},
            "nodes": [
                {"id": i, "type": t, "name": types[t].title if i == t else i.capitalize(), "params": params.get(i, {})}
                for i, t in (nodes or {}).items()
            ],
            "edges": [dict(zip(("source", "key", "target"), edge.split(), strict=True)) for edge in edges or []],
            "layout": {i: [place * 280, 0] for place, i in enumerate(nodes or {})},
        }
        return server.flows.create(document).id

    return make
