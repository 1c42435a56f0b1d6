"""What a run waits for may come while it is worked on: it goes on at once, without being taken up anew."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runtime import execution, executor, waits
from runtime.outbox import NewEvent
from runtime.settling import settle
from tests.runtime.conftest import Rig

WAITS: dict[str, dict[str, Any]] = {
    "event": {"type": "wait_for_event", "params": {"event": "paid"}},
    "approval": {"type": "wait_for_approval", "params": {"title": "Refund?"}},
    "sub-flow": {"type": "run_flow", "params": {"flow": "called", "input": {}}},
    "unknown": {"type": "call_once", "params": {"text": "wait"}},
}
LOOP = {"id": "loop", "type": "for_each", "params": {"items": "{{ [1, 2, 3, 4, 5] }}"}}
AFTER = {"id": "after", "type": "echo"}


async def come(rig: Rig, what: str, run_id: int, iteration: str = "") -> None:
    """Let what the step ``wait`` waits for come."""
    if what == "event":
        await rig.engine.accept([NewEvent("paid", {})])
        return
    if what == "sub-flow":
        rig.calls.release("called")
        return
    with rig.database.write() as session:
        if what == "approval":
            done = {"approved": True, "by": "ada", "comment": "", "now": rig.clock()}
            waits.decide(session, run_id=run_id, node="wait", iteration=iteration, **done)
        else:
            settle(session, run_id, "wait", iteration, "mark_done", {"text": "by hand"}, rig.clock(), rig.types)
    await rig.engine.wake()


async def until(rig: Rig, run_id: int, node: str, *statuses: str) -> None:
    def has_come_there(_run: object) -> bool:
        step = rig.steps(run_id).get(node)
        return step is not None and step.status in statuses

    await rig.run(run_id, has_come_there)


@pytest.fixture
def called(rig: Rig) -> None:
    start = {"id": "start", "type": "manual", "params": {}}
    rig.flow([start, {"id": "held", "type": "call", "params": {"text": "called"}}], ["start>held"], flow_id="called")
    rig.calls.hold("called")


@pytest.mark.usefixtures("called")
@pytest.mark.parametrize("what", WAITS)
async def test_what_comes_while_another_branch_is_busy_lets_the_step_go_on_at_once(rig: Rig, what: str) -> None:
    wait, busy = {"id": "wait", **WAITS[what]}, {"id": "busy", "type": "call", "params": {"text": "busy"}}
    port = ".approved" if what == "approval" else ""
    rig.flow([wait, busy, AFTER], ["start>wait", "start>busy", f"wait{port}>after"])
    rig.calls.hold("busy")
    rig.calls.hold("wait")
    run_id = await rig.emit()
    await rig.calls.arrived["busy"].wait()
    if what == "unknown":
        await rig.calls.arrived["wait"].wait()
        await rig.restart()
        await rig.calls.arrived["busy"].wait()
    await until(rig, run_id, "wait", "waiting", "unknown")

    await come(rig, what, run_id)
    await until(rig, run_id, "after", "succeeded")
    busy_then = rig.steps(run_id)["busy"].status
    rig.calls.release("busy")
    run = await rig.run(run_id)

    assert busy_then == "running"
    assert (run.status, run.wake_at) == ("succeeded", None)
    assert run.epoch == (2 if what == "unknown" else 1)


async def loop_waits(rig: Rig, what: str, number: int, run_id: int) -> None:
    """Return when the loop's round waits and nothing is under way."""

    def waits_there(run: Any) -> bool:
        with rig.database.look() as found:
            query = "SELECT 1 FROM wait WHERE run_id = ? AND iteration = ? AND resolved_at IS NULL"
            return run.status == "waiting" and found.exec_driver_sql(query, (run_id, str(number))).first() is not None

    await rig.run(run_id, waits_there)


