"""Running again: one run, many runs, and steps of which nobody knows whether they took place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runtime import limits
from runtime.actors import Actor
from runtime.bulk_retries import Failed
from runtime.errors import Conflict, Forbidden, Invalid, NotFound
from runtime.outbox import NewEvent
from runtime.run_views import RunView
from runtime.service import Service
from storage.tables import RunRow, StepRow

Make = Callable[..., dict[str, Any]]
LATER = {"id": "later", "type": "set_fields", "name": "Later", "params": {"fields": {"a": 1}}}


@pytest.fixture
def live(service: Service, document: Make) -> str:
    service.flows.create(document())
    service.flows.publish("greet")
    return "greet"


async def ended(service: Service, run_id: int) -> RunView:
    assert await service.engine.wait(run_id, 10)
    return service.runs.get(run_id)


async def run_once(service: Service, total: Any) -> RunView:
    (accepted,) = await service.emit([NewEvent("shop.order_paid", {"total": total})])
    return await ended(service, accepted.runs[0])


def states(run: RunView) -> dict[str, str]:
    return {step.node: step.status for step in run.steps}


def kept(run: RunView) -> set[str]:
    return {step.node for step in run.steps if step.is_kept}


def code_of(error: pytest.ExceptionInfo[Any]) -> str:
    code: str = error.value.problems[0].code
    return code


async def test_retry_from_the_failure_keeps_what_came_before_and_beside(service: Service, document: Make):
    flow = document()
    flow["nodes"] += [LATER | {"id": "beside"}]
    flow["edges"] += [{"source": "start", "target": "beside", "key": "out"}]
    flow["edges"].reverse()  # so that what stands beside comes first
    service.flows.create(flow)
    service.flows.publish("greet")
    failed = await run_once(service, "many")

    again = await ended(service, (await service.runs.retry(failed.id, from_failed=True)).id)

    assert states(failed) == {"start": "succeeded", "beside": "succeeded", "large": "failed", "greet": "skipped"}
    assert (again.status, kept(again)) == ("failed", {"start", "beside"})


async def test_retry_from_the_failure_takes_another_payload(service: Service, live: str):
    failed = await run_once(service, "many")

    again = await service.runs.retry(failed.id, payload={"total": 500}, from_failed=True)
    again = await ended(service, again.id)

    assert states(again) == {"start": "succeeded", "large": "succeeded", "greet": "succeeded"}
    assert again.steps[0].output == again.payload == {"total": 500}


async def test_retries_are_linked_both_ways(service: Service, live: str):
    failed = await run_once(service, "many")
    first = await ended(service, (await service.runs.retry(failed.id)).id)
    second = await ended(service, (await service.runs.retry(failed.id)).id)

    seen = service.runs.get(failed.id)

    assert (seen.retried_by, seen.parent_run) == ((first.id, second.id), None)
    assert {run.id: run.retried_by for run in service.runs.list().items}[failed.id] == (first.id, second.id)
    assert seen.as_json()["retried_by"] == [first.id, second.id]
    assert first.parent_run == failed.id
    third = await service.runs.retry(second.id)
    assert service.runs.get(third.id).chain == (failed.id, second.id)


async def test_succeeded_run_has_no_failure_to_begin_at(service: Service, live: str):
    run = await run_once(service, 120)

    with pytest.raises(Conflict) as error:
        await service.runs.retry(run.id, from_failed=True)

    assert code_of(error) == "run.nothing_failed"


async def test_cancelled_run_goes_on_where_it_was(service: Service, live: str):
    with service.database.write() as session:
        run = RunRow(flow_id=live, version=1, trigger="start", payload={"total": 120}, status="cancelled")
        run.ended_at = run.created_at
        session.add(run)
        session.flush()
        done = StepRow(run_id=run.id, node="start", status="succeeded", port="out", output={"total": 120})
        session.add(done)
    assert run.id is not None

    again = await ended(service, (await service.runs.retry(run.id, from_failed=True)).id)

    assert states(again) == {"start": "succeeded", "large": "succeeded", "greet": "succeeded"}
    assert again.steps[0].started_at is None, "the trigger's step was taken over"


# -- loops


@pytest.fixture
def looping(service: Service, document: Make) -> str:
    """A flow that adds one to the items of a list, and fails at one that is no number."""
    nodes = [
        {"id": "start", "type": "event", "name": "Start", "params": {"event": "shop.order_paid"}},
        {"id": "each", "type": "for_each", "name": "Each", "params": {"items": "{{ $param.total }}"}},
        {"id": "keep", "type": "set_fields", "name": "Keep", "params": {"fields": {"n": "{{ $item }}"}}},
        {"id": "plus", "type": "set_fields", "name": "Plus", "params": {"fields": {"n": "{{ $item + 1 }}"}}},
        {"id": "sum", "type": "set_fields", "name": "Sum", "params": {"fields": {"all": "{{ $action.each.outputs }}"}}},
    ]
    ends = [("start", "out", "each"), ("each", "each", "keep"), ("keep", "out", "plus"), ("each", "done", "sum")]
    edges = [{"source": source, "key": key, "target": target} for source, key, target in ends]
    service.flows.create(document("loop", nodes=nodes, edges=edges, samples=[], layout={}))
    service.flows.publish("loop")
    return "loop"


def items(run: RunView, node: str) -> dict[str, tuple[str, bool]]:
    return {step.iteration: (step.status, step.is_kept) for step in run.steps if step.node == node}


async def test_retry_from_the_failure_keeps_the_items_that_were_finished(service: Service, looping: str):
    failed = await run_once(service, [1, 2, "x", 4])
    fix = {"op": "patch_node", "id": "plus", "set": {"params": {"fields": {"n": "{{ $item ~ '' }}"}}}}
    service.flows.edit(looping, [fix])

    again = await ended(service, (await service.runs.retry(failed.id, from_failed=True)).id)

    assert items(again, "plus") == {"0": ("succeeded", True), "1": ("succeeded", True), "2": ("failed", False)}
    assert items(again, "keep")["2"] == ("succeeded", True), "what is before the failure in its item stays as well"
    assert again.status == "failed", "the version of then fails again"


@pytest.mark.parametrize("how", [{"payload": {"total": [5, 6]}}, {"version": "now"}], ids=["payload", "version"])
async def test_loop_is_done_anew_with_other_data_or_on_another_version(
    service: Service, looping: str, how: dict[str, Any]
):
    failed = await run_once(service, [1, 2, "x"])
    fix = {"op": "patch_node", "id": "plus", "set": {"params": {"fields": {"n": "{{ $item }}"}}}}
    service.flows.edit(looping, [fix])
    service.flows.publish(looping)

    again = await ended(service, (await service.runs.retry(failed.id, from_failed=True, **how)).id)

    assert again.status == "succeeded"
    assert {is_kept for _status, is_kept in items(again, "keep").values()} == {False}


async def test_retry_from_a_step_inside_a_loop_does_the_whole_loop_again(service: Service, looping: str):
    run = await run_once(service, [1, 2])

    inside = await ended(service, (await service.runs.retry(run.id, from_="plus")).id)
    behind = await ended(service, (await service.runs.retry(run.id, from_="sum")).id)

    assert (inside.status, kept(inside)) == ("succeeded", {"start"})
    assert items(inside, "keep") == {"0": ("succeeded", False), "1": ("succeeded", False)}
    assert (behind.status, kept(behind), behind.repeated) == ("succeeded", {"start", "each"}, {})
    assert behind.steps[-1].output == {"all": [{"n": 2}, {"n": 3}]}


async def test_items_of_a_loop_are_listed_and_read(service: Service, looping: str):
    run = await run_once(service, [1, "x", 3])

    everything = service.runs.items(run.id, "each")
    failed = service.runs.items(run.id, "each", status="failed")
    second = service.runs.items(run.id, "each", offset=1, limit=1)

    assert [(item.iteration, item.status) for item in everything.items] == [("0", "succeeded"), ("1", "failed")]
    assert (everything.total, dict(everything.counts)) == (2, {"succeeded": 1, "failed": 1})
    assert [item.iteration for item in failed.items] == [item.iteration for item in second.items] == ["1"]
    assert (failed.total, second.total) == (1, 2)
    assert [(step.node, step.status) for step in service.runs.item(run.id, "1")] == [
        ("keep", "succeeded"),
        ("plus", "failed"),
    ]
    assert run.repeated == {"keep": {"succeeded": 2}, "plus": {"failed": 1, "succeeded": 1}}
    assert service.runs.items(run.id, "each", status="odd").items == ()


# -- on the version of now


async def test_retry_on_the_version_of_now_does_what_changed(service: Service, live: str):
    failed = await run_once(service, "many")
    fix = {"op": "patch_node", "id": "large", "set": {"params": {"if": "{{ $param.total == 'many' }}"}}}
    service.flows.edit(live, [fix])
    service.flows.publish(live)

    then = await ended(service, (await service.runs.retry(failed.id)).id)
    now = await ended(service, (await service.runs.retry(failed.id, version="now", from_failed=True)).id)

    assert (then.status, then.version) == ("failed", 1)
    assert (now.status, now.version, kept(now)) == ("succeeded", 2, {"start"})


async def test_version_of_now_keeps_nothing_behind_a_node_that_is_new(service: Service, live: str):
    run = await run_once(service, 120)
    service.flows.edit(
        live,
        [
            {"op": "add_node", "node": LATER},
            {"op": "del_edge", "edge": {"source": "start", "target": "large", "key": "out"}},
            {"op": "add_edge", "edge": {"source": "start", "target": "later", "key": "out"}},
            {"op": "add_edge", "edge": {"source": "later", "target": "large", "key": "out"}},
        ],
    )
    service.flows.publish(live)

    again = await ended(service, (await service.runs.retry(run.id, from_="greet", version="now")).id)

    assert (again.status, kept(again)) == ("succeeded", {"start"})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda service: service.flows.pause("greet"), "flow.not_live"),
        (lambda service: service.flows.unpublish("greet"), "flow.not_live"),
        (lambda service: service.flows.delete("greet"), "flow.not_found"),
    ],
    ids=["paused", "unpublished", "deleted"],
)
async def test_version_of_now_has_to_be_live(
    service: Service, live: str, change: Callable[[Service], object], code: str
):
    run = await run_once(service, 120)
    change(service)

    with pytest.raises(Conflict) as error:
        await service.runs.retry(run.id, version="now")

    assert code_of(error) == code
    assert (await service.runs.retry(run.id)).version == 1


async def test_version_of_now_must_have_the_trigger_and_the_node(service: Service, live: str, document: Make):
    run = await run_once(service, 120)
    service.flows.edit(live, [{"op": "del_node", "id": "greet"}])
    service.flows.publish(live)
    with pytest.raises(Conflict) as no_node:
        await service.runs.retry(run.id, from_="greet", version="now")
    other = document()
    other["nodes"][0] |= {"type": "manual", "params": {}}
    service.flows.save(live, other)
    service.flows.publish(live)
    with pytest.raises(Conflict) as no_trigger:
        await service.runs.retry(run.id, version="now")

    assert (code_of(no_node), code_of(no_trigger)) == ("run.node_gone", "run.trigger_gone")


async def test_test_on_the_version_of_now_takes_the_draft(service: Service, document: Make):
    service.flows.create(document())
    tested = await service.runs.test("greet", payload={"total": "many"})
    service.flows.edit("greet", [{"op": "patch_node", "id": "large", "set": {"params": {"if": "{{ true }}"}}}])

    again = await ended(service, (await service.runs.retry(tested.id, version="now")).id)
    service.flows.edit("greet", [{"op": "patch_node", "id": "large", "set": {"params": {}}}])
    with pytest.raises(Invalid):
        await service.runs.retry(tested.id, version="now")

    assert (tested.status, again.status, again.is_test, again.version) == ("failed", "succeeded", True, None)


# -- many at once


async def test_failed_runs_of_a_flow_are_retried_once(service: Service, live: str):
    failed = [await run_once(service, "many") for _ in range(3)]
    await run_once(service, 120)
    await ended(service, (await service.runs.retry(failed[0].id)).id)  # fails again

    done = await service.runs.retry_many(failed=Failed(flow=live), from_failed=True)

    again = [old for old, _new in done.started]
    assert again == [failed[1].id, failed[2].id, max(run.id for run in service.runs.list(status="failed").items)]
    assert (done.count, done.refused, done.left) == (3, (), 0)
    assert {(await ended(service, new)).parent_run for _old, new in done.started} == set(again)


async def test_failed_runs_are_chosen_by_code_and_time(service: Service, live: str):
    failed = await run_once(service, "many")
    assert failed.error is not None
    code, at = failed.error["code"], failed.created_at
    moment = timedelta(microseconds=1)

    def count(**wanted: Any) -> int:
        return service.runs.failed(Failed(**wanted))

    assert count(code=code, since=at, until=at + moment) == 1
    assert count(code="other") == 0
    assert count(since=at + moment) == 0
    assert count(until=at) == 0
    assert count(flow="other") == 0


async def test_dead_letters_are_retried_only_when_they_are_meant(service: Service, live: str):
    failed, dead = await run_once(service, "many"), await run_once(service, "many")
    with service.database.write() as session:
        session.get_one(RunRow, dead.id).is_dead = True

    assert (service.runs.failed(Failed()), service.runs.failed(Failed(dead=True))) == (1, 1)
    assert [old for old, _new in (await service.runs.retry_many(failed=Failed())).started] == [failed.id]


async def test_run_that_is_refused_keeps_no_other_from_being_retried(service: Service, live: str):
    failed, succeeded = await run_once(service, "many"), await run_once(service, 120)

    done = await service.runs.retry_many([failed.id, failed.id, succeeded.id, 999], from_failed=True)

    assert [old for old, _new in done.started] == [failed.id]
    assert {old: problems[0].code for old, problems in done.refused} == {
        succeeded.id: "run.nothing_failed",
        999: "run.not_found",
    }


async def test_at_most_so_many_are_retried_at_once(service: Service, live: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("runtime.bulk_retries.RETRIES", 2)
    for _ in range(3):
        await run_once(service, "many")

    done = await service.runs.retry_many(failed=Failed())

    assert (done.count, done.left) == (2, 1)
    with pytest.raises(Invalid) as error:
        await service.runs.retry_many(range(1, 4))
    assert code_of(error) == "retry.too_many"
    assert limits.RETRIES == 1_000


@pytest.mark.parametrize("which", [{}, {"ids": [1], "failed": Failed()}], ids=["none", "both"])
async def test_bulk_retry_has_to_be_told_which_runs(service: Service, which: dict[str, Any]):
    with pytest.raises(Invalid) as error:
        await service.runs.retry_many(**which)

    assert code_of(error) == "retry.which"


async def test_editor_retries_in_bulk_what_they_may_retry_one_by_one(service: Service, live: str, document: Make):
    block = {"id": "greet", "type": "block_user", "name": "Block", "params": {"by": "id", "value": "nobody"}}
    owners = document("owners", samples=[])
    owners["nodes"][2] = block
    owners["nodes"][0]["params"] = {"event": "owners.order_paid"}
    service.flows.create(owners)
    service.flows.publish("owners")
    plain = await run_once(service, "many")
    (accepted,) = await service.emit([NewEvent("owners.order_paid", {"total": "many"})])
    theirs = await ended(service, accepted.runs[0])
    editor = service.of(Actor("system", "e", "e", "editor"))

    done = await editor.runs.retry_many(failed=Failed())

    assert [old for old, _new in done.started] == [plain.id]
    assert [(old, problems[0].code) for old, problems in done.refused] == [(theirs.id, "right.owners_nodes")]
    with pytest.raises(Forbidden):
        await editor.runs.retry(theirs.id)


# -- steps of unknown outcome


@pytest.fixture
def unknown(service: Service, document: Make) -> int:
    """A run that waits because nobody knows whether its email was sent."""
    flow = document(samples=[])
    mail = {"to": "a@example.com", "subject": "s", "text": "t"}
    flow["nodes"][1] = {"id": "large", "type": "send_email", "name": "Mail", "params": mail}
    flow["edges"][1]["key"] = "out"
    flow["nodes"][2]["params"] = {"fields": {"via": "{{ $action.large.via }}"}}
    service.flows.create(flow)
    service.flows.publish("greet")
    now = datetime.now(UTC)
    with service.database.write() as session:
        run = RunRow(flow_id="greet", version=1, trigger="start", payload={"total": 1}, status="waiting")
        run.started_at = now
        session.add(run)
        session.flush()
        error = {"message": "Unknown.", "code": "step.outcome_unknown", "step": "large"}
        session.add(StepRow(run_id=run.id, node="start", status="succeeded", port="out", output={"total": 1}))
        session.add(StepRow(run_id=run.id, node="large", status="unknown", error=error, input=mail, started_at=now))
    assert run.id is not None
    return run.id


async def test_step_of_unknown_outcome_is_sent_again(service: Service, unknown: int):
    await service.runs.resolve(unknown, "large", "send_again")
    run = await ended(service, unknown)

    assert states(run) == {"start": "succeeded", "large": "succeeded", "greet": "succeeded"}
    assert [message.subject for message in service.mailbox.list()] == ["s"]
    assert (run.steps[1].attempt, run.steps[1].error) == (2, None)


async def test_step_of_unknown_outcome_counts_as_done(service: Service, unknown: int):
    await service.runs.resolve(unknown, "large", "mark_done", output={"via": "by hand"})
    run = await ended(service, unknown)

    assert (run.status, run.steps[2].output) == ("succeeded", {"via": "by hand"})
    assert run.steps[1].effect == {"kind": "marked_done"}
    assert service.mailbox.list() == []


async def test_only_what_is_unknown_is_settled(service: Service, unknown: int):
    with pytest.raises(Conflict) as known:
        await service.runs.resolve(unknown, "start", "mark_done")
    with pytest.raises(NotFound) as nowhere:
        await service.runs.resolve(unknown, "nowhere", "mark_done")
    await service.runs.cancel(unknown)
    with pytest.raises(Conflict) as over:
        await service.runs.resolve(unknown, "large", "send_again")

    assert [code_of(each) for each in (known, nowhere, over)] == [
        "step.outcome_known",
        "step.not_found",
        "run.ended",
    ]


async def test_idempotency_key_of_an_effect_is_told(service: Service, unknown: int):
    await service.runs.resolve(unknown, "large", "send_again")
    run = await ended(service, unknown)

    keys = {step.node: step.key for step in run.steps}
    assert keys["start"] is keys["greet"] is None
    assert keys["large"] is not None
    assert keys["large"].endswith(f"-{unknown}:large:")
