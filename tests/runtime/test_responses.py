"""Waiting for what a run answers, in the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from runtime.engine_api import RunResponse
from runtime.errors import Unavailable
from runtime.link import EngineLink
from runtime.link_server import LinkServer
from runtime.responses import Responses
from tests.runtime.conftest import Rig

ANSWER = {"id": "answer", "type": "respond", "params": {"json": {"n": "{{ $param.n }}"}}}
CALL = {"id": "call", "type": "call", "params": {"text": "x"}}
LATER = {"id": "later", "type": "call", "params": {"text": "y"}}
SAID = {"status": 200, "headers": {"Content-Type": "application/json"}, "body": {"n": 1}, "kind": "json"}


@pytest.fixture
async def link(rig: Rig) -> AsyncIterator[EngineLink]:
    server, link = LinkServer(rig.engine, rig.settings.data_dir), EngineLink(rig.settings.data_dir)
    await server.start()
    yield link
    await link.close()
    await server.stop()


async def test_answer_is_the_same_here_and_over_the_link(rig: Rig, link: EngineLink) -> None:
    rig.flow([ANSWER], ["start>answer"])
    run = await rig.emit({"n": 1})

    found = [await engine.wait_response(run, 10) for engine in (link, rig.engine, link)]

    assert [each.answer for each in found] == [SAID] * 3


async def test_run_that_ends_without_an_answer_is_told_with_its_status(rig: Rig) -> None:
    rig.flow([CALL], ["start>call"])
    run = await rig.emit()

    found = await rig.engine.wait_response(run, 10)

    assert found == RunResponse(run, "succeeded")
    assert found.has_ended
    assert await rig.engine.wait_response(999, 0) == RunResponse(999, "removed")


async def test_answer_comes_before_the_run_is_over(rig: Rig) -> None:
    rig.flow([CALL, ANSWER, LATER], ["start>call", "call>answer", "answer>later"])
    rig.calls.held |= {"x": asyncio.Event(), "y": asyncio.Event()}
    run = await rig.emit({"n": 1})
    await rig.calls.arrived["x"].wait()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))  # look-ups come one after the other
    waiting = asyncio.ensure_future(rig.engine.wait_response(run, 60))
    await asyncio.sleep(0)
    await asyncio.to_thread(lambda: None)  # it has looked, and found nothing yet

    rig.calls.held["x"].set()
    async with asyncio.timeout(30):
        found = await waiting

    assert (found.answer, rig.read(run).status) == (SAID, "running")
    rig.calls.held["y"].set()
    assert (await rig.run(run)).status == "succeeded"


async def test_run_that_waits_itself_is_waited_for(rig: Rig) -> None:
    rig.flow([{"id": "rest", "type": "delay", "params": {"seconds": 60}}, ANSWER], ["start>rest", "rest>answer"])
    run = await rig.emit({"n": 1})
    waiting = asyncio.ensure_future(rig.engine.wait_response(run, 60))
    await rig.run(run, until=lambda row: row.status == "waiting")

    rig.clock.advance(seconds=61)
    await rig.engine.wake()

    assert (await waiting).answer == SAID


async def test_run_that_takes_longer_is_told_as_it_stands(rig: Rig) -> None:
    rig.flow([CALL, ANSWER], ["start>call", "call>answer"])
    rig.calls.held["x"] = asyncio.Event()
    run = await rig.emit({"n": 1})
    await rig.calls.arrived["x"].wait()

    early = await rig.engine.wait_response(run, 0.01)
    rig.calls.held["x"].set()
    late = await rig.engine.wait_response(run, 10)

    assert (early, early.has_ended) == (RunResponse(run, "running"), False)
    assert late.answer == SAID


async def test_answer_of_a_run_survives_a_restart(rig: Rig) -> None:
    rig.flow([CALL, ANSWER], ["start>call", "call>answer"])
    rig.calls.held["x"] = asyncio.Event()
    run = await rig.emit({"n": 1})
    await rig.calls.arrived["x"].wait()
    waiting = asyncio.ensure_future(rig.engine.wait_response(run, 10))
    await asyncio.sleep(0)

    rig.calls.held.clear()
    await rig.restart()
    with pytest.raises(Unavailable):
        await waiting

    assert (await rig.engine.wait_response(run, 10)).answer == SAID


async def test_answer_given_before_a_restart_is_found_while_the_run_goes_on(rig: Rig) -> None:
    rig.flow([ANSWER, LATER], ["start>answer", "answer>later"])
    rig.calls.held["y"] = asyncio.Event()
    run = await rig.emit({"n": 1})
    await rig.calls.arrived["y"].wait()

    await rig.restart()
    await rig.calls.arrived["y"].wait()
    async with asyncio.timeout(30):
        found = await rig.engine.wait_response(run, 60)

    assert (found.answer, found.status) == (SAID, "running")
    rig.calls.held["y"].set()
    assert (await rig.run(run)).status == "succeeded"


async def test_answer_with_a_secret_is_handed_over_in_clear(rig: Rig) -> None:
    rig.flow([ANSWER | {"params": {"json": "{{ $param.password }}"}}], ["start>answer"])
    run = await rig.emit({"password": "tr0ub4dor staple"})
    await rig.run(run)

    found = await rig.engine.wait_response(run, 10)

    assert found.answer is not None
    assert found.answer["body"] == "tr0ub4dor staple"
    await rig.engine.sweep()
    assert await rig.engine.wait_response(run, 10) == RunResponse(run, "succeeded"), "never masks in its place"


async def test_everyone_who_waits_gets_the_first_answer(rig: Rig) -> None:
    rig.flow([CALL], ["start>call"])
    rig.calls.held["x"] = asyncio.Event()
    run = await rig.emit()
    responses = Responses(rig.database, rig.seals, rig.types)
    waiting = [asyncio.ensure_future(responses.wait(run, 10)) for _ in range(3)]
    await asyncio.sleep(0)  # each has begun

    first: dict[str, Any] = {"status": 200}
    responses.answered(run, first)
    responses.answered(run, {"status": 500})

    assert [each.answer for each in await asyncio.gather(*waiting)] == [first] * 3
    rig.calls.held["x"].set()
