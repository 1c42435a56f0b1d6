"""The checks of a flow: every problem at once, on the node and the field, in words."""

from __future__ import annotations

from typing import Any

import pytest

from nodes.spec import load
from runtime import document, limits, validation
from runtime.errors import Problem

TYPES = load()
RIGHT_EMAIL = {"to": "ops@example.com", "subject": "{{ $param.Name }}"}


def check(nodes: list[dict[str, Any]], edges: list[tuple[str, str, str]] = (), **options: Any) -> list[Problem]:  # type: ignore[assignment]
    data = {
        "format": document.FORMAT,
        "graph": {"id": "f", "name": "F"},
        "nodes": nodes,
        "edges": [{"source": source, "target": target, "key": port} for source, port, target in edges],
    }
    parsed, problems = document.parse(data)
    assert parsed is not None, problems
    return validation.check(parsed, TYPES, **options)


def of_node(node_type: str, params: dict[str, Any], **options: Any) -> list[Problem]:
    """Return the problems of one node that a trigger leads to, but for those of its ports, where nothing hangs."""
    nodes = [{"id": "t", "type": "manual"}, {"id": "n", "type": node_type, "name": "Mine", "params": params}]
    found = check(nodes, [("t", "out", "n")], **options)
    return [problem for problem in found if not problem.code.startswith("port.")]


def codes(problems: list[Problem]) -> list[tuple[str, str | None, str | None]]:
    return [(problem.code, problem.node, problem.param) for problem in problems]


def test_a_right_flow_has_no_problem() -> None:
    assert of_node("send_email", RIGHT_EMAIL) == []


def test_an_empty_field_is_named_by_its_title() -> None:
    for params in (
        {"subject": "x"},
        {"subject": "x", "to": ""},
        {"subject": "x", "to": []},
        {"subject": "x", "to": None},
    ):
        found = of_node("send_email", params)

        assert codes(found) == [("param.missing", "n", "to")]
        assert found[0].message == "Mine: “To” is empty. Fill it in, or connect a node that provides it."


def test_everything_is_told_at_once() -> None:
    found = check(
        [
            {"id": "t", "type": "manual"},
            {"id": "mail", "type": "send_email", "name": "Mail", "params": {"cc": 4, "subject": "{{ x }}", "nope": 1}},
            {"id": "old", "type": "gone", "name": "Old"},
            {"id": "if", "type": "condition", "name": "If", "params": {"if": "yes"}},
        ],
        [("t", "out", "mail"), ("mail", "error", "old"), ("if", "out", "t")],
    )

    assert sorted(codes(found), key=str) == sorted(
        [
            ("graph.unreachable", "if", None),
            ("edge.port_unknown", "mail", None),
            ("edge.into_trigger", "t", None),
            ("edge.port_unknown", "if", None),
            ("param.missing", "mail", "to"),
            ("param.invalid", "mail", "cc"),
            ("param.unknown", "mail", "nope"),
            ("expression.name_unknown", "mail", "subject"),
            ("node.type_unknown", "old", None),
            ("param.invalid", "if", "if"),
        ],
        key=str,
    )


def test_a_cycle_is_reported_on_both_nodes_of_the_closing_edge() -> None:
    nodes = [{"id": "t", "type": "manual"}] + [
        {"id": key, "type": "set_fields", "name": key.upper(), "params": {"fields": {}}} for key in ("c", "b", "a")
    ]

    found = check(nodes, [("t", "out", "a"), ("a", "out", "b"), ("b", "out", "c"), ("c", "out", "a")])

    assert codes(found) == [("graph.cycle", "c", None), ("graph.cycle", "a", None)]
    assert found[0].message == "C: the flow would run in a circle from “C” back to “A”. Remove that edge."
    assert validation.refused(found) == found


