"""``/auth``: what strangers send."""

from __future__ import annotations

import json

import pytest

from backend.events import (
    Event,
)
from tests.http.front_end import (
    EMAIL,
    POSTS,
    Client,
)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"formFields": ', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"7", "application/json", 422),
        (b'{"formFields": {}, "token": 7, "refreshToken": 7}', "application/json", 422),
        (b'{"formFields": [7], "token": null, "refreshToken": []}', "application/json", 422),
        (b'{"formFields": [{"id": "email", "value": 7}], "token": {}, "refreshToken": 1}', "application/json", 422),
        (b'{"token": "a", "token": "b"}', "application/json", 422),
        (b'{"token": "\\ud800", "refreshToken": "\\ud800"}', "application/json", 422),
        (b"[" * 10_000, "application/json", 422),
        (b" " * 70_000, "application/json", 413),
        (b'{"formFields": []}', "text/plain", 400),
        (b"formFields=x", "application/x-www-form-urlencoded", 400),
        (b'{"formFields": []}', "multipart/form-data; boundary=x", 400),
        (b'{"formFields": []}', "", 400),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_bad_bodies_are_refused(browser: Client, fired: list[Event], content: bytes, kind: str, status: int):
    for path in POSTS:
        answer = await browser.http.post(path, content=content, headers={"Content-Type": kind})

        assert answer.status_code == status, path
        assert answer.json()["problems"]
    assert fired == []


@pytest.mark.parametrize("path", POSTS)
async def test_many_fields_are_refused(browser: Client, fired: list[Event], path: str):
    body = {"formFields": [{"id": "email", "value": EMAIL}] * 11, "token": "x", "method": "odd", "refreshToken": 7}

    answer = await browser.post(path, body)

    assert answer.status_code == 422
    assert fired == []


@pytest.mark.parametrize(
    "value",
    [
        "\x00",
        "a\r\nBcc: b@example.com",
        "ı@example.com",
        "'; DROP TABLE account; --",
        "x" * 60_000,
        "\u202e@\ufeff.com",
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_odd_texts_break_nothing(browser: Client, value: str):
    for path, body in POSTS.items():
        odd = json.loads(json.dumps(body).replace(json.dumps(EMAIL), json.dumps(value)))
        answer = await browser.post(path, odd, **{"anti-csrf": "x", "fdi-version": "1.x", "rid": "x"})

        assert answer.status_code in (200, 401), path
        assert answer.json().get("status") != "GENERAL_ERROR"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods_are_refused(browser: Client, method: str):
    answer = await browser.http.request(method, "/auth/signin")

    assert answer.status_code == 405
