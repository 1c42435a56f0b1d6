from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nodes.spec import Context, Effect, NodeError, Output, Params, TemporaryError, action
from runtime import limits
from runtime.steps import StepFailed, prepare

RETRY = {"attempts": 3, "delay_s": 5, "backoff": 2}


def call(node_id: str, **more: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "call", "params": {"text": node_id}, **more}


def echo(node_id: str, text: str = "") -> dict[str, Any]:
    return {"id": node_id, "type": "echo", "params": {"text": text or node_id}}


def condition(node_id: str, test: str) -> dict[str, Any]:
    return {"id": node_id, "type": "condition", "params": {"if": f"{{{{ {test} }}}}"}}


async def test_steps_read_the_payload_and_the_outputs_before_them(rig) -> None:
    rig.flow(
        [echo("one", "{{ $param.name }}!"), echo("two", "{{ $action.one.text }}?")],
        ["start>one", "one>two"],
    )

    run, steps = await rig.done({"name": "Ada"})

    assert run.status == "succeeded"
    assert {node: (step.status, step.port, step.output) for node, step in steps.items()} == {
        "start": ("succeeded", "out", {"name": "Ada"}),
        "one": ("succeeded", "out", {"text": "Ada!"}),
        "two": ("succeeded", "out", {"text": "Ada!?"}),
    }
    assert steps["two"].input == {"text": "Ada!?"}


async def test_a_branch_not_taken_is_skipped_and_the_join_runs_once(rig) -> None:
    rig.flow(
        [condition("is_big", "$param.n > 5"), echo("big"), echo("bigger"), echo("small"), echo("join")],
        ["start>is_big", "is_big.true>big", "big>bigger", "bigger>join", "is_big.false>small", "small>join"],
    )

    run, steps = await rig.done({"n": 1})

    assert run.status == "succeeded"
    assert {node: step.status for node, step in steps.items()} == {
        "start": "succeeded",
        "is_big": "succeeded",
        "big": "skipped",
        "bigger": "skipped",
        "small": "succeeded",
        "join": "succeeded",
    }


async def test_a_join_waits_for_the_slower_branch(rig) -> None:
    rig.flow([call("slow"), echo("quick"), echo("join", "{{ $action.slow.text }}")], [
        "start>slow", "start>quick", "slow>join", "quick>join",
    ])  # fmt: skip
    rig.calls.hold("slow")

    run_id = await rig.emit()
    await rig.calls.arrived["slow"].wait()
    await rig.run(run_id, lambda _run: "quick" in rig.steps(run_id))
    before = set(rig.steps(run_id))
    rig.calls.release("slow")
    await rig.run(run_id)

    assert before == {"start", "slow", "quick"}
    assert rig.steps(run_id)["join"].output == {"text": "slow"}


async def test_branches_that_wait_for_the_outside_run_at_the_same_time(rig) -> None:
    rig.flow([call("left"), call("right")], ["start>left", "start>right"])
    rig.calls.hold("left")
    rig.calls.hold("right")

    run_id = await rig.emit()
    async with asyncio.timeout(5):
        await rig.calls.arrived["left"].wait()
        await rig.calls.arrived["right"].wait()
    rig.calls.release("left")
    rig.calls.release("right")

    assert (await rig.run(run_id)).status == "succeeded"


async def test_a_sending_step_is_recorded_as_running_before_it_is_called(rig) -> None:
    rig.flow([echo("first"), call("send")], ["start>first", "first>send"])
    rig.calls.hold("send")

    run_id = await rig.emit()
    await rig.calls.arrived["send"].wait()
    steps = rig.steps(run_id)
    rig.calls.release("send")
    await rig.run(run_id)

    assert (steps["first"].status, steps["send"].status) == ("succeeded", "running")
    assert steps["send"].input == {"text": "send"}


async def test_a_failed_step_stops_the_run_and_what_is_left_is_skipped(rig) -> None:
    rig.flow([call("send"), echo("after"), echo("other")], ["start>send", "send>after", "after>other"])
    rig.calls.fail("send", NodeError("The service said no.", code="http.status_400"))

    run, steps = await rig.done()

    assert run.status == "failed"
    assert run.error == {"message": "Send: The service said no.", "code": "http.status_400", "node": "send"}
    assert steps["send"].error == {"message": "The service said no.", "code": "http.status_400", "step": "send"}
    assert (steps["send"].status, steps["after"].status, steps["other"].status) == ("failed", "skipped", "skipped")


async def test_a_failed_step_may_be_passed_over(rig) -> None:
    rig.flow([call("send", on_error="continue"), echo("after")], ["start>send", "send>after"])
    rig.calls.fail("send", NodeError("no"))

    run, steps = await rig.done()

    assert run.status == "succeeded"
    assert (steps["send"].status, steps["send"].output, steps["after"].status) == ("failed", None, "succeeded")