def test_a_node_connected_to_itself_is_told_once() -> None:
    nodes = [{"id": "t", "type": "manual"}, {"id": "a", "type": "set_fields", "name": "A", "params": {"fields": {}}}]

    found = check(nodes, [("t", "out", "a"), ("a", "out", "a")])

    assert codes(found) == [("graph.cycle", "a", None)]
    assert found[0].message == "A: the node is connected to itself. Remove that edge."


def test_a_flow_needs_a_trigger() -> None:
    assert codes(check([])) == [("graph.no_trigger", None, None)]


def test_a_node_of_an_unknown_type_may_be_the_trigger() -> None:
    assert codes(check([{"id": "old", "type": "gone"}])) == [("node.type_unknown", "old", None)]


def test_a_flow_has_only_so_many_expressions() -> None:
    def flow_with(count: int) -> list[Problem]:
        full, rest = divmod(count, limits.EXPRESSIONS_IN_TEXT)
        texts = ["{{ 1 }}" * limits.EXPRESSIONS_IN_TEXT] * full + ["{{ 1 }}" * rest]
        fields = {f"field {number}": text for number, text in enumerate(texts)}
        return of_node("set_fields", {"fields": fields})

    assert flow_with(limits.EXPRESSIONS_IN_FLOW) == []
    assert codes(flow_with(limits.EXPRESSIONS_IN_FLOW + 1)) == [("expression.too_many", None, None)]


def test_the_expressions_of_a_flow_are_only_so_long_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EXPRESSION_TOKENS_IN_FLOW", 9)
    text, late = "{{ 1 + 2 }} or {{ 3 }}", "$item.total > 1"  # 4 and 5 names, signs and values

    def flow_with(fields: dict[str, str], condition: str) -> list[str]:
        wait = {"id": "w", "type": "wait_for_event", "params": {"event": "a.b", "condition": condition}}
        nodes = [{"id": "t", "type": "manual"}, {"id": "n", "type": "set_fields", "params": {"fields": fields}}, wait]
        edges = [("t", "out", "n"), ("n", "out", "w")]
        return [each.code for each in check(nodes, edges) if each.code.startswith("expression.")]

    assert flow_with({"a": text}, late) == flow_with({"a": text}, "{{ " + late + " }}") == []
    assert flow_with({"a": text, "b": "{{ 4 }}"}, late) == ["expression.too_many_tokens"]
    assert flow_with({"a": text}, late + "0 or true") == ["expression.too_many_tokens"]
    assert flow_with({"a": text, "b": "4 { 5 { 6"}, late) == []


@pytest.mark.timeout(30)
def test_a_flow_is_checked_in_bounded_time_however_long_its_expressions_are() -> None:
    fields = {f"field {number}": "{{ " + f"{number} + " * 190 + "0 }}" for number in range(1_000)}

    assert codes(of_node("set_fields", {"fields": fields})) == [("expression.too_many_tokens", None, None)]


def test_what_no_trigger_reaches_is_a_warning() -> None:
    found = check([{"id": "t", "type": "manual"}, {"id": "a", "type": "set_fields", "params": {"fields": {}}}])

    assert [(problem.code, problem.severity) for problem in found] == [("graph.unreachable", "warning")]


@pytest.mark.parametrize(
    ("node_type", "params", "param", "words"),
    [
        ("find_rows", {"table": "x", "limit": 0}, "limit", "“Limit” must be at least 1."),
        ("find_rows", {"table": "x", "limit": "many"}, "limit", "“Limit” must be a whole number."),
        ("find_rows", {"table": "x" * 101}, "table", "“Table” is too long: at most 100 characters are allowed."),
        ("find_rows", {"table": "x", "where": []}, "where", "“Where” must be an object with names and values."),
        ("condition", {"if": "true"}, "if", "“If” must be true or false. An expression stands in double braces"),
        ("switch", {"value": 1, "cases": ["a", "a"]}, "cases", "“Cases”: the case “a” is listed twice."),
        ("switch", {"value": 1, "cases": ["a", ""]}, "cases", "“Cases” ([1]) is too short"),
        ("send_email", {"to": ["a@b.c", 5], "subject": "x"}, "to", "“To”"),
        ("http_request", {"url": "https://a.b", "method": "STEAL"}, "method", "“Method” must be"),
    ],
)
def test_a_wrong_constant_is_told_in_words(node_type: str, params: dict[str, Any], param: str, words: str) -> None:
    found = of_node(node_type, params)

    assert codes(found) == [("param.invalid", "n", param)]
    assert words in found[0].message
    assert "Input should" not in found[0].message


