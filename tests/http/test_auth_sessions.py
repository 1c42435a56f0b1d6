"""``/auth``: sessions of users, how long they last and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from backend.events import (
    Event,
)
from runtime.service import Service
from tests.http.front_end import (
    EMAIL,
    PASSWORD,
    Client,
    claims,
    cookies_of,
    expire_access,
)


async def test_front_token_says_who_is_signed_in_until_when(connect: Callable[[str], Client], service: Service):
    ada = service.users.create(EMAIL, password=PASSWORD, is_verified=True)
    for name in ("Ünïcode", "Customer"):
        service.roles.create(name)
    service.users.set_roles(ada.id, ["Ünïcode", "Customer"])

    found = claims(await connect("header").sign_in())

    now_ms = datetime.now(UTC).timestamp() * 1000
    assert found["uid"] == found["up"]["sub"] == ada.id
    assert 0 < found["ate"] - now_ms <= 30 * 60 * 1000
    assert abs(found["up"]["iat"] * 1000 - now_ms) < 60_000
    assert found["up"]["st-ev"]["v"] is True
    assert found["up"]["st-role"]["v"] == ["Customer", "Ünïcode"]


async def test_front_token_fits_in_a_cookie_whatever_the_roles(browser: Client, ada: str, service: Service):
    names = [f"Rôle {number:03} {'x' * 80}" for number in range(60)]
    for name in names:
        service.roles.create(name)
    service.users.set_roles(ada, names)

    answer = await browser.sign_in()

    assert len(answer.headers["front-token"]) < 4_000
    assert "st-role" not in claims(answer)["up"]
    assert (await browser.get("/auth/user")).json()["user"]["roles"] == names


@pytest.mark.parametrize("path", ["/auth/user", "/auth/session", "/auth/user/email/verify"])
async def test_stranger_is_told_to_sign_in(browser: Client, path: str):
    answer = await browser.get(path)

    assert (answer.status_code, answer.json()) == (401, {"message": "unauthorised"})
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("authorization", ["Bearer nope", "Bearer " + "x" * 43, "Bearer \u00ff", "bearer  a b"])
async def test_unknown_token_is_told_to_refresh(connect: Callable[[str], Client], authorization: str):
    front = connect("cookie")
    headers = {"Authorization": authorization.encode("latin-1")}

    answer = await front.http.get("/auth/user", headers=headers)

    assert (answer.status_code, answer.json()) == (401, {"message": "try refresh token"})


async def test_other_kinds_of_authorization_leave_the_cookies_good(browser: Client, ada: str):
    await browser.sign_in()

    answer = await browser.http.get("/auth/user", headers={"Authorization": "Basic b3BlcmF0b3I6eA=="})

    assert answer.status_code == 200


async def test_expired_access_is_refreshed(front: Client, ada: str, service: Service, fired: list[Event]):
    await front.sign_in()
    fired.clear()
    expire_access(service)
    expired = await front.get("/auth/user")

    refreshed = await front.post("/auth/session/refresh")

    assert (expired.status_code, expired.json()) == (401, {"message": "try refresh token"})
    assert refreshed.status_code == 200
    assert await front.is_signed_in()
    assert fired == []


async def test_two_refreshes_at_once_leave_the_session_good(front: Client, ada: str):
    await front.sign_in()

    answers = await asyncio.gather(*(front.post("/auth/session/refresh") for _ in range(5)))

    assert [each.status_code for each in answers] == [200] * 5
    assert await front.is_signed_in()
    assert (await front.post("/auth/session/refresh")).status_code == 200


async def test_tokens_of_cookies_are_never_told_to_scripts(browser: Client, ada: str):
    await browser.sign_in()

    for wish in ({"fg-auth-mode": "body"}, {"st-auth-mode": "header"}):
        answer = await browser.post("/auth/session/refresh", **wish)

        assert answer.status_code == 200
        assert answer.json() == {"status": "OK"}
        assert "st-refresh-token" not in answer.headers
        assert cookies_of(answer).keys() == {"sAccessToken", "sRefreshToken"}


async def test_refresh_token_is_taken_from_the_body_too(connect: Callable[[str], Client], ada: str):
    front = connect("body")
    await front.sign_in()
    old, front.refresh = front.refresh, ""

    answer = await front.post("/auth/session/refresh", {"refreshToken": old})

    assert answer.status_code == 200
    assert front.refresh not in ("", old)
    assert not cookies_of(answer)
    assert await front.is_signed_in()


async def test_session_tells_its_end(browser: Client, ada: str):
    await browser.sign_in()

    session = (await browser.get("/auth/session")).json()["session"]

    assert session.keys() == {"handle", "userId", "accessTokenExpiresAt"}
    assert session["userId"] == ada
    assert datetime.fromisoformat(session["accessTokenExpiresAt"]) > datetime.now(UTC)


async def test_refresh_without_a_token_clears_nothing(browser: Client):
    answer = await browser.post("/auth/session/refresh")

    assert (answer.status_code, answer.json()) == (401, {"message": "unauthorised"})
    assert not cookies_of(answer)


async def test_stolen_refresh_token_ends_the_session(connect: Callable[[str], Client], ada: str):
    front = connect("header")
    await front.sign_in()
    stolen = front.refresh
    await front.post("/auth/session/refresh")
    await front.get("/auth/user")

    answer = await connect("header").post("/auth/session/refresh", Authorization=f"Bearer {stolen}")

    assert (answer.status_code, answer.json()) == (401, {"message": "token theft detected"})
    assert answer.headers["front-token"] == "remove"
    assert not await front.is_signed_in()
    assert (await front.post("/auth/session/refresh")).status_code == 401


async def test_refused_refresh_makes_the_browser_forget(browser: Client, ada: str, service: Service):
    await browser.sign_in()
    service.sessions.end_all(ada)

    answer = await browser.post("/auth/session/refresh")

    assert (answer.status_code, answer.json()) == (401, {"message": "unauthorised"})
    assert answer.headers["front-token"] == "remove"
    assert {(name, cookie["max-age"]) for name, cookie in cookies_of(answer).items()} == {
        ("sAccessToken", "0"),
        ("sRefreshToken", "0"),
    }
    assert not browser.http.cookies


async def test_sign_out_ends_the_session_for_good(front: Client, ada: str, fired: list[Event]):
    await front.sign_in()
    fired.clear()
    stolen = [f"{cookie.name}={cookie.value}" for cookie in front.http.cookies.jar]
    tokens = front.access, front.refresh

    answer = await front.post("/auth/signout")

    assert (answer.status_code, answer.json(), answer.headers["front-token"]) == (200, {"status": "OK"}, "remove")
    assert not front.http.cookies
    if front.mode == "header":
        assert (front.access, front.refresh) == ("", "")
    front.access, front.refresh = tokens
    assert (await front.call("GET", "/auth/user", Cookie="; ".join(stolen))).status_code == 401
    assert (await front.call("POST", "/auth/session/refresh", Cookie="; ".join(stolen))).status_code == 401
    assert fired == []


async def test_signing_out_twice_is_fine(front: Client):
    answer = await front.post("/auth/signout")

    assert (answer.status_code, answer.json()) == (200, {"status": "OK"})


async def test_session_planted_before_a_sign_in_does_not_become_the_users(
    connect: Callable[[str], Client], ada: str, service: Service
):
    eve, victim = connect("cookie"), connect("cookie")
    service.users.create("eve@example.com", password=PASSWORD)
    await eve.sign_in("eve@example.com")
    for cookie in eve.http.cookies.jar:
        victim.http.cookies.set(cookie.name, cookie.value or "", domain=cookie.domain, path=cookie.path)

    await victim.sign_in()

    assert (await victim.get("/auth/user")).json()["user"]["email"] == EMAIL
    assert (await eve.get("/auth/user")).json()["user"]["email"] == "eve@example.com"


@pytest.mark.parametrize("change", ["block", "delete", "set_password", "end"])
async def test_session_ends_with_what_happens_to_its_user(front: Client, ada: str, service: Service, change: str):
    await front.sign_in()
    match change:
        case "block":
            service.users.block(ada)
        case "delete":
            service.users.delete(ada)
        case "set_password":
            service.users.set_password(ada, "another horse 2")
        case "end":
            service.sessions.end_all(ada)

    assert not await front.is_signed_in()
    assert (await front.post("/auth/session/refresh")).status_code == 401


async def test_roles_are_those_of_now(front: Client, ada: str, service: Service):
    await front.sign_in()
    service.roles.create("Customer")

    service.users.set_roles(ada, ["Customer"])

    answer = await front.get("/auth/user")
    assert answer.status_code == 401 or answer.json()["user"]["roles"] == ["Customer"]


async def test_refreshing_in_a_loop_is_slowed_down(front: Client, ada: str):
    await front.sign_in()

    for _ in range(100):
        if (answer := await front.post("/auth/session/refresh")).status_code != 200:
            break

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert (await front.get("/auth/user")).status_code == 200
