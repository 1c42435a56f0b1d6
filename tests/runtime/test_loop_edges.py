"""Loops and returned outputs where it is easy to get them wrong: found by drawing flows, kept as what they showed."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, cast

import pytest

from nodes.spec import EachItem, NodeError
from runtime import limits
from runtime.engine import TestRequest
from runtime.graph import PlanNode
from runtime.loops import Attempt, Frame, Loop
from storage.tables import StepRow
from tests.runtime.conftest import Clock, Rig
from tests.runtime.test_loops import rounds


def node(node_id: str, kind: str, **params: Any) -> dict[str, Any]:
    return {"id": node_id, "type": kind, "params": params}


def call(node_id: str) -> dict[str, Any]:
    return node(node_id, "call", text=node_id)


def echo(node_id: str, text: str = "x") -> dict[str, Any]:
    return node(node_id, "echo", text=text)


GIVE = node("give", "return_output", output={"at": "{{ $index }}"})
LOOP = node("loop", "for_each", items=["a", "b"])
LATER = node("later", "delay", seconds=60)


async def test_a_round_does_not_see_what_the_round_before_it_came_to(rig: Rig) -> None:
    rig.flow(
        [
            node("again", "while_loop", **{"while": "{{ $index < 2 }}"}),
            node("is_first", "condition", **{"if": "{{ $index == 0 }}"}),
            echo("seldom"),
            node("knows", "condition", **{"if": "{{ $action.seldom is defined }}"}),
        ],
        ["start>again", "again.each>is_first", "is_first.true>seldom", "seldom>knows", "is_first.false>knows"],
    )

    run, _steps = await rig.done()
    with rig.database.read() as session:
        ports = [session.get_one(StepRow, (run.id, "knows", at)).port for at in "01"]

    assert ports == ["true", "false"]


async def test_what_a_round_returned_outlasts_a_wait_and_a_restart(rig: Rig) -> None:
    rig.flow([LOOP, GIVE, LATER, call("last")], ["start>loop", "loop.each>give", "loop.done>later", "later>last"])
    rig.calls.hold("last")

    run_id = await rig.emit()
    await rig.run(run_id, lambda run: run.status == "waiting")
    rig.clock.advance(seconds=61)
    await rig.engine.wake()
    await rig.calls.arrived["last"].wait()
    await rig.restart()
    rig.calls.release("last")

    assert (await rig.run(run_id)).output == {"at": 1}


async def test_what_was_returned_last_among_recorded_steps_outlasts_a_wait(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ticking(clock: Clock) -> datetime:
        clock.advance(microseconds=1)
        return clock.moment

    first, last = (node(f"by_{name}", "return_output", output={"by": name}) for name in ("one", "two"))
    edges = ["start>one", "start>echo", "echo>two", "one>by_one", "two>by_two", "two>later"]
    rig.flow([call("one"), call("two"), first, last, echo("echo"), LATER], edges)
    for name in ("one", "two"):
        rig.calls.hold(name)
    monkeypatch.setattr(Clock, "__call__", ticking)

    run_id = await rig.emit()
    await rig.calls.arrived["one"].wait()
    await rig.calls.arrived["two"].wait()
    stopping = asyncio.create_task(rig.engine.stop(grace_s=10))  # the calls end, and what follows them is not begun
    await asyncio.sleep(0)
    for name in ("one", "two"):
        rig.calls.release(name)
    await stopping
    await rig.restart()
    returned = (await rig.run(run_id, lambda run: run.status == "waiting")).output
    rig.clock.advance(seconds=61)
    await rig.engine.wake()
    run = await rig.run(run_id)

    assert (returned, run.output) == ({"by": "two"}, {"by": "two"})


async def test_the_error_of_a_step_that_returns_is_not_what_the_run_returns(rig: Rig) -> None:
    give = GIVE | {"on_error": "port", "params": {"output": {"x": "{{ $param.nothing }}"}}}
    rig.flow([give, LATER], ["start>give", "give.error>later"])

    run_id = await rig.emit()
    await rig.run(run_id, lambda run: run.status == "waiting")
    rig.clock.advance(seconds=61)
    await rig.engine.wake()
    run = await rig.run(run_id)

    assert (run.status, run.output) == ("succeeded", None)


async def test_a_pinned_output_is_what_a_test_run_returns(rig: Rig) -> None:
    give = GIVE | {"pinned": {"port": "out", "output": {"at": "pinned"}}}
    document = rig.document([give], ["start>give"])

    run_id = await rig.engine.start_test(TestRequest("f", document, "start", {}, effects="real"))

    assert (await rig.run(run_id)).output == {"at": "pinned"}


async def test_a_loop_without_a_body_goes_round_as_often_as_it_may(rig: Rig) -> None:
    again = node("again", "while_loop", **{"while": True, "max_rounds": limits.LOOP_ROUNDS}) | {"on_error": "port"}
    rig.flow([again, echo("told", "{{ $action.again.code }}")], ["start>again", "again.error>told"])

    run, steps = await rig.done()

    assert (run.status, steps["told"].output) == ("succeeded", {"text": "loop.bound_reached"})


@pytest.mark.parametrize("name", ["$item", "$index"])
async def test_outside_of_a_loop_there_is_no_item(rig: Rig, name: str) -> None:
    rig.flow([echo("one", f"x{{{{ {name} }}}}")], ["start>one"])

    run, steps = await rig.done()

    assert (run.status, steps["one"].error["code"]) == ("failed", "expression.missing")
    assert name in steps["one"].error["message"]


@pytest.mark.parametrize("order", [("left", "right"), ("right", "left")], ids="-".join)
async def test_several_outputs_of_a_round_stand_in_the_order_of_the_flow(rig: Rig, order: tuple[str, str]) -> None:
    rig.flow([node("loop", "for_each", items=["a"]), call("left"), call("right")], [
        "start>loop", "loop.each>left", "loop.each>right",
    ])  # fmt: skip
    for text in order:
        rig.calls.hold(text)

    run_id = await rig.emit()
    for text in order:
        await rig.calls.arrived[text].wait()
    rig.calls.release(order[0])
    await rig.run(run_id, lambda _run: rig.steps(run_id)[order[0]].status == "succeeded")
    rig.calls.release(order[1])
    await rig.run(run_id)

    (output,) = rig.steps(run_id)["loop"].output["outputs"]
    assert list(output) == ["left", "right"]


async def test_a_step_passed_over_at_the_end_of_a_round_leaves_it_without_an_output(rig: Rig) -> None:
    rig.flow([LOOP, echo("one"), echo("two") | {"disabled": True}], ["start>loop", "loop.each>one", "one>two"])

    _run, steps = await rig.done()

    assert steps["loop"].output["outputs"] == [None, None]


async def test_a_step_without_ports_that_is_passed_over_stays_so_when_its_round_goes_on(rig: Rig) -> None:
    rig.flow([LOOP, GIVE | {"disabled": True}, LATER, call("last")], [
        "start>loop", "loop.each>give", "loop.each>later", "loop.done>last",
    ])  # fmt: skip

    run_id = await rig.emit()
    for _ in range(2):
        await rig.run(run_id, lambda run: run.status == "waiting" and run.wake_at > rig.clock())
        rig.clock.advance(seconds=61)
        await rig.engine.wake()
    run, steps = await rig.run(run_id), rig.steps(run_id)

    assert (run.status, run.output, steps["loop"].status, steps["last"].status) == (
        *("succeeded", None, "succeeded", "succeeded"),
    )


async def test_an_item_that_fails_gives_up_what_its_other_branch_waits_for_without_end(rig: Rig) -> None:
    loop = node("loop", "for_each", items=["a"], on_item_error="continue")
    wait = node("wait", "wait_for_event", event="never")
    rig.flow([loop, wait, call("bad"), echo("after")], [
        "start>loop", "loop.each>wait", "loop.each>bad", "loop.done>after",
    ])  # fmt: skip
    rig.calls.hold("bad")
    rig.calls.fail("bad", NodeError("no", code="x.y"))

    run_id = await rig.emit()
    await rig.run(run_id, lambda _run: "wait" in (steps := rig.steps(run_id)) and steps["wait"].status == "waiting")
    await rig.calls.arrived["bad"].wait()
    rig.calls.release("bad")
    run, steps = await rig.run(run_id), rig.steps(run_id)

    assert (run.status, steps["after"].status) == ("succeeded", "succeeded")
    assert steps["loop"].output["failed"] == 1
    assert steps["wait"].status in ("skipped", "failed")


async def test_a_loop_that_waits_in_its_rounds_keeps_the_time_of_its_start(rig: Rig) -> None:
    rig.flow([LOOP, LATER], ["start>loop", "loop.each>later"])
    begun = rig.clock()
    run_id = await rig.emit()

    for _ in range(2):
        await rig.run(run_id, lambda run: run.status == "waiting" and run.wake_at > rig.clock())
        rig.clock.advance(seconds=61)
        await rig.engine.wake()
    await rig.run(run_id)

    step = rig.steps(run_id)["loop"]
    assert (step.started_at, step.ended_at) == (begun, rig.clock())


async def test_of_two_steps_that_failed_in_a_round_a_restart_tells_the_first(rig: Rig) -> None:
    loop = node("loop", "for_each", items=["x", "y"], on_item_error="continue")
    rig.flow(
        [loop, node("a", "call", text="{{ $item }}a"), node("b", "call", text="{{ $item }}b")],
        ["start>loop", "loop.each>a", "loop.each>b"],
    )
    for text in ("xa", "ya", "yb"):
        rig.calls.hold(text)
    rig.calls.fail("xa", NodeError("a has failed"))
    rig.calls.fail("xb", NodeError("b has failed"))

    run_id = await rig.emit()
    await rig.calls.arrived["xa"].wait()
    await rig.run(run_id, lambda _run: rounds(rig, run_id, "b") == {"0": "failed"})
    rig.clock.advance(seconds=1)
    rig.calls.release("xa")
    await rig.calls.arrived["yb"].wait()
    await rig.restart()
    rig.calls.release("ya")
    rig.calls.release("yb")
    await rig.run(run_id)

    output = rig.steps(run_id)["loop"].output
    assert output is not None
    assert [error["message"] for error in output["errors"]] == ["B: b has failed"]


@pytest.mark.parametrize("each", [EachItem(["x"] * 9), None], ids=["for each", "while"])
def test_results_that_are_too_large_together_are_not_held(each: EachItem | None, monkeypatch) -> None:
    monkeypatch.setattr(limits, "LOOP_OUTPUT_BYTES", 1_000)
    loop = Loop(Attempt(cast(Frame, None), cast(PlanNode, None), 1, 0), each)

    held = []
    for number in range(9):
        loop.take(number, "x" * 200 + str(number))
        held.append(sum(result is not None for result in loop.results or ()))

    assert held == [1, 2, 3, 4, 0, 0, 0, 0, 0]
    assert loop.last == "x" * 200 + "8"
