"""Limited and paused flows on a real engine: who may begin, in which order, also after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import select

from runtime import limits
from runtime.engine import NewEvent, TestRequest
from runtime.flows import Flows
from runtime.runs import Runs
from storage.tables import Flow, RunRow

CALL = {"id": "send", "type": "call", "params": {"text": "{{ $param.n ~ '' }}"}}
EDGES = ["start>send"]


async def until(check: Callable[[], Any]) -> Any:
    """Return what *check* gives as soon as it is true."""
    async with asyncio.timeout(10):
        while not (value := check()):  # noqa: ASYNC110 - rows are read, nothing tells of them
            await asyncio.sleep(0.005)
    return value


class Flowing:
    """A rig whose nodes ``send`` are held by what their run's payload has as ``n``."""

    def __init__(self, rig: Any) -> None:
        self.rig = rig
        self.flows = Flows(rig.database, rig.types, clock=rig.clock)
        self.views = Runs(rig.database, self.flows, rig.engine, rig.types)

    async def emit(self, *payloads: dict[str, Any], hold: bool = True, name: str = "go") -> list[int]:
        for payload in payloads:
            if hold:
                self.rig.calls.hold(str(payload["n"]))
        answers = await self.rig.engine.accept([NewEvent(name, payload) for payload in payloads])
        return [answer.runs[0] for answer in answers]

    async def seen(self, *numbers: int) -> None:
        """Wait until the calls with these numbers were made, and look that no other one was."""
        wanted = [str(number) for number in numbers]
        await until(lambda: len(self.rig.calls.seen) >= len(wanted))
        await self.quiet()
        assert sorted(text for text, _key in self.rig.calls.seen) == sorted(wanted)

    async def quiet(self) -> None:
        """Give the engine time to do what it should not."""
        for _ in range(3):
            await self.rig.engine.wake()
            await self.rig.engine._journal.barrier()
            await asyncio.sleep(0.01)

    async def release(self, number: int, run_id: int) -> None:
        self.rig.calls.release(str(number))
        await self.rig.run(run_id)

    def statuses(self) -> list[str]:
        return [run.status for run in self.rig.runs()]


@pytest.fixture
def flowing(rig: Any) -> Flowing:
    return Flowing(rig)


async def test_no_more_runs_are_open_than_the_flow_allows(flowing: Flowing) -> None:
    flowing.rig.flow([CALL], EDGES, limits={"runs_at_once": 2})
    runs = await flowing.emit(*({"n": n} for n in range(5)))

    await flowing.seen(0, 1)
    assert flowing.statuses() == ["running", "running", "queued", "queued", "queued"]
    await flowing.release(1, runs[1])

    await flowing.seen(0, 1, 2)
    for n in (0, 2, 3, 4):
        await flowing.release(n, runs[n])
    assert flowing.statuses() == ["succeeded"] * 5


async def test_a_run_holds_its_place_while_it_waits(flowing: Flowing) -> None:
    delay = {"id": "rest", "type": "delay", "params": {"seconds": 3600}}
    flowing.rig.flow([CALL, delay], ["start>send", "send>rest"], limits={"runs_at_once": 1})
    first, second = await flowing.emit({"n": 1}, {"n": 2}, hold=False)
    await flowing.rig.run(first, until=lambda run: run.status == "waiting")

    await flowing.seen(1)
    flowing.rig.clock.advance(seconds=3601)
    await flowing.rig.engine.wake()

    await flowing.rig.run(second, until=lambda run: run.status == "waiting")
    assert flowing.rig.read(first).status == "succeeded"


async def test_runs_with_one_key_keep_their_order_and_pass_runs_with_another(flowing: Flowing) -> None:
    flowing.rig.flow([CALL], EDGES, limits={"key": "{{ $param.customer }}"})
    runs = await flowing.emit({"n": 0, "customer": "a"}, {"n": 1, "customer": "a"}, {"n": 2, "customer": "b"})

    await flowing.seen(0, 2)
    views = [flowing.views.get(run_id) for run_id in runs]
    assert [(view.key, view.held) for view in views] == [("a", None), ("a", "limited"), ("b", None)]
    await flowing.release(0, runs[0])
    await flowing.seen(0, 1, 2)

    assert [run.key for run in flowing.rig.runs()] == ["a", "a", "b"]
    for n in (1, 2):
        await flowing.release(n, runs[n])


