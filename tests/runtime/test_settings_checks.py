"""The key of a flow's settings: checked while it is typed, worked out for each run."""

from __future__ import annotations

from typing import Any

import pytest

from nodes.spec import NodeError
from runtime import limits
from runtime.document_parts import FlowSettings
from runtime.run_keys import key_of
from runtime.settings_checks import check_settings, problems_of_settings


def problems(key: str | None) -> list[tuple[str, str | None, str | None]]:
    found = check_settings(None if key is None else FlowSettings(key=key))
    return [(problem.code, problem.node, problem.param) for problem in found]


@pytest.mark.parametrize("key", [None, "$param.customer.id", "{{ $param.a ~ '-' ~ $param.b }}", "$param['order no']"])
def test_a_key_of_the_payload_is_fine(key: str | None) -> None:
    assert problems(key) == []


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("$param.", "expression.syntax"),
        ("{{ $param.a }} and {{ $param.b }}", "expression.syntax"),
        ("$parm.a", "expression.name_unknown"),
        ("$action.one.id", "expression.name_unknown"),
        ("$param.a ~ $now", "expression.name_unknown"),
        ("$param.rows | map(attribute='id') | join", "settings.key_costly"),
    ],
)
def test_a_key_that_cannot_be_worked_out_is_told_at_its_field(key: str, code: str) -> None:
    assert problems(key) == [(code, None, "key")]


def test_a_key_that_never_changes_is_a_warning() -> None:
    (problem,) = check_settings(FlowSettings(key="'all'"))

    assert (problem.code, problem.severity, problem.param) == ("settings.key_constant", "warning", "key")


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        ('{"c": "a b"}', "a b"),
        ('{"c": 7}', "7"),
        ('{"c": null}', "null"),
        ('{"c": true}', "true"),
        ('{"c": {"b": 1, "a": 2}}', '{"a":2,"b":1}'),
        ('{"c": {"a": 2, "b": 1}}', '{"a":2,"b":1}'),
    ],
)
def test_equal_values_have_equal_keys(payload: str, key: str) -> None:
    assert key_of("$param.c", payload) == key


def test_a_long_key_is_kept_as_its_digest() -> None:
    def key(text: str) -> Any:
        return key_of("$param.c", f'{{"c": "{text}"}}')

    at, over = "x" * limits.KEY_CHARS, "x" * (limits.KEY_CHARS + 1)

    assert key(at) == at
    assert key(over).startswith("sha256:")
    assert key(over) != key(over + "x")


@pytest.mark.parametrize(
    "expression", ["$param.no", "$param.c / 0", "$param.", "$action.one", "range(9999) | map('string') | join"]
)
def test_a_key_that_has_no_value_says_why_and_what_to_do(expression: str) -> None:
    with pytest.raises(NodeError, match=r"could not be worked out: .* Change the key") as refusal:
        key_of(expression, '{"c": 1}')

    assert refusal.value.code == "flow.key_failed"


def test_everything_wrong_with_settings_is_told_at_once() -> None:
    found = problems_of_settings({"runs_at_once": 0, "key": "$action.x", "rate_runs": 5, "rate_s": 0.5, "colour": 1})

    assert {problem.param for problem in found} == {"runs_at_once", "key", "rate_s", "colour"}
    assert problems_of_settings({"runs_at_once": 2, "key": "$param.x"}) == []
