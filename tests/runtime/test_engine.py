from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from runtime import dispatcher, limits
from runtime.engine import NewEvent, TestRequest
from runtime.errors import Invalid, RuntimeFault, Unavailable
from storage.errors import StorageBusy
from storage.tables import EventRow, FlowVersion, RunRow


def echo(node_id: str, text: str = "x") -> dict[str, Any]:
    return {"id": node_id, "type": "echo", "params": {"text": text}}


def call(node_id: str, **more: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "call", "params": {"text": node_id}, **more}


def emit(node_id: str, name: str) -> dict[str, Any]:
    return {"id": node_id, "type": "emit_event", "params": {"name": name, "payload": {"n": 1}}}


def start(**params: Any) -> dict[str, Any]:
    return {"id": "start", "type": "event", "params": {"event": "go", **params}}


async def test_one_event_starts_every_flow_that_waits_for_it(rig) -> None:
    rig.flow([echo("one")], ["start>one"], flow_id="a")
    rig.flow([echo("one")], ["start>one"], flow_id="b")
    rig.flow([echo("one")], ["start>one"], flow_id="c", event="other")

    (accepted,) = await rig.engine.accept([NewEvent("go", {"n": 1})])
    runs = [await rig.run(run_id) for run_id in accepted.runs]

    assert [(run.flow_id, run.status, run.event_id) for run in runs] == [
        ("a", "succeeded", accepted.id),
        ("b", "succeeded", accepted.id),
    ]


async def test_the_same_id_twice_is_one_event(rig) -> None:
    rig.flow([echo("one")], ["start>one"])

    first, second = await rig.engine.accept([NewEvent("go", {"n": 1}, "id-1"), NewEvent("go", {"n": 1}, "id-1")])
    (later,) = await rig.engine.accept([NewEvent("go", {"n": 1}, "id-1")])

    assert [first.duplicate, second.duplicate, later.duplicate] == [False, True, True]
    assert first.runs == second.runs == later.runs
    assert len(rig.runs()) == 1


async def test_an_id_with_another_payload_is_refused(rig) -> None:
    await rig.engine.accept([NewEvent("go", {"n": 1}, "id-1")])

    with pytest.raises(Invalid) as refused:
        await rig.engine.accept([NewEvent("go", {"n": 2}, "id-1")])

    assert [problem.code for problem in refused.value.problems] == ["event.id_reused"]


async def test_only_payloads_that_match_the_trigger_start_it(rig) -> None:
    rig.flow([echo("one")], ["start>one"])
    with rig.database.write() as session:
        from storage.tables import Subscription

        session.get_one(Subscription, ("f", "start")).match = {"phase": "requested"}

    answers = await rig.engine.accept([NewEvent("go", {"phase": "completed"}), NewEvent("go", {"phase": "requested"})])

    assert [len(answer.runs) for answer in answers] == [0, 1]


async def test_an_event_that_does_not_pass_the_filter_leaves_no_run(rig) -> None:
    rig.flow([start(filter="$param.n > 5"), echo("one")], ["start>one"])

    refused, passed = await rig.emit({"n": 1}), await rig.emit({"n": 6})
    await rig.run(passed)
    async with asyncio.timeout(5):
        while refused in [run.id for run in rig.runs()]:  # noqa: ASYNC110 - rows are read, nothing tells of them
            await asyncio.sleep(0.01)

    assert [(run.id, run.status) for run in rig.runs()] == [(passed, "succeeded")]


async def test_a_filter_that_cannot_be_evaluated_fails_the_run(rig) -> None:
    rig.flow([start(filter="$param.nothing > 5"), echo("one")], ["start>one"])

    run, steps = await rig.done({"n": 1})

    assert run.status == "failed"
    assert run.error["node"] == "start"
    assert steps["one"].status == "skipped"


async def test_a_test_whose_payload_does_not_pass_the_filter_is_kept_and_does_nothing(rig) -> None:
    document = rig.document([start(filter="$param.n > 5"), call("send")], ["start>send"])

    run = await rig.run(await rig.engine.start_test(TestRequest("f", document, "start", {"n": 1})))

    assert run.status == "succeeded"
    assert {node: step.status for node, step in rig.steps(run.id).items()} == {"start": "skipped", "send": "skipped"}


