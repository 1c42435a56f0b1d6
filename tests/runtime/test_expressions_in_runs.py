"""Expressions of running flows: costly ones in processes of their own, and what everybody else notices of them."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest
from sqlmodel import select

from runtime import limits
from runtime.evaluator import Evaluator
from storage.tables import AuditEntry, RunRow, StepRow
from tests.runtime.conftest import Rig

SORTED = "{{ $param.names | sort | join(', ') }}"
BOMB = "{{ ([range(9999)] * 9999) | map('sort') | map('list') }}"


def echo(text: str, node: str = "body", kind: str = "echo") -> dict[str, Any]:
    return {"id": node, "type": kind, "params": {"text": text}}


def evaluator(rig: Rig) -> Evaluator:
    return rig.engine._executor.evaluator


async def freeze(rig: Rig) -> set[int]:
    """Start both processes and stop them where they are; whatever needs one has to wait."""
    await asyncio.gather(*(evaluator(rig).evaluate("{{ [1] | sort }}", {}, caller) for caller in "ab"))
    pids = evaluator(rig).pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill no process that is stopped for the test's sake."""
    monkeypatch.setattr(limits, "EXPRESSION_WALL_S", 60.0)


@pytest.mark.parametrize("kind", ["echo", "call"])
async def test_a_costly_parameter_reaches_the_node_and_the_steps_that_follow(rig: Rig, kind: str) -> None:
    rig.flow([echo(SORTED, kind=kind), echo("{{ $action.body.text }}!", "after")], ["start>body", "body>after"])

    run, steps = await rig.done({"names": ["b", "a"]})

    assert run.status == "succeeded"
    assert steps["body"].input == {"text": "a, b"}
    assert steps["after"].output == {"text": "a, b!"}
    assert evaluator(rig).pids


async def test_a_flow_of_cheap_expressions_starts_no_process(rig: Rig) -> None:
    rig.flow([echo("{{ $param.names | join }} {{ $run.id }} {{ $now }}")], ["start>body"])

    run, steps = await rig.done({"names": ["b", "a"]})

    assert steps["body"].output == {"text": f"ba {run.id} 2026-05-04T09:00:00Z"}
    assert evaluator(rig).pids == set()


async def test_a_list_that_is_too_long_in_place_is_joined_elsewhere(rig: Rig) -> None:
    rig.flow([echo("{{ $param.names | join | length }} letters")], ["start>body"])

    _run, steps = await rig.done({"names": ["x"] * 50_000})

    assert steps["body"].output == {"text": "50000 letters"}


async def test_an_error_says_what_is_wrong_and_costs_no_value(rig: Rig) -> None:
    rig.flow([echo("{{ $param.nme | sort }}")], ["start>body"])

    run, steps = await rig.done({"name": "tok-123"})

    assert run.status == "failed"
    assert steps["body"].error is not None
    assert steps["body"].error["code"] == "expression.missing"
    assert steps["body"].error["message"].startswith("$param.nme: no “nme” in $param; there are: name")
    assert "tok-123" not in steps["body"].error["message"]


async def test_while_expressions_wait_other_runs_go_on(rig: Rig, patient: None) -> None:
    rig.flow([echo(SORTED)], ["start>body"], flow_id="costly", event="costly")
    rig.flow([echo("{{ $param.names[0] }}")], ["start>body"], flow_id="cheap", event="cheap")
    pids = await freeze(rig)

    waiting = [await rig.emit({"names": ["b", "a"]}, "costly") for _ in range(5)]
    cheap = await rig.run(await rig.emit({"names": ["b", "a"]}, "cheap"))
    open_then = [rig.read(run_id).status for run_id in waiting]
    for pid in pids:
        os.kill(pid, signal.SIGCONT)

    assert cheap.status == "succeeded"
    assert open_then == ["running"] * 5
    assert [(await rig.run(run_id)).status for run_id in waiting] == ["succeeded"] * 5


