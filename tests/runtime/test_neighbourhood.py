"""Flows that start each other in a circle, want one address, or call each other with the wrong input."""

from __future__ import annotations

from typing import Any

import pytest

from backend import events
from nodes.spec import load
from runtime.errors import Problem
from runtime.flow_links import links_of
from runtime.neighbourhood import Neighbourhood

TYPES = load()
EVENTS = {"flow.run_failed"} | {
    each.name for each in vars(events).values() if isinstance(each, type) and hasattr(each, "name")
}


def flow(name: str, *nodes: tuple[str, dict[str, Any]], edges: list[tuple[int, int]] | None = None) -> dict[str, Any]:
    """A flow of nodes n0, n1, … in a row, or with *edges* between their numbers."""
    pairs = [(at, at + 1) for at in range(len(nodes) - 1)] if edges is None else edges
    return {
        "graph": {"id": name.lower(), "name": name},
        "nodes": [
            {"id": f"n{at}", "type": node_type, "name": f"{name} {at}", "params": params}
            for at, (node_type, params) in enumerate(nodes)
        ],
        "edges": [{"source": f"n{source}", "target": f"n{target}", "key": "out"} for source, target in pairs],
    }


def found(*flows: dict[str, Any], is_complete: bool = True, is_live: bool = True) -> list[Problem]:
    """What is wrong with the first of *flows* among the others."""
    links = [links_of(each, TYPES, is_live=is_live) for each in flows]
    return Neighbourhood(links, is_complete=is_complete).problems_of(links[0])


def on(event: str) -> tuple[str, dict[str, Any]]:
    return "event", {"event": event}


def emit(event: str) -> tuple[str, dict[str, Any]]:
    return "emit_event", {"name": event}


def test_a_circle_of_two_names_flows_and_events():
    orders = flow("Orders", on("shop.paid"), emit("shop.low"))
    stock = flow("Stock", on("shop.low"), emit("shop.paid"))

    (problem,) = found(orders, stock)

    assert (problem.code, problem.node, problem.severity) == ("flow.circle", "n1", "warning")
    assert "“Orders” → shop.low → “Stock” → shop.paid → “Orders”" in problem.message
    assert [each.code for each in found(stock, orders)] == ["flow.circle"]


def test_a_line_is_no_circle():
    assert found(flow("A", on("a"), emit("b")), flow("B", on("b"), emit("c")), flow("C", on("c"), emit("d"))) == []


def test_the_shortest_circle_is_shown():
    flows = [flow("A", on("a"), emit("b")), flow("B", on("b"), emit("c")), flow("C", on("c"), emit("a"))]
    short_cut = flow("D", on("b"), emit("a"))

    (long,) = found(*flows)
    (short,) = found(*flows, short_cut)

    assert "“A” → b → “B” → c → “C” → a → “A”" in long.message
    assert "“A” → b → “D” → a → “A”" in short.message


def test_only_runs_of_the_trigger_that_leads_to_a_step_count():
    two_triggers = flow("A", on("a"), emit("b"), on("c"), ("stop_with_error", {"message": "x"}), edges=[(0, 1), (2, 3)])

    assert found(two_triggers, flow("B", on("b"), emit("c"))) == []
    assert len(found(two_triggers, flow("B", on("b"), emit("a")))) == 1


def test_disabled_and_unreached_nodes_close_no_circle():
    start = flow("A", on("a"), emit("a"))
    start["nodes"][1]["disabled"] = True

    assert found(start) == []
    assert found(flow("B", on("b"), emit("b"), edges=[])) == []


@pytest.mark.parametrize(
    ("trigger", "action", "is_circle"),
    [
        (("api.dataTable_rowCreated", {"table": "orders"}), ("insert_row", {"table": "orders"}), True),
        (("api.dataTable_rowCreated", {"table": "orders"}), ("insert_row", {"table": "log"}), False),
        (("api.dataTable_rowCreated", {}), ("insert_row", {"table": "log"}), True),
        (("api.dataTable_rowCreated", {}), ("insert_row", {"table": "{{ $param.Name }}"}), True),
        (("api.dataTable_rowCreated", {"table": "orders"}), ("insert_row", {"table": "{{ $param.Name }}"}), False),
        (("api.dataTable_rowCreated", {"table": "orders"}), ("update_rows", {"table": "orders"}), False),
        (("api.dataTable_rowUpdated", {"table": "orders"}), ("update_rows", {"table": "orders"}), True),
        (("api.dataTable_rowDeleted", {"table": "orders"}), ("delete_rows", {"table": "orders"}), True),
        (on("api.dataTable_rowCreated"), ("insert_row", {"table": "orders"}), True),
        (("auth.user_blocked", {}), ("block_user", {}), True),
        (("auth.user_blocked", {}), ("unblock_user", {}), False),
        (("auth.user_deleted", {}), ("delete_user", {}), True),
        (("auth.user_rolesChanged", {}), ("set_user_roles", {}), True),
        (("auth.email_verificationRequested", {}), ("send_verification", {}), True),
        (("auth.password_reset", {"phase": "requested"}), ("send_password_reset", {}), True),
        (("auth.password_reset", {"phase": "completed"}), ("send_password_reset", {}), False),
        (on("a"), emit("{{ $param.name }}"), False),
        (on("a"), emit(""), False),
    ],
)
def test_a_flow_that_does_what_starts_it(
    trigger: tuple[str, dict[str, Any]], action: tuple[str, dict[str, Any]], is_circle: bool
):
    assert [problem.code for problem in found(flow("A", trigger, action))] == ["flow.circle"] * is_circle