async def test_a_branch_that_cannot_be_chosen_may_be_passed_over(rig) -> None:
    rig.flow(
        [condition("is_big", "$param.n > 5") | {"on_error": "continue"}, echo("big"), echo("after")],
        ["start>is_big", "is_big.true>big", "is_big>after"],
    )

    run, steps = await rig.done()

    assert run.status == "succeeded"
    assert [steps[node].status for node in ("is_big", "big", "after")] == ["failed", "skipped", "succeeded"]


async def test_parameter_of_two_kinds_is_told_in_plain_words(rig) -> None:
    mail = {"id": "mail", "type": "send_email", "params": {"to": "{{ $param.to }}", "subject": "Hi"}}
    rig.flow([mail], ["start>mail"])

    run, _ = await rig.done({"to": ""})

    assert run.error["message"] == "Mail: “To” is too short: it needs 1 or more characters."


async def test_a_failed_step_may_fire_its_error_port(rig) -> None:
    rig.flow(
        [call("send", on_error="port"), echo("good"), echo("bad", "{{ $action.send.code }}")],
        ["start>send", "send>good", "send.error>bad"],
    )
    rig.calls.fail("send", NodeError("no", code="x.y"))

    run, steps = await rig.done()

    assert run.status == "succeeded"
    assert (steps["good"].status, steps["bad"].output) == ("skipped", {"text": "x.y"})
    assert steps["send"].output == {"message": "no", "code": "x.y", "step": "send"}


async def test_a_temporary_error_is_tried_again_after_its_delay_and_a_restart_does_not_lose_it(rig) -> None:
    rig.flow([call("send", retry=RETRY), echo("after")], ["start>send", "send>after"])
    rig.calls.fail("send", TemporaryError("busy", code="http.status_503"), TemporaryError("busy"))

    run_id = await rig.emit()
    run = await rig.run(run_id, lambda run: run.status == "waiting")
    first = rig.steps(run_id)["send"]
    waits_s = (run.wake_at - rig.clock()).total_seconds()
    await rig.restart()
    rig.clock.advance(seconds=waits_s + 0.1)
    await rig.run(run_id, lambda run: run.status == "waiting" and rig.steps(run_id)["send"].attempt == 2)
    rig.clock.advance(seconds=12)
    done = await rig.run(run_id)
    last = rig.steps(run_id)["send"]

    assert (first.status, first.attempt, 5 <= waits_s <= 5.5) == ("waiting", 1, True)
    assert (done.status, last.status, last.attempt, last.error) == ("succeeded", "succeeded", 3, None)
    assert len({key for _text, key in rig.calls.seen}) == 1


async def test_the_last_attempt_fails_the_run(rig) -> None:
    rig.flow([call("send", retry=RETRY | {"attempts": 2, "delay_s": 0})], ["start>send"])
    rig.calls.fail("send", *[TemporaryError("busy") for _ in range(9)])

    run, steps = await rig.done()

    assert (run.status, steps["send"].status, steps["send"].attempt) == ("failed", "failed", 2)


async def test_no_delay_is_longer_than_the_longest(rig) -> None:
    rig.flow(
        [call("send", retry={"attempts": 3, "delay_s": limits.RETRY_DELAY_S, "backoff": 10})],
        ["start>send"],
    )
    rig.calls.fail("send", TemporaryError("busy"), TemporaryError("busy"))

    run_id = await rig.emit()
    await rig.run(run_id, lambda run: run.status == "waiting")
    rig.clock.advance(seconds=1.1 * limits.RETRY_DELAY_S)
    await rig.restart()
    await rig.run(run_id, lambda _run: rig.steps(run_id)["send"].attempt == 2)
    run = await rig.run(run_id, lambda run: run.status == "waiting" and run.wake_at > rig.clock())

    assert 1 <= (run.wake_at - rig.clock()).total_seconds() / limits.RETRY_DELAY_S <= 1.1


async def test_a_step_that_waits_for_its_next_attempt_when_another_fails_the_run_has_failed(rig) -> None:
    rig.flow([call("left", retry=RETRY), call("right")], ["start>left", "start>right"])
    rig.calls.fail("left", TemporaryError("busy", code="http.status_503"))
    rig.calls.hold("right")
    rig.calls.fail("right", NodeError("no"))

    run_id = await rig.emit()
    await rig.run(run_id, lambda _run: "left" in (steps := rig.steps(run_id)) and steps["left"].status == "waiting")
    rig.calls.release("right")
    run = await rig.run(run_id)
    left = rig.steps(run_id)["left"]

    assert (run.status, run.error["node"]) == ("failed", "right")
    assert (left.status, left.error) == (
        "failed",
        {"message": "busy", "code": "http.status_503", "step": "left"},
    )


