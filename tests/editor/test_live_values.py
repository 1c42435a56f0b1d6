"""The value that stands below a field, and what it is computed from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from editor.answers import SHOWN_CHARS, value_answer
from editor.live_values import Held, LiveValues, held_at
from nodes import spec
from runtime.access import ABSENT
from runtime.previews import Previews
from runtime.run_views import RunView, StepView

Json = Any
TYPES = spec.load()
DAY = datetime(2026, 1, 1, tzinfo=UTC)


def document(nodes: Mapping[str, str], edges: list[str], **params: dict[str, Json]) -> dict[str, Json]:
    return {
        "format": "pulsewire.flow/1",
        "directed": True,
        "multigraph": True,
        "graph": {"id": "f", "name": "F"},
        "nodes": [{"id": i, "type": t, "name": i.capitalize(), "params": params.get(i, {})} for i, t in nodes.items()],
        "edges": [dict(zip(("source", "key", "target"), edge.split(), strict=True)) for edge in edges],
    }


def run_of(payload: Json, *steps: StepView) -> RunView:
    return RunView(
        id=1,
        flow="f",
        flow_name="F",
        version=None,
        status="succeeded",
        trigger="start",
        event_id=None,
        event_name=None,
        is_test=True,
        is_simulated=True,
        parent_run=None,
        error=None,
        created_at=DAY,
        started_at=DAY,
        ended_at=DAY,
        payload=payload,
        steps=steps,
    )


def step(node: str, *, given: Json = None, output: Json = None, status: str = "succeeded") -> StepView:
    return StepView(node, "", status, 1, "out", given, output, None, None, DAY, DAY)


@pytest.fixture
async def previews() -> AsyncIterator[Previews]:
    made = Previews({})
    yield made
    await made.close()


async def answer(previews: Previews, value: Json, held: Held) -> Any:
    return await LiveValues(previews, lambda: held, "a person").ask(value)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ("Ada", "text", "Ada"),
        ("", "text", "empty"),
        (1.5, "number", "1.5"),
        (True, "boolean", "true"),
        (None, "null", "null"),
        ([1, 2], "list of 2", "[1, 2]"),
        ({"a": 1}, "object", '{"a": 1}'),
    ],
)
def test_a_value_is_told_with_its_kind(value: Json, kind: str, text: str) -> None:
    told = value_answer(value)

    assert (told["kind"], told["text"]) == (kind, text)


def test_only_what_does_not_fit_is_told_twice() -> None:
    long = "word " * SHOWN_CHARS

    assert "more" not in value_answer("short")
    assert value_answer(long)["more"] == long
    assert len(value_answer(long)["text"]) == SHOWN_CHARS + 1
    assert value_answer("two\nlines") == {"tone": "value", "kind": "text", "text": "two lines", "more": "two\nlines"}


def test_a_node_sees_the_chosen_payload_and_the_outputs_of_the_last_run() -> None:
    flow = document({"start": "event", "find": "find_rows", "mail": "send_email"}, ["start out find", "find out mail"])
    run = run_of({"n": 1}, step("find", output={"rows": [], "count": 0}), step("gone", output={}))

    held = held_at(flow, "mail", TYPES, {"start": {"n": 2}}, run)

    assert held.param == {"n": 2}
    assert held.action == {"find": {"rows": [], "count": 0}}
    assert (held.item, held.index) == (ABSENT, ABSENT)


def test_a_pinned_output_stands_in_for_one_that_never_ran() -> None:
    flow = document({"start": "event", "find": "find_rows"}, ["start out find"])
    flow["nodes"][1]["pinned"] = {"output": {"count": 3}}

    assert held_at(flow, "find", TYPES, {}, None).action == {"find": {"count": 3}}


def test_a_payload_of_another_trigger_is_not_used() -> None:
    flow = document({"start": "event", "other": "manual", "mail": "send_email"}, ["start out mail"])

    assert held_at(flow, "mail", TYPES, {"other": {"n": 1}, "start": {"n": 2}}, None).param == {"n": 2}


def test_a_body_sees_the_first_item_of_its_loop() -> None:
    flow = document({"start": "event", "each": "for_each", "mail": "send_email"}, ["start out each", "each each mail"])
    run = run_of({}, step("each", given={"items": [{"sku": "A"}, {"sku": "B"}]}))

    held = held_at(flow, "mail", TYPES, {"start": {}}, run)

    assert (held.item, held.index) == ({"sku": "A"}, 0)


async def test_the_value_is_told(previews: Previews) -> None:
    held = Held(param={"n": 2}, action={"find": {"count": 3}}, names={"find": "Find"})

    assert await answer(previews, "{{ $param.n + $action.find.count }}", held) == value_answer(5)


async def test_what_has_not_run_yet_is_no_error(previews: Previews) -> None:
    told = await answer(previews, "{{ $action['find'].count }}", Held(names={"find": "Find"}))

    assert told == {"tone": "wait", "text": "Test “Find” once to see the value."}
    assert (await answer(previews, "{{ $item }}", Held()))["tone"] == "wait"


async def test_an_error_is_told_with_its_place(previews: Previews) -> None:
    told = await answer(previews, "Hi {{ $param.emial }}", Held(param={"email": "a@example.com"}))

    assert told["tone"] == "error"
    assert "emial" in told["text"]
    assert told["position"] >= 3


async def test_what_the_checks_refuse_is_left_to_them(previews: Previews) -> None:
    assert await answer(previews, "{{ $param. }}", Held()) is None