async def test_several_runs_of_a_key_may_be_open_where_the_flow_says_so(flowing: Flowing) -> None:
    flowing.rig.flow([CALL], EDGES, limits={"key": "$param.customer", "runs_at_once_per_key": 2})
    runs = await flowing.emit(*({"n": n, "customer": 7} for n in range(3)))

    await flowing.seen(0, 1)

    for n in range(3):
        await flowing.release(n, runs[n])
    assert {run.key for run in flowing.rig.runs()} == {"7"}


async def test_only_so_many_runs_begin_in_a_span_of_time(flowing: Flowing) -> None:
    flowing.rig.flow([CALL], EDGES, limits={"rate_runs": 2, "rate_s": 60})
    await flowing.emit(*({"n": n} for n in range(5)), hold=False)

    await flowing.seen(0, 1)
    flowing.rig.clock.advance(seconds=59)
    await flowing.seen(0, 1)
    flowing.rig.clock.advance(seconds=1)
    await flowing.seen(0, 1, 2, 3)
    flowing.rig.clock.advance(seconds=60)
    await flowing.seen(0, 1, 2, 3, 4)


async def test_the_rate_survives_a_restart(flowing: Flowing) -> None:
    flowing.rig.flow([CALL], EDGES, limits={"rate_runs": 2, "rate_s": 60})
    runs = await flowing.emit(*({"n": n} for n in range(3)), hold=False)
    await flowing.seen(0, 1)
    await flowing.rig.run(runs[1])

    flowing.rig.clock.advance(seconds=30)
    await flowing.rig.restart()

    await flowing.seen(0, 1)
    flowing.rig.clock.advance(seconds=30)
    await flowing.seen(0, 1, 2)


async def test_events_that_do_not_pass_the_filter_do_not_use_up_the_rate(flowing: Flowing) -> None:
    start = {"id": "start", "type": "event", "params": {"event": "go", "filter": "$param.n > 2"}}
    flowing.rig.flow([start, CALL], EDGES, limits={"rate_runs": 1, "rate_s": 60})

    await flowing.emit(*({"n": n} for n in range(5)), hold=False)

    await flowing.seen(3)


async def test_open_runs_hold_their_places_after_a_restart_and_the_order_is_kept(flowing: Flowing) -> None:
    flowing.rig.flow([CALL], EDGES, limits={"runs_at_once": 2, "key": "$param.c"})
    keys = ("a", "a", "b", "c", "a")
    runs = await flowing.emit(*({"n": n, "c": key} for n, key in enumerate(keys)))
    await flowing.seen(0, 2)

    await flowing.rig.restart()
    flowing.rig.calls.seen.clear()

    await flowing.seen(0, 2)
    await flowing.release(2, runs[2])
    await flowing.seen(0, 2, 3)
    await flowing.release(0, runs[0])
    await flowing.seen(0, 1, 2, 3)
    for n in (1, 3, 4):
        await flowing.release(n, runs[n])
    assert flowing.statuses() == ["succeeded"] * 5


@pytest.mark.parametrize("key", ["$param.no", "$param.n / 0", "$param."], ids=["missing", "fails", "unreadable"])
async def test_a_run_whose_key_cannot_be_worked_out_fails_and_says_so(flowing: Flowing, key: str) -> None:
    flowing.rig.flow([CALL], EDGES, limits={"key": key})
    (failing,) = await flowing.emit({"n": 1}, hold=False)

    run = await flowing.rig.run(failing)

    assert (run.status, run.error["code"]) == ("failed", "flow.key_failed")
    assert "Change the key" in run.error["message"]
    assert flowing.rig.calls.seen == []


async def test_a_run_without_a_key_does_not_hold_up_others(flowing: Flowing) -> None:
    flowing.rig.flow([CALL], EDGES, limits={"key": "$param.c", "runs_at_once": 1})
    bad, good = await flowing.emit({"n": 1}, {"n": 2, "c": "a"}, hold=False)

    assert (await flowing.rig.run(bad)).status == "failed"
    assert (await flowing.rig.run(good)).status == "succeeded"


async def test_a_paused_flow_keeps_its_runs_until_it_is_resumed(flowing: Flowing) -> None:
    flowing.rig.flow([CALL], EDGES)
    flowing.flows.pause("f")
    runs = await flowing.emit({"n": 1}, {"n": 2}, hold=False)
    await flowing.quiet()
    before = flowing.statuses()

    await flowing.rig.restart()
    await flowing.quiet()
    still = flowing.statuses()
    flowing.flows.resume("f")
    await flowing.rig.engine.wake()

    assert before == still == ["queued", "queued"]
    for run_id in runs:
        assert (await flowing.rig.run(run_id)).status == "succeeded"