def test_what_nodes_say_they_report_is_an_event_of_the_backend():
    reported = {
        report.event for each in TYPES.values() for report in each.reports({"name": "", "flow": "", "table": ""})
    }

    assert reported - {"", None} <= EVENTS
    assert len(reported) > 6


def test_calls_and_events_make_one_circle():
    caller = flow("Caller", on("a"), ("run_flow", {"flow": "called"}))
    called = flow("Called", ("manual", {}), emit("a"))

    (problem,) = found(caller, called)

    assert "“Caller” → a call → “Called” → a → “Caller”" in problem.message


def test_a_flow_that_calls_itself_is_a_circle():
    assert [each.code for each in found(flow("A", ("manual", {}), ("run_flow", {"flow": "a"})))] == ["flow.circle"]


def test_flows_that_hear_of_each_others_failures_are_a_circle():
    watch = flow("Watch", ("on_run_failed", {}), ("stop_with_error", {"message": "x"}))
    other = flow("Other", ("on_run_failed", {}), ("stop_with_error", {"message": "x"}))
    narrow = flow("Narrow", ("on_run_failed", {"flow": "elsewhere"}), ("stop_with_error", {"message": "x"}))

    assert found(watch) == []
    assert found(watch, flow("A", on("a"), emit("b"))) == []
    assert [(each.code, each.node) for each in found(watch, other)] == [("flow.circle", "n0")]
    assert [each.code for each in found(watch, narrow)] == []


def test_a_failure_that_is_answered_with_the_event_again_is_a_circle():
    retry = flow("Retry", ("on_run_failed", {"flow": "pay"}), emit("shop.pay"))
    pay = flow("Pay", on("shop.pay"), ("stop_with_error", {"message": "x"}))

    (problem,) = found(pay, retry)

    assert problem.node == "n0"
    assert "“Pay” → flow.run_failed → “Retry” → shop.pay → “Pay”" in problem.message


def hook(path: str, method: str = "POST") -> tuple[str, dict[str, Any]]:
    return "on_webhook", {"path": path, "method": method}


@pytest.mark.parametrize(
    ("path", "method", "is_taken"),
    [("orders", "POST", True), ("orders", "ANY", True), ("orders", "GET", False), ("orders/new", "POST", False)],
)
def test_two_flows_at_one_address(path: str, method: str, is_taken: bool):
    problems = found(flow("A", hook("orders")), flow("B", hook(path, method)))

    assert [(each.code, each.node, each.param, each.severity) for each in problems] == [
        ("webhook.path_taken", "n0", "path", "error")
    ] * is_taken


def test_an_address_that_only_a_draft_wants_is_a_warning():
    (problem,) = found(flow("A", hook("orders")), flow("B", hook("orders")), is_live=False)

    assert (problem.code, problem.severity) == ("webhook.path_taken", "warning")
    assert "not published" in problem.message


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        ({"order": 7}, []),
        ({"order": 7, "note": None}, []),
        ({"order": "{{ $param.id }}", "note": "{{ $param.note }}"}, []),
        ("{{ $param }}", []),
        ({}, ["input.missing"]),
        ({"order": "7"}, ["input.wrong_type"]),
        ({"order": 7, "customer": 1}, ["input.unknown"]),
        ({"customer": "{{ $param.x }}"}, ["input.unknown", "input.missing"]),
    ],
)
def test_input_of_a_sub_flow(given: Any, codes: list[str]):
    called = flow("Called", ("manual", {"inputs": {"order": "integer", "note": "text?"}}))

    problems = found(flow("A", on("a"), ("run_flow", {"flow": "called", "input": given})), called)

    assert [each.code for each in problems] == codes
    assert all((each.node, each.param, each.severity) == ("n1", "input", "warning") for each in problems)


@pytest.mark.parametrize(
    ("called", "code"),
    [
        (flow("Called", on("b")), "run_flow.no_start"),
        (flow("Called", ("manual", {}), ("manual", {}), edges=[]), "run_flow.no_start"),
        (flow("Other", ("manual", {})), "param.flow_unknown"),
    ],
)
def test_a_flow_that_cannot_be_called(called: dict[str, Any], code: str):
    (problem,) = found(flow("A", on("a"), ("run_flow", {"flow": "called"})), called)

    assert (problem.code, problem.node, problem.param, problem.severity) == (code, "n1", "flow", "warning")


def test_a_draft_cannot_be_called():
    caller = flow("A", on("a"), ("run_flow", {"flow": "called"}))

    assert [each.code for each in found(caller, flow("Called", ("manual", {})), is_live=False)] == ["run_flow.not_live"]


def test_flows_elsewhere_are_not_missed_where_others_may_exist():
    caller = flow("A", on("a"), ("run_flow", {"flow": "called"}))
    watch = flow("Watch", ("on_run_failed", {"flow": "called"}))

    assert found(caller, is_complete=False) == found(watch, is_complete=False) == []
    assert [each.code for each in found(watch)] == ["param.flow_unknown"]