async def test_a_process_that_is_killed_in_the_middle_costs_no_step(rig: Rig, patient: None) -> None:
    rig.flow([echo(SORTED, kind="call")], ["start>body"])
    pids = await freeze(rig)

    run_id = await rig.emit({"names": ["b", "a"]})
    for pid in pids:
        os.kill(pid, signal.SIGKILL)

    assert (await rig.run(run_id)).status == "succeeded"
    assert [text for text, _key in rig.calls.seen] == ["a, b"]


async def test_an_engine_that_stops_in_the_middle_gives_the_same_value_after_its_restart(
    rig: Rig, patient: None
) -> None:
    rig.flow(
        [echo("before {{ $now }}", "before", "call"), echo(SORTED + " {{ $now }}", kind="call")],
        ["start>before", "before>body"],
    )
    await freeze(rig)
    run_id = await rig.emit({"names": ["b", "a"]})
    await rig.calls.arrived["before 2026-05-04T09:00:00Z"].wait()

    rig.clock.advance(hours=1)
    await rig.restart()

    assert (await rig.run(run_id)).status == "succeeded"
    assert [text for text, _key in rig.calls.seen] == ["before 2026-05-04T09:00:00Z", "a, b 2026-05-04T09:00:00Z"]


async def test_a_run_that_is_cancelled_no_longer_waits_for_a_process(rig: Rig, patient: None) -> None:
    rig.flow([echo(SORTED)], ["start>body"])
    pids = await freeze(rig)
    run_id = await rig.emit({"names": ["b", "a"]})

    await rig.engine.cancel(run_id)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)

    assert rig.read(run_id).status == "cancelled"
    assert await evaluator(rig).evaluate("{{ ['mine'] | sort }}", {}, "a") == ["mine"]


@pytest.mark.parametrize(("names", "status"), [(["go"], "succeeded"), (["stay"], None)])
async def test_a_triggers_filter_may_be_costly(rig: Rig, names: list[str], status: str | None) -> None:
    start = {
        "id": "start",
        "type": "event",
        "params": {"event": "go", "filter": "{{ $param.names | select('eq', 'go') }}"},
    }
    rig.flow([start, echo("done")], ["start>body"])

    run_id = await rig.emit({"names": names})
    await rig.engine.wait(run_id, 10)

    assert [run.status for run in rig.runs()] == ([] if status is None else [status])


async def test_what_a_run_waits_for_may_be_costly(rig: Rig) -> None:
    wait = {
        "id": "wait",
        "type": "wait_for_event",
        "params": {"event": "came", "condition": "{{ $item.names | sort == $param.names | sort }}"},
    }
    rig.flow([wait], ["start>wait"])
    run_id = await rig.emit({"names": ["b", "a"]})
    await rig.run(run_id, lambda run: run.status == "waiting")

    with pytest.raises(IndexError):
        await rig.emit({"names": ["c"]}, "came")
    with pytest.raises(IndexError):
        await rig.emit({"names": ["a", "b"]}, "came")

    assert (await rig.run(run_id)).status == "succeeded"
    assert rig.steps(run_id)["wait"].output is not None
    assert rig.steps(run_id)["wait"].output["payload"] == {"names": ["a", "b"]}


async def test_the_items_of_a_loop_may_be_costly_and_so_may_its_body(rig: Rig) -> None:
    loop = {"id": "loop", "type": "for_each", "params": {"items": "{{ $param.names | sort }}", "parallel": 3}}
    after = echo("{{ $action.loop.outputs | map(attribute='text') | join }}", "after")
    rig.flow(
        [loop, echo("{{ [$item, $index] | map('string') | join }}"), after],
        ["start>loop", "loop.each>body", "loop.done>after"],
    )

    run, steps = await rig.done({"names": ["c", "a", "b"]})

    assert run.status == "succeeded"
    assert steps["after"].output == {"text": "a0b1c2"}


async def test_what_a_suspended_step_is_told_may_be_costly(rig: Rig) -> None:
    wait = {"id": "wait", "type": "wait_for_event", "params": {"event": "came", "match": {"n": "{{ $param.n | max }}"}}}
    rig.flow([wait, echo("{{ $action.wait.payload.n }} came", "after")], ["start>wait", "wait>after"])
    run_id = await rig.emit({"n": [1, 3, 2]})
    await rig.run(run_id, lambda run: run.status == "waiting")

    for n in (1, 3):
        with pytest.raises(IndexError):
            await rig.emit({"n": n}, "came")

    assert (await rig.run(run_id)).status == "succeeded"
    assert rig.steps(run_id)["after"].output == {"text": "3 came"}