async def test_what_was_under_way_when_its_flow_was_paused_goes_on_also_after_a_restart(flowing: Flowing) -> None:
    flowing.rig.flow([CALL], EDGES)
    (under_way,) = await flowing.emit({"n": 1})
    await flowing.seen(1)
    flowing.flows.pause("f")

    await flowing.rig.restart()
    await flowing.release(1, under_way)

    assert flowing.rig.read(under_way).status == "succeeded"


async def test_held_runs_are_no_reason_to_refuse_events(flowing: Flowing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "QUEUE_RUNS", 3)
    flowing.rig.flow([CALL], EDGES)
    flowing.flows.pause("f")

    await flowing.emit(*({"n": n} for n in range(5)), hold=False)
    await flowing.quiet()

    assert (await flowing.rig.engine.status()).open_runs == 0
    assert await flowing.emit({"n": 5}, hold=False)


async def test_a_test_of_a_paused_or_limited_flow_waits_for_nothing(flowing: Flowing) -> None:
    document = flowing.rig.document([CALL], EDGES)
    flowing.rig.publish(document, limits={"runs_at_once": 1})
    (first,) = await flowing.emit({"n": 1})
    await flowing.seen(1)

    while_full = await flowing.rig.engine.start_test(TestRequest("f", document, "start", {"n": 2}))
    assert (await flowing.rig.run(while_full)).status == "succeeded"
    await flowing.release(1, first)
    flowing.flows.pause("f")
    while_paused = await flowing.rig.engine.start_test(TestRequest("f", document, "start", {"n": 2}))
    assert (await flowing.rig.run(while_paused)).status == "succeeded"


async def test_runs_that_are_started_by_hand_or_again_wait_like_others(flowing: Flowing) -> None:
    hand = {"id": "start", "type": "manual", "params": {}}
    flowing.rig.flow([hand, CALL], EDGES, limits={"runs_at_once": 1})
    runs = Runs(flowing.rig.database, flowing.flows, flowing.rig.engine, flowing.rig.types)
    for n in (1, 2):
        flowing.rig.calls.hold(str(n))

    first = await runs.start("f", payload={"n": 1})
    second = await runs.start("f", payload={"n": 2})
    await flowing.seen(1)
    await flowing.release(1, first.id)
    await flowing.seen(1, 2)
    again = await runs.retry(first.id)
    await flowing.seen(1, 2)

    assert flowing.rig.read(again.id).status == "queued"
    await flowing.release(2, second.id)
    assert (await flowing.rig.run(again.id)).status == "succeeded"


async def test_runs_that_a_step_starts_wait_for_their_flow(flowing: Flowing) -> None:
    emit = {"id": "emit", "type": "emit_event", "params": {"name": "next", "payload": {"n": "{{ $param.n }}"}}}
    flowing.rig.flow([emit], ["start>emit"], flow_id="a")
    flowing.rig.flow([CALL], EDGES, flow_id="b", event="next", limits={"runs_at_once": 1})
    for n in (1, 2):
        flowing.rig.calls.hold(str(n))

    await flowing.emit({"n": 1}, hold=False)
    await flowing.emit({"n": 2}, hold=False)

    await flowing.seen(1)
    flowing.rig.calls.release("1")
    await flowing.seen(1, 2)
    flowing.rig.calls.release("2")


async def test_sub_flows_wait_for_their_flow(flowing: Flowing) -> None:
    hand = {"id": "start", "type": "manual", "params": {}}
    run = {"id": "run", "type": "run_flow", "params": {"flow": "b", "input": {"n": "{{ $param.n }}"}}}
    flowing.rig.flow([hand, CALL], EDGES, flow_id="b", limits={"runs_at_once": 1})
    flowing.rig.flow([run], ["start>run"], flow_id="a")
    (first,) = await flowing.emit({"n": 1})
    await flowing.seen(1)
    (second,) = await flowing.emit({"n": 2})

    await flowing.seen(1)
    await flowing.release(1, first)
    await flowing.seen(1, 2)
    await flowing.release(2, second)

    assert [flowing.rig.read(run_id).status for run_id in (first, second)] == ["succeeded", "succeeded"]


