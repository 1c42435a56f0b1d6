from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runtime import limits
from runtime.engine import Engine, NewEvent
from storage import lease
from storage.tables import RunRow


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
    while len(rig.calls.seen) < count:  # noqa: ASYNC110 - nothing tells of the last
        await asyncio.sleep(0.01)
    return [each.runs[0] for each in accepted]


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
    for _ in range(limits.CRASHES - 1):
        left.append(await cut_off(rig))
        await asyncio.wait_for(rig.calls.arrived["send"].wait(), 10)
    left.append(await cut_off(rig))
    run = rig.read(run_id)

    assert (run.status, run.crashes, run.is_dead, run.error["code"]) == ("failed", 3, True, "run.dead_letter")
    assert run.error["node"] == "send"
    assert "run it again" in run.error["message"]
    assert rig.steps(run_id)["send"].status == "unknown"
    assert len(rig.calls.seen) == limits.CRASHES
    rig.calls.release("send")
    for engine in left:
        await engine.stop(grace_s=0)


async def test_suspects_work_one_at_a_time_and_everyone_else_beside_them(rig) -> None:
    suspects = await under_way(rig, 3)
    left = [await cut_off(rig), await cut_off(rig)]
    await asyncio.wait_for(rig.calls.arrived["send"].wait(), 10)
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
    suspects = await under_way(rig, 2)
    left = [await cut_off(rig), await cut_off(rig)]
    await asyncio.wait_for(rig.calls.arrived["send"].wait(), 10)

    left.append(await cut_off(rig))
    await asyncio.wait_for(rig.calls.arrived["send"].wait(), 10)
    rig.calls.release("send")

    assert [(await rig.run(run_id)).status for run_id in suspects] == ["failed", "succeeded"]
    assert [rig.read(run_id).crashes for run_id in suspects] == [3, 2]
    for engine in left:
        await engine.stop(grace_s=0)


async def test_a_cancelled_suspect_makes_room_for_the_next(rig) -> None:
    suspects = await under_way(rig, 3)
    left = [await cut_off(rig), await cut_off(rig)]
    await asyncio.wait_for(rig.calls.arrived["send"].wait(), 10)

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
