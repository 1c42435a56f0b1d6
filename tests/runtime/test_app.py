from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from runtime.app import Waker, build_app, build_service
from runtime.document import FORMAT
from runtime.link import EngineLink
from runtime.settings import Settings


class SlowEngine:
    """Looks for runs at once, and answers when it is told to."""

    def __init__(self) -> None:
        self.looks = 0
        self.looked = asyncio.Event()
        self.answer = asyncio.Event()

    async def wake(self) -> None:
        self.looks += 1
        self.looked.set()
        await self.answer.wait()


async def test_a_commit_while_the_engine_is_being_told_is_told_too() -> None:
    engine = SlowEngine()
    waker = Waker(engine)  # type: ignore[arg-type]
    waker.start()

    waker()
    await engine.looked.wait()
    engine.looked.clear()
    waker()
    waker()
    await asyncio.sleep(0)
    engine.answer.set()
    async with asyncio.timeout(2):
        await engine.looked.wait()

    assert engine.looks == 2


def test_only_the_server_judges_which_variables_flows_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", "https://shop.example.com")
    settings = Settings(data_dir=tmp_path, env_names=frozenset({"SHOP_URL", "SHOP_NAME"}))
    fields = {"one": "{{ $env.SHOP_URL }}", "other": "{{ $env.SHOP_NAME }}"}
    nodes = [{"id": "start", "type": "manual"}, {"id": "shop", "type": "set_fields", "params": {"fields": fields}}]
    edges = [{"source": "start", "target": "shop", "key": "out"}]
    app = build_app(settings)
    app.service.flows.create({"format": FORMAT, "graph": {"id": "f", "name": "F"}, "nodes": nodes, "edges": edges})
    command = build_service(settings, app.service.database, EngineLink(tmp_path))

    assert [each.path for each in app.service.flows.get("f").problems] == [("other",)]
    assert command.flows.get("f").problems == ()
