"""The graph: networkx's view, the plan that the executor walks, cycles and reachability."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from nodes.spec import load
from runtime import document, graph
from runtime.document import Document
from runtime.errors import Invalid
from runtime.expressions import Scope

TYPES = load()


def flow(nodes: dict[str, str], edges: list[tuple[str, str, str]], **settings: Any) -> Document:
    data = {
        "format": document.FORMAT,
        "graph": {"id": "f", "name": "F"},
        "nodes": [{"id": key, "type": value, **settings.get(key, {})} for key, value in nodes.items()],
        "edges": [{"source": source, "target": target, "key": port} for source, port, target in edges],
    }
    parsed, problems = document.parse(data)
    assert parsed is not None, problems
    return parsed


BRANCHES = flow(
    {
        "join": "set_fields",
        "no": "set_fields",
        "yes": "set_fields",
        "if": "condition",
        "t": "manual",
        "t2": "manual",
        "lone": "set_fields",
    },
    [
        ("t", "out", "if"),
        ("if", "true", "yes"),
        ("if", "false", "no"),
        ("yes", "out", "join"),
        ("no", "out", "join"),
        ("t2", "out", "join"),
    ],
    join={"params": {"fields": {"x": "{{ $param.x }}"}}, "on_error": "port", "retry": {"attempts": 2}},
)


def test_the_graph_has_the_nodes_and_ports() -> None:
    built = graph.build(BRANCHES)

    assert set(built) == {"join", "no", "yes", "if", "t", "t2", "lone"}
    assert list(built.edges("if", keys=True)) == [("if", "yes", "true"), ("if", "no", "false")]


def test_the_plan_holds_what_each_trigger_reaches_in_order() -> None:
    plan = graph.plan(BRANCHES, TYPES)

    assert plan.triggers == ("t", "t2")
    assert plan.reachable("t") == {"t", "if", "yes", "no", "join"}
    assert plan.reachable("t2") == {"t2", "join"}
    assert plan.parts["t"].order[0] == "t"
    assert plan.parts["t"].order[-1] == "join"
    assert {edge.source for edge in plan.parts["t"].incoming["join"]} == {"yes", "no"}
    assert {edge.source for edge in plan.nodes["join"].incoming} == {"yes", "no", "t2"}


def test_a_planned_node_is_ready_to_run() -> None:
    join = graph.plan(BRANCHES, TYPES).nodes["join"]

    assert join.ports == ("out", "error")
    assert join.outgoing == {"out": (), "error": ()}
    assert join.retry is not None
    assert join.retry.attempts == 2
    assert join.params.evaluate(Scope(param={"x": 7})) == {"fields": {"x": 7}}


@pytest.mark.parametrize(
    ("node_type", "on_error", "ports"),
    [
        ("stop_with_error", "stop", ()),
        ("stop_with_error", "continue", ("out",)),
        ("stop_with_error", "port", ("error",)),
        ("condition", "continue", ("true", "false", "out")),
        ("set_fields", "continue", ("out",)),
    ],
)
def test_a_node_that_goes_on_when_it_fails_has_the_port_that_it_fires(
    node_type: str, on_error: str, ports: tuple[str, ...]
) -> None:
    planned = graph.plan(flow({"t": "manual", "n": node_type}, [("t", "out", "n")], n={"on_error": on_error}), TYPES)

    assert planned.nodes["n"].ports == ports


def test_a_plan_is_refused_for_a_cycle_or_an_unknown_type() -> None:
    circle = flow({"a": "set_fields", "b": "set_fields"}, [("a", "out", "b"), ("b", "out", "a")])

    for wrong, code in ((circle, "graph.cycle"), (flow({"a": "gone"}, []), "node.type_unknown")):
        with pytest.raises(Invalid) as caught:
            graph.plan(wrong, TYPES)
        assert [problem.code for problem in caught.value.problems] == [code]


@pytest.mark.parametrize(
    ("edges", "closing"),
    [
        ([("a", "b"), ("b", "c")], []),
        ([("a", "b"), ("a", "c"), ("b", "c")], []),
        ([("a", "b"), ("b", "c"), ("c", "a")], [("c", "a")]),
        ([("b", "a"), ("a", "b")], [("b", "a")]),
        ([("a", "a")], [("a", "a")]),
        ([("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")], [("b", "a"), ("c", "b")]),
    ],
)
def test_the_edges_that_close_a_cycle_are_found(edges: list[tuple[str, str]], closing: list[tuple[str, str]]) -> None:
    assert graph.closing_edges("abc", edges) == closing


def test_a_very_long_chain_is_no_trouble() -> None:
    ids = [f"n{number}" for number in range(2000)]
    pairs = list(pairwise(ids))

    assert graph.closing_edges(ids, pairs) == []
    assert len(graph.reachable_from(["n0"], pairs)) == 2000
