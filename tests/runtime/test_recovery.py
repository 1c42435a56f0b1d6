from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runtime import limits
from runtime.engine import Engine, NewEvent
from runtime.run_ends import RUN_FAILED
from storage import lease
from storage.tables import EventRow, RunRow


@pytest.fixture(autouse=True)
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.05)


SEND = {"id": "send", "type": "call", "params": {"text": "send"}}


async def cut_off(rig: Any) -> Engine:
    """Let the next engine begin while this one is at work, as after a kill; return the one that is left behind."""
    left: Engine = rig.engine
    rig.calls.arrived.clear()
    rig.engine = rig._new_engine()
    await rig.engine.start()
    await asyncio.wait_for(left.broken.wait(), 10)
    return left


async def under_way(rig: Any, count: int) -> list[int]:
    rig.flow([SEND], ["start>send"])
    rig.calls.hold("send")
    accepted = await rig.engine.accept([NewEvent("go", {"n": n}) for n in range(count)])
    await called(rig, count)
    return [each.runs[0] for each in accepted]


async def called(rig: Any, count: int) -> None:
    """Return when so many calls have been made since the rig began."""
    async with asyncio.timeout(10):
        while len(rig.calls.seen) < count:  # noqa: ASYNC110 - nothing tells of the last
            await asyncio.sleep(0.01)


async def suspected(rig: Any, count: int) -> tuple[list[int], list[Engine]]:
    """Return runs that two engines died with, and the engines; the first of the runs is under way."""
    run_ids = await under_way(rig, count)
    left = [await cut_off(rig)]
    await called(rig, 2 * count)
    left.append(await cut_off(rig))
    await called(rig, 2 * count + 1)
    return run_ids, left


async def test_a_run_that_was_under_way_when_the_engine_died_counts_it_and_goes_on(rig) -> None:
    (run_id,) = await under_way(rig, 1)

    left = await cut_off(rig)
    rig.calls.release("send")
    run = await rig.run(run_id)

    assert (run.status, run.crashes, run.is_dead) == ("succeeded", 1, False)
    await left.stop(grace_s=0)


async def test_a_stop_in_peace_counts_for_nothing(rig) -> None:
    (run_id,) = await under_way(rig, 1)

    await rig.restart()
    rig.calls.release("send")

    assert (await rig.run(run_id)).crashes == 0


async def test_the_third_death_makes_a_dead_letter_that_says_what_to_do(rig) -> None:
    (run_id,) = await under_way(rig, 1)

    left = []
    for count in range(limits.CRASHES):
        await called(rig, count + 1)
        left.append(await cut_off(rig))
    run = rig.read(run_id)

    assert (run.status, run.crashes, run.is_dead, run.error["code"]) == ("failed", 3, True, "run.dead_letter")
    assert run.error["node"] == "send"
    assert "“Send” was under way; look at it first." in run.error["message"]
    assert "run it again" in run.error["message"]
    assert rig.steps(run_id)["send"].status == "unknown"
    assert len(rig.calls.seen) == limits.CRASHES
    rig.calls.release("send")
    for engine in left:
        await engine.stop(grace_s=0)


async def test_a_dead_letter_is_reported_to_flows_that_listen(rig) -> None:
    rig.flow([{"id": "note", "type": "echo", "params": {"text": "x"}}], ["start>note"], flow_id="w", event=RUN_FAILED)
    (run_id,), left = await suspected(rig, 1)

    left.append(await cut_off(rig))
    told = await rig.run(run_id + 1)

    with rig.database.read() as session:
        payload = session.get_one(EventRow, told.event_id).payload
    assert (told.flow_id, told.status, payload["run"]) == ("w", "succeeded", run_id)
    assert payload["error"]["code"] == "run.dead_letter"
    rig.calls.release("send")
    for engine in left:
        await engine.stop(grace_s=0)


async def test_suspects_work_one_at_a_time_and_everyone_else_beside_them(rig) -> None:
    suspects, left = await suspected(rig, 3)
    rig.flow([{**SEND, "params": {"text": "other"}}], ["start>send"], flow_id="g", event="other")

    (other,) = await rig.engine.accept([NewEvent("other", {})])
    ended = await rig.run(other.runs[0])
    statuses = [rig.read(run_id).status for run_id in suspects]
    rig.calls.release("send")

    assert ended.status == "succeeded"
    assert statuses == ["running", "queued", "queued"]
    assert [(await rig.run(run_id)).status for run_id in suspects] == ["succeeded"] * 3
    for engine in left:
        await engine.stop(grace_s=0)


async def test_a_suspect_that_did_not_have_its_turn_is_not_blamed(rig) -> None:
    suspects, left = await suspected(rig, 2)

    left.append(await cut_off(rig))
    await called(rig, 6)
    rig.calls.release("send")

    assert [(await rig.run(run_id)).status for run_id in suspects] == ["failed", "succeeded"]
    assert [rig.read(run_id).crashes for run_id in suspects] == [3, 2]
    for engine in left:
        await engine.stop(grace_s=0)


async def test_a_cancelled_suspect_makes_room_for_the_next(rig) -> None:
    suspects, left = await suspected(rig, 3)

    for run_id in suspects[:2]:
        await rig.engine.cancel(run_id)
    rig.calls.release("send")

    assert (await rig.run(suspects[2])).status == "succeeded"
    for engine in left:
        await engine.stop(grace_s=0)


async def test_waiting_runs_are_left_as_they_wait(rig) -> None:
    with rig.database.write() as session:
        session.add(RunRow(flow_id="f", version=1, trigger="start", payload={}, status="waiting"))
    (run,) = rig.runs()

    left = await cut_off(rig)

    assert (rig.read(run.id).status, rig.read(run.id).crashes) == ("waiting", 0)
    await left.stop(grace_s=0)
