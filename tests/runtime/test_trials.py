"""Testing a part of a flow: up to a node, a node alone, or from a node on with what an earlier run gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nodes.spec import Context, Output, Params, Port, action
from runtime.document import parse
from runtime.engine_api import TestRequest
from runtime.errors import Invalid, NotFound
from runtime.kept_steps import Settled
from runtime.outbox import NewEvent
from runtime.run_views import RunView
from runtime.service import Service
from runtime.trials import Earlier, Extent, prepare
from runtime.validation import check

Make = Callable[..., dict[str, Any]]
TOTAL = {"id": "start", "type": "event", "name": "Start", "params": {"event": "shop.order_paid"}}
PINNED = {"port": "true", "output": {"result": True}}


class NoParams(Params):
    pass


@action(title="Each", category="Logic", ports=(Port("each"), Port("done")), body_port="each")
def each(params: NoParams, ctx: Context) -> Output:
    raise NotImplementedError


def states(run: RunView) -> dict[str, str]:
    return {step.node: step.status for step in run.steps}


def kept(run: RunView) -> set[str]:
    return {step.node for step in run.steps if step.is_kept}


def problem_of(error: pytest.ExceptionInfo[Any]) -> tuple[str, str]:
    (problem,) = error.value.problems
    return problem.code, problem.message


def changed(document: dict[str, Any], node: str, **settings: Any) -> dict[str, Any]:
    nodes = [each | settings if each["id"] == node else each for each in document["nodes"]]
    return document | {"nodes": nodes}


def loop(document: Make) -> dict[str, Any]:
    """start → each (item) → after, with ``item`` inside of the loop."""
    params: dict[str, Any] = {"fields": {"a": 1}}
    return document(
        nodes=[
            TOTAL,
            {"id": "each", "type": "each", "name": "Each", "params": {}},
            {"id": "item", "type": "set_fields", "name": "Item", "params": params},
            {"id": "after", "type": "set_fields", "name": "After", "params": params},
        ],
        edges=[
            {"source": "start", "target": "each", "key": "out"},
            {"source": "each", "target": "item", "key": "each"},
            {"source": "each", "target": "after", "key": "done"},
        ],
        layout={},
    )


def asked(service: Service, data: dict[str, Any], extent: Extent, *earlier: Earlier) -> TestRequest:
    types = {**service.types, "each": each}
    document, problems = parse(data)
    assert document, problems
    runs = [replace(run, document=run.document or document) for run in earlier]
    return prepare(document, check(document, types), types, None, None, None, "simulate", extent, earlier=lambda: runs)


def ran(number: int, text: str) -> Earlier:
    """Return an earlier run of such steps: ``node.port`` for what was done, ``node`` for what was skipped."""
    steps = [word.partition(".") for word in text.split()]
    settled = [Settled(node, "", "succeeded" if dot else "skipped", port or None) for node, dot, port in steps]
    return Earlier(number, "start", {"total": number}, None, tuple(settled))


# -- what a part needs


def test_part_up_to_a_node_is_checked_as_far_as_that(service: Service, document: Make):
    broken = changed(document(), "greet", params={"fields": {"text": "{{ $param. }}"}})

    request = asked(service, broken, Extent(until="large"))

    assert (request.scope, request.base, request.taken) == ({"until": "large"}, None, [])
    assert [node["id"] for node in request.document["nodes"]] == ["start", "large"]
    with pytest.raises(Invalid):
        asked(service, broken, Extent(until="greet"))


def test_node_alone_takes_over_what_comes_before_it(service: Service, document: Make):
    request = asked(service, document(samples=[]), Extent(only="greet"), ran(7, "start.out large.true greet.out"))

    assert (request.scope, request.base, request.taken) == ({"only": "greet"}, 7, ["large"])
    assert request.payload == {"total": 7}


def test_node_that_is_not_called_may_read_what_is_not_there(service: Service, document: Make):
    doubtful = changed(document(), "large", params={"if": "{{ $action.zzz.total > 1 }}"})

    request = asked(service, doubtful, Extent(only="greet"), ran(7, "start.out large.true"))

    assert request.taken == ["large"]
    with pytest.raises(Invalid):
        asked(service, doubtful, Extent(until="large"))


def test_newest_run_that_has_everything_is_taken(service: Service, document: Make):
    runs = ran(9, "start.out"), ran(8, "start.out large.false greet"), ran(7, "start.out large.true")

    assert asked(service, document(), Extent(only="greet"), *runs).base == 7


@pytest.mark.parametrize(
    ("earlier", "code", "words"),
    [
        ((), "test.output_missing", "“Large?” has no output yet. Run up to here first."),
        ((ran(9, "start.out"), ran(8, "start.out large.false")), "test.output_missing", "“Large?” has no output"),
        ((ran(8, "start.out large.false greet"),), "test.not_reached", "In run 8 no branch led to “Greet”."),
    ],
    ids=["never run", "not so far", "another branch"],
)
def test_what_is_missing_is_told(service: Service, document: Make, earlier: tuple[Earlier, ...], code: str, words: str):
    with pytest.raises(Invalid) as error:
        asked(service, document(), Extent(from_="greet"), *earlier)

    assert problem_of(error)[0] == code
    assert problem_of(error)[1].startswith(words)


def test_output_of_a_node_that_has_another_type_by_now_is_not_taken(service: Service, document: Make):
    former, _ = parse(changed(document(), "large", type="set_fields", params={"fields": {}}))

    with pytest.raises(Invalid) as error:
        asked(service, document(), Extent(only="greet"), replace(ran(7, "start.out large.out"), document=former))

    assert problem_of(error)[0] == "test.output_missing"


def test_nothing_is_needed_where_only_triggers_and_pinned_outputs_come_before(service: Service, document: Make):
    first = asked(service, document(), Extent(only="large"))
    pinned = asked(service, changed(document(), "large", pinned=PINNED), Extent(from_="greet"))
    passed = asked(service, changed(document(), "large", disabled=True, params={}), Extent(only="greet"))

    assert [(each.base, each.taken, each.payload) for each in (first, pinned, passed)] == [
        (None, [], {"total": 120})
    ] * 3


def test_pinned_output_that_leads_elsewhere_is_told(service: Service, document: Make):
    elsewhere = changed(document(), "large", pinned=PINNED | {"port": "false"})

    with pytest.raises(Invalid) as error:
        asked(service, elsewhere, Extent(only="greet"))

    assert problem_of(error)[0] == "test.not_reached"


def test_node_alone_inside_a_loop_is_refused_with_what_to_do(service: Service, document: Make):
    for node, words in (("item", "“Item” is inside the loop “Each”."), ("each", "“Each” repeats what follows it.")):
        with pytest.raises(Invalid) as error:
            asked(service, loop(document), Extent(only=node))
        assert problem_of(error) == ("test.in_loop", f"{words} Run up to here instead: that does every item.")


def test_from_a_node_inside_a_loop_begins_at_the_loop(service: Service, document: Make):
    request = asked(service, loop(document), Extent(from_="item"))
    after = asked(service, loop(document), Extent(from_="after"), ran(7, "start.out each.done"))

    assert (request.base, request.taken, request.scope) == (None, [], {"from": "each"})
    assert (after.base, after.taken) == (7, ["each"])


def test_up_to_a_node_inside_a_loop_needs_nothing(service: Service, document: Make):
    assert asked(service, loop(document), Extent(until="item")).scope == {"until": "item"}


def test_trigger_that_leads_to_the_node_is_found(service: Service, document: Make):
    two = document(samples=[])
    two["nodes"].append({"id": "by_hand", "type": "manual", "name": "By hand", "params": {}})
    two["nodes"].append({"id": "alone", "type": "set_fields", "name": "Alone", "params": {"fields": {}}})
    two["edges"].append({"source": "by_hand", "target": "alone", "key": "out"})

    assert asked(service, two, Extent(until="alone")).trigger == "by_hand"
    assert asked(service, two, Extent(only="large")).trigger == "start"


def test_disabled_trigger_starts_no_test_while_another_can(service: Service, document: Make):
    two = changed(document(samples=[]), "start", disabled=True)
    two["nodes"].append({"id": "by_hand", "type": "manual", "name": "By hand", "params": {}})

    assert asked(service, two, Extent()).trigger == "by_hand"
    assert asked(service, changed(document(), "start", disabled=True), Extent()).trigger == "start"


@pytest.mark.parametrize(
    ("extent", "code"),
    [
        (Extent(until="nowhere"), "test.node_unknown"),
        (Extent(only="loose"), "test.not_connected"),
        (Extent(until="large", only="large"), "test.extent"),
    ],
    ids=["unknown", "loose", "both"],
)
def test_part_that_cannot_be_run_is_refused(service: Service, document: Make, extent: Extent, code: str):
    loose = document()
    loose["nodes"].append({"id": "loose", "type": "set_fields", "name": "Loose", "params": {"fields": {}}})

    with pytest.raises(Invalid) as error:
        asked(service, loose, extent)

    assert problem_of(error)[0] == code


def test_problems_of_what_is_not_called_do_not_matter(service: Service, document: Make):
    disabled = changed(document(), "large", params={}, disabled=True)
    pinned = changed(document(), "large", params={}, pinned=PINNED)

    assert asked(service, disabled, Extent()).trigger == asked(service, pinned, Extent()).trigger == "start"


async def test_unfinished_nodes_that_are_disabled_are_published_and_passed_over(service: Service, document: Make):
    flow = changed(document(samples=[]), "large", params={"if": "{{ $param. }}"}, disabled=True)
    flow["nodes"] += [
        {"id": "loose", "type": "event", "name": "Loose", "params": {"filter": "{{ ("}, "disabled": True},
        {"id": "hand", "type": "manual", "name": "Hand", "params": {}, "disabled": True},
    ]
    service.flows.create(flow)
    service.flows.publish("greet")

    (accepted,) = await service.emit([NewEvent("shop.order_paid", {"total": 1})])
    await service.engine.wait(accepted.runs[0], 10)

    assert states(service.runs.get(accepted.runs[0])) == {
        "start": "succeeded",
        "large": "skipped",
        "greet": "succeeded",
    }
    with pytest.raises(Invalid, match="no manual start"):
        await service.runs.start("greet")


# -- and the runs


async def test_from_a_node_on_only_that_is_done_again(service: Service, document: Make):
    service.flows.create(document())
    first = await service.runs.test("greet", payload={"total": 500})

    again = await service.runs.test("greet", extent=Extent(from_="greet"))

    assert (again.status, kept(again), again.payload) == ("succeeded", {"large"}, {"total": 500})
    assert again.scope == {"from": "greet"}
    assert again.parent_run == first.id
    assert service.runs.get(first.id).retried_by == (), "it is no retry"


async def test_up_to_a_node_nothing_else_is_done(service: Service, document: Make):
    service.flows.create(document())

    run = await service.runs.test("greet", extent=Extent(until="large"))

    assert (run.status, states(run)) == ("succeeded", {"start": "succeeded", "large": "succeeded"})


async def test_node_alone_is_called_with_the_outputs_of_the_latest_test(service: Service, document: Make):
    later = {"id": "later", "type": "set_fields", "name": "Later", "params": {"fields": {"a": 1}}}
    flow = document()
    flow["nodes"].append(later)
    flow["edges"].append({"source": "greet", "target": "later", "key": "out"})
    service.flows.create(flow)
    await service.runs.test("greet", payload={"total": 500}, extent=Extent(until="large"))

    run = await service.runs.test("greet", extent=Extent(only="greet"))

    assert (run.status, states(run), kept(run)) == (
        "succeeded",
        {"start": "succeeded", "large": "succeeded", "greet": "succeeded"},
        {"large"},
    )
    assert run.steps[-1].output == {"text": "Thanks for 500"}


async def test_up_to_a_node_inside_a_loop_does_every_item(service: Service, document: Make):
    flow = loop(document)
    flow["nodes"][1] |= {"type": "for_each", "params": {"items": "{{ [1, 2, 3] }}"}}
    service.flows.create(flow)

    run = await service.runs.test("greet", extent=Extent(until="item"))

    assert (run.status, run.repeated) == ("succeeded", {"item": {"succeeded": 3}})
    assert "after" not in states(run)


async def test_pinned_output_is_taken_in_tests_and_a_disabled_node_is_passed_over(service: Service, document: Make):
    pinned = changed(document(samples=[]), "large", pinned=PINNED)
    service.flows.create(changed(pinned, "greet", disabled=True))
    service.flows.publish("greet")

    tested = await service.runs.test("greet", payload={"total": 1})
    (accepted,) = await service.emit([NewEvent("shop.order_paid", {"total": 1})])
    await service.engine.wait(accepted.runs[0], 10)
    real = service.runs.get(accepted.runs[0])

    large, greet = tested.step("large"), tested.step("greet")
    assert large is not None
    assert greet is not None
    assert (large.is_pinned, large.output, greet.status, greet.port) == (True, {"result": True}, "skipped", "out")
    assert real.steps[1].output == {"result": False}


async def test_from_a_node_on_nothing_beside_it_is_done(service: Service, document: Make):
    flow = document()
    flow["nodes"] += [
        {"id": name, "type": "set_fields", "name": name.title(), "params": {"fields": {"a": 1}}}
        for name in ("beside", "joined", "lost")
    ]
    flow["edges"] += [
        {"source": source, "target": target, "key": "out"}
        for source, target in (("start", "beside"), ("beside", "joined"), ("greet", "joined"), ("start", "lost"))
    ]
    service.flows.create(flow)
    await service.runs.test("greet", extent=Extent(until="greet"))

    run = await service.runs.test("greet", extent=Extent(from_="greet"))

    assert states(run) == dict.fromkeys(("start", "large", "greet", "beside", "joined"), "succeeded")
    assert kept(run) == {"large"}


async def test_outputs_of_a_named_run_are_taken_over_with_another_payload(service: Service, document: Make):
    service.flows.create(document())
    service.flows.publish("greet")
    first = await service.runs.test("greet", payload={"total": 120})

    again = await service.runs.test("greet", extent=Extent(from_="greet", run=first.id), payload={"total": 7})
    with pytest.raises(NotFound):
        await service.runs.test("greet", extent=Extent(from_="greet", run=999))

    assert [step.output for step in again.steps if step.node != "large"] == [{"total": 7}, {"text": "Thanks for 7"}]
