"""Suspended runs: delays, events, approvals and sub-flows, which hold no worker and survive a restart."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from nodes.spec import NodeError
from runtime import outbox, run_reading, waits
from runtime.errors import Conflict, NotFound
from runtime.outbox import NewEvent
from runtime.run_views import WaitView
from runtime.settling import settle
from storage.tables import StepRow, WaitEvent, WaitRow
from tests.runtime.conftest import Rig

AFTER = {"id": "after", "type": "echo"}


def delay(seconds: float) -> dict[str, Any]:
    return {"id": "wait", "type": "delay", "params": {"seconds": seconds}}


def event(**params: Any) -> dict[str, Any]:
    return {"id": "wait", "type": "wait_for_event", "params": {"event": "paid", **params}}


def approval(**params: Any) -> dict[str, Any]:
    return {"id": "wait", "type": "wait_for_approval", "params": {"title": "Refund?", **params}}


def rows(rig: Rig, table: type[Any]) -> list[Any]:
    with rig.database.read() as session:
        return list(session.exec(select(table)).all())


async def waiting(rig: Rig, payload: dict[str, Any] | None = None) -> int:
    """Start a run and return it when it waits."""
    run_id = await rig.emit(payload)
    await rig.run(run_id, lambda run: run.status == "waiting")
    return run_id


async def decided(rig: Rig, run_id: int, *, approved: bool, comment: str = "") -> None:
    with rig.database.write() as session:
        waits.decide(session, run_id=run_id, node="wait", approved=approved, by="ada", comment=comment, now=rig.clock())
    await rig.engine.wake()


async def test_a_delay_goes_on_at_its_time_and_holds_nothing_meanwhile(rig: Rig) -> None:
    rig.flow([delay(3600), AFTER], ["start>wait", "wait>after"])
    run_id = await waiting(rig)
    async with asyncio.timeout(10):
        while (await rig.engine.status()).open_runs:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)

    rig.clock.advance(hours=1)
    await rig.engine.wake()
    run = await rig.run(run_id)

    assert run.status == "succeeded"
    assert rig.steps(run_id)["wait"].output == {"waited_until": "2026-05-04T10:00:00Z"}
    assert rig.steps(run_id)["after"].status == "succeeded"


async def test_a_delay_that_ended_while_the_engine_was_down_goes_on_at_the_start(rig: Rig) -> None:
    rig.flow([delay(3600), AFTER], ["start>wait", "wait>after"])
    run_id = await waiting(rig)

    rig.clock.advance(days=2)
    await rig.restart()
    run = await rig.run(run_id)

    assert run.status == "succeeded"
    assert rig.steps(run_id)["wait"].output == {"waited_until": "2026-05-04T10:00:00Z"}


async def test_a_delay_is_not_begun_anew_by_a_restart(rig: Rig) -> None:
    rig.flow([delay(3600)], ["start>wait"])
    run_id = await waiting(rig)
    rig.clock.advance(minutes=30)
    await rig.restart()

    rig.clock.advance(minutes=30)
    await rig.engine.wake()

    assert (await rig.run(run_id)).status == "succeeded"


async def test_other_branches_go_on_while_one_waits(rig: Rig) -> None:
    nodes = [delay(3600), {"id": "other", "type": "call", "params": {"text": "x"}}]
    rig.flow(nodes, ["start>wait", "start>other"])

    run_id = await waiting(rig)

    assert rig.steps(run_id)["other"].status == "succeeded"
    assert rig.steps(run_id)["wait"].effect == {"kind": "delay", "until": "2026-05-04T10:00:00+00:00"}


async def test_an_event_that_matches_lets_the_run_go_on(rig: Rig) -> None:
    rig.flow([event(match={"order": "{{ $param.order }}"}), AFTER], ["start>wait", "wait>after"])
    run_id = await waiting(rig, {"order": 7})

    await rig.engine.accept([NewEvent("paid", {"order": 8})])
    await rig.engine.accept([NewEvent("paid", {"order": 7, "total": 5}, "e7")])
    run = await rig.run(run_id)

    assert run.status == "succeeded"
    assert rig.steps(run_id)["wait"].output == {
        "event_id": "e7",
        "name": "paid",
        "payload": {"order": 7, "total": 5},
    }
    assert rows(rig, WaitRow) == rows(rig, WaitEvent) == []


async def test_a_condition_reads_the_event_as_item_and_the_flows_own_names(rig: Rig) -> None:
    rig.flow([event(condition="{{ $item.total > $param.least }}")], ["start>wait"])
    run_id = await waiting(rig, {"least": 100})

    await rig.engine.accept([NewEvent("paid", {"total": 50}, "small")])
    await rig.engine.accept([NewEvent("paid", {"no": "total"}, "odd")])
    await rig.engine.accept([NewEvent("paid", {"total": 500}, "large")])
    await rig.run(run_id)

    assert rig.steps(run_id)["wait"].output["event_id"] == "large"  # type: ignore[index]


async def test_an_event_from_another_process_lets_the_run_go_on(rig: Rig) -> None:
    rig.flow([event()], ["start>wait"])
    run_id = await waiting(rig)

    with rig.database.write() as session:
        _id, due = outbox.record(session, "paid", {"order": 1}, now=rig.clock())
    await rig.engine.wake()

    assert due == [run_id]
    assert (await rig.run(run_id)).status == "succeeded"


async def test_an_event_that_comes_while_the_engine_is_down_is_not_missed(rig: Rig) -> None:
    rig.flow([event()], ["start>wait"])
    run_id = await waiting(rig)
    await rig.engine.stop(grace_s=0)

    with rig.database.write() as session:
        outbox.record(session, "paid", {}, now=rig.clock())
    await rig.restart()

    assert (await rig.run(run_id)).status == "succeeded"


async def test_an_event_that_comes_while_another_branch_is_busy_is_not_missed(rig: Rig) -> None:
    nodes = [event(), {"id": "busy", "type": "call", "params": {"text": "busy"}}]
    rig.flow(nodes, ["start>wait", "start>busy"])
    rig.calls.hold("busy")
    run_id = await rig.emit()
    await rig.calls.arrived["busy"].wait()
    await rig.run(run_id, lambda _run: bool(rows(rig, WaitRow)))

    await rig.engine.accept([NewEvent("paid", {})])
    rig.calls.release("busy")

    assert (await rig.run(run_id)).status == "succeeded"


async def test_an_approval_of_unknown_outcome_is_not_marked_as_done_but_asked_again(rig: Rig) -> None:
    rig.flow([approval(), AFTER], ["start>wait", "wait.approved>after"])
    run_id = await waiting(rig)
    await rig.engine.stop()
    settled = (run_id, "wait", "")
    with rig.database.write() as session:
        session.get_one(StepRow, settled).status = "unknown"

    with (
        pytest.raises(Conflict, match="“approved” or “rejected” or “timeout”") as refused,
        rig.database.write() as session,
    ):
        settle(session, *settled, "mark_done", None, rig.clock(), rig.types)
    with rig.database.write() as session:
        settle(session, *settled, "send_again", None, rig.clock(), rig.types)
    await rig.restart()
    await rig.run(run_id, lambda run: run.status == "waiting" and run.wake_at is None)
    await decided(rig, run_id, approved=True)

    assert refused.value.problems[0].code == "step.port_unknown"
    assert (await rig.run(run_id)).status == "succeeded"
    assert rig.steps(run_id)["after"].status == "succeeded"


async def test_without_an_event_the_run_goes_on_at_timeout(rig: Rig) -> None:
    late = {"id": "late", "type": "echo"}
    rig.flow([event(timeout_s=60), AFTER, late], ["start>wait", "wait>after", "wait.timeout>late"])
    run_id = await waiting(rig)

    rig.clock.advance(seconds=61)
    await rig.engine.wake()
    run = await rig.run(run_id)

    assert run.status == "succeeded"
    assert {node: step.status for node, step in rig.steps(run_id).items()} == {
        "start": "succeeded",
        "wait": "succeeded",
        "after": "skipped",
        "late": "succeeded",
    }
    assert rows(rig, WaitRow) == []


@pytest.mark.parametrize("approved", [True, False], ids=["approved", "rejected"])
async def test_a_person_decides(rig: Rig, approved: bool) -> None:
    rig.flow([approval(), AFTER], ["start>wait", "wait.approved>after"])
    run_id = await waiting(rig)

    await decided(rig, run_id, approved=approved, comment="fine")
    run = await rig.run(run_id)

    step = rig.steps(run_id)["wait"]
    assert run.status == "succeeded"
    assert step.port == ("approved" if approved else "rejected")
    assert step.output == {
        "approved": approved,
        "by": "ada",
        "comment": "fine",
        "decided_at": "2026-05-04T09:00:00Z",
    }
    assert rig.steps(run_id)["after"].status == ("succeeded" if approved else "skipped")


async def test_an_approval_is_decided_once(rig: Rig) -> None:
    rig.flow([approval()], ["start>wait"])
    run_id = await waiting(rig)
    await rig.engine.stop(grace_s=0)
    with rig.database.write() as session:
        waits.decide(session, run_id=run_id, node="wait", approved=True, by="a", comment="", now=rig.clock())

    with rig.database.write() as session, pytest.raises(Conflict):
        waits.decide(session, run_id=run_id, node="wait", approved=False, by="b", comment="", now=rig.clock())

    await rig.restart()
    await rig.run(run_id)
    assert rig.steps(run_id)["wait"].port == "approved"


async def test_the_link_of_an_approval_opens_it_and_no_other_does(rig: Rig) -> None:
    rig.flow([approval(message="Order 7")], ["start>wait"])
    run_id = await waiting(rig)
    installation = rig.engine.installation
    token = waits.approval_token(rig.seals, installation, run_id, "wait", "")
    other = waits.approval_token(rig.seals, installation, run_id + 1, "wait", "")

    with rig.database.write() as session:
        found = waits.approval_of(session, token, rig.clock())
        with pytest.raises(NotFound):
            waits.decide(session, token=other, approved=True, by="link", comment="", now=rig.clock())

    assert found is not None
    assert (found.run_id, found.title, found.message, found.decided) == (run_id, "Refund?", "Order 7", None)


@pytest.mark.parametrize("state", ["decided", "expired", "closed"])
async def test_a_link_says_what_became_of_its_approval(rig: Rig, state: str) -> None:
    rig.flow([approval(timeout_s=60)], ["start>wait"])
    run_id = await waiting(rig)
    token = waits.approval_token(rig.seals, rig.engine.installation, run_id, "wait", "")

    if state == "decided":
        await decided(rig, run_id, approved=False, comment="no")
    elif state == "expired":
        rig.clock.advance(seconds=61)
        await rig.engine.wake()
    else:
        await rig.engine.cancel(run_id)
    await rig.run(run_id)

    with rig.database.read() as session:
        found = waits.approval_of(session, token, rig.clock())
    assert found is not None
    assert (found.state, (found.decided or {}).get("comment")) == (state, "no" if state == "decided" else None)


async def test_a_late_decision_is_refused(rig: Rig) -> None:
    rig.flow([approval(timeout_s=60)], ["start>wait"])
    run_id = await waiting(rig)
    rig.clock.advance(seconds=61)

    with rig.database.write() as session, pytest.raises(Conflict):
        waits.decide(session, run_id=run_id, node="wait", approved=True, by="a", comment="", now=rig.clock())


async def test_a_sub_flow_gets_its_input_and_its_output_comes_back(rig: Rig) -> None:
    called = {"id": "start", "type": "manual", "params": {"inputs": {"n": "integer"}}}
    answer = {"id": "answer", "type": "return_output", "params": {"output": {"double": "{{ $param.n * 2 }}"}}}
    rig.flow([called, answer], ["start>answer"], flow_id="double")
    call = {"id": "call", "type": "run_flow", "params": {"flow": "double", "input": {"n": "{{ $param.n }}"}}}
    rig.flow([call, AFTER], ["start>call", "call>after"])

    run, steps = await rig.done({"n": 21})

    assert run.status == "succeeded"
    child = next(each for each in rig.runs() if each.flow_id == "double")
    assert steps["call"].output == {"run": child.id, "output": {"double": 42}}
    assert (child.status, child.output) == ("succeeded", {"double": 42})


@pytest.mark.parametrize(
    ("flow", "given", "code"),
    [
        ("nowhere", {}, "run_flow.not_found"),
        ("double", {"n": "x"}, "input.wrong_type"),
        ("double", {}, "input.missing"),
        ("double", {"n": 1, "m": 1}, "input.unknown"),
        ("f", {}, "run.no_manual_trigger"),
    ],
)
async def test_a_flow_that_cannot_be_called_fails_the_step(rig: Rig, flow: str, given: Any, code: str) -> None:
    called = {"id": "start", "type": "manual", "params": {"inputs": {"n": "integer"}}}
    rig.flow([called], [], flow_id="double")
    rig.flow([{"id": "call", "type": "run_flow", "params": {"flow": flow, "input": given}}], ["start>call"])

    run, steps = await rig.done()

    assert (run.status, steps["call"].error and steps["call"].error["code"]) == ("failed", code)
    assert [each.flow_id for each in rig.runs()] == ["f"]
    assert rows(rig, WaitRow) == []


async def test_a_sub_flow_that_fails_fails_the_step_that_called_it(rig: Rig) -> None:
    stop = {"id": "stop", "type": "stop_with_error", "params": {"message": "No stock."}}
    rig.flow([{"id": "start", "type": "manual", "params": {}}, stop], ["start>stop"], flow_id="sub")
    rig.flow([{"id": "call", "type": "run_flow", "params": {"flow": "sub"}}], ["start>call"])

    run, _steps = await rig.done()

    assert (run.status, (run.error or {})["code"]) == ("failed", "run_flow.failed")
    assert "No stock." in (run.error or {})["message"]


async def test_a_sub_flow_survives_a_restart_and_is_called_once(rig: Rig) -> None:
    held = {"id": "held", "type": "call", "params": {"text": "held"}}
    rig.flow([{"id": "start", "type": "manual", "params": {}}, held], ["start>held"], flow_id="sub")
    rig.flow([{"id": "call", "type": "run_flow", "params": {"flow": "sub"}}], ["start>call"])
    rig.calls.hold("held")
    run_id = await rig.emit()
    await rig.calls.arrived["held"].wait()

    rig.calls.held.clear()
    await rig.restart()
    run = await rig.run(run_id)

    assert run.status == "succeeded"
    assert [each.flow_id for each in rig.runs()] == ["f", "sub"]


async def test_flows_that_call_each_other_in_a_circle_are_stopped(rig: Rig) -> None:
    rig.flow(
        [
            {"id": "start", "type": "manual", "params": {}},
            {"id": "call", "type": "run_flow", "params": {"flow": "a"}},
        ],
        ["start>call"],
        flow_id="a",
    )
    rig.flow([{"id": "call", "type": "run_flow", "params": {"flow": "a"}}], ["start>call"])

    run, _steps = await rig.done()

    assert run.status == "failed"
    assert len(rig.runs()) <= 17
    assert all(each.status == "failed" for each in rig.runs())


@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_what_a_run_called_is_let_go_with_it_although_a_call_is_under_way(rig: Rig, how: str) -> None:
    start = {"id": "start", "type": "manual", "params": {}}
    rig.flow([start, {"id": "held", "type": "call", "params": {"text": "held"}}], ["start>held"], flow_id="last")
    calls = {"id": "calls", "type": "run_flow", "params": {"flow": "last"}}
    rig.flow([start, calls], ["start>calls"], flow_id="called")
    other = {"id": "other", "type": "call", "params": {"text": "other"}}
    first = {**calls, "params": {"flow": "called"}}
    rig.flow([first, other], ["start>calls", "start>other"])
    rig.calls.hold("held")
    rig.calls.hold("other")
    rig.calls.fail("other", NodeError("It has failed."))
    run_id = await rig.emit()
    await asyncio.gather(*[rig.calls.arrived[text].wait() for text in ("held", "other")])
    await rig.run(run_id, lambda _run: len(rows(rig, WaitRow)) == 2)

    if how == "cancelled":
        await rig.engine.cancel(run_id)
    else:
        rig.calls.release("other")
    async with asyncio.timeout(10):
        while (await rig.engine.status()).open_runs:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)

    assert [run.status for run in rig.runs()] == [how, "cancelled", "cancelled"]
    assert "held" in rig.calls.held  # the call never ended


async def test_cancelling_a_run_stops_what_it_called_and_forgets_what_it_waits_for(rig: Rig) -> None:
    rig.flow([{"id": "start", "type": "manual", "params": {}}, delay(60)], ["start>wait"], flow_id="sub")
    nodes = [{"id": "call", "type": "run_flow", "params": {"flow": "sub"}}, event()]
    rig.flow(nodes, ["start>call", "start>wait"])
    run_id = await rig.emit()
    await rig.run(run_id, lambda _run: len(rig.runs()) == 2 and rig.runs()[1].status == "waiting")

    assert await rig.engine.cancel(run_id)

    assert [run.status for run in rig.runs()] == ["cancelled", "cancelled"]
    assert rows(rig, WaitRow) == []
    assert {step.status for run in rig.runs() for step in rig.steps(run.id or 0).values()} == {"succeeded", "skipped"}


async def test_a_run_that_fails_forgets_what_its_other_branches_wait_for(rig: Rig) -> None:
    nodes = [event(), {"id": "stop", "type": "stop_with_error", "params": {"message": "No."}}]
    nodes.insert(1, {"id": "slow", "type": "call", "params": {"text": "slow"}})
    rig.flow(nodes, ["start>wait", "start>slow", "slow>stop"])
    rig.calls.hold("slow")
    run_id = await rig.emit()
    await rig.calls.arrived["slow"].wait()
    await rig.run(run_id, lambda _run: bool(rows(rig, WaitRow)))

    rig.calls.release("slow")
    run = await rig.run(run_id)

    assert run.status == "failed"
    assert rows(rig, WaitRow) == []
    assert rig.steps(run_id)["wait"].status == "skipped"


async def test_a_failed_run_is_reported_and_not_to_its_own_flow(rig: Rig) -> None:
    stop = {"id": "stop", "type": "stop_with_error", "params": {"message": "No."}}
    listens = {"id": "start", "type": "event", "params": {"event": "flow.run_failed"}}
    rig.flow([stop], ["start>stop"])
    rig.flow([listens, AFTER], ["start>after"], flow_id="hears")
    rig.flow([listens, stop], ["start>stop"], flow_id="fails")

    run_id = await rig.emit()
    await rig.run(run_id, lambda _run: len(rig.runs()) == 4 and all(run.ended_at for run in rig.runs()))

    started = [(run.flow_id, rig.event(run)["flow"]) for run in rig.runs()[1:]]
    assert sorted(started) == [("fails", "f"), ("hears", "f"), ("hears", "fails")]


async def test_a_run_that_takes_too_long_is_ended(rig: Rig) -> None:
    document = rig.document([delay(3600)], ["start>wait"])
    document["graph"]["settings"] = {"timeout_s": 60}
    rig.publish(document)
    run_id = await waiting(rig)

    rig.clock.advance(seconds=61)
    await rig.engine.wake()
    run = await rig.run(run_id)

    assert (run.status, (run.error or {})["code"]) == ("failed", "run.timeout")
    assert (run.error or {})["message"] == "The run did not end within 60 seconds."
    assert rig.steps(run_id)["wait"].status == "skipped"


async def test_a_step_that_takes_too_long_fails(rig: Rig) -> None:
    rig.flow([{"id": "slow", "type": "call", "params": {"text": "slow"}, "timeout_s": 0.1}], ["start>slow"])
    rig.calls.hold("slow")

    run, steps = await rig.done()

    assert (run.status, steps["slow"].error and steps["slow"].error["code"]) == ("failed", "step.timeout")


@pytest.mark.parametrize("restarts", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("node", [delay(3600), event(), event(timeout_s=3600), approval()], ids=str)
async def test_a_step_that_waits_for_longer_than_its_time_out_fails(
    rig: Rig, node: dict[str, Any], *, restarts: bool
) -> None:
    error = {"id": "error", "type": "echo", "params": {"text": "{{ $action.wait.code }}"}}
    rig.flow([{**node, "timeout_s": 60, "on_error": "port"}, AFTER, error], ["start>wait", "wait.error>error"])
    run_id = await waiting(rig)

    rig.clock.advance(seconds=59)
    await rig.engine.wake()
    early = await rig.run(run_id, lambda run: run.status == "waiting")
    rig.clock.advance(seconds=2)
    await (rig.restart() if restarts else rig.engine.wake())
    run = await rig.run(run_id)

    assert (early.status, run.status) == ("waiting", "succeeded")
    assert rig.steps(run_id)["wait"].error == {
        "message": "The step did not end within 60 seconds.",
        "code": "step.timeout",
        "step": "wait",
    }
    assert (rig.steps(run_id)["error"].output or {})["text"] == "step.timeout"
    assert [row for row in rows(rig, WaitRow) if row.resolved_at is None] == []


@pytest.mark.parametrize("node", [delay(120), event(timeout_s=120), approval(timeout_s=120)], ids=str)
async def test_the_sooner_of_two_times_counts_although_both_are_over_when_they_are_looked_at(
    rig: Rig, node: dict[str, Any]
) -> None:
    error = {"id": "error", "type": "echo"}
    rig.flow([{**node, "timeout_s": 60, "on_error": "port"}, AFTER, error], ["start>wait", "wait.error>error"])
    run_id = await waiting(rig)

    rig.clock.advance(hours=1)
    await rig.restart()
    await rig.run(run_id)

    assert (rig.steps(run_id)["wait"].error or {}).get("code") == "step.timeout"
    assert rig.steps(run_id)["error"].status == "succeeded"


async def test_a_sub_flow_that_takes_longer_than_its_step_may_is_cancelled_and_called_again(rig: Rig) -> None:
    rig.flow([{"id": "start", "type": "manual", "params": {}}, event()], ["start>wait"], flow_id="sub")
    call = {"id": "call", "type": "run_flow", "params": {"flow": "sub"}, "timeout_s": 60}
    rig.flow([call | {"retry": {"attempts": 2, "delay_s": 0}}], ["start>call"])
    run_id = await rig.emit()
    await rig.run(run_id, lambda _run: len(rig.runs()) == 2 and rig.runs()[1].status == "waiting")

    rig.clock.advance(seconds=61)
    await rig.engine.wake()
    await rig.run(run_id, lambda _run: len(rig.runs()) == 3 and rig.runs()[2].status == "waiting")
    await rig.engine.accept([NewEvent("paid", {})])
    run = await rig.run(run_id)

    assert [each.status for each in rig.runs()] == ["succeeded", "cancelled", "succeeded"]
    assert (rig.steps(run_id)["call"].attempt, (rig.steps(run_id)["call"].output or {})["run"]) == (2, 3)
    assert run.status == "succeeded"


async def test_what_came_in_time_counts_although_the_time_is_over_when_it_is_looked_at(rig: Rig) -> None:
    rig.flow([event() | {"timeout_s": 60}, AFTER], ["start>wait", "wait>after"])
    run_id = await waiting(rig)
    await rig.engine.stop(grace_s=0)
    with rig.database.write() as session:
        outbox.record(session, "paid", {"n": 1}, now=rig.clock())

    rig.clock.advance(seconds=61)
    await rig.restart()

    assert (await rig.run(run_id)).status == "succeeded"


@pytest.mark.parametrize("limit", ["the step's", "its own"])
async def test_what_came_too_late_does_not_count_although_nobody_looked_in_between(rig: Rig, limit: str) -> None:
    node = event() | {"timeout_s": 60, "on_error": "port"} if limit == "the step's" else event(timeout_s=60)
    rig.flow([node, AFTER], ["start>wait", "wait>after"])
    run_id = await waiting(rig)
    await rig.engine.stop(grace_s=0)

    rig.clock.advance(seconds=61)
    with rig.database.write() as session:
        outbox.record(session, "paid", {"n": 1}, now=rig.clock())
    await rig.restart()
    await rig.run(run_id)

    assert rig.steps(run_id)["wait"].port == ("error" if limit == "the step's" else "timeout")
    assert rows(rig, WaitRow) == rows(rig, WaitEvent) == []


async def test_the_link_of_an_approval_says_that_the_steps_own_time_is_over(rig: Rig) -> None:
    rig.flow([approval(timeout_s=3600) | {"timeout_s": 60, "on_error": "port"}], ["start>wait"])
    run_id = await waiting(rig)
    token = waits.approval_token(rig.seals, rig.engine.installation, run_id, "wait", "")

    def shown() -> tuple[str, datetime | None]:
        with rig.database.read() as session:
            found = waits.approval_of(session, token, rig.clock())
        assert found is not None
        return found.state, found.until

    before, until = shown(), rig.clock() + timedelta(seconds=60)
    rig.clock.advance(seconds=61)
    await rig.engine.wake()
    await rig.run(run_id)

    assert [before, shown()] == [("open", until), ("expired", until)]


async def test_a_decision_that_the_run_has_not_seen_yet_counts_although_the_time_is_over(rig: Rig) -> None:
    nodes = [approval() | {"timeout_s": 60}, {"id": "slow", "type": "call", "params": {"text": "slow"}}]
    rig.flow(nodes, ["start>wait", "start>slow"])
    rig.calls.hold("slow")
    run_id = await rig.emit()
    await rig.calls.arrived["slow"].wait()
    await rig.run(run_id, lambda _run: bool(rows(rig, WaitRow)))

    with rig.database.write() as session:
        waits.decide(session, run_id=run_id, node="wait", approved=True, by="ada", comment="", now=rig.clock())
    rig.clock.advance(seconds=61)
    rig.calls.release("slow")

    assert (await rig.run(run_id)).status == "succeeded"
    assert rig.steps(run_id)["wait"].port == "approved"


async def test_what_a_step_waits_for_is_shown_with_its_own_time_out(rig: Rig) -> None:
    rig.flow([event(timeout_s=3600) | {"timeout_s": 60}], ["start>wait"])
    run_id = await waiting(rig)

    with rig.database.read() as session:
        step = run_reading.read_run(session, run_id, rig.types).step("wait")

    assert step is not None
    assert step.wait == WaitView("event", rig.clock() + timedelta(seconds=60), event="paid")


async def test_a_suspended_step_in_a_simulated_run_does_not_wait(rig: Rig) -> None:
    from runtime.engine_api import TestRequest

    nodes = [delay(3600), {**event(), "id": "event"}, {**approval(), "id": "ask"}, AFTER]
    document = rig.document(nodes, ["start>wait", "wait>event", "event>ask", "ask.approved>after"])

    run_id = await rig.engine.start_test(TestRequest("f", document, "start", {}))
    run = await rig.run(run_id)

    assert run.status == "succeeded"
    assert [rig.steps(run_id)[node].effect["kind"] for node in ("wait", "event", "ask")] == [  # type: ignore[index]
        *("delay", "event", "approval")
    ]
    assert rows(rig, WaitRow) == []
