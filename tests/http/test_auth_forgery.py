"""``/auth``: cookies that scripts and other sites cannot use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from backend.events import (
    Event,
)
from backend.passwords import CHEAP, Passwords
from runtime.app import App, build_app
from runtime.service import Service
from runtime.settings import Settings
from tests.http.front_end import (
    PASSWORD,
    POSTS,
    Client,
    cookies_of,
)


@pytest.mark.parametrize("csrf", ["", "nope", "x" * 43, "\u00ff"])
async def test_cookies_alone_change_nothing(browser: Client, ada: str, fired: list[Event], csrf: str):
    await browser.sign_in()
    fired.clear()
    headers = {"anti-csrf": csrf.encode("latin-1")} if csrf else {}

    answers = [
        await browser.http.post(path, headers=headers)
        for path in ("/auth/signout", "/auth/user/email/verify/token", "/auth/session/refresh")
    ]

    assert [each.status_code for each in answers] == [401, 401, 401]
    assert not any(cookies_of(each) or "front-token" in each.headers for each in answers)
    assert fired == []
    assert await browser.is_signed_in()
    assert (await browser.post("/auth/session/refresh")).status_code == 200


async def test_csrf_token_of_another_session_is_refused(connect: Callable[[str], Client], ada: str, service: Service):
    service.users.create("eve@example.com", password=PASSWORD)
    mine, other = connect("cookie"), connect("cookie")
    await mine.sign_in()
    await other.sign_in("eve@example.com")

    answer = await mine.post("/auth/signout", **{"anti-csrf": other.csrf})

    assert answer.status_code == 401
    assert await mine.is_signed_in()


async def test_token_for_headers_does_not_act_as_a_cookie(connect: Callable[[str], Client], ada: str):
    front, browser = connect("header"), connect("cookie")
    await front.sign_in()
    browser.http.cookies.set("sAccessToken", front.access)

    answer = await browser.post("/auth/signout")

    assert answer.status_code == 401
    assert await front.is_signed_in()


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=str,
)
async def test_other_sites_change_nothing(browser: Client, ada: str, fired: list[Event], headers: dict[str, str]):
    await browser.sign_in()
    fired.clear()

    for path in (*POSTS, "/auth/signout", "/auth/user/email/verify/token"):
        answer = await browser.post(path, POSTS.get(path), **headers)

        assert answer.status_code == 403, path
    assert await browser.is_signed_in()
    assert fired == []


async def test_cookies_are_out_of_reach_of_scripts_and_other_sites(browser: Client, ada: str):
    answer = await browser.sign_in()

    cookies = cookies_of(answer)
    assert {name: cookie["path"] for name, cookie in cookies.items()} == {
        "sAccessToken": "/",
        "sRefreshToken": "/auth/session/refresh",
    }
    for cookie in cookies.values():
        assert cookie["httponly"]
        assert cookie["samesite"] == "lax"
        assert not cookie["secure"]
        assert not cookie["domain"]
        assert int(cookie["max-age"]) > 99 * 24 * 3600


async def test_cookies_without_https_never_go_to_other_sites(browser: Client, ada: str, service: Service):
    service.hosted.save(replace(service.hosted.read(), web_origins=("http://shop.example.org",)))
    headers = {"Origin": "http://shop.example.org", "Sec-Fetch-Site": "cross-site"}

    answer = await browser.post("/auth/signin", POSTS["/auth/signin"], **headers)

    assert [cookie["samesite"] for cookie in cookies_of(answer).values()] == ["lax", "lax"]


@asynccontextmanager
async def behind_https(settings: Settings, base_url: str) -> AsyncIterator[App]:
    changed = settings.model_copy(update={"base_url": base_url})
    app = build_app(changed, embedded=True, passwords=Passwords(CHEAP))
    await app.start()
    yield app
    await app.stop()


@pytest.mark.parametrize(
    ("site", "same_site"), [("same-origin", "lax"), ("same-site", "lax"), ("cross-site", "none"), (None, "lax")]
)
async def test_cookies_over_https_are_secure_and_go_to_named_sites(
    settings: Settings, site: str | None, same_site: str
):
    async with behind_https(settings, "https://auth.example.com/shop") as app:
        app.service.hosted.save(replace(app.service.hosted.read(), web_origins=("https://shop.example.org",)))
        headers = {"Origin": "https://shop.example.org"} | ({"Sec-Fetch-Site": site} if site else {})
        transport = httpx.ASGITransport(app.http, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://auth.example.com") as client:
            answer = await client.post("/auth/signup", json=POSTS["/auth/signup"], headers=headers)

    cookies = cookies_of(answer)
    assert [cookie["path"] for cookie in cookies.values()] == ["/shop/", "/shop/auth/session/refresh"]
    assert [(cookie["secure"], cookie["samesite"]) for cookie in cookies.values()] == [(True, same_site)] * 2
