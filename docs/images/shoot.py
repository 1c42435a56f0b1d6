"""Take the pictures of the README anew: ``python docs/images/shoot.py``; needs Chromium and the test requirements."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.datahub import Column, Datahub
from nodes import spec
from runtime.flows import Flows
from runtime.settings import Settings
from storage.database import Database
from tests.operators import COOKIE, signed_in

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SIZE = {"width": 1440, "height": 900}
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "browser" / "server.py"), folder],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert server.stdout is not None
        try:
            address = server.stdout.readline().strip()
            _wait_for(f"{address}/healthz")
            flow_id, cookie = _prepare(Path(folder))
            _shoot(address, flow_id, cookie)
        finally:
            server.terminate()
            server.wait(15)


def _wait_for(address: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not start")


def _prepare(folder: Path) -> tuple[str, str]:
    database = Database(Settings(data_dir=folder).url)
    tables = Datahub(database, lambda _session, _event: None)
    tables.create("orders", [Column("customer", "text"), Column("total", "number")])
    tables.create("incidents", [Column("what", "text"), Column("at", "datetime")])
    flow = Flows(database, spec.load()).create(FLOW)
    cookie = signed_in(database)
    database.dispose()
    return flow.id, cookie


def _node(node_id: str, kind: str, name: str, **more: Any) -> dict[str, Any]:
    on_error = {"on_error": more.pop("on_error")} if "on_error" in more else {}
    return {"id": node_id, "type": kind, "name": name, "params": more, **on_error}


def _edge(source: str, key: str, target: str) -> dict[str, str]:
    return {"source": source, "target": target, "key": key}


FLOW: dict[str, Any] = {
    "format": "pulsewire.flow/1",
    "directed": True,
    "multigraph": True,
    "graph": {"name": "Warn on emptied table", "description": "Tells the team and the warehouse that orders are gone."},
    "nodes": [
        _node("emptied", "api.dataTable_emptied", "Table emptied"),
        _node("is_orders", "condition", "Is it orders?", **{"if": "{{ $param.Name == 'orders' }}"}),
        _node(
            "warn",
            "send_email",
            "Warn the team",
            to="ops@example.com",
            subject="{{ $param.Name }} was emptied",
            text="Every row of “{{ $param.Name }}” is gone.\nRestore the backup if nobody meant to do that.",
        ),
        _node(
            "warehouse",
            "http_request",
            "Tell the warehouse",
            method="POST",
            url="https://api.example.com/stop",
            json={"reason": "{{ $param.Name }} was emptied"},
            on_error="port",
        ),
        _node("other", "set_fields", "Another table", fields={"name": "{{ $param.Name }}"}),
        _node(
            "incident",
            "insert_row",
            "Note the incident",
            table="incidents",
            values={"what": "The warehouse was not told", "at": "{{ $now }}"},
        ),
    ],
    "edges": [
        _edge("emptied", "out", "is_orders"),
        _edge("is_orders", "true", "warn"),
        _edge("is_orders", "true", "warehouse"),
        _edge("is_orders", "false", "other"),
        _edge("warehouse", "error", "incident"),
    ],
    "layout": {
        "emptied": [0, 120],
        "is_orders": [260, 120],
        "warn": [540, 0],
        "warehouse": [540, 120],
        "other": [540, 280],
        "incident": [800, 180],
    },
}


def _shoot(address: str, flow_id: str, cookie: str) -> None:
    chromium = shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for theme, name in (("light", "editor"), ("dark", "editor-dark")):
            context = browser.new_context(viewport=SIZE, reduced_motion="reduce")  # type: ignore[arg-type]
            cookies = {"pulsewire_theme": theme, COOKIE: cookie}
            context.add_cookies([{"name": name, "value": value, "url": address} for name, value in cookies.items()])
            page = context.new_page()
            page.goto(f"{address}/flows/{flow_id}")
            _run_a_test(page)
            page.screenshot(path=HERE / f"{name}.png")
            context.close()
        browser.close()


def _run_a_test(page: Page) -> None:
    page.locator('.fc[aria-label^="Flow with 6 nodes"]').wait_for()
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".ft-title").last).to_have_text("Succeeded")
    page.locator('.vue-flow__node[data-id="warn"]').click()
    page.get_by_role("tab", name="Set up").click()
    page.get_by_role("button", name="Show the whole flow").click()
    page.mouse.move(700, 100)
    page.wait_for_timeout(1500)


if __name__ == "__main__":
    main()
