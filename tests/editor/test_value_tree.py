"""The tree that the picker shows: groups and their order, paths that can be written, examples, doubts and hints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from editor.known_values import KnownValues
from editor.value_tree import MOST, member, tree
from nodes import spec
from runtime.document import FORMAT
from runtime.shapes import NUMBER, OBJECT, TEXT, UNKNOWN, absent, list_of, object_of, of_value, with_sample

TYPES = spec.load()
Json = Any


def flow(nodes: dict[str, str | dict[str, Json]], edges: str, samples: Json = ()) -> dict[str, Json]:
    listed = [{"id": name, **({"type": node} if isinstance(node, str) else node)} for name, node in nodes.items()]
    return {
        "format": FORMAT,
        "graph": {"id": "f", "name": "F"},
        "nodes": [{"name": node["id"].capitalize(), "params": {}, **node} for node in listed],
        "edges": [
            {"source": source.partition(".")[0], "key": source.partition(".")[2] or "out", "target": target}
            for source, _sign, target in (edge.partition(">") for edge in edges.split())
        ],
        "samples": list(samples),
    }


def shown(document: dict[str, Json], node: str, param: str | None = None) -> dict[str, Json]:
    scope = KnownValues(TYPES, ()).scope_at(document, node, param, columns={}, run=None)
    assert scope is not None
    return tree(document, TYPES, scope)


def rows(items: list[dict[str, Json]]) -> Iterator[dict[str, Json]]:
    for item in items:
        yield item
        yield from rows(item.get("children", []))


def paths(found: dict[str, Json]) -> dict[str, dict[str, Json]]:
    return {row["path"]: row for row in rows(found["groups"]) if "path" in row}


PAID = {"e": {"type": "event", "params": {"event": "shop.paid"}}, "m": "send_email"}
SAMPLE = {"name": "s", "trigger": "e", "payload": {"first name": "Ada", "rows": [{"n": 1}], "deep": {"a": 1}}}


def test_the_payload_comes_first_then_the_nearest_nodes_and_last_what_is_always_there() -> None:
    nodes: dict[str, Json] = {"t": "manual", "a": "find_users", "b": "get_user", "m": "send_email"}

    found = shown(flow(nodes, "t>a a>b b>m"), "m")

    assert [group["name"] for group in found["groups"]] == ["Payload", "B", "A", "Always there"]
    assert not any("path" in group for group in found["groups"])
    assert found["unfolded"] == ["param", "$action.b"]


def test_examples_stand_beside_their_fields_and_odd_names_in_brackets() -> None:
    found = paths(shown(flow(PAID, "e>m", [SAMPLE]), "m"))

    assert found["$param['first name']"]["sample"] == "Ada"
    assert found["$param.rows"]["sample"] == "1 entry"
    assert found["$param.rows[0].n"]["kind"] == "number"
    assert found["$param.deep.a"]["sample"] == "1"
    assert found["$param.deep"]["kind"] == "object"


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("name", "$param.name"),
        ("not", "$param.not"),
        ("9", "$param['9']"),
        ("größe", "$param['größe']"),
        ("a'b", "$param['a\\'b']"),
        ('a"b', "$param['a\"b']"),
        ("a\\b", "$param['a\\\\b']"),
        ("two\nlines", "$param['two\\nlines']"),
    ],
)
def test_a_path_can_be_evaluated_as_it_is_written(key: str, path: str) -> None:
    from runtime.expressions import compile_value
    from runtime.scope import Scope

    assert member("$param", key) == path
    assert compile_value(f"{{{{ {path} }}}}").evaluate(Scope(param={key: "here"})) == "here"


def test_what_may_be_missing_says_why() -> None:
    nodes: dict[str, Json] = {"t": "manual", "c": "condition", "u": "get_user", "m": "send_email"}

    found = shown(flow(nodes, "t>c c.true>u c.false>m u>m"), "m")

    (group,) = [group for group in found["groups"] if group["name"] == "U"]
    assert group["missing"] == "May be missing, because “U” is skipped on some ways to this node."
    assert paths(found)["$action.u"]["missing"] == group["missing"]


def test_what_only_an_example_has_is_said_to_be_no_promise() -> None:
    payload = with_sample(object_of({"id": TEXT}, others=UNKNOWN), {"id": "a", "more": 1})

    found = paths(tree(flow({}, ""), TYPES, {"param": payload}))

    assert "origin" in found["$param.more"]
    assert "origin" not in found["$param.id"]


def test_a_pinned_output_is_an_example() -> None:
    pinned = {"type": "http_request", "pinned": {"port": "out", "output": {"status": 200, "body": {"rate": 4}}}}

    found = paths(shown(flow({"t": "manual", "call": pinned, "m": "send_email"}, "t>call call>m"), "m"))

    assert found["$action.call.status"]["sample"] == "200"
    assert found["$action.call.body.rate"]["sample"] == "4"


def test_what_is_never_there_is_left_out() -> None:
    outputs = object_of({"a": absent("it is skipped"), "b": object_of({"x": absent("no"), "y": NUMBER})})

    found = paths(tree(flow({"a": "get_user", "b": "get_user"}, ""), TYPES, {"action": outputs}))

    assert list(found) == ["$action.b", "$action.b.y"]


def test_a_loop_offers_its_item_inside_and_its_output_after_it() -> None:
    nodes: dict[str, Json] = {"t": "manual", "loop": "for_each", "body": "set_fields", "after": "set_fields"}
    document = flow(nodes, "t>loop loop.each>body loop.done>after")

    inside, after = paths(shown(document, "body")), paths(shown(document, "after"))

    assert {"$item", "$index"} <= inside.keys()
    assert not any(path.startswith("$action") for path in inside)
    assert "$item" not in after
    assert "$action.loop.outputs" in after


def test_variables_stand_by_themselves() -> None:
    found = tree(flow({}, ""), TYPES, {"var": object_of({"rate": NUMBER})})

    assert [group["name"] for group in found["groups"]] == ["Variables"]
    assert list(paths(found)) == ["$var.rate"]


@pytest.mark.parametrize(
    ("param", "words"),
    [(absent("nothing leads here"), "Connect this node"), (OBJECT, "Save a sample"), (object_of({"a": TEXT}), "")],
    ids=["unconnected", "no sample", "known"],
)
def test_an_empty_tree_says_what_to_do(param: Json, words: str) -> None:
    hint = tree(flow(PAID, ""), TYPES, {"param": param})["hint"]

    assert words in hint
    assert bool(hint) == bool(words)


def test_a_node_that_no_trigger_leads_to_has_no_payload() -> None:
    found = shown(flow({"t": "manual", "a": "get_user", "m": "send_email"}, "t>a"), "m")

    assert [group["name"] for group in found["groups"]] == ["Always there"]
    assert found["unfolded"] == ["common"]
    assert found["hint"].startswith("Connect this node to a trigger")


def test_a_huge_example_is_cut() -> None:
    payload = of_value({f"k{i}": {f"x{j}": "word " * 200 for j in range(40)} for i in range(100)})
    payload = replace(payload, sample={}, fields={**payload.fields, "list": list_of(TEXT)})

    found = paths(tree(flow({}, ""), TYPES, {"param": payload}))

    assert len(found) <= MOST + 1
