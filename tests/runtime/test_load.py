"""Many things at once: everything ends, nobody else has to wait for it, and memory has its bounds."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from collections import Counter
from typing import Any

import pytest
from sqlmodel import func, select

from runtime import dispatcher, limits
from runtime.engine import NewEvent
from runtime.errors import Unavailable
from storage.tables import RunRow, StepRow
from tests.lengths import IS_LONG, examples

pytestmark = pytest.mark.faults

Rig = Any  # the fixture of conftest.py
EVENTS = examples(2_000, 10_000)
FLOWS = examples(200, 1_000)
HANGING = examples(1_000, 10_000)


def echo(node_id: str, text: str = "x") -> dict[str, Any]:
    return {"id": node_id, "type": "echo", "params": {"text": text}}


def call(node_id: str) -> dict[str, Any]:
    return {"id": node_id, "type": "call", "params": {"text": node_id}}


def statuses(rig: Rig, flow_id: str | None = None) -> Counter[str]:
    query = select(RunRow.status, func.count()).group_by(RunRow.status)
    with rig.database.read() as session:
        return Counter(dict(session.exec(query if flow_id is None else query.where(RunRow.flow_id == flow_id)).all()))


async def all_ended(rig: Rig) -> Counter[str]:
    async with asyncio.timeout(100):
        while (await rig.engine.status()).open_runs:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)
    return statuses(rig)


async def succeeded(rig: Rig, run_id: int) -> RunRow:
    """Return the run when it has succeeded, however long it takes."""
    async with asyncio.timeout(300):
        while (run := rig.read(run_id)).status != "succeeded":  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)
    found: RunRow = run
    return found


async def flood(rig: Rig, name: str, count: int) -> None:
    """Send *count* events at once, in calls of a hundred; whoever is refused comes again."""

    async def send(first: int) -> None:
        events = [NewEvent(name, {"n": n}) for n in range(first, min(first + 100, count))]
        while True:
            try:
                await rig.engine.accept(events)
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return

    await asyncio.gather(*(send(first) for first in range(0, count, 100)))


async def test_events_that_come_all_at_once_all_end_and_are_each_done_once(rig: Rig) -> None:
    rig.table("rows", "text")
    add = {"id": "add", "type": "insert_row", "params": {"table": "rows", "values": {"text": "{{ $param.n ~ '' }}"}}}
    rig.flow([echo("one"), add], ["start>one", "one>add"])

    await flood(rig, "go", EVENTS)
    ended = await all_ended(rig)

    assert ended == {"succeeded": EVENTS}
    with rig.database.read() as session:
        assert session.exec(select(func.count()).select_from(StepRow)).one() == 3 * EVENTS
    assert rig.tables.rows("rows", limit=1).total == EVENTS


async def test_one_event_starts_every_one_of_many_flows(rig: Rig) -> None:
    for number in range(FLOWS):
        rig.flow([echo("one")], ["start>one"], flow_id=f"f{number}")

    (accepted,) = await rig.engine.accept([NewEvent("go", {})])
    ended = await all_ended(rig)

    assert len(accepted.runs) == FLOWS
    assert ended == {"succeeded": FLOWS}


async def test_events_beyond_the_queue_are_refused_and_not_kept_in_memory(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "QUEUE_RUNS", 500)
    rig.flow([call("send")], ["start>send"])
    rig.calls.hold("send")
    accepted = 0
    tracemalloc.start()

    try:
        for _ in range(100):
            with contextlib.suppress(Unavailable):
                accepted += len(await rig.engine.accept([NewEvent("go", {"text": "x" * 1_000})] * 100))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    rig.calls.release("send")
    ended = await all_ended(rig)

    assert 500 <= accepted < 1_000
    assert ended == {"succeeded": accepted}
    assert peak_bytes < 50_000_000


async def test_a_flow_whose_service_hangs_keeps_no_other_flow_waiting(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not IS_LONG:
        monkeypatch.setattr(dispatcher, "RUNS_AT_ONCE", 200)
        monkeypatch.setattr(dispatcher, "CLAIM_AT_ONCE", 20)
    rig.flow([call("hangs")], ["start>hangs"])
    rig.flow([echo("inside")], ["start>inside"], flow_id="inside", event="inside")
    rig.flow([call("quick")], ["start>quick"], flow_id="outside", event="outside")
    rig.calls.hold("hangs")

    await flood(rig, "go", HANGING)
    others = [await rig.emit(name=name) for name in ("inside", "outside")]
    runs = [await rig.run(run_id) for run_id in others]
    hanging = statuses(rig, "f")
    rig.calls.release("hangs")
    await all_ended(rig)

    assert [run.status for run in runs] == ["succeeded", "succeeded"]
    assert hanging["succeeded"] == 0
    assert statuses(rig, "f") == {"succeeded": HANGING}


# loops

ITEMS = examples(1_000, 10_000)
SIDE = examples(15, 100)


def each(node_id: str, items: Any, **more: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "for_each", "params": {"items": items, **more}}


def rows_by_node(rig: Rig, run_id: int) -> Counter[tuple[str, str]]:
    query = select(StepRow.node, StepRow.status, func.count()).where(StepRow.run_id == run_id)
    with rig.database.read() as session:
        found = session.exec(query.group_by(StepRow.node, StepRow.status)).all()
    return Counter({(node, status): count for node, status, count in found})


@pytest.mark.parametrize("parallel", [1, 50])
async def test_every_item_of_a_long_loop_is_recorded_and_counted(rig: Rig, parallel: int) -> None:
    rig.flow([each("loop", "{{ $param.items }}", parallel=parallel), call("one"), echo("two", "{{ $item }}")], [
        "start>loop", "loop.each>one", "one>two",
    ])  # fmt: skip

    run_id = await rig.emit({"items": [str(number) for number in range(ITEMS)]})
    await succeeded(rig, run_id)

    assert rows_by_node(rig, run_id) == {
        ("start", "succeeded"): 1, ("loop", "succeeded"): 1, ("one", "succeeded"): ITEMS, ("two", "succeeded"): ITEMS,
    }  # fmt: skip
    assert len(set(rig.calls.seen)) == len(rig.calls.seen) == ITEMS
    (loop,) = [step for step in rig.steps(run_id).values() if step.node == "loop"]
    assert (loop.output["count"], loop.output["failed"]) == (ITEMS, 0)
    assert [output["text"] for output in loop.output["outputs"]] == [str(number) for number in range(ITEMS)]


async def test_a_long_loop_holds_little_more_than_its_items_and_what_they_gave(rig: Rig) -> None:
    rig.flow([each("loop", "{{ $param.items }}"), echo("one", "{{ $param.text }}"), echo("two", "done")], [
        "start>loop", "loop.each>one", "one>two",
    ])  # fmt: skip
    payload = {"items": list(range(ITEMS)), "text": "x" * (40_000_000 // ITEMS)}

    tracemalloc.start()
    try:
        run = await succeeded(rig, await rig.emit(payload))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert rows_by_node(rig, run.id)["one", "succeeded"] == ITEMS  # 80 MB of rows
    assert peak_bytes < 35_000_000


async def test_loops_in_loops_record_every_round_of_each(rig: Rig) -> None:
    rig.flow([each("rows", "{{ $param.side }}", parallel=5), each("columns", "{{ $param.side }}"), echo("cell")], [
        "start>rows", "rows.each>columns", "columns.each>cell",
    ])  # fmt: skip

    run = await succeeded(rig, await rig.emit({"side": list(range(SIDE))}))

    assert rows_by_node(rig, run.id) == {
        ("start", "succeeded"): 1,
        ("rows", "succeeded"): 1,
        ("columns", "succeeded"): SIDE,
        ("cell", "succeeded"): SIDE * SIDE,
    }


async def test_a_list_that_is_too_long_fails_its_loop_before_anything_of_it_is_done(rig: Rig) -> None:
    rig.flow([each("loop", "{{ $param.items }}"), call("one")], ["start>loop", "loop.each>one"])

    run, steps = await rig.done({"items": [0] * (limits.LOOP_ITEMS + 1)})

    assert (run.status, steps["loop"].status) == ("failed", "failed")
    assert str(limits.LOOP_ITEMS) in steps["loop"].error["message"]
    assert rig.calls.seen == []


async def test_runs_that_wait_for_their_time_leave_their_places_to_others(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "RUNS_AT_ONCE", 50)
    rig.flow(
        [{"id": "later", "type": "delay", "params": {"seconds": 60}}, echo("after")], ["start>later", "later>after"]
    )
    rig.flow([call("now")], ["start>now"], flow_id="g", event="now")

    await flood(rig, "go", 300)
    now = await rig.run(await rig.emit(name="now"))
    await all_ended(rig)
    waiting = statuses(rig, "f")
    rig.clock.advance(seconds=61)
    await rig.engine.wake()
    async with asyncio.timeout(20):
        while statuses(rig, "f") != {"succeeded": 300}:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)

    assert now.status == "succeeded"
    assert waiting == {"waiting": 300}
