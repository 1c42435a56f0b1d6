from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.errors import Conflict, Invalid, NotFound
from runtime.outbox import NewEvent
from runtime.run_views import RunView
from runtime.service import Service
from storage.tables import RunRow

Make = Callable[..., dict[str, Any]]


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


async def test_run_knows_what_it_ran_on(service: Service, live: str, document: Make):
    run = await run_once(service, 120)
    service.flows.edit(live, [{"op": "del_node", "id": "greet"}])
    service.flows.publish(live)

    seen = service.runs.get(run.id)

    assert seen == run
    assert (seen.flow, seen.version, seen.event_name) == (live, 1, "shop.order_paid")
    assert seen.payload == {"total": 120}
    assert seen.document == document()
    assert [step.node for step in seen.steps] == ["start", "large", "greet"]


async def test_run_outlives_its_flow(service: Service, live: str, document: Make):
    run = await run_once(service, 120)
    service.flows.delete(live)

    seen = service.runs.get(run.id)

    assert seen.document == document()
    assert (seen.flow, seen.flow_name) == (live, None)


async def test_failed_run_says_where_and_why(service: Service, live: str):
    run = await run_once(service, "many")

    assert run.status == "failed"
    assert run.error is not None
    assert run.error["node"] == "large"
    assert states(run)["large"] == "failed"


async def test_list_is_filtered_and_paged(service: Service, live: str):
    small = [await run_once(service, 1) for _ in range(3)]
    failed = await run_once(service, None)

    first = service.runs.list(limit=2)
    second = service.runs.list(limit=2, after=first.next)

    assert [run.id for run in first.items + second.items] == [failed.id, *(run.id for run in reversed(small))]
    assert second.next is None
    assert [run.id for run in service.runs.list(status="failed").items] == [failed.id]
    assert service.runs.list(flow="other").items == []
    with pytest.raises(Invalid):
        service.runs.list(status="odd")


async def test_retry_is_a_run_of_its_own(service: Service, live: str):
    failed = await run_once(service, "many")

    again = await ended(service, (await service.runs.retry(failed.id, payload={"total": 500})).id)

    assert (again.status, again.parent_run, again.payload) == ("succeeded", failed.id, {"total": 500})
    assert service.runs.get(failed.id).status == "failed"


async def test_retry_from_a_node_keeps_what_was_before(service: Service, live: str):
    first = await run_once(service, 120)

    again = await ended(service, (await service.runs.retry(first.id, from_="greet")).id)

    before, after = ({step.node: step.started_at for step in run.steps} for run in (first, again))
    assert again.status == "succeeded"
    assert (after["start"], after["large"]) == (before["start"], before["large"])
    assert after["greet"] != before["greet"]


async def test_retry_from_a_node_does_what_the_failure_kept_from_being_done(service: Service, document: Make):
    beside = document()
    beside["nodes"].append({"id": "beside", "type": "set_fields", "name": "Beside", "params": {"fields": {}}})
    beside["edges"].append({"source": "start", "target": "beside", "key": "out"})
    service.flows.create(beside)
    service.flows.publish("greet")
    failed = await run_once(service, "many")

    again = await ended(service, (await service.runs.retry(failed.id, from_="large", payload={"total": 500})).id)

    assert states(failed) == {"start": "succeeded", "large": "failed", "greet": "skipped", "beside": "skipped"}
    assert set(states(again).values()) == {"succeeded"}


async def test_retry_refuses_what_cannot_be(service: Service, live: str):
    run = await run_once(service, 1)

    with pytest.raises(Invalid):
        await service.runs.retry(run.id, from_="nowhere")
    with pytest.raises(NotFound):
        await service.runs.retry(run.id + 1)
    with pytest.raises(Conflict):
        await service.runs.cancel(run.id)

    assert len(service.runs.list().items) == 1


async def test_retry_waits_until_a_run_has_ended(service: Service, live: str):
    with service.database.write() as session:
        run = RunRow(flow_id=live, version=1, trigger="start", status="waiting")
        session.add(run)
        session.flush()
        assert run.id is not None

    with pytest.raises(Conflict) as error:
        await service.runs.retry(run.id)

    assert [problem.code for problem in error.value.problems] == ["run.not_ended"]
    assert len(service.runs.list().items) == 1


