"""Renaming a node: everything that names it is rewritten, and nothing that merely looks like it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.spec import load
from runtime.document import NODE_ID, RESERVED_IDS, parse
from runtime.edits import apply
from runtime.errors import Invalid
from runtime.expressions import Scope, compile_value
from runtime.renaming import renamed


def flow(**params: Any) -> dict[str, Any]:
    """A flow that reads *params* with the node ``reader``, after a node ``old``."""
    return {
        "format": "pulsewire.flow/1",
        "directed": True,
        "multigraph": True,
        "graph": {"id": "orders", "name": "$action.old", "description": "reads {{ $action.old }}"},
        "nodes": [
            {"id": "start", "type": "event", "name": "Start", "params": {"event": "shop.order_paid"}},
            {"id": "old", "type": "set_fields", "name": "old", "params": {"fields": {"old": "old"}}},
            {"id": "reader", "type": "set_fields", "name": "Reader", "params": params},
        ],
        "edges": [
            {"source": "start", "target": "old", "key": "out"},
            {"source": "old", "target": "reader", "key": "out"},
        ],
        "samples": [{"name": "old", "trigger": "start", "payload": {"old": "{{ $action.old }}"}}],
        "layout": {"start": [0, 0], "old": [280, 0], "reader": [560, 0]},
    }


def rewritten(text: str, new_id: str = "new") -> str:
    return renamed(flow(fields={"text": text}), "old", new_id)["nodes"][2]["params"]["fields"]["text"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ $action.old }}", "{{ $action.new }}"),
        ("{{ $action.old.items[0].old }}", "{{ $action.new.items[0].old }}"),
        ("{{ $action['old'].x }}", "{{ $action['new'].x }}"),
        ('{{ $action["old"].x }}', '{{ $action["new"].x }}'),
        (r"{{ $action['\x6fld'].x }}", "{{ $action['new'].x }}"),
        ("{{ $action . old }}", "{{ $action . new }}"),
        ("{{ $action[ 'old' ] }}", "{{ $action[ 'new' ] }}"),
        (
            "a {{ $action.old }} b {{ $action.old ~ $action.old }}",
            "a {{ $action.new }} b {{ $action.new ~ $action.new }}",
        ),
        ("{{ {'old': $action.old, 'b': [$action['old']]} }}", "{{ {'old': $action.new, 'b': [$action['new']]} }}"),
        ("{{ $param.x[$action.old.key] }}", "{{ $param.x[$action.new.key] }}"),
        ("{{ $action.get('old') }}", "{{ $action.get('new') }}"),
        ("{{ 'old' in $action }}", "{{ 'new' in $action }}"),
        ("{{ 'x' if 'old' not in $action else '' }}", "{{ 'x' if 'new' not in $action else '' }}"),
        ("{{ '}}' ~ $action.old }}", "{{ '}}' ~ $action.new }}"),
    ],
)
def test_what_names_the_node_is_rewritten(text: str, expected: str) -> None:
    assert rewritten(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "$action.old",
        "{% $action.old %} {# $action.old #}",
        "{{ '$action.old' }}",
        "{{ $action.older.old }}",
        "{{ $action['old '] }}",
        "{{ $action['older']['old'] }}",
        "{{ $param.old ~ $param['old'] ~ 'old' }}",
        "{{ $param.action.old }}",
        "{{ $action.x.get('old') }}",
        "{{ $action[$param.old] }}",
        "{{ 'old' in $action.x }}",
        "{{ 'the ' ~ 'old' in $action }}",
        "{{ 'old' in $param }}",
        "{{ $action.old",
        "{{ $action.old }} {{ 'open }}",
    ],
)
def test_what_looks_like_it_stays(text: str) -> None:
    assert rewritten(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ $action.old.x }}", "{{ $action['send-mail'].x }}"),
        ("{{ $action . old }}", "{{ $action ['send-mail'] }}"),
        ('{{ $action["old"] }}', '{{ $action["send-mail"] }}'),
    ],
)
def test_an_id_with_a_hyphen_stands_in_brackets(text: str, expected: str) -> None:
    assert rewritten(text, "send-mail") == expected


def test_everything_that_joins_the_node_follows() -> None:
    document = flow()
    document["nodes"][1]["pinned"] = {"port": "error", "output": {"message": "old", "code": "x", "step": "old"}}
    before = deepcopy(document)

    after = renamed(document, "old", "new")

    assert document == before
    assert [node["id"] for node in after["nodes"]] == ["start", "new", "reader"]
    assert after["nodes"][1]["name"] == "old"
    assert after["nodes"][1]["params"] == {"fields": {"old": "old"}}
    assert after["nodes"][1]["pinned"]["output"] == {"message": "old", "code": "x", "step": "new"}
    assert [(edge["source"], edge["target"]) for edge in after["edges"]] == [("start", "new"), ("new", "reader")]
    assert list(after["layout"].items()) == [("start", [0, 0]), ("new", [280, 0]), ("reader", [560, 0])]
    assert after["graph"] == before["graph"]
    assert after["samples"] == before["samples"]
    assert parse(after)[1] == []


def test_the_samples_of_a_trigger_follow_it() -> None:
    after = renamed(flow(), "start", "paid")

    assert after["samples"] == [{"name": "old", "trigger": "paid", "payload": {"old": "{{ $action.old }}"}}]


def test_conditions_without_braces_are_expressions_only_where_the_node_says_so() -> None:
    document = flow(fields={"a": "$action.old.x == 1"})
    document["nodes"] += [
        {
            "id": "wait",
            "type": "wait_for_event",
            "name": "Wait",
            "params": {
                "event": "$action.old",
                "condition": "$item.id == $action.old.id",
                "match": {"x": "$action.old"},
            },
        },
        {"id": "again", "type": "while_loop", "name": "Again", "params": {"while": "{{ $action.old.more }}"}},
        {
            "id": "other",
            "type": "event",
            "name": "Other",
            "params": {"event": "{{ $action.old }}", "filter": "$action.old == 1"},
        },
    ]
    document["graph"]["settings"] = {"key": "$action.old"}

    after = renamed(document, "old", "new")

    found = {node["id"]: node["params"] for node in after["nodes"]}
    assert found["reader"] == {"fields": {"a": "$action.old.x == 1"}}
    assert found["wait"] == {
        "event": "$action.old",
        "condition": "$item.id == $action.new.id",
        "match": {"x": "$action.old"},
    }
    assert found["again"] == {"while": "{{ $action.new.more }}"}
    assert found["other"] == {"event": "{{ $action.old }}", "filter": "$action.new == 1"}
    assert after["graph"]["settings"] == {"key": "$action.new"}


@pytest.mark.parametrize(
    ("old_id", "new_id", "code"),
    [
        ("gone", "new", "node.unknown"),
        ("old", "reader", "node.id_duplicate"),
        ("old", "", "node.id_invalid"),
        ("old", "two words", "node.id_invalid"),
        ("old", "1st", "node.id_invalid"),
        ("old", "new\n", "node.id_invalid"),
        ("old", "größe", "node.id_invalid"),
        ("old", "__proto__", "node.id_invalid"),
        ("old", "n" * 65, "node.id_invalid"),
    ],
)
def test_an_id_that_cannot_be_is_refused(old_id: str, new_id: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        renamed(flow(), old_id, new_id)

    assert [problem.code for problem in refused.value.problems] == [code]


def test_the_same_id_changes_nothing() -> None:
    document = flow(fields={"text": "{{ $action['old'] }}"})

    assert renamed(document, "old", "old") == document


@given(
    new_id=st.from_regex(NODE_ID, fullmatch=True).filter(
        lambda new_id: new_id not in RESERVED_IDS | {"start", "reader"}
    )
)
def test_expressions_read_the_same_node_under_any_id(new_id: str) -> None:
    texts = ["{{ $action.old.x }}", "{{ $action['old'].x }}", "{{ $action.get('old').x }}", "{{ 'old' in $action }}"]

    values = [compile_value(rewritten(text, new_id)).evaluate(Scope(action={new_id: {"x": 7}})) for text in texts]

    assert values == [7, 7, 7, True]


def test_an_edit_renames_and_undoes_it() -> None:
    start = flow(fields={"text": "{{ $action.old.x }}"})

    edited = apply(start, [{"op": "rename_node", "id": "old", "to": "new"}], load())

    assert edited.refused == []
    assert edited.applied == [{"op": "rename_node", "id": "old", "to": "new"}]
    assert edited.document == renamed(start, "old", "new")
    assert edited.inverse == [{"op": "rename_node", "id": "new", "to": "old"}]
    assert apply(edited.document, edited.inverse, load()).document == start


@pytest.mark.parametrize("new_id", ["new", "send-mail"])
def test_undoing_gives_back_every_spelling(new_id: str) -> None:
    start = flow(fields={"text": "{{ $action.old.x ~ $action['old'].x }}"}, broken="{{ $action.new ~ $action.old }}")
    start["graph"]["settings"] = {"key": "$action.old ~ $action.new"}
    theirs = {"op": "patch_node", "id": "start", "param": {"event": "shop.order_sent"}}

    edited = apply(start, [{"op": "rename_node", "id": "old", "to": new_id}], load())
    changed = apply(edited.document, [theirs], load()).document

    assert apply(edited.document, edited.inverse, load()).document == start
    assert apply(changed, edited.inverse, load()).document == apply(start, [theirs], load()).document


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"op": "rename_node", "id": "gone", "to": "new"}, "node.unknown"),
        ({"op": "rename_node", "id": "old", "to": "reader"}, "node.id_duplicate"),
        ({"op": "rename_node", "id": "old", "to": 7}, "operation.invalid"),
        ({"op": "rename_node", "id": "old"}, "operation.invalid"),
    ],
)
def test_an_edit_that_cannot_rename_is_refused(operation: dict[str, Any], code: str) -> None:
    start = flow()

    edited = apply(start, [operation], load())

    assert [problem.code for _operation, problem in edited.refused] == [code]
    assert edited.document == start


def test_renaming_to_the_same_id_is_no_change() -> None:
    assert apply(flow(), [{"op": "rename_node", "id": "old", "to": "old"}], load()).applied == []
