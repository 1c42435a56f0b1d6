"""What a node's settings do in a run: disabled, pinned, asked about after a crash; and tests of a part of a flow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.engine_api import TestRequest
from runtime.settings import Settings
from storage.tables import RunRow, StepRow
from tests.runtime.conftest import Rig

ECHO = {"type": "echo", "params": {"text": "x"}}


async def try_out(
    rig: Rig, nodes: list[dict[str, Any]], edges: list[str], scope: dict[str, Any] | None = None
) -> RunRow:
    request = TestRequest("f", rig.document(nodes, edges), "start", {}, effects="real", scope=scope)
    return await rig.run(await rig.engine.start_test(request))


def statuses(rig: Rig, run: RunRow) -> dict[str, str]:
    assert run.id is not None
    return {node: step.status for node, step in rig.steps(run.id).items()}


async def test_a_disabled_node_is_passed_over_and_has_no_output(rig: Rig) -> None:
    nodes = [{"id": "off", **ECHO, "disabled": True}, {"id": "after", **ECHO}]
    rig.flow(nodes, ["start>off", "off>after"])

    run, steps = await rig.done()

    assert run.status == "succeeded"
    assert (steps["off"].status, steps["off"].port, steps["off"].output) == ("skipped", "out", None)
    assert steps["after"].status == "succeeded"


async def test_a_disabled_condition_goes_on_at_its_first_port(rig: Rig) -> None:
    nodes = [
        {"id": "if", "type": "condition", "params": {"if": False}, "disabled": True},
        {"id": "yes", **ECHO},
        {"id": "no", **ECHO},
    ]
    rig.flow(nodes, ["start>if", "if.true>yes", "if.false>no"])

    run, _steps = await rig.done()

    assert statuses(rig, run) == {"start": "succeeded", "if": "skipped", "yes": "succeeded", "no": "skipped"}


async def test_a_disabled_node_stays_passed_over_after_a_restart(rig: Rig) -> None:
    nodes = [{"id": "off", **ECHO, "disabled": True}, {"id": "held", "type": "call", "params": {"text": "held"}}]
    rig.flow(nodes, ["start>off", "off>held"])
    rig.calls.hold("held")
    run_id = await rig.emit()
    await rig.calls.arrived["held"].wait()

    rig.calls.held.clear()
    await rig.restart()
    run = await rig.run(run_id)

    assert statuses(rig, run) == {"start": "succeeded", "off": "skipped", "held": "succeeded"}


async def test_a_pinned_output_is_taken_in_a_test_and_the_node_is_not_called(rig: Rig) -> None:
    pinned = {"port": "out", "output": {"text": "pinned"}}
    nodes = [
        {"id": "call", "type": "call", "params": {"text": "x"}, "pinned": pinned},
        {"id": "after", "type": "echo", "params": {"text": "{{ $action.call.text }}"}},
    ]

    run = await try_out(rig, nodes, ["start>call", "call>after"])

    assert run.status == "succeeded"
    assert rig.steps(run.id or 0)["after"].output == {"text": "pinned"}
    assert rig.steps(run.id or 0)["call"].effect == {"kind": "pinned"}
    assert rig.calls.seen == []


async def test_a_pinned_output_does_not_count_in_a_live_run(rig: Rig) -> None:
    pinned = {"port": "out", "output": {"text": "pinned"}}
    rig.flow([{"id": "call", "type": "call", "params": {"text": "x"}, "pinned": pinned}], ["start>call"])

    _run, steps = await rig.done()

    assert steps["call"].output == {"text": "x"}
    assert len(rig.calls.seen) == 1


async def test_a_test_up_to_a_node_runs_what_leads_to_it_and_nothing_else(rig: Rig) -> None:
    nodes = [{"id": node, **ECHO} for node in ("a", "b", "beside", "after")]

    run = await try_out(rig, nodes, ["start>a", "a>b", "a>beside", "b>after"], {"until": "b"})

    assert statuses(rig, run) == dict.fromkeys(["start", "a", "b"], "succeeded")


async def test_a_test_up_to_a_node_in_a_loop_runs_the_loop_to_there(rig: Rig) -> None:
    loop = {"id": "loop", "type": "for_each", "params": {"items": [1, 2]}}
    nodes = [loop, {"id": "a", **ECHO}, {"id": "b", **ECHO}, {"id": "after", **ECHO}]

    run = await try_out(rig, nodes, ["start>loop", "loop.each>a", "a>b", "loop.done>after"], {"until": "a"})

    assert run.status == "succeeded"
    assert statuses(rig, run) == dict.fromkeys(["start", "loop", "a"], "succeeded")


async def test_a_test_of_one_node_takes_the_outputs_of_those_before_it_as_they_are(rig: Rig) -> None:
    nodes = [
        {"id": "a", "type": "call", "params": {"text": "a"}},
        {"id": "b", "type": "echo", "params": {"text": "{{ $action.a.text }}"}},
    ]
    document = rig.document(nodes, ["start>a", "a>b"])
    with rig.database.write() as session:
        run = RunRow(flow_id="f", document=document, trigger="start", payload={}, is_test=True, scope={"only": "b"})
        session.add(run)
        session.flush()
        run_id = run.id or 0
        for node, output in (("start", {}), ("a", {"text": "kept"})):
            session.add(StepRow(run_id=run_id, node=node, status="succeeded", port="out", output=output))
    await rig.engine.wake()

    run = await rig.run(run_id)

    assert run.status == "succeeded"
    assert rig.steps(run_id)["b"].output == {"text": "kept"}
    assert rig.calls.seen == []


async def test_a_test_of_one_node_calls_no_other_also_where_an_output_is_missing(rig: Rig) -> None:
    nodes = [{"id": "a", "type": "call", "params": {"text": "a"}}, {"id": "b", **ECHO}]

    run = await try_out(rig, nodes, ["start>a", "a>b"], {"only": "b"})

    assert (run.status, (run.error or {})["code"]) == ("failed", "test.output_missing")
    assert rig.calls.seen == []


@pytest.mark.parametrize(("after_crash", "times"), [("ask", 1), ("repeat", 2)])
async def test_after_a_crash_the_node_says_whether_it_is_repeated(rig: Rig, after_crash: str, times: int) -> None:
    rig.flow([{"id": "c", "type": "call", "params": {"text": "x"}, "after_crash": after_crash}], ["start>c"])
    rig.calls.hold("x")
    run_id = await rig.emit()
    await rig.calls.arrived["x"].wait()

    rig.calls.held.clear()
    await rig.restart()
    await rig.run(run_id)

    assert len(rig.calls.seen) == times
    assert rig.steps(run_id)["c"].status == ("unknown" if after_crash == "ask" else "succeeded")


async def test_an_effect_that_would_be_repeated_with_another_input_is_asked_about(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.settings = Settings(data_dir=tmp_path, env_names=frozenset({"WORD"}))
    monkeypatch.setenv("WORD", "one")
    await rig.restart()
    rig.flow([{"id": "c", "type": "call", "params": {"text": "{{ $env.WORD }}"}}], ["start>c"])
    rig.calls.hold("one")
    run_id = await rig.emit()
    await rig.calls.arrived["one"].wait()

    monkeypatch.setenv("WORD", "two")
    rig.calls.held.clear()
    await rig.restart()
    run = await rig.run(run_id)

    assert [text for text, _key in rig.calls.seen] == ["one"]
    assert (run.status, rig.steps(run_id)["c"].status) == ("waiting", "unknown")


async def test_a_step_that_is_planned_anew_is_called_again_as_the_next_attempt(rig: Rig) -> None:
    rig.flow([{"id": "c", "type": "call_once", "params": {"text": "x"}}], ["start>c"])
    rig.calls.hold("x")
    run_id = await rig.emit()
    await rig.calls.arrived["x"].wait()
    rig.calls.held.clear()
    await rig.restart()
    await rig.run(run_id)

    with rig.database.write() as session:
        step = session.get_one(StepRow, (run_id, "c", ""))
        step.status, step.attempt, step.error = "planned", 2, None
        session.get_one(RunRow, run_id).wake_at = rig.clock()
    await rig.engine.wake()
    run = await rig.run(run_id)

    step = rig.steps(run_id)["c"]
    assert (run.status, step.status, step.attempt) == ("succeeded", "succeeded", 2)
    assert len({key for _text, key in rig.calls.seen}) == 1