async def test_an_error_that_will_not_pass_is_not_tried_again(rig) -> None:
    rig.flow([call("send", retry=RETRY)], ["start>send"])
    rig.calls.fail("send", NodeError("no"))

    run, steps = await rig.done()

    assert (run.status, steps["send"].attempt) == ("failed", 1)


async def test_after_a_crash_a_repeatable_call_is_repeated_with_the_same_key(rig) -> None:
    rig.flow([echo("first"), call("send"), echo("after")], ["start>first", "first>send", "send>after"])
    rig.calls.hold("send")

    run_id = await rig.emit()
    await rig.calls.arrived["send"].wait()
    await rig.restart()
    await rig.calls.arrived["send"].wait()
    rig.calls.release("send")
    run = await rig.run(run_id)

    assert run.status == "succeeded"
    assert len(rig.calls.seen) == 2
    assert len(set(rig.calls.seen)) == 1
    assert rig.steps(run_id)["send"].effect == {"repeated_after_crash": True}


async def test_two_installations_never_use_the_same_key(rig, tmp_path: Path) -> None:
    other = type(rig)(tmp_path / "other")
    await other.engine.start()
    for each in (rig, other):
        each.flow([call("send")], ["start>send"])

    ids = [(await each.run(await each.emit())).id for each in (rig, other)]
    await other.engine.stop(grace_s=0)
    other.database.dispose()

    assert ids[0] == ids[1]
    assert rig.calls.seen != other.calls.seen


async def test_after_a_crash_a_call_that_must_not_be_repeated_waits_for_a_person(rig) -> None:
    rig.flow([{"id": "send", "type": "call_once", "params": {"text": "send"}}, echo("after")], [
        "start>send", "send>after",
    ])  # fmt: skip
    rig.calls.hold("send")

    run_id = await rig.emit()
    await rig.calls.arrived["send"].wait()
    await rig.restart()
    run = await rig.run(run_id, lambda run: run.status == "waiting")

    assert run.wake_at is None
    assert len(rig.calls.seen) == 1
    assert rig.steps(run_id)["send"].status == "unknown"
    assert "after" not in rig.steps(run_id)


async def test_a_step_that_writes_is_one_transaction_with_its_record(rig) -> None:
    rig.table("orders", "name")
    rig.flow(
        [{"id": "add", "type": "insert_row", "params": {"table": "orders", "values": {"name": "{{ $param.name }}"}}}],
        ["start>add"],
    )

    run, steps = await rig.done({"name": "Ada"})

    assert run.status == "succeeded"
    assert steps["add"].output["row"]["name"] == "Ada"
    assert [row["name"] for row in rig.tables.rows("orders").rows] == ["Ada"]


async def test_a_refusal_of_the_backend_is_the_steps_error(rig) -> None:
    rig.flow([{"id": "add", "type": "insert_row", "params": {"table": "nothing", "values": {}}}], ["start>add"])

    run, steps = await rig.done()

    assert (run.status, steps["add"].error["code"]) == ("failed", "table.not_found")


async def test_rows_are_read_from_a_table(rig) -> None:
    rig.table("orders", "name")
    rig.tables.insert("orders", [{"name": "Ada"}, {"name": "Bob"}])
    rig.flow([{"id": "find", "type": "find_rows", "params": {"table": "orders", "where": {"name": "Bob"}}}], [
        "start>find",
    ])  # fmt: skip

    _run, steps = await rig.done()

    assert [row["name"] for row in steps["find"].output["rows"]] == ["Bob"]


async def test_a_parameter_that_does_not_fit_names_its_field(rig) -> None:
    rig.flow([{"id": "one", "type": "echo", "params": {"text": "x", "number": "{{ $param.n }}"}}], ["start>one"])

    run, steps = await rig.done({"n": 11})

    assert run.status == "failed"
    assert steps["one"].error == {
        "message": "“Number” must be at most 10.",
        "code": "param.invalid",
        "step": "one",
        "param": "number",
    }
    assert steps["one"].input == {"text": "x", "number": 11}


async def test_a_missing_name_in_an_expression_fails_the_step(rig) -> None:
    rig.flow([echo("one", "{{ $param.nothing }}")], ["start>one"])

    run, steps = await rig.done()

    assert run.status == "failed"
    assert "$param.nothing" in steps["one"].error["message"]


@pytest.mark.parametrize(
    ("kind", "code"),
    [("large", "output.too_large"), ("object", "output.not_json"), ("bug", "node.crashed")],
)
async def test_an_output_that_cannot_be_kept_fails_the_step(rig, kind: str, code: str) -> None:
    rig.flow([{"id": "odd", "type": "odd", "params": {"text": kind}}], ["start>odd"])

    run, steps = await rig.done()

    assert (run.status, steps["odd"].error["code"]) == ("failed", code)
    assert "secret" not in steps["odd"].error["message"]


