"""The replacement that a problem suggests, made where the problem is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from editor.draft import Draft
from editor.repairs import Repairs, in_words, repaired
from runtime.errors import Problem
from runtime.service import Service

Json = Any


def wrong(param: str, position: int, length: int, suggestion: str, *path: str | int) -> Problem:
    return Problem(
        "expression.field_unknown",
        "there is no such field",
        "large",
        param,
        path=path,
        position=position,
        length=length,
        suggestion=suggestion,
    )


@pytest.mark.parametrize(
    ("params", "problem", "value"),
    [
        ({"a": "{{ $param.emial }}"}, wrong("a", 10, 5, "email"), "{{ $param.email }}"),
        ({"a": "x {{ 1 }} y"}, wrong("a", 9, 0, " | string"), "x {{ 1 }} | string y"),
        ({"a": ["{{ b }}", "{{ c }}"]}, wrong("a", 3, 1, "d", 1), ["{{ b }}", "{{ d }}"]),
        ({"a": {"k": [{"z": "{{ c }}", "y": 1}]}}, wrong("a", 3, 1, "", "k", 0, "z"), {"k": [{"z": "{{  }}", "y": 1}]}),
    ],
    ids=["text", "insertion", "list", "object"],
)
def test_only_the_wrong_words_are_replaced(params: dict[str, Json], problem: Problem, value: Json) -> None:
    before = str(params)

    assert repaired(params, problem) == value
    assert str(params) == before


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"a": "short"}, wrong("a", 10, 5, "email")),
        ({"a": ["x"]}, wrong("a", 0, 1, "y", 1)),
        ({"a": 5}, wrong("a", 0, 1, "y")),
        ({}, wrong("a", 0, 1, "y")),
        ({"a": "text"}, replace(wrong("a", 0, 1, "y"), suggestion=None)),
        ({"a": "text"}, replace(wrong("a", 0, 1, "y"), position=None)),
    ],
)
def test_a_replacement_that_does_not_fit_any_more_is_refused(params: dict[str, Json], problem: Problem) -> None:
    with pytest.raises(KeyError):
        repaired(params, problem)


@pytest.mark.parametrize(
    ("text", "problem", "words"),
    [
        ("{{ $param.emial }}", wrong("a", 10, 5, "email"), "Use email"),
        ("{{ $param.a }}", wrong("a", 3, 8, "$param.a | default('')"), "Add | default('')"),
        ("{{ $param.nam }}", wrong("a", 10, 3, "name"), "Use name"),
        ("{{ a + b }}", wrong("a", 4, 4, ""), "Remove it"),
        ("{{ a }}", wrong("a", 30, 4, "b"), ""),
    ],
)
def test_a_repair_says_what_it_does(text: str, problem: Problem, words: str) -> None:
    assert in_words({"a": text}, problem) == words


async def test_a_problem_that_is_gone_is_left_alone(service: Service, document: Callable[..., dict[str, Any]]) -> None:
    service.flows.create(document())
    draft = Draft(service, service.flows.get("greet"), (False, False))

    await Repairs(draft, draft.settled).make(wrong("if", 0, 1, "x"))

    assert service.flows.history_state("greet") == (False, False)