async def test_a_step_learns_that_the_sub_flow_it_waits_for_was_discarded(flowing: Flowing) -> None:
    hand = {"id": "start", "type": "manual", "params": {}}
    run = {"id": "run", "type": "run_flow", "params": {"flow": "b", "input": {"n": 1}}}
    flowing.rig.flow([hand, CALL], EDGES, flow_id="b")
    flowing.rig.flow([run], ["start>run"], flow_id="a")
    flowing.flows.pause("b")
    (caller,) = await flowing.emit({"n": 1}, hold=False)
    await until(lambda: flowing.statuses() == ["waiting", "queued"])

    flowing.flows.resume("b", queue="discard")
    await flowing.rig.engine.wake()

    found = await flowing.rig.run(caller)
    assert (found.status, found.error["code"]) == ("failed", "run_flow.cancelled")
    assert "resumed without" in found.error["message"]


async def test_a_flow_that_calls_itself_does_not_wait_for_its_own_place(flowing: Flowing) -> None:
    hand = {"id": "start", "type": "manual", "params": {}}
    again = {"id": "again", "type": "condition", "params": {"if": "{{ $param.n > 0 }}"}}
    run = {"id": "run", "type": "run_flow", "params": {"flow": "a", "input": {"n": "{{ $param.n - 1 }}"}}}
    flowing.rig.flow(
        [hand, again, run], ["start>again", "again.true>run"], flow_id="a", limits={"runs_at_once": 1, "key": "'one'"}
    )
    flowing.rig.flow([{**run, "params": {"flow": "a", "input": {"n": 1}}}], ["start>run"], flow_id="b")

    (outer,) = await flowing.emit({"n": 0}, hold=False)

    assert (await flowing.rig.run(outer)).status == "succeeded"
    assert flowing.statuses() == ["succeeded"] * 3


async def test_flows_that_call_each_other_do_not_wait_for_each_others_places_for_ever(flowing: Flowing) -> None:
    hand = {"id": "hand", "type": "manual", "params": {}}
    for flow_id, other in (("a", "b"), ("b", "a")):
        calls = {"id": "run", "type": "run_flow", "params": {"flow": other}}
        gate = {"id": "gate", "type": "call", "params": {"text": flow_id}}
        flowing.rig.flow(
            [hand, gate, calls], ["start>gate", "gate>run"], flow_id=flow_id, event=flow_id, limits={"runs_at_once": 1}
        )
        flowing.rig.calls.hold(flow_id)
    first = await flowing.rig.emit({}, name="a")
    second = await flowing.rig.emit({}, name="b")
    for flow_id in ("a", "b"):
        await flowing.rig.calls.arrived[flow_id].wait()
        flowing.rig.calls.release(flow_id)
    await until(lambda: flowing.statuses() == ["waiting", "waiting", "queued", "queued"])
    await flowing.quiet()
    before = flowing.statuses()

    while "waiting" in flowing.statuses():
        await flowing.rig.engine._admission.untie()
        await asyncio.sleep(0.01)

    assert before == ["waiting", "waiting", "queued", "queued"]
    assert [(await flowing.rig.run(run_id)).status for run_id in (first, second)] == ["succeeded", "succeeded"]


async def test_a_cancelled_run_frees_its_place_and_a_waiting_one_leaves_the_queue(flowing: Flowing) -> None:
    flowing.rig.flow([CALL], EDGES, limits={"runs_at_once": 1})
    first, second, third = await flowing.emit({"n": 1}, {"n": 2}, {"n": 3})
    await flowing.seen(1)

    await flowing.rig.engine.cancel(second)
    await flowing.rig.engine.cancel(first)

    await flowing.seen(1, 3)
    await flowing.release(3, third)


async def test_limits_that_are_lifted_let_everything_begin(flowing: Flowing) -> None:
    flowing.rig.flow([CALL], EDGES, limits={"runs_at_once": 1})
    runs = await flowing.emit(*({"n": n} for n in range(3)))
    await flowing.seen(0)

    with flowing.rig.database.write() as session:
        session.get_one(Flow, "f").limits = None
    await flowing.rig.engine.wake()

    await flowing.seen(0, 1, 2)
    for n in range(3):
        await flowing.release(n, runs[n])


