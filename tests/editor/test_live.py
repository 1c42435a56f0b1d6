"""A page that follows a run, and what is done to the run meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlmodel import Session

from runtime.errors import Problem, Unavailable
from runtime.run_views import RunView
from tests.editor.simulated import Pages, until

Json = Any
APPROVAL = {
    "format": "pulsewire.flow/1",
    "directed": True,
    "multigraph": True,
    "graph": {"id": "refund", "name": "Refund"},
    "nodes": [
        {"id": "start", "type": "manual", "name": "Start", "params": {}},
        {"id": "ask", "type": "wait_for_approval", "name": "Ask", "params": {"title": "Refund?", "timeout_s": 7200}},
    ],
    "edges": [{"source": "start", "target": "ask", "key": "out"}],
}


async def waiting_run(pages: Pages) -> int:
    """Return a run that waits for an approval."""
    pages.service.flows.create(APPROVAL)
    pages.service.flows.publish("refund")
    run = await pages.service.runs.start("refund")
    await until(lambda: pages.service.runs.get(run.id).status == "waiting")
    return run.id


async def test_an_answer_that_comes_late_does_not_hide_that_the_run_has_ended(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await waiting_run(pages)
    cancel, seen = pages.service.runs.cancel, asyncio.Event()

    async def slow(run_id: int) -> RunView:
        before = pages.service.runs.get(run_id)
        await cancel(run_id)
        await pages.user.should_see("Cancelled", retries=60)  # the page looked by itself
        seen.set()
        return before

    monkeypatch.setattr(pages.service.runs, "cancel", slow)
    await pages.user.open(f"/runs/{run_id}")
    pages.press("Cancel")
    await pages.user.should_see("Cancel this run?")
    pages.press("Cancel run")
    await asyncio.wait_for(seen.wait(), 8)
    await asyncio.sleep(0.1)

    await pages.user.should_see("Cancelled")
    await pages.user.should_not_see("Waiting")


async def test_what_is_done_to_a_run_shows_at_once_on_a_page_that_looks_seldom(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("editor.live.SLOW_AFTER", 1)
    monkeypatch.setattr("editor.live.SLOW_POLL_S", 600)
    run_id = await waiting_run(pages)
    await pages.user.open(f"/runs/{run_id}")
    await pages.user.should_see("Waiting")
    await asyncio.sleep(0.3)  # the page has looked twice

    pages.press("Cancel")
    await pages.user.should_see("Cancel this run?")
    pages.press("Cancel run")

    await pages.user.should_see("Cancelled", retries=40)


async def test_a_page_goes_on_when_the_database_could_not_answer(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("editor.live.SLOW_POLL_S", 0.05)
    run_id = await waiting_run(pages)
    await pages.user.open(f"/runs/{run_id}")
    refused: list[int] = []

    def fail(_session: Session, run_id: int, _types: object) -> RunView:
        refused.append(run_id)
        raise Unavailable(Problem("storage.busy", "The database is busy."))

    with monkeypatch.context() as during:
        during.setattr("runtime.run_reading.read_run", fail)
        await until(lambda: refused)
    await pages.service.runs.cancel(run_id)

    await pages.user.should_see("Cancelled", retries=60)