async def test_the_condition_of_a_loop_may_be_costly(rig: Rig) -> None:
    loop = {"id": "loop", "type": "while_loop", "params": {"while": "{{ range($index) | list | length < 3 }}"}}
    rig.flow(
        [loop, echo("x"), echo("{{ $action.loop.rounds }} rounds", "after")],
        ["start>loop", "loop.each>body", "loop.done>after"],
    )

    run, steps = await rig.done()

    assert run.status == "succeeded"
    assert steps["after"].output == {"text": "3 rounds"}


async def test_the_condition_of_a_loop_that_takes_too_much_fails_the_loop(rig: Rig) -> None:
    costly = BOMB.replace("{{ ", "{{ $index == 0 or ")
    loop = {"id": "loop", "type": "while_loop", "params": {"while": costly}}
    rig.flow([loop, echo("x")], ["start>loop", "loop.each>body"])

    run, steps = await rig.done()

    assert run.status == "failed"
    assert steps["loop"].error is not None
    assert steps["loop"].error["code"] == "expression.too_much_work"


async def test_a_loop_over_many_items_stops_at_the_first_bomb(rig: Rig) -> None:
    loop = {"id": "loop", "type": "for_each", "params": {"items": "{{ $param.items }}", "parallel": 2}}
    rig.flow([loop, echo(BOMB)], ["start>loop", "loop.each>body"])

    run, steps = await rig.done({"items": list(range(1_000))})

    assert run.status == "failed"
    assert steps["loop"].error is not None
    assert "takes too much work" in steps["loop"].error["message"]
    assert len(_failed(rig, run)) <= 2


async def test_a_loop_that_goes_on_after_errors_ends_with_its_run_after_a_few_bombs(rig: Rig) -> None:
    params = {"items": "{{ $param.items }}", "on_item_error": "continue"}
    rig.flow([{"id": "loop", "type": "for_each", "params": params}, echo(BOMB)], ["start>loop", "loop.each>body"])

    run, _steps = await rig.done({"items": list(range(1_000))})

    assert run.status == "failed"
    assert run.error is not None
    assert run.error["code"] == "run.too_much_work"
    assert len(_failed(rig, run)) == limits.EXPRESSION_STOPS + 1


async def test_an_item_whose_expression_fails_is_passed_over_and_the_others_are_done(rig: Rig) -> None:
    params = {"items": "{{ $param.items }}", "on_item_error": "continue", "parallel": 5}
    loop = {"id": "loop", "type": "for_each", "params": params}
    rig.flow([loop, echo("{{ [$item] | map('int') | join }}")], ["start>loop", "loop.each>body"])

    run, steps = await rig.done({"items": ["1", "x"] * 30})

    assert run.status == "succeeded"
    assert steps["loop"].output is not None
    assert steps["loop"].output["failed"] == 30
    assert [each["text"] for each in steps["loop"].output["outputs"] if each] == ["1"] * 30


async def test_an_escape_in_a_run_is_written_down_once(rig: Rig) -> None:
    rig.flow([echo("{{ $param.name.__class__ }}")], ["start>body"])

    runs = [await rig.run(await rig.emit({"name": "Ada"})) for _ in range(2)]
    await rig.engine._journal.barrier()

    assert [run.error and run.error["code"] for run in runs] == ["expression.refused"] * 2
    with rig.database.read() as session:
        entries = session.exec(select(AuditEntry)).all()
    assert [(each.actor, each.action, each.target, each.details) for each in entries] == [
        ("Pulsewire", "expression.refused", "f", {"run": runs[0].id, "node": "body"})
    ]


def _failed(rig: Rig, run: RunRow) -> list[StepRow]:
    with rig.database.read() as session:
        failed = select(StepRow).where(StepRow.run_id == run.id, StepRow.node == "body", StepRow.status == "failed")
        return list(session.exec(failed))