@pytest.mark.parametrize("effect", ["none", "read"])
@pytest.mark.parametrize("deed", ["insert", "update", "delete", "emit"])
async def test_a_node_does_not_write_unless_it_says_so(rig, effect: Effect, deed: str) -> None:
    def sly(params: Params, ctx: Context) -> Output:
        match deed:
            case "insert":
                ctx.tables.insert("orders", {"name": "Bob"})
            case "update":
                ctx.tables.update("orders", None, {"name": "Bob"})
            case "delete":
                ctx.tables.delete("orders", None)
            case "emit":
                ctx.events.emit("go", {})
        return Output()

    rig.types["sly"] = action(title="Sly", category="Test", effect=effect)(sly)
    await rig.restart()
    rig.table("orders", "name")
    rig.tables.insert("orders", [{"name": "Ada"}])
    rig.flow([{"id": "sly", "type": "sly"}], ["start>sly"])

    run, steps = await rig.done()

    assert (run.status, steps["sly"].error["code"]) == ("failed", "node.effect_undeclared")
    assert [row["name"] for row in rig.tables.rows("orders").rows] == ["Ada"]
    assert len(rig.runs()) == 1


async def test_parameters_that_are_too_large_fail_the_step_before_its_node_is_called(rig) -> None:
    both = {"a": "{{ $param.text }}", "b": "{{ $param.text }}"}
    rig.flow([{"id": "set", "type": "set_fields", "params": {"fields": both}}], ["start>set"])

    run, steps = await rig.done({"text": "x" * (limits.OUTPUT_BYTES // 2)})

    assert (run.status, steps["set"].error["code"]) == ("failed", "param.too_large")
    assert steps["set"].input is None


class Measured(Output):
    value: float


async def test_later_steps_see_an_infinite_number_as_it_is_kept(rig) -> None:
    def measure(params: Params, ctx: Context) -> Measured:
        return Measured(value=float("inf"))

    rig.types["measure"] = action(title="Measure", category="Test")(measure)
    await rig.restart()
    rig.flow(
        [{"id": "measure", "type": "measure"}, condition("is_null", "$action.measure.value == null")],
        ["start>measure", "measure>is_null"],
    )

    _run, steps = await rig.done()

    assert steps["measure"].output == {"value": None}
    assert steps["is_null"].port == "true"


async def test_a_simulated_run_says_what_each_effect_would_do_and_does_none(rig) -> None:
    rig.table("orders", "name")
    insert = {"id": "add", "type": "insert_row", "params": {"table": "orders", "values": {"name": "Ada"}}}
    document = rig.document([call("send"), insert], ["start>send", "send>add"])

    from runtime.engine import TestRequest

    run_id = await rig.engine.start_test(TestRequest("f", document, "start", {}))
    run = await rig.run(run_id)
    steps = rig.steps(run_id)

    assert (run.status, run.is_test, run.is_simulated) == ("succeeded", True, True)
    assert steps["send"].effect == {"kind": "http", "text": "send"}
    assert steps["send"].output == {"text": "planned"}
    assert steps["add"].effect["kind"] == "rows"
    assert rig.calls.seen == []
    assert rig.tables.rows("orders").total == 0


async def test_a_node_in_which_something_was_cancelled_has_failed(rig) -> None:
    rig.flow([call("one", on_error="port")], ["start>one"])
    rig.calls.errors["one"] = [asyncio.CancelledError()]

    run, steps = await rig.done()

    assert run.status == "succeeded"
    assert (steps["one"].status, steps["one"].error["code"]) == ("failed", "node.crashed")


async def test_a_step_that_finds_the_disk_full_waits_for_room_without_being_told_to(rig) -> None:
    rig.flow([call("one")], ["start>one"])
    rig.calls.fail("one", *(TemporaryError("The disk is full.", code="storage.full") for _ in range(2)))
    run_id = await rig.emit()

    for _ in range(2):
        await rig.run(run_id, lambda run: run.status == "waiting" and run.wake_at > rig.clock())
        rig.clock.advance(seconds=3)

    assert (await rig.run(run_id)).status == "succeeded"
    assert len({key for _text, key in rig.calls.seen}) == 1


@pytest.mark.parametrize("secret_params", [(), ("value",)], ids=["open", "secret"])
def test_input_that_json_cannot_carry_fails_the_step(secret_params: tuple[str, ...]) -> None:
    kind = SimpleNamespace(params=Params, secret_params=secret_params)
    node: Any = SimpleNamespace(
        type=kind, params=SimpleNamespace(is_costly=False, evaluate_in_place=lambda _: {"value": 2**70})
    )
    scope: Any = None

    with pytest.raises(StepFailed) as caught:
        prepare(node, scope)

    assert caught.value.error.code == "input.not_json"
