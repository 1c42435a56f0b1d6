"""Editing operations: what each does, what it refuses, and that its inverse takes back exactly that."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.spec import load
from runtime import document, edits
from runtime.edits import Edited, apply

TYPES = load()


def flow(*operations: dict[str, Any]) -> dict[str, Any]:
    edited = apply(document.dump(document.new("a", "A")), operations, TYPES)
    assert edited.refused == []
    return edited.document


def node(node_id: str, node_type: str = "set_fields", **rest: Any) -> dict[str, Any]:
    return {"op": "add_node", "node": {"id": node_id, "type": node_type, **rest}, "at": [0, 0]}


def edge(source: str, target: str, key: str = "out", op: str = "add_edge") -> dict[str, Any]:
    return {"op": op, "edge": {"source": source, "target": target, "key": key}}


def codes(edited: Edited) -> list[str]:
    return [problem.code for _operation, problem in edited.refused]


def test_a_node_gets_what_it_needs() -> None:
    start = flow({"op": "add_node", "node": {"type": "send_email"}, "at": [280.0, 20]})

    again = apply(start, [{"op": "add_node", "node": {"type": "send_email"}}], TYPES)

    assert start["nodes"] == [{"id": "send_email", "type": "send_email", "name": "Send email", "params": {}}]
    assert start["layout"] == {"send_email": [280, 20]}
    assert again.document["nodes"][1]["id"] == "send_email_2"
    assert again.document["nodes"][1]["name"] == "Send email 2"
    assert again.document["layout"]["send_email_2"] == [560, 20]
    assert again.applied[0]["node"] == again.document["nodes"][1]


def test_defaults_are_filled_in_under_the_names_that_flows_store() -> None:
    found = edits.defaults(TYPES["http_request"])

    assert found["method"] == "GET"
    assert "url" not in found
    assert not any(name.endswith("_") for name in found)


def test_a_copy_takes_over_the_settings() -> None:
    start = flow(node("a", "set_fields", params={"fields": {"x": 1}}, retry={"attempts": 2}, name="Mine"))

    edited = apply(start, [{"op": "add_node", "node": {"id": "b", "type": "set_fields"}, "copy_of": "a"}], TYPES)

    assert edited.document["nodes"][1] == {**start["nodes"][0], "id": "b", "name": "Mine 2"}


def test_deleting_a_node_takes_its_edges_samples_and_place_along() -> None:
    start = flow(node("t", "manual"), node("a"), node("b"), edge("t", "a"), edge("a", "b"))
    start = apply(
        start, [{"op": "set_samples", "samples": [{"name": "s", "trigger": "t", "payload": {}}]}], TYPES
    ).document

    edited = apply(start, [{"op": "del_node", "id": "t"}, {"op": "del_node", "id": "a"}], TYPES)

    assert [n["id"] for n in edited.document["nodes"]] == ["b"]
    assert edited.document["edges"] == []
    assert edited.document["samples"] == []
    assert list(edited.document["layout"]) == ["b"]
    assert apply(edited.document, edited.inverse, TYPES).document == start


def test_moving_touches_only_the_layout() -> None:
    start = flow(node("a"), node("b"))

    edited = apply(start, [{"op": "move", "at": {"a": [20, 40.0], "gone": [1, 1]}}], TYPES)

    assert {**edited.document, "layout": None} == {**start, "layout": None}
    assert edited.document["layout"] == {"a": [20, 40], "b": [0, 0]}
    assert edited.applied == [{"op": "move", "at": {"a": [20, 40]}}]
    assert edited.inverse == [{"op": "move", "at": {"a": [0, 0]}}]


def test_a_parameter_is_set_and_unset_alone() -> None:
    start = flow(node("a", "send_email", params={"to": "a@b.c", "text": "x"}))

    edited = apply(start, [{"op": "patch_node", "id": "a", "param": {"to": "d@e.f"}, "unset": ["text"]}], TYPES)

    assert edited.document["nodes"][0]["params"] == {"to": "d@e.f"}
    assert edited.inverse == [{"op": "patch_node", "id": "a", "param": {"text": "x", "to": "a@b.c"}}]


def test_taking_back_one_persons_change_keeps_anothers() -> None:
    start = flow(node("a", "send_email", params={"to": "a@b.c"}))
    mine = apply(start, [{"op": "patch_node", "id": "a", "param": {"to": "mine@b.c"}}], TYPES)
    theirs = apply(mine.document, [{"op": "patch_node", "id": "a", "param": {"subject": "theirs"}}], TYPES)

    undone = apply(theirs.document, mine.inverse, TYPES)

    assert undone.document["nodes"][0]["params"] == {"subject": "theirs", "to": "a@b.c"}


def test_one_and_true_are_different_values() -> None:
    start = flow(node("a", params={"fields": {"x": 1}}))

    edited = apply(start, [{"op": "patch_node", "id": "a", "param": {"fields": {"x": True}}}], TYPES)

    assert edited.document["nodes"][0]["params"]["fields"]["x"] is True


@pytest.mark.parametrize(
    "operation",
    [
        node("a", name="A node"),
        edge("t", "a"),
        edge("a", "t", op="del_edge"),
        {"op": "del_node", "id": "gone"},
        {"op": "move", "at": {"a": [0, 0]}},
        {"op": "patch_node", "id": "a", "set": {"name": "A node"}},
        {"op": "patch_flow", "set": {"name": "A"}},
        {"op": "set_samples", "samples": []},
    ],
)
def test_an_operation_that_changes_nothing_is_left_out(operation: dict[str, Any]) -> None:
    start = flow(node("t", "manual"), node("a", name="A node"), edge("t", "a"))

    edited = apply(start, [operation], TYPES)

    assert (edited.document, edited.applied, edited.inverse, edited.refused) == (start, [], [], [])


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (edge("b", "a"), "graph.cycle"),
        (edge("b", "a") | {"restore": True}, "graph.cycle"),
        (edge("a", "a"), "graph.cycle"),
        (edge("a", "t"), "graph.cycle"),
        (edge("lone", "t"), "edge.into_trigger"),
        (edge("a", "b", "nope"), "edge.port_unknown"),
        (edge("a", "b", "error"), "edge.port_unknown"),
        (edge("a", "gone"), "node.unknown"),
        ({"op": "add_edge", "edge": {"source": 1, "target": "a"}}, "document.invalid"),
        ({"op": "add_edge"}, "operation.invalid"),
        (node("a", "send_email"), "node.id_duplicate"),
        (node("x", "nope"), "node.type_unknown"),
        (node("9x"), "node.id_invalid"),
        (node("__proto__"), "node.id_invalid"),
        (node("x", colour="red"), "node.unknown_key"),
        ({"op": "add_node", "node": {"id": "x", "type": "manual"}, "at": [1]}, "operation.invalid"),
        ({"op": "add_node", "node": {"id": "x", "type": "manual"}, "at": [1, float("nan")]}, "operation.number_range"),
        ({"op": "patch_node", "id": "gone", "set": {}}, "node.unknown"),
        ({"op": "patch_node", "id": "a", "set": {"id": "z"}}, "operation.unknown_setting"),
        ({"op": "patch_node", "id": "a", "set": {"type": "manual"}}, "operation.unknown_setting"),
        ({"op": "patch_node", "id": "a", "set": {"name": ""}}, "node.invalid"),
        ({"op": "patch_node", "id": "a", "set": {"on_error": "explode"}}, "node.invalid"),
        ({"op": "patch_node", "id": "a", "set": {"retry": {"attempts": 1000}}}, "node.invalid"),
        ({"op": "patch_flow", "set": {"id": "z"}}, "operation.unknown_setting"),
        ({"op": "patch_flow", "set": {"name": ""}}, "document.invalid"),
        ({"op": "patch_flow", "set": {"description": "x" * 10_001}}, "document.invalid"),
        ({"op": "set_samples", "samples": [{"name": "a", "trigger": "t"}] * 2}, "sample.duplicate"),
        ({"op": "set_samples", "samples": [{"name": "a"}]}, "document.missing"),
        ({"op": "replace", "document": {}}, "document.format_unknown"),
        ({"op": "explode"}, "operation.unknown"),
        ("nonsense", "operation.unknown"),
        ({"op": ["add_node"]}, "operation.unknown"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_problem(operation: Any, code: str) -> None:
    start = flow(node("t", "manual"), node("a"), node("b"), node("lone"), edge("t", "a"), edge("a", "b"))
    before = deepcopy(start)

    edited = apply(start, [operation], TYPES)

    assert codes(edited) == [code]
    assert edited.document == before
    assert edited.applied == []


def test_the_others_are_still_done() -> None:
    edited = apply(flow(node("a")), [edge("a", "a"), node("b")], TYPES)

    assert codes(edited) == ["graph.cycle"]
    assert [n["id"] for n in edited.document["nodes"]] == ["a", "b"]


def test_the_error_port_exists_once_errors_go_there() -> None:
    start = flow(node("a", "send_email"), node("b"))

    edited = apply(
        start, [{"op": "patch_node", "id": "a", "set": {"on_error": "port"}}, edge("a", "b", "error")], TYPES
    )

    assert edited.refused == []


def test_a_replaced_flow_keeps_its_id() -> None:
    start = flow(node("a"))
    other = document.dump(document.new("other", "Other"))

    edited = apply(start, [{"op": "replace", "document": other}], TYPES)

    assert edited.document["graph"] == {"id": "a", "name": "Other", "description": ""}
    assert apply(edited.document, edited.inverse, TYPES).document == start


def test_a_node_of_a_type_that_is_gone_can_be_restored() -> None:
    start = flow(node("t", "manual"))
    start = {**start, "nodes": [*start["nodes"], {"id": "x", "type": "gone", "name": "X", "params": {"a": 1}}]}
    start["edges"] = [{"source": "t", "target": "x", "key": "old_port"}]

    edited = apply(start, [{"op": "del_node", "id": "x"}], TYPES)

    assert apply(edited.document, edited.inverse, TYPES).document == start


_IDS = st.sampled_from(["t", "a", "b", "c", "d", "switch", "__proto__", "9", ""])
_PLACES = st.lists(st.integers(-100, 100), min_size=1, max_size=2)
_EDGES = st.fixed_dictionaries(
    {"source": _IDS, "target": _IDS},
    optional={"key": st.sampled_from(["out", "true", "false", "x", "error", "default"])},
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
_PARAMS = st.dictionaries(st.sampled_from(["fields", "cases", "to", "x"]), _VALUES | st.just(["x", "y"]), max_size=3)
_OPERATIONS = st.one_of(
    st.fixed_dictionaries(
        {
            "op": st.just("add_node"),
            "node": st.fixed_dictionaries(
                {"type": st.sampled_from(["manual", "condition", "switch", "set_fields", "send_email", "gone"])},
                optional={"id": _IDS, "params": _PARAMS, "name": st.sampled_from(["Mine", "Other 2"])},
            ),
        },
        optional={"at": _PLACES, "copy_of": _IDS},
    ),
    st.fixed_dictionaries({"op": st.just("del_node"), "id": _IDS}),
    st.fixed_dictionaries({"op": st.sampled_from(["add_edge", "del_edge"]), "edge": _EDGES}),
    st.fixed_dictionaries({"op": st.just("move"), "at": st.dictionaries(_IDS, _PLACES | st.none(), max_size=3)}),
    st.fixed_dictionaries(
        {"op": st.just("patch_node"), "id": _IDS},
        optional={
            "set": st.fixed_dictionaries(
                {},
                optional={
                    "name": st.text(max_size=3),
                    "params": _PARAMS,
                    "on_error": st.sampled_from(["stop", "continue", "port", None, "x"]),
                    "retry": st.sampled_from([None, {}, {"attempts": 2}, {"attempts": 0}]),
                },
            ),
            "param": _PARAMS,
            "unset": st.lists(st.sampled_from(["fields", "x"]), max_size=2),
        },
    ),
    st.fixed_dictionaries(
        {
            "op": st.just("patch_flow"),
            "set": st.dictionaries(st.sampled_from(["name", "description", "id"]), st.text(max_size=3)),
        }
    ),
    st.fixed_dictionaries(
        {
            "op": st.just("set_samples"),
            "samples": st.lists(st.fixed_dictionaries({"name": st.text(max_size=2), "trigger": _IDS}), max_size=2),
        }
    ),
)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add_node", "node": {"id": "c", "type": "set_fields"}, "at": [40, 60]},
        {"op": "del_node", "id": "t"},
        {"op": "del_node", "id": "a"},
        edge("t", "b"),
        edge("t", "a", op="del_edge"),
        {"op": "move", "at": {"a": [20, 40], "b": None}},
        {"op": "patch_node", "id": "a", "set": {"name": "Mine", "retry": {"attempts": 2}, "on_error": "port"}},
        {"op": "patch_node", "id": "a", "param": {"fields": {"y": 2}, "more": 1}},
        {"op": "patch_node", "id": "a", "unset": ["fields"]},
        {"op": "patch_flow", "set": {"name": "B", "description": "Other"}},
        {"op": "set_samples", "samples": []},
        {"op": "replace", "document": document.dump(document.new("a", "C"))},
    ],
    ids=lambda operation: operation["op"],
)
def test_each_operation_is_done_and_taken_back(operation: dict[str, Any]) -> None:
    start = flow(
        *(node("t", "manual"), node("a", params={"fields": {"x": 1}}), node("b"), edge("t", "a"), edge("a", "b")),
        {"op": "set_samples", "samples": [{"name": "s", "trigger": "t", "payload": {"n": 1}}]},
    )

    edited = apply(start, [operation], TYPES)
    undone = apply(edited.document, edited.inverse, TYPES)

    assert edited.document != start
    assert (edited.refused, undone.refused) == ([], [])
    assert json.dumps(undone.document) == json.dumps(start)


def test_undoing_a_new_node_leaves_the_sample_that_was_waiting_for_it() -> None:
    start = apply(flow(), [{"op": "set_samples", "samples": [{"name": "s", "trigger": "c"}]}], TYPES).document

    edited = apply(start, [{"op": "add_node", "node": {"id": "c", "type": "manual"}}], TYPES)

    assert apply(edited.document, edited.inverse, TYPES).document == start


@settings(deadline=None, max_examples=100)
@given(st.lists(_OPERATIONS, max_size=12), st.lists(_OPERATIONS, max_size=12))
def test_any_edit_keeps_the_structure_sound_and_can_be_taken_back(
    before: list[dict[str, Any]], operations: list[dict[str, Any]]
) -> None:
    start = apply(
        flow(node("t", "manual"), node("a"), node("b"), edge("t", "a"), edge("a", "b")), before, TYPES
    ).document
    untouched = deepcopy(start)

    edited = apply(start, operations, TYPES)

    assert start == untouched
    parsed, problems = document.parse(edited.document)
    assert parsed is not None, problems
    assert json.dumps(document.dump(parsed)) == json.dumps(edited.document)
    undone = apply(edited.document, edited.inverse, TYPES)
    assert undone.refused == []
    assert json.dumps(undone.document) == json.dumps(start)
    redone = apply(undone.document, edited.applied, TYPES)
    assert redone.refused == []
    assert json.dumps(redone.document) == json.dumps(edited.document)
