from __future__ import annotations

import pytest

from nodes.http_request import HttpRequestParams, http_request, plan
from nodes.spec import NodeError, TemporaryError
from runtime.outbound import Outbound


async def call(ctx, **params):
    return await http_request.run(HttpRequestParams.model_validate({"url": "https://api.example.com/"} | params), ctx)


async def test_json_is_sent_with_its_content_type_and_the_steps_key(ctx):
    await call(ctx, method="POST", json={"id": 1, "name": "Zoë"}, timeout_s=5)

    assert ctx.calls == [
        (
            "POST",
            "https://api.example.com/",
            {
                "query": {},
                "headers": {"Idempotency-Key": "41:notify", "Content-Type": "application/json"},
                "body": '{"id":1,"name":"Zoë"}'.encode(),
                "timeout_s": 5,
                "credential": None,
            },
        )
    ]


async def test_headers_of_the_flow_win_in_any_case(ctx):
    await call(ctx, method="POST", json=[], headers={"idempotency-key": "mine", "content-TYPE": "application/x+json"})

    assert ctx.calls[0][2]["headers"] == {"idempotency-key": "mine", "content-TYPE": "application/x+json"}


async def test_text_body_is_sent_as_text(ctx):
    await call(ctx, method="PUT", body="grün")

    assert ctx.calls[0][2]["body"] == "grün".encode()
    assert ctx.calls[0][2]["headers"]["Content-Type"] == "text/plain; charset=utf-8"


async def test_query_values_are_written_as_json_writes_them(ctx):
    await call(ctx, query={"q": "a b", "page": 2, "ratio": 0.5, "open": True})

    assert ctx.calls[0][2]["query"] == {"q": "a b", "page": "2", "ratio": "0.5", "open": "true"}


@pytest.mark.parametrize(
    ("body", "content_type", "parsed"),
    [
        pytest.param(b'{"a": [1, null]}', "application/json", {"a": [1, None]}, id="json"),
        pytest.param(b'{"a": 1}', "application/problem+json; charset=utf-8", {"a": 1}, id="json suffix"),
        pytest.param(b'{"a": 1}', "text/plain", '{"a": 1}', id="text that looks like json"),
        pytest.param(b'{"a": 1}', None, '{"a": 1}', id="no content type"),
        pytest.param("é".encode("latin-1"), "text/html; charset=iso-8859-1", "é", id="charset"),
        pytest.param(b"\xff", "text/plain", "\ufffd", id="not utf-8"),
        pytest.param(b"x", "text/plain; charset=nonsense", "x", id="unknown charset"),
        pytest.param(b"", "application/json", None, id="empty"),
    ],
)
async def test_body_is_parsed_by_its_content_type(answering, body, content_type, parsed):
    output = await call(answering(200, body, content_type))

    assert output.body == parsed


async def test_json_that_is_not_json_is_an_error(answering):
    with pytest.raises(NodeError) as caught:
        await call(answering(200, b"<html>", "application/json"))

    assert caught.value.code == "http.answer_invalid"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_failure_that_may_pass_is_temporary(answering, status):
    with pytest.raises(TemporaryError) as caught:
        await call(answering(status))

    assert caught.value.code == f"http.status_{status}"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 451])
async def test_other_failure_is_final(answering, status):
    with pytest.raises(NodeError) as caught:
        await call(answering(status, b"secret details"))

    assert not isinstance(caught.value, TemporaryError)
    assert caught.value.code == f"http.status_{status}"
    assert "secret" not in caught.value.message


async def test_value_that_json_cannot_carry_is_an_error(ctx):
    with pytest.raises(NodeError) as caught:
        await call(ctx, method="POST", json={"n": 2**70})

    assert caught.value.code == "http.body_invalid"
    assert ctx.calls == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"url": "ftp://files.example.com/"}, "http.url_invalid"),
        ({"url": "https://api.example.com/", "headers": {"X-A": "1\r\nX-B: 2"}}, "http.header_invalid"),
    ],
)
def test_plan_refuses_what_no_request_can_have(ctx, params, code):
    ctx.check = Outbound().check

    with pytest.raises(NodeError) as caught:
        plan(HttpRequestParams.model_validate(params), ctx)

    assert caught.value.code == code


def test_plan_shows_the_request_and_sends_nothing(ctx):
    params = HttpRequestParams.model_validate({"method": "POST", "url": "https://api.example.com/", "json": 0})

    planned = plan(params, ctx)

    assert planned.effect == {"kind": "http", "method": "POST", "url": "https://api.example.com/", "json": 0}
    assert ctx.calls == []