async def test_limits_that_change_hold_for_what_is_open_too(flowing: Flowing) -> None:
    flowing.rig.flow([CALL], EDGES)
    runs = await flowing.emit({"n": 0, "c": "a"}, {"n": 1, "c": "b"})
    await flowing.seen(0, 1)

    with flowing.rig.database.write() as session:
        session.get_one(Flow, "f").limits = {"key": "$param.c", "runs_at_once": 3}
    runs += await flowing.emit({"n": 2, "c": "a"}, {"n": 3, "c": "c"}, {"n": 4, "c": "d"})

    await flowing.seen(0, 1, 3)
    await flowing.release(0, runs[0])
    await flowing.seen(0, 1, 2, 3)
    for n in (1, 2, 3, 4):
        await flowing.release(n, runs[n])


async def test_a_long_queue_does_not_hold_up_other_flows(flowing: Flowing) -> None:
    flowing.rig.flow([CALL], EDGES, limits={"runs_at_once": 1})
    flowing.rig.flow([{**CALL, "params": {"text": "free"}}], EDGES, flow_id="free", event="other")
    flowing.rig.calls.hold("0")
    await flowing.rig.engine.accept([NewEvent("go", {"n": 0}) for _ in range(500)])

    (free,) = await flowing.emit({"n": -1}, hold=False, name="other")
    run = await flowing.rig.run(free)

    assert run.status == "succeeded"
    assert flowing.statuses().count("queued") == 499
    flowing.rig.calls.release("0")


async def test_every_run_of_a_long_queue_gets_its_turn(flowing: Flowing) -> None:
    echo = {"id": "send", "type": "echo", "params": {"text": "x"}}
    flowing.rig.flow([echo], EDGES, limits={"runs_at_once": 3, "key": "$param.c"})

    answers = await flowing.rig.engine.accept([NewEvent("go", {"c": n % 7}) for n in range(250)])
    for answer in answers:
        await flowing.rig.run(answer.runs[0])

    with flowing.rig.database.read() as session:
        rows = session.exec(select(RunRow.key, RunRow.id, RunRow.started_at).order_by(RunRow.id)).all()
    assert flowing.statuses() == ["succeeded"] * 250
    for key in range(7):
        starts = [started for found, _id, started in rows if found == str(key)]
        assert starts == sorted(starts)


def loops(flow_id: str, event: str, then: str) -> dict[str, Any]:
    return {"flow_id": flow_id, "event": event, "emit": then}


@pytest.mark.parametrize(
    "shape",
    [[loops("a", "go", "go")], [loops("a", "go", "pong"), loops("b", "pong", "go")]],
    ids=["self", "two flows"],
)
async def test_flows_that_start_each_other_stop_and_say_why(flowing: Flowing, shape: list[dict[str, Any]]) -> None:
    for each in shape:
        emit = {"id": "emit", "type": "emit_event", "params": {"name": each["emit"], "payload": {}}}
        flowing.rig.flow([emit], ["start>emit"], flow_id=each["flow_id"], event=each["event"])

    await flowing.emit({"n": 1}, hold=False)
    await until(lambda: "failed" in flowing.statuses())
    await flowing.quiet()

    assert len(flowing.statuses()) <= 17
    assert flowing.rig.runs()[-1].error["code"] == "event.loop"
    notices = [flowing.flows.get(each["flow_id"]).notice for each in shape]
    assert [notice["code"] for notice in notices if notice] == ["event.loop"]


async def test_a_flow_that_goes_on_and_on_is_paused_at_once(flowing: Flowing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BREAKER_RUNS", 20)
    many = {"id": "each", "type": "for_each", "params": {"items": "{{ range(50) }}", "parallel": 1}}
    emit = {"id": "emit", "type": "emit_event", "params": {"name": "next", "payload": {"n": "{{ $item }}"}}}
    flowing.rig.flow([many, emit], ["start>each", "each.each>emit"], flow_id="a")
    flowing.rig.flow([CALL], EDGES, flow_id="b", event="next")
    (run,) = await flowing.emit({"n": 0}, hold=False)
    await flowing.rig.run(run)
    await flowing.quiet()

    view = flowing.flows.get("b")
    assert (view.state, view.notice and view.notice["code"], view.queued) == ("paused", "flow.too_often", 30)
    assert len(flowing.rig.calls.seen) == 20
    flowing.flows.resume("b")
    await flowing.rig.engine.wake()
    await until(lambda: len(flowing.rig.calls.seen) == 50)
