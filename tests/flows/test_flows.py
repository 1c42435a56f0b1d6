"""The checker against flows as people draw them: wrong ones, each with what has to be found, and right ones.

``wrong.json`` and ``right.json`` say for each file what is wrong with it, and which flows stand beside it (``with``);
``around.json`` is the installation. What is found has to be exactly that: code, node, parameter and severity.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from nodes.spec import load
from runtime.document import Document, dump, parse, parse_text
from runtime.errors import Problem
from runtime.expressions import has_expression
from runtime.flow_links import links_of
from runtime.neighbourhood import Neighbourhood
from runtime.validation import check

HERE = Path(__file__).parent
TYPES = load()
Told: TypeAlias = tuple[str, str | None, str | None, str]


@cache
def index(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    return found


def files(folder: str) -> list[str]:
    return sorted(file.stem for file in (HERE / folder).glob("*.json"))


def read(folder: str, name: str) -> Document:
    document, problems = parse_text((HERE / folder / f"{name}.json").read_bytes())
    assert document is not None, problems
    return document


def problems_of(document: Document, beside: list[Document]) -> list[Problem]:
    """Everything that is wrong with a flow in the installation of ``around.json``."""
    tables, credentials = index("around")["tables"], index("around")["credentials"]
    found = check(
        document,
        TYPES,
        tables=frozenset(tables),
        credentials=frozenset(name.casefold() for name in credentials),
        columns=tables,
    )
    links = [links_of(dump(each), TYPES, is_live=True) for each in (document, *beside)]
    return [*found, *Neighbourhood(links).problems_of(links[0])]


def problems_in(folder: str, name: str) -> list[Problem]:
    beside = [read(folder, other) for other in index(folder).get(name, {}).get("with", [])]
    return problems_of(read(folder, name), beside)


def told(problems: list[Problem]) -> list[Told]:
    return sorted(((each.code, each.node, each.param, each.severity) for each in problems), key=str)


@pytest.mark.parametrize("name", files("wrong"))
def test_everything_wrong_is_found_and_nothing_else(name: str) -> None:
    expected = [
        (each["code"], each["node"], each["param"], each["severity"]) for each in index("wrong")[name]["problems"]
    ]

    assert told(problems_in("wrong", name)) == sorted(expected, key=str)


@pytest.mark.parametrize("name", files("right"))
def test_a_right_flow_raises_no_alarm(name: str) -> None:
    assert [(each.code, each.node, each.param, each.message) for each in problems_in("right", name)] == []


@pytest.mark.parametrize("name", files("wrong"))
def test_problems_say_where_they_are(name: str) -> None:
    document = read("wrong", name)

    for problem in problems_in("wrong", name):
        assert problem.message.endswith((".", "?"))
        if problem.code.startswith("expression.") and problem.node is not None:
            text = text_of(document, problem)
            assert has_expression(text) or problem.param in ("filter", "condition")
            assert problem.position is not None
            assert 0 <= problem.position <= len(text)
            assert problem.length is None or problem.position + problem.length <= len(text)


@pytest.mark.parametrize("name", files("wrong"))
def test_what_was_meant_is_suggested(name: str) -> None:
    expected = {each["suggestion"] for each in index("wrong")[name]["problems"] if "suggestion" in each}

    assert expected <= {problem.suggestion for problem in problems_in("wrong", name)}


@pytest.mark.parametrize("name", files("wrong"))
def test_taking_a_suggestion_mends_what_it_is_for(name: str) -> None:
    for problem in problems_in("wrong", name):
        if problem.suggestion is None:
            continue
        mended = dump(read("wrong", name))
        node = next(node for node in mended["nodes"] if node["id"] == problem.node)
        holder, key = node["params"], problem.param
        for step in problem.path:
            holder, key = holder[key], step
        assert problem.position is not None
        assert problem.length is not None
        before, after = holder[key][: problem.position], holder[key][problem.position + problem.length :]
        holder[key] = before + problem.suggestion + after

        document, _ = parse(mended)

        assert document is not None
        again = problems_of(document, [])
        assert len([each for each in again if replace(each, position=0) == replace(problem, position=0)]) == 0


def test_asking_for_what_is_never_there_is_told_in_words() -> None:
    (problem,) = problems_in("wrong", "field-missing-behind-default")

    assert problem.message == (
        "Mail: “To”: There is no “mail” in $param; did you mean “email”? It is never there, so asking for it always "
        "has the same answer."
    )


def test_the_set_is_complete() -> None:
    assert files("wrong") == sorted(index("wrong"))
    assert set(index("right")) <= set(files("right"))
    assert min(len(files("wrong")), len(files("right"))) >= 60
    assert all(entry["problems"] for entry in index("wrong").values())


def text_of(document: Document, problem: Problem) -> str:
    node = document.node(problem.node or "")
    assert node is not None
    value: Any = node.params[problem.param or ""]
    for step in problem.path:
        value = value[step]
    assert isinstance(value, str)
    return value
