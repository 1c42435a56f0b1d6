"""Runs under way when what they run on changes: their flow, their table, the engine that works on them."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlmodel import delete

from runtime.engine import NewEvent
from storage.tables import Flow, FlowVersion, RunRow, Subscription

Rig = Any  # the fixture of conftest.py


def call(node_id: str) -> dict[str, Any]:
    return {"id": node_id, "type": "call", "params": {"text": node_id}}


def insert(node_id: str, table: str) -> dict[str, Any]:
    return {"id": node_id, "type": "insert_row", "params": {"table": table, "values": {"name": "Ada"}}}


def publish_again(rig: Rig, nodes: list[dict[str, Any]], edges: list[str]) -> None:
    """Make version 2 of flow ``f`` live."""
    document = rig.document(nodes, edges)
    with rig.database.write() as session:
        session.get_one(Flow, "f").published_version = 2
        session.get_one(Subscription, ("f", "start")).version = 2
        session.add(FlowVersion(flow_id="f", version=2, document=document))


async def held(rig: Rig, text: str) -> int:
    """Start a run and return its id when its call *text* is under way."""
    rig.calls.hold(text)
    run_id: int = await rig.emit()
    await rig.calls.arrived[text].wait()
    return run_id


async def test_a_run_ends_on_the_version_that_it_began_with(rig: Rig) -> None:
    rig.flow([call("one"), call("old")], ["start>one", "one>old"])
    before = await held(rig, "one")

    publish_again(rig, [call("one"), call("new")], ["start>one", "one>new"])
    after = await rig.emit()
    await rig.restart()
    rig.calls.release("one")
    runs = [await rig.run(run_id) for run_id in (before, after)]

    assert [(run.status, run.version) for run in runs] == [("succeeded", 1), ("succeeded", 2)]
    assert [set(rig.steps(run_id)) for run_id in (before, after)] == [{"start", "one", "old"}, {"start", "one", "new"}]


async def test_a_run_ends_although_its_flow_was_unpublished_and_deleted(rig: Rig) -> None:
    rig.flow([call("one"), call("two")], ["start>one", "one>two"])
    run_id = await held(rig, "one")

    with rig.database.write() as session:  # versions stay as long as a run may need them
        session.exec(delete(Subscription))
        session.exec(delete(Flow))
    rig.calls.release("one")

    assert (await rig.run(run_id)).status == "succeeded"
    assert [accepted.runs for accepted in await rig.engine.accept([NewEvent("go", {})])] == [[]]


async def test_a_table_made_anew_under_the_name_of_a_dropped_one_gets_the_rows_of_later_steps_alone(rig: Rig) -> None:
    rig.table("orders", "name")
    old = rig.tables.get("orders").id
    rig.flow([insert("first", "orders"), call("one"), insert("second", old), insert("third", "orders")], [
        "start>first", "first>one", "one>second", "one>third",
    ])  # fmt: skip
    run_id = await held(rig, "one")

    rig.tables.delete("orders")
    rig.table("orders", "name")
    rig.calls.release("one")
    run, steps = await rig.run(run_id), rig.steps(run_id)

    assert (run.status, steps["second"].error["code"]) == ("failed", "table.not_found")
    stored = [row["id"] for row in rig.tables.rows("orders").rows]
    assert stored == ([steps["third"].output["row"]["id"]] if steps["third"].status == "succeeded" else [])


async def test_an_engine_that_wakes_up_when_another_has_taken_over_writes_nothing_more(rig: Rig) -> None:
    rig.table("orders", "name")
    rig.flow([call("one"), insert("add", "orders")], ["start>one", "one>add"])
    run_id = await held(rig, "one")
    late, rig.engine = rig.engine, rig._new_engine()

    await rig.engine.start()
    async with asyncio.timeout(5):
        while len(rig.calls.seen) < 2:  # noqa: ASYNC110 - the second call of the same text tells nobody
            await asyncio.sleep(0.01)
    rig.calls.release("one")  # both go on
    run = await rig.run(run_id)
    await late.stop(grace_s=5)

    assert (run.status, run.epoch) == ("succeeded", 2)
    assert rig.tables.rows("orders").total == 1
    assert len(set(rig.calls.seen)) == 1  # the same key
    assert [found.status for found in rig.runs()] == ["succeeded"]


async def test_two_flows_that_start_each_other_are_stopped_and_say_so(rig: Rig) -> None:
    for flow_id, hears, tells in (("a", "ping", "pong"), ("b", "pong", "ping")):
        tell = {"id": "tell", "type": "emit_event", "params": {"name": tells, "payload": {}}}
        rig.flow([tell], ["start>tell"], flow_id=flow_id, event=hears)

    await rig.emit(name="ping")
    async with asyncio.timeout(10):
        while rig.runs()[-1].status != "failed":  # noqa: ASYNC110 - rows are read
            await asyncio.sleep(0.02)

    runs: list[RunRow] = rig.runs()
    assert len(runs) <= 17
    assert [run.error and run.error["code"] for run in runs] == [None] * (len(runs) - 1) + ["event.loop"]


async def test_flows_that_hear_of_each_others_failures_and_fail_themselves_come_to_an_end(rig: Rig) -> None:
    bad = {"id": "bad", "type": "echo", "params": {"text": "{{ $param.nothing }}"}}
    rig.flow([bad], ["start>bad"], flow_id="first")
    for flow_id in ("left", "right"):
        rig.flow([bad], ["start>bad"], flow_id=flow_id, event="flow.run_failed")

    await rig.emit()
    async with asyncio.timeout(20):
        while (await rig.engine.status()).open_runs or len(rig.runs()) < 3:  # noqa: ASYNC110 - nothing tells of the last
            await asyncio.sleep(0.02)

    runs: list[RunRow] = rig.runs()
    assert {run.status for run in runs} == {"failed"}
    assert len(runs) < 100
    assert {run.error["code"] for run in runs if run.error} == {"expression.missing", "event.loop"}
