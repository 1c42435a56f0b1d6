"""The flow document: what is read, what is refused with which words, and how it is written."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import networkx
import pytest

from runtime import document, limits
from runtime.errors import Problem

FLOW: dict[str, Any] = {
    "format": "pulsewire.flow/1",
    "directed": True,
    "multigraph": True,
    "graph": {"id": "warn", "name": "Warn on emptied table", "description": ""},
    "nodes": [
        {"id": "emptied", "type": "api.dataTable_emptied", "name": "Table emptied", "params": {}},
        {"id": "is_orders", "type": "condition", "name": "Orders?", "params": {"if": "{{ $param.Name == 'orders' }}"}},
        {
            "id": "warn",
            "type": "send_email",
            "name": "Warn",
            "params": {"subject": "{{ $param.Name }}", "to": "ops@example.com"},
            "retry": {"attempts": 3, "delay_s": 5, "backoff": 2},
            "on_error": "port",
        },
    ],
    "edges": [
        {"source": "emptied", "target": "is_orders", "key": "out"},
        {"source": "is_orders", "target": "warn", "key": "true"},
    ],
    "samples": [{"name": "orders", "trigger": "emptied", "payload": {"Name": "orders"}}],
    "layout": {"emptied": [0, 0], "is_orders": [280, 0], "warn": [560, 0]},
}


def flow(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(FLOW), **changes}


def problems(data: object) -> list[Problem]:
    found, problems = document.parse(data)
    assert (found is None) == any(problem.severity == "error" for problem in problems)
    return problems


def test_a_flow_is_read_and_written_without_a_change() -> None:
    parsed, found = document.parse(flow())

    assert found == []
    assert parsed is not None
    assert document.dump(parsed) == FLOW
    assert json.dumps(document.dump(parsed)) == json.dumps(FLOW)
    assert document.parse(json.loads(document.dumps(parsed)))[0] == parsed


def test_a_default_that_was_written_down_is_kept() -> None:
    written = deepcopy(FLOW)
    written["nodes"][0]["on_error"] = "stop"

    found, _ = document.parse(written)

    assert found is not None
    assert document.dump(found) == written


def test_networkx_opens_an_exported_flow() -> None:
    parsed, _ = document.parse(flow())
    assert parsed is not None

    graph = networkx.node_link_graph(json.loads(document.dumps(parsed)), edges="edges")

    assert isinstance(graph, networkx.MultiDiGraph)
    assert list(graph.edges(keys=True)) == [("emptied", "is_orders", "out"), ("is_orders", "warn", "true")]
    assert graph.nodes["warn"]["type"] == "send_email"
    assert graph.graph["name"] == "Warn on emptied table"


def test_keys_are_written_in_one_order_and_layout_last() -> None:
    shuffled = dict(reversed(flow().items()))
    shuffled["nodes"] = [dict(reversed(node.items())) for node in FLOW["nodes"]]
    shuffled["nodes"][2]["params"] = dict(reversed(FLOW["nodes"][2]["params"].items()))
    shuffled["layout"] = dict(reversed(FLOW["layout"].items()))

    parsed, _ = document.parse(shuffled)

    assert parsed is not None
    assert json.dumps(document.dump(parsed)) == json.dumps(FLOW)
    assert list(document.dump(parsed))[-1] == "layout"


def test_what_has_a_default_may_be_left_out() -> None:
    parsed, found = document.parse(
        {"format": document.FORMAT, "graph": {"name": "A"}, "nodes": [{"id": "a", "type": "manual"}]}
    )

    assert found == []
    assert parsed is not None
    assert document.dump(parsed)["nodes"] == [{"id": "a", "type": "manual", "name": "a", "params": {}}]


@pytest.mark.parametrize("name", ["a\0b", "two\nlines", "\x1b[2J", "next\u2028line"])
def test_a_name_is_one_line_of_text(name: str) -> None:
    data = flow()
    data["graph"]["name"] = data["nodes"][0]["name"] = name

    assert [problem.code for problem in problems(data)] == ["document.invalid", "node.invalid"]


@pytest.mark.parametrize("name", ["\u202egnp.exe", "🦊", "<b>x</b>", "'; DROP TABLE flow", "../../etc", "עברית"])
def test_a_name_may_be_odd(name: str) -> None:
    data = flow()
    data["graph"]["name"] = data["nodes"][0]["name"] = name

    assert problems(data) == []


def test_a_new_flow_is_sound() -> None:
    assert problems(document.dump(document.new("a", "A"))) == []


def test_every_problem_is_told_at_once() -> None:
    data = flow(extra=1)
    del data["graph"]["name"]
    data["nodes"] += [
        {"id": "emptied", "type": 3, "name": "x"},
        {"id": "9lives", "type": "manual"},
        {"id": "__proto__", "type": "manual"},
        {
            "id": "ok",
            "type": "manual",
            "colour": "red",
            "on_error": "explode",
            "retry": {"attempts": 99, "delay_s": "x"},
        },
        "not a node",
    ]
    data["edges"] += [{"source": "warn", "target": "gone"}, {"source": "emptied", "target": "is_orders", "key": "out"}]
    data["layout"]["warn"] = [1, "2"]

    found = problems(data)

    assert [(problem.code, problem.node) for problem in found] == [
        ("document.missing", None),
        ("node.invalid", "emptied"),
        ("node.id_invalid", "9lives"),
        ("node.id_invalid", "__proto__"),
        ("node.invalid", "ok"),
        ("node.invalid", "ok"),
        ("node.invalid", "ok"),
        ("node.unknown_key", "ok"),
        ("node.invalid", None),
        ("document.invalid", None),
        ("document.unknown_key", None),
        ("node.id_duplicate", "emptied"),
        ("edge.duplicate", "emptied"),
        ("edge.dangling", "warn"),
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ([], "document.not_an_object"),
        (None, "document.not_an_object"),
        ({}, "document.format_unknown"),
        (flow(format="pulsewire.flow/2"), "document.format_unknown"),
        (flow(format=1), "document.format_unknown"),
        (flow(nodes={}), "document.invalid"),
        (flow(directed=False), "document.invalid"),
        (flow(graph={"id": "a b", "name": "x"}), "document.invalid"),
        (flow(graph={"id": "a", "name": "x" * 201}), "document.invalid"),
        (flow(layout={"warn": [float("nan"), 0]}), "document.number_range"),
        (flow(layout={"warn": [10**7, 0]}), "document.invalid"),
        (flow(samples=[{"name": "a", "trigger": "emptied", "payload": []}]), "document.invalid"),
        (flow(samples=[{"name": "a", "trigger": "emptied"}] * 2), "sample.duplicate"),
        (
            flow(nodes=[{"id": f"n{i}", "type": "t"} for i in range(limits.FLOW_NODES + 1)], edges=[]),
            "document.too_large",
        ),
        (flow(graph={"id": "a", "name": "\ud800"}), "document.text_invalid"),
        (flow(graph={"id": "a", "name": 2**70}), "document.number_range"),
        (flow(graph={1: 2}), "document.not_json"),
        (flow(graph={"id": "a", "name": {1, 2}}), "document.not_json"),
    ],
)
def test_a_wrong_document_is_refused(data: object, code: str) -> None:
    assert code in {problem.code for problem in problems(data)}


def test_a_document_nested_very_deeply_is_refused() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]

    assert [problem.code for problem in problems(flow(samples=deep))] == ["document.too_deep"]
    assert [p.code for p in document.parse_text(b"[" * 200_000)[1]] == ["document.too_deep"]


def test_names_of_javascript_are_plain_data_in_parameters() -> None:
    data = flow()
    data["nodes"][0]["params"] = {"__proto__": {"polluted": True}, "constructor": "x"}

    parsed, found = document.parse(data)

    assert found == []
    assert parsed is not None
    assert document.dump(parsed)["nodes"][0]["params"] == {"__proto__": {"polluted": True}, "constructor": "x"}


def test_a_place_without_a_node_is_left_out_with_a_warning() -> None:
    parsed, found = document.parse(flow(layout={"warn": [0, 0], "gone": [1, 1]}))

    assert [(problem.code, problem.severity) for problem in found] == [("layout.node_unknown", "warning")]
    assert parsed is not None
    assert list(parsed.layout) == ["warn"]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"format": NaN}', "document.number_range"),
        (b'{"a": 1, "a": 2}', "document.key_duplicate"),
        (b"{", "document.json_invalid"),
        (b"\xff\xfe", "document.json_invalid"),
        (b'{"a": "' + b"x" * 5_000_000 + b'"}', "document.too_large"),
        (b'"\\ud800"', "document.text_invalid"),
    ],
)
def test_text_that_is_no_flow_is_refused(raw: bytes, code: str) -> None:
    parsed, found = document.parse_text(raw)

    assert parsed is None
    assert [problem.code for problem in found] == [code]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"graph": {"id": "a b", "name": "A"}}, "“graph.id” must begin with a letter or digit, and hold at most"),
        ({"graph": {"id": "a", "name": "a\nb"}}, "“graph.name” must be one line"),
        ({"graph": {"id": "a", "name": "A", "description": "\0"}}, "“graph.description” must not hold NUL"),
        ({"edges": [{"source": "a b", "target": "warn"}]}, "“edges[0].source” must be the id of a node"),
    ],
    ids=["id", "name", "description", "edge"],
)
def test_a_text_of_the_wrong_form_is_told_which_form_it_must_have(changes: dict[str, Any], words: str) -> None:
    assert words in problems(flow(**changes))[0].message


def test_no_message_is_pydantics_own() -> None:
    data = flow(
        nodes=[{"id": 1, "type": [], "params": 3, "retry": [], "on_error": None}, 3], edges=[{"source": 1}], layout=[]
    )

    for problem in problems(data):
        assert "Input should" not in problem.message
        assert problem.message.endswith(".")


def test_the_schema_has_the_bounds_of_the_format_in_words_of_json_schema() -> None:
    schema = document.json_schema()

    found = schema["$defs"]["FlowSettings"]["properties"]["rate_s"]
    assert (found["minimum"], found["maximum"]) == (1, 86_400)
    assert not [name for name in ("ge", "le", "gt", "lt") if f'"{name}":' in json.dumps(schema)]


def test_the_schema_describes_the_format() -> None:
    schema = document.json_schema()

    assert schema["$id"] == "/api/schema/flow.json"
    assert set(schema["properties"]) == set(FLOW)
    assert "params" in schema["$defs"]["Node"]["properties"]
