"""The checker against the rules of flows: where it sees nothing missing nothing is, and its errors are certain."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from runtime import document, validation
from runtime.check_codes import CODES
from tests.lengths import IS_LONG, examples
from tests.runtime.conftest import Calls, node_types
from tests.runtime.semantics import strategies
from tests.runtime.semantics.strategies import Case, Kinds

Json = Any
TYPES = node_types(Calls())
KINDS = Kinds(
    actions=(
        *("call", "echo", "echo", "condition", "condition", "switch", "for_each", "while_loop", "wait_for_event"),
        *("return_output", "delay", "run_flow"),
    ),
    has_test_runs=False,
)
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
UNCERTAIN = {"expression.always", "switch.case_never", "expression.node_not_before"}  # a node beside may be done first
CERTAIN = CODES.keys() - UNCERTAIN
TEXTS = (
    "{{ $action.X.text }}",
    "{{ $action.X.text }}",
    "{{ $action.X.case }}",
    "{{ $action.X.step }}",
    "{{ $action.X.payload.at }}",
    "{{ $action.X.outputs | length }}",
    "{{ $action.X.text | default('none') }}",
    "{{ $action.X.text | upper }}",
    "{{ $action.X.text if $action.X is defined else 'none' }}",
    "{{ $action.X.text if $action.X else 'none' }}",
    "{{ $action.X.text if $action.X.text is defined else 'none' }}",
    "{{ 'none' if $action.X is not defined or $action.X is none else $action.X.text | default($action.X.code) }}",
    "{{ $param.s ~ $action.X.text }}",
    "{{ $item }}",
    "at {{ $index + 1 }}",
)
TESTS = (
    "{{ $action.X is defined }}",
    "{{ $action.X is defined and $action.X is not none }}",
    "{{ $action.X.text == 'a' }}",
)


@st.composite
def bold_cases(draw: st.DrawFn) -> Case:
    """Return cases in which nodes also read what may not be there."""
    case = draw(strategies.cases(KINDS))
    kinds = {node["id"]: node["type"] for node in case.document["nodes"]}
    nodes = []
    for node in case.document["nodes"]:
        field, texts = {"condition": ("if", TESTS)}.get(node["type"], ("text", TEXTS))
        earlier = _before(node["id"], case.document["edges"]) if draw(st.integers(0, 4)) else [*kinds]
        names = [name for name in earlier if kinds[name] != "event"]  # nobody knows the payload of an event
        if field in node["params"] and names and draw(st.integers(0, 3)):
            speaking = [name for name in names if kinds[name] in ("call", "echo")]
            text = draw(st.sampled_from(texts)).replace("X", draw(st.sampled_from(speaking or names)))
            nodes.append({**node, "params": {**node["params"], field: text}})
        else:
            nodes.append(node)
    return replace(case, document=case.document | {"nodes": nodes})


@given(bold_cases())
@settings(max_examples=examples(500, 20_000), derandomize=not IS_LONG, deadline=None, suppress_health_check=SLOW)
def test_nothing_is_missing_where_nothing_was_told_and_errors_are_certain(case: Case) -> None:
    parsed, problems = document.parse(case.document)
    assert parsed is not None, problems
    found = validation.check(parsed, TYPES)
    told = {problem.node for problem in found if problem.code in CODES}
    wrong = {problem.node: problem for problem in found if problem.code in CERTAIN and problem.severity == "error"}

    loops = {node.id for node in parsed.nodes if node.type in strategies.LOOPS}  # they fail with what is in them
    for (node, _iteration), step in case.told().steps.items():
        if node in loops:
            continue
        if step.code == "expression.missing" and "$action.t" not in str(parsed.node(node)):  # a payload is unknown
            if _is_asked_beside(node, case.document):
                continue
            event("missing")
            assert node in told, f"{node} lacks something, and the checker saw nothing"
        elif node in wrong and step.status != "skipped" and not _may_be_passed_over(parsed.node(node)):
            event("wrong")
            assert step.status == "failed", wrong[node].message


def _before(node: str, edges: list[dict[str, str]]) -> list[str]:
    """Return the nodes from which a way leads to this one."""
    found, waiting = [], [node]
    while waiting:
        at = waiting.pop()
        sources = {edge["source"] for edge in edges if edge["target"] == at} - set(found)
        found += sorted(sources)
        waiting += sources
    return found


def _is_asked_beside(node_id: str, flow: dict[str, Any]) -> bool:
    """Return whether a node reads one beside it, for which a condition asks: what that gave counts as unknown."""
    texts = {node["id"]: str(node["params"]) for node in flow["nodes"]}
    beside = set(re.findall(r"\$action\.(\w+)", texts[node_id])) - set(_before(node_id, flow["edges"]))
    return any(f"$action.{name} is defined" in text for name in beside for text in texts.values())


def _may_be_passed_over(node: document.Node | None) -> bool:
    """Return whether a part of the node's expression is not always come to."""
    return node is None or any(word in str(node.params) for word in (" if ", " and ", " or "))
