from __future__ import annotations

import pytest
from pydantic import ValidationError

from nodes.switch import MAX_CASES, SwitchParams, case_ports, equals, switch
from runtime import document


@pytest.mark.parametrize(
    ("value", "case", "is_equal"),
    [
        ("3", "3", True),
        (3, "3", True),
        (3.0, "3", True),
        (3, "3.0", True),
        (0.1, "0.1", True),
        ("3", "3.0", False),
        (3, " 3", True),
        (3, "three", False),
        (True, "true", True),
        (False, "false", True),
        (True, "1", False),
        (1, "true", False),
        (0, "false", False),
        ("true", "true", True),
        (True, "True", False),
        (None, "null", True),
        ("", "null", False),
        (None, "None", False),
        ("Paid", "paid", False),
        ([], "[]", False),
        ({}, "{}", False),
        (5, "NaN", False),
        (5, "9" * 200, False),
    ],
)
def test_value_equals_case(value, case, is_equal):
    assert equals(value, case) is is_equal


@pytest.mark.parametrize("cases", [["3", "3.0"], ["3.0", "3"]])
def test_first_of_two_cases_that_both_equal_is_taken(cases, ctx):
    routed = switch.run(SwitchParams.model_validate({"value": 3, "cases": cases}), ctx)

    assert (routed.port, routed.output.case) == (cases[0], cases[0])


@pytest.mark.parametrize("cases", [["a", "a"], ["default"], ["error"], [""], [], [3], "paid", ["x" * 201]])
def test_cases_that_cannot_be_ports_are_refused(cases):
    with pytest.raises(ValidationError):
        SwitchParams.model_validate({"value": 1, "cases": cases})


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"cases": ["open", "paid"]}, ["open", "paid", "default"]),
        ({}, ["default"]),
        ({"cases": "{{ $param.cases }}"}, ["default"]),
        ({"cases": ["a", "a", "", 3, None, "error", "default"]}, ["a", "default"]),
    ],
    ids=["whole", "new", "expression", "unfinished"],
)
def test_ports_follow_raw_parameters(params, names):
    assert [port.name for port in case_ports(params)] == names


def test_many_long_cases_are_ports_that_edges_can_leave_at() -> None:
    cases = [f"{number:0200}" for number in range(MAX_CASES)]
    nodes = [
        {"id": "s", "type": "switch", "name": "S", "params": {"value": 1, "cases": cases}},
        {"id": "a", "type": "set_fields", "name": "A", "params": {"fields": {}}},
    ]
    edges = [{"source": "s", "key": case, "target": "a"} for case in cases]

    parsed, problems = document.parse(
        {"format": document.FORMAT, "graph": {"id": "f", "name": "F"}, "nodes": nodes, "edges": edges}
    )

    assert problems == []
    assert parsed is not None
    assert len(case_ports(parsed.nodes[0].params)) == MAX_CASES + 1
    SwitchParams(value=1, cases=cases)
    with pytest.raises(ValidationError, match="at most 500"):
        SwitchParams(value=1, cases=[*cases, "one more"])