async def test_runs_that_were_queued_or_under_way_go_on_after_a_restart(rig) -> None:
    rig.flow([echo("one"), call("send"), echo("two")], ["start>one", "one>send", "send>two"])
    rig.calls.hold("send")
    under_way = await rig.emit()
    await rig.calls.arrived["send"].wait()

    await rig.engine.stop(grace_s=0)
    with rig.database.write() as session:
        session.add(RunRow(flow_id="f", version=1, trigger="start", payload={"n": 2}))
    rig.calls.release("send")
    rig.engine = rig._new_engine()
    await rig.engine.start()

    for run in rig.runs():
        assert (await rig.run(run.id)).status == "succeeded"
    assert len(rig.calls.seen) == 3
    assert rig.read(under_way).epoch == 2


async def test_a_run_committed_by_another_process_is_found(rig) -> None:
    rig.flow([echo("one")], ["start>one"])
    with rig.database.write() as session:
        run = RunRow(flow_id="f", version=1, trigger="start", payload={"n": 2})
        session.add(run)
        session.flush()
        run_id = run.id

    await rig.engine.wake()

    assert (await rig.run(run_id)).status == "succeeded"


async def test_a_flow_published_by_another_process_hears_the_next_event(rig) -> None:
    (before,) = await rig.engine.accept([NewEvent("go", {})])
    rig.flow([echo("one")], ["start>one"])
    (after,) = await rig.engine.accept([NewEvent("go", {})])

    assert (len(before.runs), len(after.runs)) == (0, 1)


async def test_a_cancelled_run_stops_and_its_late_writes_are_refused(rig) -> None:
    rig.flow([call("send"), echo("after")], ["start>send", "send>after"])
    rig.calls.hold("send")
    run_id = await rig.emit()
    await rig.calls.arrived["send"].wait()

    is_cancelled = await rig.engine.cancel(run_id)
    rig.calls.release("send")
    run = await rig.run(run_id)

    assert (is_cancelled, run.status, run.ended_at is not None) == (True, "cancelled", True)
    assert rig.steps(run_id)["send"].status == "unknown"
    assert not await rig.engine.cancel(run_id)


async def test_an_event_emitted_by_a_flow_carries_what_led_to_it(rig) -> None:
    rig.flow([emit("tell", "second")], ["start>tell"], flow_id="a")
    rig.flow([echo("one")], ["start>one"], flow_id="b", event="second")

    (accepted,) = await rig.engine.accept([NewEvent("go", {})])
    await rig.run(accepted.runs[0])
    second = next(run for run in rig.runs() if run.flow_id == "b")
    await rig.run(second.id)

    with rig.database.read() as session:
        event = session.exec(select(EventRow).where(EventRow.name == "second")).one()
    assert (event.root_id, event.parent_run, event.depth, event.path) == (accepted.id, accepted.runs[0], 1, ["a"])


async def test_a_flow_that_causes_its_own_event_is_stopped_and_says_so(rig) -> None:
    rig.flow([emit("again", "go")], ["start>again"])

    await rig.emit()
    async with asyncio.timeout(10):
        while not rig.runs() or rig.runs()[-1].status != "failed":  # noqa: ASYNC110 - rows are read
            await asyncio.sleep(0.02)

    runs = [await rig.run(run.id) for run in rig.runs()]
    assert len(runs) == limits.SAME_FLOW_IN_PATH + 1
    assert [run.status for run in runs[:-1]] == ["succeeded"] * limits.SAME_FLOW_IN_PATH
    assert runs[-1].error["code"] == "event.loop"


async def test_a_chain_of_flows_ends_after_sixteen(rig) -> None:
    for number in range(18):
        rig.flow(
            [emit("on", f"step.{number + 1}")],
            ["start>on"],
            flow_id=f"f{number}",
            event=f"step.{number}",
        )

    first = await rig.emit(name="step.0")
    await rig.run(first, lambda _run: len(rig.runs()) > 16 and all(run.ended_at for run in rig.runs()))

    assert [run.status for run in rig.runs()] == ["succeeded"] * 16 + ["failed"]
    assert (rig.runs()[-1].flow_id, rig.runs()[-1].error["code"]) == ("f16", "event.loop")


async def test_a_run_whose_version_is_gone_fails_and_says_so(rig) -> None:
    rig.flow([echo("one")], ["start>one"])
    with rig.database.write() as session:
        session.delete(session.get_one(FlowVersion, ("f", 1)))

    run = await rig.run(await rig.emit())

    assert (run.status, run.error["code"]) == ("failed", "flow.version_gone")


