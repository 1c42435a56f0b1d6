"""What was given up stays as it is: in items that fail, in runs that end too early, after every wake-up and restart."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import select

from nodes.spec import NodeError
from storage.tables import StepRow, WaitRow
from tests.runtime.conftest import Rig


def node(node_id: str, kind: str, **params: Any) -> dict[str, Any]:
    return {"id": node_id, "type": kind, "params": params}


class Mails:
    """Keeps the idempotency key of every message."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def preview(self, **message: Any) -> dict[str, Any]:
        return message

    async def send(self, *, idempotency_key: str, **_message: Any) -> tuple[str, str]:
        self.keys.append(idempotency_key)
        return "id", "mailbox"


def statuses(rig: Rig, run_id: int, node_id: str) -> dict[str, str]:
    """Return how the steps of a node fared, by iteration."""
    with rig.database.read() as session:
        rows = session.exec(select(StepRow).where(StepRow.run_id == run_id, StepRow.node == node_id)).all()
    return {row.iteration: row.status for row in rows}


async def test_an_item_that_has_failed_asks_for_nothing_again_when_the_run_goes_on(rig: Rig) -> None:
    mails = rig.mailer = Mails()
    await rig.restart()
    loop = node("loop", "for_each", items=[1, 2], parallel=2, on_item_error="continue")
    ask = node("ask", "wait_for_approval", title="Refund?", to="boss@example.com")
    nodes = [loop, ask, node("is_bad", "condition", **{"if": "{{ $item == 1 }}"}), node("stop", "stop_with_error")]
    nodes[-1]["params"] = {"message": "No."}
    rig.flow(
        [*nodes, node("later", "delay", seconds=60), node("last", "call", text="last")],
        *(["start>loop", "loop.each>ask", "loop.each>is_bad", "is_bad.true>stop", "is_bad.false>later", "later>last"],),
    )
    run_id = await rig.emit()
    await rig.run(run_id, lambda run: run.status == "waiting")

    rig.clock.advance(seconds=61)
    await rig.engine.wake()
    await rig.calls.arrived["last"].wait()
    await rig.run(run_id, lambda run: run.status == "waiting")

    assert sorted(key.rpartition(":")[2] for key in mails.keys) == ["0", "1"]
    assert statuses(rig, run_id, "ask") == {"0": "skipped", "1": "waiting"}


async def test_a_step_of_unknown_outcome_stays_unknown_when_its_run_ends_otherwise(rig: Rig) -> None:
    document = rig.document([node("send", "call_once", text="send")], ["start>send"])
    document["graph"]["settings"] = {"timeout_s": 60}
    rig.publish(document)
    rig.calls.hold("send")
    run_id = await rig.emit()
    await rig.calls.arrived["send"].wait()
    await rig.restart()
    await rig.run(run_id, lambda run: run.status == "waiting")

    rig.clock.advance(seconds=61)
    await rig.engine.wake()
    run = await rig.run(run_id, lambda run: run.status == "failed")

    assert (run.error or {})["code"] == "run.timeout"
    assert statuses(rig, run_id, "send") == {"": "unknown"}


WAITS = {
    "event": node("wait", "wait_for_event", event="paid"),
    "approval": node("wait", "wait_for_approval", title="Refund?"),
    "run": node("wait", "run_flow", flow="sub"),
}


@pytest.mark.parametrize("kind", WAITS)
async def test_what_an_item_waits_for_is_forgotten_when_it_fails(rig: Rig, kind: str) -> None:
    loop = node("loop", "for_each", items=[1], on_item_error="continue")
    rig.flow([node("start", "manual"), node("later", "delay", seconds=60)], ["start>later"], flow_id="sub")
    rig.flow(
        [loop, WAITS[kind], node("bad", "call", text="bad"), node("last", "call", text="last")],
        ["start>loop", "loop.each>wait", "loop.each>bad", "loop.done>last"],
    )
    rig.calls.hold("bad")
    rig.calls.hold("last")
    rig.calls.fail("bad", NodeError("No."))
    run_id = await rig.emit()
    await rig.calls.arrived["bad"].wait()
    await rig.run(run_id, lambda _run: statuses(rig, run_id, "wait") == {"0": "waiting"})

    rig.calls.release("bad")
    await rig.calls.arrived["last"].wait()
    await rig.run(run_id, lambda _run: _open_waits(rig) == [])

    assert statuses(rig, run_id, "wait") == {"0": "skipped"}
    assert [run.status for run in rig.runs() if run.flow_id == "sub"] == ["cancelled"] * (kind == "run")


def _open_waits(rig: Rig) -> list[WaitRow]:
    with rig.database.read() as session:
        return [wait for wait in session.exec(select(WaitRow)) if wait.resolved_at is None]


async def test_a_step_under_way_when_its_run_takes_too_long_may_have_taken_place(rig: Rig) -> None:
    document = rig.document([node("send", "call", text="send")], ["start>send"])
    document["graph"]["settings"] = {"timeout_s": 1}
    rig.publish(document)
    rig.calls.hold("send")
    run_id = await rig.emit()
    await rig.calls.arrived["send"].wait()

    rig.clock.advance(seconds=2)
    run = await rig.run(run_id)

    assert (run.error or {})["code"] == "run.timeout"
    assert statuses(rig, run_id, "send") == {"": "unknown"}


async def test_a_run_whose_time_is_over_begins_with_nothing_more(rig: Rig) -> None:
    document = rig.document(
        [node("later", "delay", seconds=60), node("send", "call", text="send")], ["start>later", "later>send"]
    )
    document["graph"]["settings"] = {"timeout_s": 100}
    rig.publish(document)
    run_id = await rig.emit()
    await rig.run(run_id, lambda run: run.status == "waiting")

    rig.clock.advance(seconds=101)
    await rig.engine.wake()
    run = await rig.run(run_id)

    assert (run.error or {})["code"] == "run.timeout"
    assert rig.calls.seen == []


async def test_cancelling_a_run_stops_its_loop_and_leaves_the_send_in_it_unknown(rig: Rig) -> None:
    rig.flow([node("loop", "for_each", items=[1]), node("send", "call", text="send")], ["start>loop", "loop.each>send"])
    rig.calls.hold("send")
    run_id = await rig.emit()
    await rig.calls.arrived["send"].wait()

    assert await rig.engine.cancel(run_id)

    steps = rig.steps(run_id)
    assert (steps["loop"].status, (steps["loop"].error or {})["code"]) == ("failed", "step.stopped")
    assert (steps["send"].status, (steps["send"].error or {})["code"]) == ("unknown", "step.outcome_unknown")