def test_a_field_with_an_expression_is_not_checked_for_its_value() -> None:
    assert of_node("find_rows", {"table": "{{ $param.t }}", "limit": "{{ $param.n }}"}, tables=set()) == []
    assert of_node("send_email", {"to": ["a@b.c", "{{ $param.mail }}"], "subject": "x"}) == []
    assert of_node("condition", {"if": "{{ $param.n > 1 }}"}) == []


def test_what_decides_the_ports_cannot_be_an_expression() -> None:
    assert codes(of_node("switch", {"value": 1, "cases": ["{{ $param.x }}"]})) == [("param.literal", "n", "cases")]


def test_an_expression_deep_inside_is_found() -> None:
    found = of_node("set_fields", {"fields": {"a": {"b": ["fine", "{{ $param. }}"]}}})

    assert codes(found) == [("expression.syntax", "n", "fields")]
    assert "“Fields” (a.b[1])" in found[0].message


def test_a_table_that_is_not_there_is_told() -> None:
    assert of_node("find_rows", {"table": "orders"}, tables={"orders"}) == []
    assert codes(of_node("find_rows", {"table": "orders"}, tables={"x"})) == [("param.table_unknown", "n", "table")]
    assert of_node("find_rows", {"table": "orders"}) == []


def test_a_credential_that_is_not_there_is_told() -> None:
    call = {"url": "https://example.com", "credential": " SHOP"}

    assert of_node("http_request", call, credentials={"shop"}) == []
    assert of_node("http_request", call | {"credential": ""}, credentials=set()) == []
    assert of_node("http_request", call) == []
    assert codes(of_node("http_request", call, credentials={"x"})) == [("param.credential_unknown", "n", "credential")]


def test_a_credential_is_never_chosen_by_the_payload() -> None:
    call = {"url": "https://example.com", "credential": "{{ $param.login }}"}

    assert codes(of_node("http_request", call, credentials=set())) == [("param.literal", "n", "credential")]


def test_the_filter_of_a_trigger_is_checked_with_and_without_braces() -> None:
    for text in ("$param.total >", "{{ $param.total > }}"):
        found = check([{"id": "t", "type": "event", "params": {"event": "a.b", "filter": text}}])
        assert codes(found) == [("expression.syntax", "t", "filter")]
    assert check([{"id": "t", "type": "event", "params": {"event": "a.b", "filter": "$param.total > 1"}}]) == []


@pytest.mark.timeout(10)
def test_very_many_expressions_are_refused_without_reading_them() -> None:
    assert codes(of_node("set_fields", {"fields": {"a": "{{ 1 }}" * 501}})) == [("expression.too_many", "n", "fields")]
    assert codes(of_node("set_fields", {"fields": {"a": "{{ 1 }}" * 500_000}})) == [("expression.too_many", None, None)]


def test_a_removed_case_leaves_its_edge_with_a_problem() -> None:
    nodes = [
        {"id": "t", "type": "manual"},
        {"id": "s", "type": "switch", "params": {"value": 1, "cases": ["a"]}},
        {"id": "x", "type": "set_fields", "params": {"fields": {}}},
    ]

    found = check(nodes, [("t", "out", "s"), ("s", "b", "x")])

    assert codes(found) == [("edge.port_unknown", "s", None)]
    assert "there are: a, default." in found[0].message
