"""Front-ends on other origins: the ones that the settings name may call ``/auth``, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from runtime.app import App
from runtime.http.guard import Guard
from runtime.settings import Settings

SHOP = "https://shop.example.com"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "rid,st-auth-mode"}


class Behind:
    """An application behind the guard that notes what reached it, and answers 200."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-behind", b"1")]})
        await send({"type": "http.response.body", "body": b""})


async def call(
    method: str, path: str, headers: dict[str, str], *, settings: Settings | None = None
) -> tuple[int, dict[str, str], list[str]]:
    """Return the status, the headers, and what reached the application."""
    behind, sent = Behind(), []

    async def send(message: Any) -> None:
        sent.append(message)

    guard = Guard(behind, settings or Settings(), lambda: (SHOP,))
    pairs = [(name.encode(), value.encode()) for name, value in {"host": "localhost:8080", **headers}.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": pairs}
    await guard(scope, None, send)  # type: ignore[arg-type]
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, behind.reached


async def test_named_front_end_may_call_with_its_cookies():
    status, headers, reached = await call("POST", "/auth/signin", {"origin": SHOP, "sec-fetch-site": "cross-site"})

    assert (status, reached) == (200, ["/auth/signin"])
    assert headers["access-control-allow-origin"] == SHOP
    assert headers["access-control-allow-credentials"] == "true"
    assert {"front-token", "anti-csrf", "st-access-token", "st-refresh-token"} <= {
        *headers["access-control-expose-headers"].split(", ")
    }
    assert headers["vary"] == "Origin"
    assert headers["x-content-type-options"] == "nosniff"


async def test_preflight_is_answered_before_anything_is_reached():
    status, headers, reached = await call("OPTIONS", "/auth/session/refresh", {"origin": SHOP, **PREFLIGHT})

    assert (status, reached) == (204, [])
    assert headers["access-control-allow-origin"] == SHOP
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["access-control-allow-methods"] == "GET, POST"
    allowed = {*headers["access-control-allow-headers"].split(", ")}
    assert allowed >= {"content-type", "rid", "fdi-version", "anti-csrf", "authorization", "st-auth-mode"}


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "http://shop.example.com",
        "https://shop.example.com:444",
        "https://shop.example.com.evil.com",
        "https://evil.com/https://shop.example.com",
        "https://shop.example.com/",
        "https://a.shop.example.com",
        "null",
        "*",
        "",
    ],
)
async def test_other_origins_are_told_nothing_and_change_nothing(origin: str):
    posted = await call("POST", "/auth/signin", {"origin": origin})
    preflight = await call("OPTIONS", "/auth/signin", {"origin": origin, **PREFLIGHT})
    read = await call("GET", "/auth/user", {"origin": origin})

    assert (posted[0], posted[2]) == (403, [])
    for _, headers, _ in (posted, preflight, read):
        assert not [name for name in headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/api/tables", "/login", "/auth", "/authentic", "/", "/hook/auth/", "/AUTH/signin"])
async def test_named_front_end_may_call_nothing_else(path: str):
    posted = await call("POST", path, {"origin": SHOP})
    preflight = await call("OPTIONS", path, {"origin": SHOP, **PREFLIGHT})

    assert (posted[0], posted[2]) == (403, [])
    for _, headers, _ in (posted, preflight):
        assert not [name for name in headers if name.startswith("access-control-")]


async def test_named_front_end_does_not_excuse_a_foreign_host():
    status, _, reached = await call("POST", "/auth/signin", {"origin": SHOP, "host": "evil.example.com"})

    assert (status, reached) == (403, [])


async def test_origin_is_compared_in_lower_case():
    _, headers, reached = await call("POST", "/auth/signin", {"origin": "https://Shop.Example.com"})

    assert reached
    assert headers["access-control-allow-origin"] == SHOP


async def test_front_ends_are_those_of_the_settings(app: App, anonymous: httpx.AsyncClient):
    hosted = app.service.hosted
    asks = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    before = await anonymous.options("/auth/signin", headers=asks)
    hosted.save(replace(hosted.read(), web_origins=(SHOP,)))
    named = await anonymous.options("/auth/signin", headers=asks)
    hosted.save(replace(hosted.read(), web_origins=()))
    after = await anonymous.options("/auth/signin", headers=asks)

    assert named.headers["Access-Control-Allow-Origin"] == SHOP
    assert "Access-Control-Allow-Origin" not in before.headers
    assert "Access-Control-Allow-Origin" not in after.headers
