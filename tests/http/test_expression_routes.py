"""``POST /api/expressions/evaluate``: what it answers, and what it refuses."""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest

from runtime import expressions, limits
from runtime.service import Service

PATH = "/api/expressions/evaluate"
ESCAPES = ["''.__class__", "$param.name.__class__", "[]['__base__']", "$param.name | upper(*[1])"]


async def answer_of(client: httpx.AsyncClient, text: Any, **values: Any) -> dict[str, Any]:
    response = await client.post(PATH, json={"text": text, **values})
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ $param.a }}", "1_000"),
        ("{{ $param.n + 1 }} and more", "42 and more"),
        ("{{ $param.list | map('string') | join('-') }}", "1-2"),
        ({"to": ["{{ $action.find.rows[0].email }}"]}, {"to": ["ada@example.com"]}),
        ("{{ $var.rate }}", 0.19),
        ("{{ [$item, $index] }}", [None, 3]),
        ("{{ $run.id }}", 0),
        ("no expression, {% and no statement %}", "no expression, {% and no statement %}"),
        (5, 5),
        (None, None),
    ],
)
async def test_the_value_is_the_one_a_run_would_have(client: httpx.AsyncClient, text: Any, value: Any) -> None:
    values = {
        "param": {"a": "1_000", "n": 41, "list": [1, 2]},
        "action": {"find": {"rows": [{"email": "ada@example.com"}]}},
        "var": {"rate": 0.19},
        "item": None,
        "index": 3,
    }

    assert await answer_of(client, text, **values) == {"value": value}


async def test_every_problem_of_the_text_is_told_with_its_place(client: httpx.AsyncClient) -> None:
    answer = await answer_of(client, ["fine", "{{ $param.a | nope }} {{ 1 is nope }}"])

    assert [(each["code"], each["path"], each["position"]) for each in answer["problems"]] == [
        ("expression.filter_unknown", [1], 14),
        ("expression.test_unknown", [1], 30),
    ]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("x {{ $param.mail }}", "expression.missing", "$param.mail: no “mail” in $param; there are: email"),
        ("x {{ $item }}", "expression.missing", "$item has a value only inside of “for each”."),
        ("x {{ 1 / 0 }}", "expression.division", "“/” divides by zero."),
    ],
)
async def test_an_expression_without_a_value_says_why(
    client: httpx.AsyncClient, text: str, code: str, message: str
) -> None:
    answer = await answer_of(client, text, param={"email": "tok-secret"})

    (problem,) = answer["problems"]
    assert (problem["code"], problem["position"]) == (code, 2)
    assert problem["message"].startswith(message)
    assert "tok-secret" not in problem["message"]


async def test_a_bomb_ends_in_a_problem_and_the_next_request_is_answered(client: httpx.AsyncClient) -> None:
    answer = await answer_of(client, "{{ ([range(9999)] * 9999) | map('sort') | map('list') }}")

    assert [each["code"] for each in answer["problems"]] == ["expression.too_much_work"]
    assert await answer_of(client, "{{ 1 }}") == {"value": 1}


async def test_nothing_is_compiled_or_evaluated_in_this_process(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("evaluated in the web process")

    monkeypatch.setattr(expressions.Value, "evaluate", never)
    monkeypatch.setattr(expressions.Value, "evaluate_in_place", never)
    monkeypatch.setattr(expressions.dialect, "compile_with_cost", never)

    assert await answer_of(client, "{{ $param.a ~ 1 }}", param={"a": 1}) == {"value": "11"}


async def test_env_holds_what_flows_may_read_and_nothing_else(
    client: httpx.AsyncClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "PATH" in os.environ

    answer = await answer_of(client, "{{ $env.PATH }}")

    assert answer["problems"][0]["code"] == "expression.missing"


@pytest.mark.parametrize("text", ESCAPES)
async def test_an_escape_is_refused_in_the_same_words_and_written_down(
    client: httpx.AsyncClient, service: Service, text: str
) -> None:
    answer = await answer_of(client, "{{ " + text + " }}", param={"name": "Ada"})

    assert [(each["code"], each["message"]) for each in answer["problems"]] == [
        ("expression.refused", "This expression uses something that is not allowed.")
    ]
    entries = service.audit.list(action="expression.refused").items
    assert [(entry.actor_kind, entry.actor) for entry in entries] == [("key", "tests")]


async def test_saving_an_escape_is_written_down_with_the_flow(
    client: httpx.AsyncClient, service: Service, document: Any
) -> None:
    flow = document()
    next(node for node in flow["nodes"] if node["type"] == "set_fields")["params"]["fields"] = {
        "a": "{{ ''.__class__ }}"
    }

    saved = await client.post("/api/flows", json=flow)

    assert "expression.refused" in [each["code"] for each in saved.json()["problems"]]
    assert [entry.target for entry in service.audit.list(action="expression.refused").items] == [flow["graph"]["id"]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"text": "x", "nope": 1}, 422),
        ({"text": "x", "param": []}, 422),
        ({"text": "x", "index": "1"}, 422),
        ({"text": "x" * (limits.PREVIEW_TEXT_BYTES + 1)}, 413),
        ({"text": "x", "param": {"a": "x" * limits.PREVIEW_VALUES_BYTES}}, 413),
        ({"text": "x", "param": {"a": [[[[[[[[[[0]]]]]]]]]] * 1}, "item": "deep"}, 422),
    ],
)
async def test_what_is_no_such_request_is_refused(client: httpx.AsyncClient, body: dict[str, Any], status: int) -> None:
    if body.get("item") == "deep":
        for _ in range(limits.PAYLOAD_DEPTH + 1):
            body = {**body, "item": [body["item"]]}

    response = await client.post(PATH, json=body)

    assert response.status_code == status
    assert response.json()["problems"]


async def test_a_viewer_may_not_evaluate(anonymous: httpx.AsyncClient, service: Service) -> None:
    key = service.keys.create("reader", "viewer")[1]

    response = await anonymous.post(PATH, json={"text": "x"}, headers={"Authorization": f"Bearer {key}"})

    assert response.status_code == 403
