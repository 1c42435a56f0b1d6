"""Events that suspended steps wait for: which one it is, and what becomes of the secrets in them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select

from backend.events import EmailVerificationRequested
from runtime.engine import NewEvent
from runtime.masking import MASK
from storage.journal_waits import OFFERED_AT_ONCE
from storage.tables import StepRow, WaitEvent, WaitRow
from tests.canary import leaks, stored
from tests.runtime.conftest import Rig

TOKEN = "dK3x-Qp9_ZtR7mWv2LbNc8HsYfA1eGuJoT4iXnP6kEw"
USER = UUID("0b6f3f9e-54a1-4f5a-9d0c-6a3f2f8f2a11")
FIELDS: dict[str, Any] = {"userId": USER, "email": "ada@example.com", "emailVerified": False, "roles": []}
ASKED = EmailVerificationRequested(**FIELDS, token=TOKEN, link=f"https://flows.example.com/verify-email?token={TOKEN}")


def node(node_id: str, kind: str, **params: Any) -> dict[str, Any]:
    return {"id": node_id, "type": kind, "params": params}


def wait(**params: Any) -> dict[str, Any]:
    return node("wait", "wait_for_event", **{"event": "paid"} | params)


BUSY = node("busy", "call", text="busy")
USE = node("use", "call", text="{{ $action.wait.payload.token }}")
WAIT_ASKED = wait(event=ASKED.name)


def count(rig: Rig, table: type[Any]) -> int:
    with rig.database.read() as session:
        return len(session.exec(select(table)).all())


async def beside_busy(rig: Rig, *nodes: dict[str, Any]) -> int:
    """Start a run with a step that waits and one that is held; return it when both are under way."""
    edges = ["start>wait", "start>busy", *("wait>use" for each in nodes if each["id"] == "use")]
    rig.flow([*nodes, BUSY], edges)
    rig.calls.hold("busy")
    run_id = await rig.emit()
    await rig.calls.arrived["busy"].wait()
    await rig.run(run_id, lambda _run: count(rig, WaitRow) == 1)
    return run_id


def report(rig: Rig) -> None:
    """Let the backend report an event with a token."""
    with rig.database.write() as session:
        rig.platform.reporter.write(session, ASKED)


@pytest.mark.parametrize("at_once", [True, False], ids=["in one commit", "one by one"])
async def test_the_first_event_counts_whatever_its_id(rig: Rig, at_once: bool) -> None:
    events = [NewEvent("paid", {"number": number}, event_id) for number, event_id in enumerate(["b", "c", "a"])]
    run_id = await beside_busy(rig, wait())

    for some in [events] if at_once else [[event] for event in events]:
        await rig.engine.accept(some)
    rig.calls.release("busy")
    await rig.run(run_id)

    assert rig.steps(run_id)["wait"].output["event_id"] == "b"  # type: ignore[index]
    assert count(rig, WaitEvent) == 0


async def test_events_that_came_in_time_are_looked_at_however_many_there_are(rig: Rig) -> None:
    wanted = 2 * OFFERED_AT_ONCE + 5
    run_id = await beside_busy(rig, wait(condition=f"{{{{ $item.number == {wanted} }}}}", timeout_s=60))

    await rig.engine.accept([NewEvent("paid", {"number": number}) for number in range(wanted + 5)])
    rig.clock.advance(seconds=61)
    rig.calls.release("busy")
    await rig.run(run_id)

    step = rig.steps(run_id)["wait"]
    assert (step.port, (step.output or {})["payload"]) == ("out", {"number": wanted})
    assert count(rig, WaitEvent) == 0


@pytest.mark.parametrize(
    ("match", "payload", "is_met"),
    [
        ({}, {"order": 1}, True),
        ({"order": 1}, {"order": 1, "total": 5}, True),
        ({"order": 1}, {"order": 1.0}, True),
        ({"order": 1}, {"order": True}, False),
        ({"order": 1}, {"order": "1"}, False),
        ({"order": None}, {"order": None}, True),
        ({"order": None}, {}, False),
        ({"order": 1, "shop": "a"}, {"order": 1, "shop": "b"}, False),
        ({"order": 1, "shop": "a"}, {"shop": "a", "order": 1}, True),
        ({"at": {"x": 1, "y": [2.0]}}, {"at": {"y": [2], "x": 1}}, True),
        ({"at": {"x": 1}}, {"at": {"x": 1, "y": 2}}, False),
    ],
)
async def test_an_event_is_met_by_its_fields(
    rig: Rig, match: dict[str, Any], payload: dict[str, Any], is_met: bool
) -> None:
    await beside_busy(rig, wait(match=match))

    await rig.engine.accept([NewEvent("paid", payload), NewEvent("paid.not", payload)])

    assert count(rig, WaitEvent) == is_met


async def test_each_step_gets_the_event_that_has_its_fields(rig: Rig) -> None:
    loop = node("loop", "for_each", items=[{"a": 1}, {"a": 2}, {"b": 1}, {}], parallel=4)
    rig.flow([loop, wait(match="{{ $item }}")], ["start>loop", "loop.each>wait"])
    run_id = await rig.emit()
    await rig.run(run_id, lambda run: run.status == "waiting")

    await rig.engine.accept([NewEvent("paid", {"b": 1}, "one")])
    await rig.engine.accept([NewEvent("paid", {"a": 2, "b": 2}, "two"), NewEvent("paid", {"a": 1, "b": 1}, "three")])
    await rig.run(run_id)

    outputs = rig.steps(run_id)["loop"].output["outputs"]  # type: ignore[index]
    assert [output["event_id"] for output in outputs] == ["three", "two", "one", "one"]


@pytest.mark.parametrize("is_swept", [False, True], ids=["at once", "after a sweep and a restart"])
async def test_a_secret_of_an_event_that_nothing_else_hears_can_be_used(rig: Rig, is_swept: bool) -> None:
    run_id = await beside_busy(rig, WAIT_ASKED, USE)

    report(rig)
    if is_swept:
        await rig.engine.sweep()
        rig.calls.held.clear()
        await rig.restart()
    else:
        rig.calls.release("busy")
    run = await rig.run(run_id)

    assert run.status == "succeeded"
    assert rig.calls.seen[-1][0] == TOKEN
    assert rig.steps(run_id)["wait"].output["payload"]["token"] == MASK  # type: ignore[index]
    assert leaks(TOKEN, *stored(rig.database.path.parent)) == []


async def test_a_secret_that_expired_before_its_event_was_looked_at_cannot_be_used(rig: Rig) -> None:
    run_id = await beside_busy(rig, WAIT_ASKED, USE)

    report(rig)
    rig.clock.advance(hours=25)
    rig.calls.release("busy")
    run, steps = await rig.run(run_id), rig.steps(run_id)

    assert (run.status, (run.error or {})["code"]) == ("failed", "secret.expired")
    assert (steps["wait"].status, steps["wait"].output["payload"]["token"]) == ("succeeded", MASK)  # type: ignore[index]


@pytest.mark.parametrize("is_cut_off", [False, True], ids=["at once", "after a restart"])
async def test_a_secret_that_a_called_flow_returns_reaches_its_caller_alone(rig: Rig, is_cut_off: bool) -> None:
    give = node("give", "return_output", output={"key": "{{ $param.key }}"})
    rig.flow([node("start", "manual"), give, BUSY], ["start>give", "start>busy"], flow_id="sub")
    run = node("run", "run_flow", flow="sub", input={"key": "{{ $param.password }}"})
    rig.flow([run, node("use", "call", text="{{ $action.run.output.key }}")], ["start>run", "run>use"])
    rig.calls.hold("busy")
    secret = "correct-horse-battery"

    run_id = await rig.emit({"password": secret})
    await rig.calls.arrived["busy"].wait()
    await rig.run(run_id, lambda run: run.status == "waiting")
    if is_cut_off:
        rig.calls.held.clear()
        await rig.restart()
    else:
        rig.calls.release("busy")
    await rig.run(run_id)

    assert rig.calls.seen[-1][0] == secret
    assert rig.steps(run_id)["run"].output["output"] == {"key": MASK}  # type: ignore[index]
    assert leaks(secret, *stored(rig.database.path.parent)) == []


async def test_a_loop_ends_although_what_its_rounds_gave_has_expired(rig: Rig) -> None:
    loop = node("loop", "for_each", items=[1, 2], on_item_error="continue")
    get = node("get", "set_fields", fields={"token": "{{ $param.token }}"})
    nodes = [loop, get, node("later", "delay", seconds=60)]
    rig.flow(nodes, ["start>loop", "loop.each>get", "loop.each>later"], event=ASKED.name)

    report(rig)
    await rig.engine.wake()
    (run,) = rig.runs()
    assert run.id is not None
    for _ in range(2):
        await rig.run(run.id, lambda run: run.status == "waiting")
        rig.clock.advance(hours=26)
        await rig.engine.wake()
    run = await rig.run(run.id)

    with rig.database.read() as session:
        row = session.get_one(StepRow, (run.id, "loop", ""))
    assert (run.status, row.output["failed"]) == ("succeeded", 1)  # type: ignore[index]
