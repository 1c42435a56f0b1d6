"""Ports that lead nowhere, and ports that never fire."""

from __future__ import annotations

from typing import Any

import pytest

from nodes.spec import load
from runtime import document
from runtime.port_checks import check_ports

Edge = tuple[str, str, str]
BRANCH = ("condition", {"if": "{{ $param.paid }}"})
CHOICE = ("switch", {"value": "{{ $param.status }}", "cases": ["open", "paid"]})
AWAIT = ("wait_for_event", {"event": "shop.paid"})


def found(nodes: dict[str, tuple[str, dict[str, Any]]], *edges: Edge, **settings: Any) -> list[tuple[str, str | None]]:
    """Codes and nodes of what is wrong with a flow of a trigger ``t`` and *nodes*; *settings* are those of ``n``."""
    made = [
        {"id": node_id, "type": node_type, "params": params, **(settings if node_id == "n" else {})}
        for node_id, (node_type, params) in {"t": ("manual", {}), **nodes}.items()
    ]
    data = {
        "format": document.FORMAT,
        "graph": {"id": "f", "name": "F"},
        "nodes": made,
        "edges": [{"source": source, "key": port, "target": target} for source, port, target in edges],
    }
    parsed, problems = document.parse(data)
    assert parsed is not None, problems
    return [(problem.code, problem.node) for problem in check_ports(parsed, load())]


STOP = ("stop_with_error", {"message": "no"})
START: Edge = ("t", "out", "n")


@pytest.mark.parametrize("node", [BRANCH, CHOICE, AWAIT], ids=["condition", "switch", "wait"])
def test_choice_without_anything_behind_it(node: tuple[str, dict[str, Any]]) -> None:
    port = {"condition": "false", "switch": "default", "wait_for_event": "out"}[node[0]]

    assert found({"n": node}, START) == [("port.nothing_follows", "n")]
    assert found({"n": node, "x": STOP}, START, ("n", port, "x")) == []
    assert found({"n": node}) == []  # no trigger leads there, which is told by itself
    assert found({"n": node}, START, disabled=True) == []


@pytest.mark.parametrize("pinned", ["paid", "default", "error", "sent"])
def test_pin_at_a_port_that_the_node_does_not_have(pinned: str) -> None:
    problems = found({"n": CHOICE, "x": STOP}, START, ("n", "default", "x"), pinned={"port": pinned, "output": {}})

    assert problems == ([("pin.port_unknown", "n")] if pinned == "sent" else [])


def test_what_acts_may_be_the_end() -> None:
    assert found({"n": ("wait_for_approval", {"title": "Refund?"})}, START) == []
    assert found({"n": ("delay", {"seconds": 1})}, START) == []
    assert found({}) == []


def test_case_without_anything_behind_it() -> None:
    both = {"n": CHOICE, "x": STOP, "y": STOP}

    assert found(both, START, ("n", "open", "x")) == [("port.case_open", "n")]
    assert found(both, START, ("n", "open", "x"), ("n", "paid", "y")) == []
    assert found(both, START, ("n", "open", "x"), ("n", "default", "y")) == []  # paid: nothing shall happen


def test_failure_that_nobody_hears_of() -> None:
    nodes = {"n": ("http_request", {"url": "https://example.com"}), "x": STOP}

    assert found(nodes, START, ("n", "out", "x"), on_error="port") == [("port.error_open", "n")]
    assert found(nodes, START, ("n", "error", "x"), on_error="port") == []
    assert found(nodes, START, on_error="continue") == []


def test_choice_with_only_its_failure_connected_decides_nothing() -> None:
    assert found({"n": BRANCH, "x": STOP}, START, ("n", "error", "x"), on_error="port") == [
        ("port.nothing_follows", "n")
    ]


@pytest.mark.parametrize("node_type", ["wait_for_event", "wait_for_approval"])
def test_time_out_that_never_comes(node_type: str) -> None:
    params = {"wait_for_event": {"event": "shop.paid"}, "wait_for_approval": {"title": "Refund?"}}[node_type]
    edges = (START, ("n", "timeout", "x"))

    assert found({"n": (node_type, params), "x": STOP}, *edges) == [("port.never_fires", "n")]
    assert found({"n": (node_type, params | {"timeout_s": 60}), "x": STOP}, *edges) == []
    assert found({"n": (node_type, params | {"timeout_s": "{{ $param.s }}"}), "x": STOP}, *edges) == []


def test_end_of_a_round_needs_no_more() -> None:
    loop = {"loop": ("for_each", {"items": "{{ $param.items }}"}), "n": BRANCH}

    assert found(loop, ("t", "out", "loop"), ("loop", "each", "n"), on_error="port") == []
    assert found(loop, ("t", "out", "loop"), ("loop", "done", "n")) == [("port.nothing_follows", "n")]
