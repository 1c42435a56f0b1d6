"""Loops: the body of ``for_each`` and ``while_loop``, one round after the other or side by side."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlmodel import select

from nodes.spec import NodeError
from storage.tables import StepRow
from tests.runtime.conftest import Rig

LOOP = {"id": "loop", "type": "for_each", "params": {"items": "{{ $param.items }}"}}


def body(text: str = "{{ $index }}: {{ $item }}", kind: str = "echo", **settings: Any) -> dict[str, Any]:
    return {"id": "body", "type": kind, "params": {"text": text}, **settings}


def loop(**params: Any) -> dict[str, Any]:
    return {**LOOP, "params": {**LOOP["params"], **params}}


def rounds(rig: Rig, run_id: int, node: str = "body") -> dict[str, str]:
    with rig.database.read() as session:
        rows = session.exec(select(StepRow).where(StepRow.run_id == run_id, StepRow.node == node)).all()
    return {row.iteration: row.status for row in rows}


async def test_the_body_runs_once_for_each_item_and_done_has_the_outputs_in_their_order(rig: Rig) -> None:
    after = {"id": "after", "type": "set_fields", "params": {"fields": {"all": "{{ $action.loop.outputs }}"}}}
    rig.flow([LOOP, body(), after], ["start>loop", "loop.each>body", "loop.done>after"])

    run, steps = await rig.done({"items": ["a", "b"]})

    assert run.status == "succeeded"
    assert steps["after"].output == {"all": [{"text": "0: a"}, {"text": "1: b"}]}
    assert rounds(rig, run.id or 0) == {"0": "succeeded", "1": "succeeded"}


async def test_items_are_worked_on_side_by_side_up_to_the_limit(rig: Rig) -> None:
    rig.flow([loop(parallel=2), body("{{ $item }}", "call")], ["start>loop", "loop.each>body"])
    for item in "abc":
        rig.calls.hold(item)

    run_id = await rig.emit({"items": ["a", "b", "c"]})
    await asyncio.gather(rig.calls.arrived["a"].wait(), rig.calls.arrived["b"].wait())
    seen = [text for text, _key in rig.calls.seen]
    rig.calls.release("b")
    await rig.calls.arrived["c"].wait()
    rig.calls.release("a")
    rig.calls.release("c")
    run = await rig.run(run_id)

    assert sorted(seen) == ["a", "b"]
    assert run.status == "succeeded"
    assert rig.steps(run_id)["loop"].output == {
        "outputs": [{"text": "a"}, {"text": "b"}, {"text": "c"}],
        "count": 3,
        "failed": 0,
        "errors": [],
    }


async def test_another_branch_does_not_wait_for_a_long_loop(rig: Rig) -> None:
    send, last = ({"id": text, "type": "call", "params": {"text": text}} for text in ("send", "last"))
    rig.flow([LOOP, body(), send, last], ["start>loop", "loop.each>body", "start>send", "loop.done>last"])

    run_id = await rig.emit({"items": list(range(10_000))})
    await rig.calls.arrived["send"].wait()
    with rig.database.read() as session:
        status = session.get_one(StepRow, (run_id, "loop", "")).status
    await rig.run(run_id)

    assert status == "running"


async def test_each_round_has_a_key_of_its_own(rig: Rig) -> None:
    rig.flow([LOOP, body("{{ $item }}", "call")], ["start>loop", "loop.each>body"])

    await rig.done({"items": ["a", "b"]})

    keys = [key for _text, key in rig.calls.seen]
    assert [key.rpartition(":")[2] for key in keys] == ["0", "1"]


async def test_an_item_that_fails_stops_the_loop_and_the_run(rig: Rig) -> None:
    rig.flow([LOOP, body("{{ $item }}", "call")], ["start>loop", "loop.each>body"])
    rig.calls.fail("b", NodeError("No.", code="no"))

    run, steps = await rig.done({"items": ["a", "b", "c"]})

    assert run.status == "failed"
    assert run.error == {"message": "Loop: Item 2: Body: No.", "code": "no", "node": "loop"}
    assert steps["loop"].status == "failed"
    assert rounds(rig, run.id or 0) == {"0": "succeeded", "1": "failed"}


async def test_items_that_fail_may_be_passed_over(rig: Rig) -> None:
    rig.flow([loop(on_item_error="continue"), body("{{ $item }}", "call")], ["start>loop", "loop.each>body"])
    rig.calls.fail("b", NodeError("No.", code="no"))

    run, steps = await rig.done({"items": ["a", "b", "c"]})

    assert run.status == "succeeded"
    assert steps["loop"].output == {
        "outputs": [{"text": "a"}, None, {"text": "c"}],
        "count": 3,
        "failed": 1,
        "errors": [{"index": 1, "message": "Body: No.", "code": "no"}],
    }


async def test_a_loop_that_fails_may_fire_its_error_port(rig: Rig) -> None:
    nodes = [{**LOOP, "on_error": "port"}, body("{{ $item }}", "call"), {"id": "sorry", "type": "echo"}]
    rig.flow(nodes, ["start>loop", "loop.each>body", "loop.error>sorry"])
    rig.calls.fail("a", NodeError("No.", code="no"))

    run, steps = await rig.done({"items": ["a"]})

    assert (run.status, steps["sorry"].status) == ("succeeded", "succeeded")


async def test_a_failing_item_lets_items_beside_it_end_and_starts_no_more_of_them(rig: Rig) -> None:
    second = {"id": "second", "type": "echo"}
    nodes = [loop(parallel=2), body("{{ $item }}", "call"), second]
    rig.flow(nodes, ["start>loop", "loop.each>body", "body>second"])
    rig.calls.hold("a")
    rig.calls.fail("b", NodeError("No.", code="no"))

    run_id = await rig.emit({"items": ["a", "b", "c"]})
    await rig.calls.arrived["b"].wait()
    rig.calls.release("a")
    run = await rig.run(run_id)

    assert run.status == "failed"
    assert rounds(rig, run_id) == {"0": "succeeded", "1": "failed"}
    assert rounds(rig, run_id, "second") == {"0": "skipped", "1": "skipped"}


async def test_branches_of_a_body_join_and_give_the_output_of_the_step_that_ended_it(rig: Rig) -> None:
    nodes = [
        LOOP,
        {"id": "large", "type": "condition", "params": {"if": "{{ $item > 10 }}"}},
        {"id": "much", "type": "set_fields", "params": {"fields": {"size": "much"}}},
        {"id": "little", "type": "set_fields", "params": {"fields": {"size": "little"}}},
        {"id": "join", "type": "set_fields", "params": {"fields": {"item": "{{ $item }}"}}},
    ]
    edges = ["start>loop", "loop.each>large", "large.true>much", "large.false>little", "much>join", "little>join"]
    rig.flow(nodes, edges)

    run, steps = await rig.done({"items": [5, 50]})

    assert steps["loop"].output["outputs"] == [{"item": 5}, {"item": 50}]  # type: ignore[index]
    assert rounds(rig, run.id or 0, "much") == {"0": "skipped", "1": "succeeded"}


async def test_loops_in_loops_see_the_items_of_their_own_and_outputs_of_the_outer_round(rig: Rig) -> None:
    nodes = [
        LOOP,
        {"id": "outer", "type": "set_fields", "params": {"fields": {"letter": "{{ $item }}"}}},
        {"id": "inner", "type": "for_each", "params": {"items": [1, 2]}},
        body("{{ $action.outer.letter }}{{ $item }}"),
    ]
    rig.flow(nodes, ["start>loop", "loop.each>outer", "outer>inner", "inner.each>body"])

    run, steps = await rig.done({"items": ["a", "b"]})

    assert rounds(rig, run.id or 0) == dict.fromkeys(["0.0", "0.1", "1.0", "1.1"], "succeeded")
    outputs = steps["loop"].output["outputs"]  # type: ignore[index]
    assert [[each["text"] for each in found["outputs"]] for found in outputs] == [["a1", "a2"], ["b1", "b2"]]


async def test_the_outputs_of_a_body_are_not_there_after_the_loop(rig: Rig) -> None:
    after = {"id": "after", "type": "echo", "params": {"text": "{{ $action.body.text }}"}}
    rig.flow([LOOP, body(), after], ["start>loop", "loop.each>body", "loop.done>after"])

    run, _steps = await rig.done({"items": ["a"]})

    assert (run.status, (run.error or {})["code"]) == ("failed", "expression.missing")


@pytest.mark.parametrize("items", [[], ["a"]], ids=["no item", "no body"])
async def test_a_loop_without_anything_to_do_is_done(rig: Rig, items: list[str]) -> None:
    edges = ["start>loop", "loop.done>after"] if items else ["start>loop", "loop.each>body", "loop.done>after"]
    nodes = [LOOP, *([] if items else [body()]), {"id": "after", "type": "echo"}]
    rig.flow(nodes, edges)

    run, steps = await rig.done({"items": items})

    assert run.status == "succeeded"
    assert steps["loop"].output["outputs"] == [None] * len(items)  # type: ignore[index]
    assert steps["after"].status == "succeeded"


async def test_after_a_restart_rounds_that_are_recorded_are_not_done_again(rig: Rig) -> None:
    rig.flow([LOOP, body("{{ $item }}", "call")], ["start>loop", "loop.each>body"])
    rig.calls.hold("c")
    run_id = await rig.emit({"items": ["a", "b", "c", "d"]})
    await rig.calls.arrived["c"].wait()

    rig.calls.held.clear()
    await rig.restart()
    run = await rig.run(run_id)

    assert run.status == "succeeded"
    assert [text for text, _key in rig.calls.seen] == ["a", "b", "c", "c", "d"]
    assert len({key for text, key in rig.calls.seen if text == "c"}) == 1


async def test_a_retry_within_a_round_waits_for_its_time(rig: Rig) -> None:
    from nodes.spec import TemporaryError

    retried = body("{{ $item }}", "call", retry={"attempts": 2, "delay_s": 60, "backoff": 1})
    rig.flow([LOOP, retried], ["start>loop", "loop.each>body"])
    rig.calls.fail("b", TemporaryError("Later.", code="later"))
    run_id = await rig.emit({"items": ["a", "b", "c"]})
    await rig.run(run_id, lambda run: run.status == "waiting")

    rig.clock.advance(seconds=120)
    await rig.engine.wake()
    run = await rig.run(run_id)

    assert run.status == "succeeded"
    assert [text for text, _key in rig.calls.seen] == ["a", "b", "b", "c"]


async def test_a_while_loop_goes_on_as_long_as_its_condition_holds(rig: Rig) -> None:
    nodes = [
        {"id": "loop", "type": "while_loop", "params": {"while": "{{ $index == 0 or $item.next is not none }}"}},
        {
            "id": "page",
            "type": "set_fields",
            "params": {"fields": {"number": "{{ $index }}", "next": "{{ $index + 1 if $index < 2 else none }}"}},
        },
    ]
    rig.flow(nodes, ["start>loop", "loop.each>page"])

    run, steps = await rig.done()

    assert run.status == "succeeded"
    assert steps["loop"].output == {
        "outputs": [{"number": 0, "next": 1}, {"number": 1, "next": 2}, {"number": 2, "next": None}],
        "rounds": 3,
    }


async def test_a_while_loop_fails_when_its_condition_still_holds_after_the_last_round(rig: Rig) -> None:
    nodes = [{"id": "loop", "type": "while_loop", "params": {"while": True, "max_rounds": 3}}, body("x")]
    rig.flow(nodes, ["start>loop", "loop.each>body"])

    run, _steps = await rig.done()

    assert (run.status, (run.error or {})["code"]) == ("failed", "loop.bound_reached")
    assert rounds(rig, run.id or 0) == dict.fromkeys("012", "succeeded")


async def test_a_condition_that_cannot_be_evaluated_between_rounds_fails_the_loop(rig: Rig) -> None:
    nodes = [
        {"id": "loop", "type": "while_loop", "params": {"while": "{{ $index == 0 or $item.no.such }}"}},
        body("x"),
    ]
    rig.flow(nodes, ["start>loop", "loop.each>body"])

    run, _steps = await rig.done()

    assert (run.status, (run.error or {})["code"], (run.error or {})["node"]) == (
        *("failed", "expression.missing"),
        "loop",
    )


async def test_a_run_with_too_many_steps_is_stopped(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.limits.RUN_STEPS", 5)
    rig.flow([LOOP, body()], ["start>loop", "loop.each>body"])

    run, _steps = await rig.done({"items": list(range(20))})

    assert (run.status, (run.error or {})["code"]) == ("failed", "run.too_many_steps")


async def test_a_disabled_loop_is_passed_over_with_its_body(rig: Rig) -> None:
    nodes = [{**LOOP, "disabled": True}, body(kind="call"), {"id": "after", "type": "echo"}]
    rig.flow(nodes, ["start>loop", "loop.each>body", "loop.done>after"])

    run, steps = await rig.done({"items": ["a"]})

    assert run.status == "succeeded"
    assert (steps["loop"].status, steps["after"].status) == ("skipped", "succeeded")
    assert rig.calls.seen == []