@pytest.mark.parametrize(
    ("asked", "payload"),
    [
        ({}, {"total": 120}),
        ({"sample": "large"}, {"total": 120}),
        ({"payload": {"total": 3}}, {"total": 3}),
        ({"sample": "large", "payload": {"total": 4}}, {"total": 4}),
    ],
    ids=str,
)
async def test_test_takes_the_payload_that_is_closest(
    service: Service, document: Make, asked: dict[str, Any], payload: dict[str, Any]
):
    service.flows.create(document())

    run = await service.runs.test("greet", **asked)

    assert (run.payload, run.status, run.is_test, run.is_simulated) == (payload, "succeeded", True, True)


@pytest.mark.parametrize(("params", "has_token"), [({"phase": "completed"}, False), ({}, True)], ids=["set", "asked"])
async def test_test_without_a_sample_takes_that_of_the_phase(
    service: Service, document: Make, params: dict[str, str], has_token: bool
):
    nodes = [{"id": "start", "type": "auth.password_reset", "name": "Start", "params": params}]

    run = await service.runs.test(document(nodes=nodes, edges=[], samples=[], layout={}))

    assert run.payload["email"] == "ada@example.com"
    assert [name in run.payload for name in ("token", "link")] == [has_token, has_token]


async def test_test_without_a_sample_takes_that_of_the_node_type(service: Service, document: Make):
    run = await service.runs.test(document(samples=[]))

    assert run.payload == service.types["event"].sample


async def test_test_of_an_unfinished_part_is_refused_and_of_the_rest_is_not(service: Service, document: Make):
    unfinished = document()
    unfinished["nodes"].append({"id": "loose", "type": "condition", "name": "Loose", "params": {}})
    assert (await service.runs.test(unfinished)).status == "succeeded"

    unfinished["edges"].append({"source": "large", "target": "loose", "key": "false"})
    with pytest.raises(Invalid) as error:
        await service.runs.test(unfinished)

    assert {problem.node for problem in error.value.problems} == {"loose"}


async def test_test_asks_which_trigger_when_there_are_several(service: Service, document: Make):
    two = document(samples=[])
    two["nodes"].append({"id": "by_hand", "type": "manual", "name": "By hand", "params": {}})
    two["edges"].append({"source": "by_hand", "target": "greet", "key": "out"})

    with pytest.raises(Invalid) as error:
        await service.runs.test(two)

    assert [problem.code for problem in error.value.problems] == ["test.trigger_missing"]
    assert (await service.runs.test(two, trigger="start")).trigger == "start"


async def test_simulated_test_changes_nothing(service: Service, document: Make, fired: list[Any]):
    table = service.tables.create("orders")
    writing = document(samples=[])
    writing["nodes"][2] = {
        "id": "greet",
        "type": "insert_row",
        "name": "Keep",
        "params": {"table": "orders", "values": {}},
    }

    simulated = await service.runs.test(writing, payload={"total": 120})
    before = service.tables.rows(table.id).total
    real = await service.runs.test(writing, payload={"total": 120}, effects="real")

    assert (simulated.status, real.status) == ("succeeded", "succeeded")
    assert simulated.steps[2].effect is not None
    assert (before, service.tables.rows(table.id).total) == (0, 1)


async def test_clearing_a_table_starts_its_flow(service: Service, document: Make):
    flow = document(samples=[])
    flow["nodes"][0] |= {"type": "api.dataTable_emptied", "params": {}}
    flow["nodes"][1]["params"] = {"if": "{{ $param.Name == 'orders' }}"}
    flow["nodes"][2]["params"] = {"fields": {"text": "{{ $param.Name }}"}}
    service.flows.create(flow)
    service.flows.publish("greet")
    table = service.tables.create("orders")

    service.tables.clear(table.id)
    (run,) = service.runs.list().items
    run = await ended(service, run.id)

    assert (run.status, run.payload) == ("succeeded", {"ID": table.id, "Name": "orders", "Description": ""})
    assert run.steps[2].output == {"text": "orders"}


async def test_retry_from_a_node_keeps_a_failure_that_was_passed_over(service: Service, document: Make):
    flow = document()
    flow["nodes"][1]["on_error"] = "port"
    flow["nodes"] += [
        {"id": name, "type": "set_fields", "name": name, "params": {"fields": {"a": "b"}}}
        for name in ("caught", "last")
    ]
    flow["edges"] += [
        {"source": "large", "target": "caught", "key": "error"},
        {"source": "caught", "target": "last", "key": "out"},
    ]
    service.flows.create(flow)
    service.flows.publish("greet")
    first = await run_once(service, "many")

    again = await ended(service, (await service.runs.retry(first.id, from_="last", payload={"total": 120})).id)

    assert states(first)["last"] == "succeeded"
    assert states(again) == states(first)
