"""Flows take turns, and leave room for others: none has to wait for another one to be done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runtime import dispatcher, limits
from runtime.engine import NewEvent
from runtime.fair_queue import FairQueue

CALL = {"id": "send", "type": "call", "params": {"text": "{{ $param.n ~ '' }}"}}
EDGES = ["start>send"]


def always(_flow_id: str, _more: int) -> bool:
    return True


def queue(**flows: list[int]) -> FairQueue:
    made = FairQueue()
    for flow_id, runs in flows.items():
        for run_id in runs:
            made.push(run_id, flow_id)
    return made


def test_flows_take_turns_and_keep_their_own_order() -> None:
    waiting = queue(a=[1, 2, 3, 4], b=[10], c=[20, 21])

    assert [run_id for run_id, _ in waiting.pop(10, always)] == [1, 10, 20, 2, 21, 3, 4]
    assert len(waiting) == 0


def test_whose_turn_it_is_is_remembered() -> None:
    waiting = queue(a=[1, 2, 3], b=[10, 11])

    assert waiting.pop(1, always) == [(1, "a")]
    assert waiting.pop(2, always) == [(10, "b"), (2, "a")]
    assert 11 in waiting
    assert 10 not in waiting


def test_a_flow_that_has_its_share_is_passed_over() -> None:
    waiting = queue(a=[1, 2, 3], b=[10, 11])

    taken = waiting.pop(10, lambda flow_id, more: flow_id == "b" or more < 1)

    assert taken == [(1, "a"), (10, "b"), (11, "b")]
    assert waiting.pop(10, lambda _flow_id, _more: False) == []
    assert len(waiting) == 2


async def flood(rig: Any, count: int) -> list[int]:
    """Start *count* runs of the flow ``slow``, all of which are held in their only step."""
    rig.flow([{**CALL, "params": {"text": "held"}}], EDGES, flow_id="slow")
    rig.flow([CALL], EDGES, flow_id="quick", event="quick")
    rig.calls.hold("held")
    answers = await rig.engine.accept([NewEvent("go", {}) for _ in range(count)])
    return [answer.runs[0] for answer in answers]


async def release(rig: Any, runs: list[int]) -> None:
    rig.calls.release("held")
    for run_id in runs:
        assert (await rig.run(run_id)).status == "succeeded"


async def test_a_flow_whose_runs_all_hang_leaves_room_at_work_for_another(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "RUNS_AT_ONCE", 8)
    monkeypatch.setattr(dispatcher, "CLAIM_AT_ONCE", 4)
    slow = await flood(rig, 40)

    quick = await rig.run(await rig.emit({"n": 1}, "quick"))

    assert quick.status == "succeeded"
    assert sum(text == "held" for text, _ in rig.calls.seen) <= 6
    await release(rig, slow)


async def test_a_service_that_does_not_answer_holds_up_nobody_elses_steps(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STEPS_AT_ONCE", 8)
    await rig.restart()
    slow = await flood(rig, 40)
    async with asyncio.timeout(10):
        while len(rig.calls.seen) < 7:  # noqa: ASYNC110 - nothing tells of the seventh
            await asyncio.sleep(0.01)

    quick = await rig.run(await rig.emit({"n": 1}, "quick"))

    assert quick.status == "succeeded"
    assert sum(text == "held" for text, _ in rig.calls.seen) == 7
    await release(rig, slow)


async def test_a_run_does_not_wait_for_a_flood_to_be_over(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "RUNS_AT_ONCE", 20)
    monkeypatch.setattr(dispatcher, "CLAIM_AT_ONCE", 10)
    rig.flow([{**CALL, "params": {"text": "flood"}}], EDGES, flow_id="slow")
    rig.flow([CALL], EDGES, flow_id="quick", event="quick")
    await rig.engine.accept([NewEvent("go", {}) for _ in range(900)])

    await rig.run(await rig.emit({"n": 1}, "quick"))

    left = sum(run.ended_at is None for run in rig.runs())
    assert left > 300, "the flood was nearly over"
    async with asyncio.timeout(30):
        while any(run.ended_at is None for run in rig.runs()):  # noqa: ASYNC110 - rows are read
            await asyncio.sleep(0.05)