async def test_old_test_runs_of_a_flow_are_forgotten(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    document = rig.document([echo("one")], ["start>one"])
    ids = []
    for _ in range(53):
        ids.append(await rig.engine.start_test(TestRequest("f", document, "start", {})))
        await rig.run(ids[-1])

    assert [run.id for run in rig.runs()] == ids[3:]
    assert rig.steps(ids[0]) == {}


async def test_waiting_for_a_run_gives_up_in_time(rig) -> None:
    rig.flow([call("send")], ["start>send"])
    rig.calls.hold("send")
    run_id = await rig.emit()

    assert not await rig.engine.wait(run_id, 0.05)
    rig.calls.release("send")
    assert await rig.engine.wait(run_id, 5)


async def test_a_stopped_engine_accepts_nothing(rig) -> None:
    await rig.engine.stop(grace_s=0)

    with pytest.raises(Unavailable):
        await rig.engine.accept([NewEvent("go", {})])

    rig.engine = rig._new_engine()
    await rig.engine.start()


async def test_too_many_open_runs_refuse_new_events(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.flow([call("send")], ["start>send"])
    rig.calls.hold("send")
    monkeypatch.setattr(limits, "QUEUE_RUNS", 3)

    accepted = [await rig.emit() for _ in range(3)]
    with pytest.raises(Unavailable) as refused:
        await rig.emit()
    rig.calls.release("send")
    for run_id in accepted:
        await rig.run(run_id)

    assert refused.value.problems[0].code == "engine.busy"


async def test_status_tells_what_is_open(rig) -> None:
    rig.flow([call("send")], ["start>send"])
    rig.calls.hold("send")
    run_id = await rig.emit()

    status = await rig.engine.status()
    rig.calls.release("send")
    await rig.run(run_id)

    assert (status.ready, status.open_runs, status.workers, status.storage_full) == (True, 1, 1, False)


async def test_retries_wait_in_the_database_and_not_in_memory(rig) -> None:
    from nodes.spec import TemporaryError

    rig.flow([call("send", retry={"attempts": 2, "delay_s": 60, "backoff": 2})], ["start>send"])
    rig.calls.fail("send", TemporaryError("busy"))
    run_id = await rig.emit()

    run = await rig.run(run_id, lambda run: run.status == "waiting")
    async with asyncio.timeout(5):
        while (await rig.engine.status()).open_runs:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)

    assert timedelta(seconds=60) <= run.wake_at - rig.clock() <= timedelta(seconds=66)


async def test_a_full_disk_refuses_events_loses_nothing_and_work_goes_on_when_there_is_room(rig) -> None:
    rig.flow([call("send"), echo("after", "{{ $param.text }}")], ["start>send", "send>after"])
    rig.calls.hold("send")
    run_id = await rig.emit({"text": "x" * 100_000})
    await rig.calls.arrived["send"].wait()

    rig.limit_pages()
    rig.calls.release("send")
    with pytest.raises(Unavailable) as refused:
        await rig.engine.accept([NewEvent("other", {"text": "x" * 100_000})])
    was_full, was_open = (await rig.engine.status()).storage_full, rig.read(run_id).status
    rig.limit_pages(1_000_000)

    assert refused.value.problems[0].code == "storage.full"
    assert (was_full, was_open) == (True, "running")
    assert (await rig.run(run_id)).status == "succeeded"
    assert not (await rig.engine.status()).storage_full


async def test_a_stop_lets_the_step_under_way_end_and_starts_no_other(rig) -> None:
    rig.flow([call("send"), call("next")], ["start>send", "send>next"])
    rig.calls.hold("send")
    run_id = await rig.emit()
    await rig.calls.arrived["send"].wait()

    stopping = asyncio.create_task(rig.engine.stop(grace_s=10))
    await asyncio.sleep(0)
    rig.calls.release("send")
    await stopping
    steps = rig.steps(run_id)
    rig.engine = rig._new_engine()
    await rig.engine.start()

    assert (steps["send"].status, "next" in steps) == ("succeeded", False)
    assert (await rig.run(run_id)).status == "succeeded"
    assert [text for text, _key in rig.calls.seen] == ["send", "next"]


async def test_a_retry_that_a_person_asked_for_is_not_filtered(rig) -> None:
    rig.flow([start(filter="$param.n > 5"), echo("one")], ["start>one"])
    with rig.database.write() as session:
        run = RunRow(flow_id="f", version=1, trigger="start", payload={"n": 1}, parent_run=1)
        session.add(run)
        session.flush()
        run_id = run.id

    await rig.engine.wake()

    assert (await rig.run(run_id)).status == "succeeded"


async def test_runs_of_an_accept_that_nobody_waits_for_any_more_begin_nevertheless(rig) -> None:
    rig.flow([call("send")], ["start>send"])

    accepting = asyncio.create_task(rig.engine.accept([NewEvent("go", {})]))
    await asyncio.sleep(0)
    accepting.cancel()
    await asyncio.gather(accepting, return_exceptions=True)
    async with asyncio.timeout(5):
        await rig.calls.arrived["send"].wait()

    (run,) = rig.runs()
    assert (await rig.run(run.id)).status == "succeeded"


async def test_a_caller_is_answered_when_what_was_accepted_cannot_be_begun_and_the_run_goes_on(
    rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.flow([echo("one")], ["start>one"])
    rig.flow([echo("one")], ["start>one"], flow_id="g", event="other")
    may_begin = dispatcher.InProcess.may_begin
    turns = iter([MemoryError])

    def once_without_memory(self: dispatcher.InProcess, flow_id: str, more: int = 0) -> bool:
        if flow_id == "f" and (error := next(turns, None)) is not None:
            raise error
        return may_begin(self, flow_id, more)

    monkeypatch.setattr(dispatcher.InProcess, "may_begin", once_without_memory)
    async with asyncio.timeout(10):
        refused, accepted = await rig.engine.accept_groups([[NewEvent("go", {}, "id-1")], [NewEvent("other", {})]])
        (again,) = await rig.engine.accept([NewEvent("go", {}, "id-1")])

    assert isinstance(refused, Unavailable)
    assert [problem.code for problem in refused.problems] == ["engine.down"]
    assert not isinstance(accepted, RuntimeFault)
    assert [(await rig.run(accepted[0].runs[0])).status] == ["succeeded"]
    assert again.duplicate
    assert [(await rig.run(run_id)).status for run_id in again.runs] == ["succeeded"]


async def test_events_that_come_at_once_do_not_all_become_work_at_once(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "RUNS_AT_ONCE", 6)  # of which one is left for other flows
    monkeypatch.setattr(dispatcher, "CLAIM_AT_ONCE", 1)
    rig.flow([call("send")], ["start>send"])
    rig.calls.hold("send")

    accepted = await asyncio.gather(*(rig.engine.accept([NewEvent("go", {"n": n})]) for n in range(30)))
    async with asyncio.timeout(5):
        while len(rig.calls.seen) < 5:  # noqa: ASYNC110 - nothing tells of the fifth
            await asyncio.sleep(0.01)
    at_once, is_open = len(rig.calls.seen), (await rig.engine.status()).open_runs
    rig.calls.release("send")

    assert (at_once, is_open) == (5, 30)
    for (each,) in accepted:
        assert (await rig.run(each.runs[0])).status == "succeeded"
    assert len({key for _text, key in rig.calls.seen}) == len(rig.calls.seen) == 30


async def test_a_run_that_cannot_be_walked_any_more_leaves_no_step_under_way(rig) -> None:
    rig.flow([call("send")], ["start>send"])
    rig.calls.hold("send")
    run_id = await rig.emit()
    await rig.calls.arrived["send"].wait()
    with rig.database.write() as session:
        session.delete(session.get_one(FlowVersion, ("f", 1)))

    await rig.restart()

    assert (await rig.run(run_id)).error["code"] == "flow.version_gone"
    assert rig.steps(run_id)["send"].status == "unknown"


async def test_waiting_for_a_run_ends_where_a_person_has_to_act(rig) -> None:
    rig.flow([{**call("send"), "type": "call_once"}], ["start>send"])
    rig.calls.hold("send")
    run_id = await rig.emit()
    await rig.calls.arrived["send"].wait()
    await rig.restart()

    assert await rig.engine.wait(run_id, 5)
    assert await rig.engine.wait(run_id, 5)
    assert rig.read(run_id).status == "waiting"


async def test_a_run_that_finds_the_database_busy_is_taken_up_again(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = iter([StorageBusy("The database is busy.")])
    read = rig.database.read

    def busy_once() -> Any:
        for error in reads:
            raise error
        return read()

    rig.flow([call("send")], ["start>send"])
    monkeypatch.setattr(rig.database, "read", busy_once)
    run_id = await rig.emit()
    async with asyncio.timeout(5):
        while (await rig.engine.status()).open_runs:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    rig.clock.advance(seconds=2)

    assert (await rig.run(run_id)).status == "succeeded"
    assert len(rig.calls.seen) == 1


async def test_two_may_wait_for_one_run(rig) -> None:
    rig.flow([{"id": "c", "type": "call", "params": {"text": "x"}}], ["start>c"])
    rig.calls.hold("x")
    run_id = await rig.emit()
    await rig.calls.arrived["x"].wait()

    waits = asyncio.gather(rig.engine.ended(run_id), rig.engine.wait(run_id, 10), rig.engine.ended(run_id))
    await asyncio.sleep(0)
    rig.calls.release("x")

    assert await waits == [None, True, None]