@pytest.fixture
def stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a loop be as if it had thousands of rounds."""
    monkeypatch.setattr(execution, "STAY_FROM", 0)
    monkeypatch.setattr(execution, "STAY_S", 60.0)


@pytest.mark.usefixtures("called", "stays")
@pytest.mark.parametrize("what", ["event", "approval"])
async def test_a_long_loop_that_waits_in_each_round_is_not_walked_anew_for_each(rig: Rig, what: str) -> None:
    port = ".approved" if what == "approval" else ""
    rig.flow([LOOP, {"id": "wait", **WAITS[what]}, AFTER], ["start>loop", "loop.each>wait", f"wait{port}>after"])
    run_id = await rig.emit()

    for number in range(5):
        await loop_waits(rig, what, number, run_id)
        await come(rig, what, run_id, str(number))
    run = await rig.run(run_id)

    assert (run.status, run.epoch) == ("succeeded", 1)
    assert rig.steps(run_id)["loop"].output["outputs"] == [{"text": ""}] * 5  # type: ignore[index]


@pytest.mark.usefixtures("called", "stays")
async def test_a_loop_that_stays_lets_go_when_the_engine_stops_and_goes_on_after_it(rig: Rig) -> None:
    rig.flow([LOOP, {"id": "wait", **WAITS["event"]}], ["start>loop", "loop.each>wait"])
    run_id = await rig.emit()
    await loop_waits(rig, "event", 0, run_id)

    async with asyncio.timeout(10):
        await rig.engine.stop(grace_s=60)
    await rig.restart()
    for number in range(5):
        await loop_waits(rig, "event", number, run_id)
        await come(rig, "event", run_id)
    run = await rig.run(run_id)

    assert (run.status, run.crashes) == ("succeeded", 0)


@pytest.mark.usefixtures("called", "stays")
async def test_a_loop_that_stays_is_cancelled_and_seen_as_waiting(rig: Rig) -> None:
    rig.flow([LOOP, {"id": "wait", **WAITS["event"]}], ["start>loop", "loop.each>wait"])
    run_id = await rig.emit()
    await loop_waits(rig, "event", 0, run_id)

    is_settled = await rig.engine.wait(run_id, 10)
    was_cancelled = await rig.engine.cancel(run_id)
    async with asyncio.timeout(10):
        while (await rig.engine.status()).open_runs:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)

    assert (is_settled, was_cancelled) == (True, True)
    assert rig.read(run_id).status == "cancelled"


@pytest.mark.usefixtures("stays")
async def test_what_comes_just_as_a_timer_wakes_a_loop_that_stays_is_not_lost(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    nap, wait = {"id": "nap", "type": "delay", "params": {"seconds": 1}}, {"id": "wait", **WAITS["approval"]}
    loop = LOOP | {"params": {"items": "{{ [1] }}"}}
    rig.flow([loop, nap, wait, AFTER], ["start>loop", "loop.each>nap", "loop.each>wait", "wait.approved>after"])
    become, told = execution.Execution._become, asyncio.Event()

    async def become_late(run: execution.Execution, status: str, wake_us: int | None) -> None:
        if status == "running":  # another process has just decided, and its message comes too late
            with rig.database.write() as session:
                done = {"approved": True, "by": "ada", "comment": "", "now": rig.clock()}
                waits.decide(session, run_id=run.state.id, node="wait", iteration="0", **done)
            told.set()
        await become(run, status, wake_us)
        rig.clock.advance(seconds=1)

    monkeypatch.setattr(execution.Execution, "_become", become_late)
    run = await rig.run(await rig.emit())

    assert (run.status, told.is_set()) == ("succeeded", True)


@pytest.mark.usefixtures("called", "stays")
async def test_few_runs_stay_so_that_there_is_room_for_those_that_have_something_to_do(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "STAYING", 2)
    rig.flow([LOOP, {"id": "wait", **WAITS["event"]}], ["start>loop", "loop.each>wait"])

    for run_id in [await rig.emit() for _ in range(5)]:
        await loop_waits(rig, "event", 0, run_id)
    async with asyncio.timeout(10):
        while (await rig.engine.status()).open_runs > 2:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)

    assert (await rig.engine.status()).open_runs == 2
    assert {run.status for run in rig.runs()} == {"waiting"}
