"""What a run has to do next."""

from __future__ import annotations

import asyncio
import inspect
from types import SimpleNamespace
from typing import Any

from runtime.agenda import Agenda
from runtime.records import Place


def attempt() -> Any:
    return SimpleNamespace(frame=SimpleNamespace(active=0), place=Place("step", ""))


async def test_work_that_is_cut_off_before_it_began_is_given_up() -> None:
    begun: list[str] = []

    async def call() -> None:
        begun.append("called")

    agenda, work = Agenda(lambda: 0, None), call()
    agenda.begin(attempt(), work)
    agenda.start()

    agenda.cut_off()
    await asyncio.sleep(0.01)

    assert begun == []
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED


async def test_work_that_is_cut_off_ends_where_it_is() -> None:
    seen: list[str] = []

    async def call() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("left")

    agenda = Agenda(lambda: 0, None)
    agenda.begin(attempt(), call())
    agenda.start()
    await asyncio.sleep(0)

    agenda.cut_off()
    await asyncio.sleep(0.01)

    assert seen == ["left"]
