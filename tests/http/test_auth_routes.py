"""``/auth``: what goes over the wire, in cookies, in headers and in the body."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx
import pytest
from sqlmodel import select

from backend.events import (
    EmailVerificationRequested,
    EmailVerified,
    Event,
    PasswordReset,
    PasswordResetRequested,
    UserLoggedIn,
    UserSignedUp,
)
from backend.passwords import CHEAP, Passwords
from runtime.app import App, build_app
from runtime.service import Service
from runtime.settings import Settings
from storage.tables import UserSession

EMAIL, PASSWORD = "ada@example.com", "correct horse 1"
MODES: dict[str, dict[str, str]] = {
    "cookie": {"st-auth-mode": "cookie"},
    "header": {"st-auth-mode": "header"},
    "body": {"fg-auth-mode": "body"},
}
POSTS = {
    "/auth/signup": {"formFields": [{"id": "email", "value": EMAIL}, {"id": "password", "value": PASSWORD}]},
    "/auth/signin": {"formFields": [{"id": "email", "value": EMAIL}, {"id": "password", "value": PASSWORD}]},
    "/auth/session/refresh": {"refreshToken": "x"},
    "/auth/user/email/verify": {"method": "token", "token": "x"},
    "/auth/user/password/reset/token": {"formFields": [{"id": "email", "value": EMAIL}]},
    "/auth/user/password/reset": {"token": "x", "formFields": [{"id": "password", "value": PASSWORD}]},
}


def form(**fields: Any) -> dict[str, Any]:
    return {"formFields": [{"id": name, "value": value} for name, value in fields.items()]}


@dataclass
class Client:
    """A front-end that keeps its tokens in one of the three ways; the cookies are kept by *http*."""

    http: httpx.AsyncClient
    mode: str
    access: str = ""
    refresh: str = ""
    csrf: str = ""

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.call("POST", path, body, **headers)

    async def get(self, path: str) -> httpx.Response:
        return await self.call("GET", path)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        sent = {**MODES[self.mode], **headers}
        token = self.refresh if path == "/auth/session/refresh" else self.access
        if self.mode != "cookie" and token:
            sent["Authorization"] = f"Bearer {token}"
        if self.mode == "cookie" and self.csrf:
            sent.setdefault("anti-csrf", self.csrf)
        answer = await self.http.request(method, path, json=body, headers=sent)
        self.keep(answer)
        return answer

    def keep(self, answer: httpx.Response) -> None:
        """Take the tokens from *answer*, as a front-end does."""
        found = answer.json() if self.mode == "body" else answer.headers
        access, refresh = {
            "cookie": ("", ""),
            "header": ("st-access-token", "st-refresh-token"),
            "body": ("accessToken", "refreshToken"),
        }[self.mode]
        self.access, self.refresh = found.get(access, self.access), found.get(refresh, self.refresh)
        self.csrf = answer.headers.get("anti-csrf", self.csrf)

    async def sign_up(self, email: str = EMAIL, password: str = PASSWORD) -> httpx.Response:
        return await self.post("/auth/signup", form(email=email, password=password))

    async def sign_in(self, email: str = EMAIL, password: str = PASSWORD) -> httpx.Response:
        return await self.post("/auth/signin", form(email=email, password=password))

    async def is_signed_in(self) -> bool:
        return (await self.get("/auth/user")).status_code == 200


@pytest.fixture
async def connect(app: App) -> AsyncIterator[Callable[[str], Client]]:
    """Make front-ends, each with cookies of its own."""
    made: list[httpx.AsyncClient] = []

    def make(mode: str) -> Client:
        transport = httpx.ASGITransport(app.http, raise_app_exceptions=False)
        made.append(httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080"))
        return Client(made[-1], mode)

    yield make
    for each in made:
        await each.aclose()


@pytest.fixture(params=MODES)
def front(request: pytest.FixtureRequest, connect: Callable[[str], Client]) -> Client:
    return connect(request.param)


@pytest.fixture
def browser(connect: Callable[[str], Client]) -> Client:
    return connect("cookie")


@pytest.fixture
def ada(service: Service) -> str:
    """The id of a user who exists."""
    return service.users.create(EMAIL, password=PASSWORD).id


def kinds(fired: list[Event]) -> list[type[Event]]:
    return [type(event) for event in fired]


def token_of(fired: list[Event], kind: type[EmailVerificationRequested | PasswordResetRequested]) -> str:
    return [event for event in fired if isinstance(event, kind)][-1].token


def claims(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(answer.headers["front-token"], validate=True))
    return found


def cookies_of(answer: httpx.Response) -> dict[str, Morsel[str]]:
    found: SimpleCookie = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        found.load(header)
    return dict(found)


def expire_access(service: Service) -> None:
    """Let every access token have run out a second ago."""
    with service.database.write() as session:
        for row in session.exec(select(UserSession)):
            row.access_expires_at = datetime.now(UTC) - timedelta(seconds=1)
            session.add(row)


# --- signing up and in


async def test_sign_up_signs_in_and_reports_it(front: Client, service: Service, fired: list[Event]):
    answer = await front.post("/auth/signup", form(email=EMAIL, password=PASSWORD, firstName="Ada", lastName="L"))

    user = service.users.get(EMAIL)
    assert (answer.status_code, answer.json()["status"]) == (200, "OK")
    assert answer.json()["user"]["id"] == user.id
    assert (user.first_name, user.last_name, user.is_verified, user.roles) == ("Ada", "L", False, ())
    assert kinds(fired) == [UserSignedUp, EmailVerificationRequested]
    assert await front.is_signed_in()


async def test_sign_in_reports_one_login(front: Client, ada: str, fired: list[Event]):
    answer = await front.sign_in()

    assert (answer.status_code, answer.json()["status"], answer.json()["user"]["id"]) == (200, "OK", ada)
    assert kinds(fired) == [UserLoggedIn]
    assert (await front.get("/auth/user")).json() == {
        "status": "OK",
        "user": {"id": ada, "email": EMAIL, "emailVerified": False, "roles": []},
    }


async def test_tokens_travel_as_asked_and_in_no_other_way(front: Client, ada: str):
    answer = await front.sign_in()

    in_cookies = bool(cookies_of(answer))
    in_headers = {"st-access-token", "st-refresh-token"} <= answer.headers.keys()
    in_body = {"accessToken", "refreshToken", "accessTokenExpiresAt"} <= answer.json().keys()
    assert {"cookie": in_cookies, "header": in_headers, "body": in_body} == {mode: mode == front.mode for mode in MODES}
    assert ("anti-csrf" in answer.headers) == (front.mode == "cookie")
    assert ("front-token" in answer.headers) == (front.mode != "body")
    assert answer.headers["Cache-Control"] == "no-store"


async def test_failures_look_alike_and_report_nothing(front: Client, ada: str, service: Service, fired: list[Event]):
    service.users.create("blocked@example.com", password=PASSWORD)
    service.users.block("blocked@example.com")
    service.users.create("guest@example.com")
    fired.clear()

    answers = [
        await front.sign_in(EMAIL, "correct horse 2"),
        await front.sign_in("nobody@example.com"),
        await front.sign_in("blocked@example.com"),
        await front.sign_in("guest@example.com"),
        await front.sign_in(EMAIL, ""),
        await front.sign_in(EMAIL, "x" * 5_000),
        await front.sign_in("no address"),
    ]

    assert {(each.status_code, each.content) for each in answers} == {(200, b'{"status":"WRONG_CREDENTIALS_ERROR"}')}
    assert not any("front-token" in each.headers or cookies_of(each) for each in answers)
    assert fired == []


async def test_sign_up_with_a_known_address_looks_like_any_other(front: Client, ada: str, fired: list[Event]):
    known = await front.sign_up(EMAIL, "another horse 2")
    fresh = await front.sign_up("new@example.com", "another horse 2")

    assert known.json()["user"]["id"] != ada
    assert (known.status_code, known.json().keys(), known.json()["user"].keys()) == (
        fresh.status_code,
        fresh.json().keys(),
        fresh.json()["user"].keys(),
    )
    assert known.headers.keys() == fresh.headers.keys()
    assert {name: len(value) for name, value in known.json().items() if isinstance(value, str)} == {
        name: len(value) for name, value in fresh.json().items() if isinstance(value, str)
    }
    assert [event.email for event in fired if isinstance(event, UserSignedUp)] == ["new@example.com"]


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ([("email", "no address"), ("password", PASSWORD)], ["email"]),
        ([("email", EMAIL), ("password", "short1")], ["password"]),
        ([("email", EMAIL), ("password", "password1")], ["password"]),
        ([("email", EMAIL), ("password", "x" * 4_097)], ["password"]),
        ([("email", "a@b.com, c@d.com"), ("password", "")], ["email", "password"]),
        ([("email", EMAIL)], ["password"]),
        ([], ["email", "password"]),
        ([("email", EMAIL), ("email", EMAIL), ("password", PASSWORD)], ["email"]),
        ([("email", EMAIL), ("password", PASSWORD), ("firstName", "x" * 101)], ["firstName"]),
        ([("email", EMAIL), ("password", PASSWORD), ("roles", "Owner")], ["roles"]),
        ([("email", EMAIL), ("password", PASSWORD), ("emailVerified", "true")], ["emailVerified"]),
        ([("email", EMAIL), ("password", PASSWORD), ("firstName", "Ada"), ("first_name", "Eve")], ["firstName"]),
    ],
    ids=str,
)
async def test_refused_fields_are_told_one_by_one(
    browser: Client, service: Service, fired: list[Event], fields: list[tuple[str, str]], refused: list[str]
):
    answer = await browser.post("/auth/signup", {"formFields": [{"id": id, "value": value} for id, value in fields]})

    assert (answer.status_code, answer.json()["status"]) == (200, "FIELD_ERROR")
    assert [each["id"] for each in answer.json()["formFields"]] == refused
    assert all(len(each["error"]) > 10 for each in answer.json()["formFields"])
    assert service.users.list().total == 0
    assert fired == []


async def test_closed_sign_up_is_told(browser: Client, service: Service, fired: list[Event]):
    service.hosted.save(replace(service.hosted.read(), allow_sign_up=False))

    answer = await browser.sign_up()

    assert answer.status_code == 200
    assert answer.json().keys() == {"status", "message"}
    assert answer.json()["status"] == "GENERAL_ERROR"
    assert fired == []


async def test_what_newer_clients_add_beside_the_form_is_ignored(browser: Client, service: Service):
    added = {"shouldTryLinkingWithSessionUser": False, "id": "1", "roles": ["Owner"], "emailVerified": True}

    answer = await browser.post("/auth/signup", form(email=EMAIL, password=PASSWORD) | added)

    user = service.users.get(EMAIL)
    assert answer.json()["user"]["id"] == user.id != "1"
    assert (user.is_verified, user.roles) == (False, ())


@pytest.mark.parametrize(
    ("version", "lists_methods"),
    [
        ("1.16", False),
        ("1.16,1.17", False),
        ("1.17,1.18", True),
        ("1.18", True),
        ("2.0", False),
        ("1.18,2.0", False),
        ("3.0", True),
        ("3.1,4.0,4.1,4.2", True),
        (None, True),
        ("odd", True),
        ("9" * 9_000, True),
    ],
)
async def test_user_has_the_shape_of_the_clients_version(
    browser: Client, ada: str, version: str | None, lists_methods: bool
):
    headers = {} if version is None else {"fdi-version": version}

    answer = await browser.post("/auth/signin", form(email=EMAIL, password=PASSWORD), **headers)

    user = answer.json()["user"]
    assert (user["id"], user["email"], type(user["timeJoined"])) == (ada, EMAIL, int)
    if lists_methods:
        assert user["emails"] == [EMAIL]
        assert user["loginMethods"][0]["recipeUserId"] == ada
    else:
        assert user.keys() == {"id", "email", "timeJoined", "tenantIds"}


@pytest.mark.parametrize("path", ["/auth/signup/email/exists", "/auth/emailpassword/email/exists"])
async def test_nobody_learns_who_has_an_account(browser: Client, ada: str, path: str):
    for query in (f"?email={EMAIL}", "?email=nobody@example.com", "", "?email=" + "x" * 10_000):
        answer = await browser.get(path + query)

        assert answer.json() == {"status": "OK", "exists": False}


async def test_too_many_failures_are_told_when_to_try_again(browser: Client, ada: str, fired: list[Event]):
    for _ in range(5):
        await browser.sign_in(password="wrong horse 1")

    answer = await browser.sign_in()

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["problems"][0]["code"] == "auth.throttled"
    assert fired == []


# --- sessions


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


# --- cookies and forged calls


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


# --- verification and reset


async def test_address_is_verified_with_the_mailed_token(front: Client, fired: list[Event], service: Service):
    await front.sign_up()
    token = token_of(fired, EmailVerificationRequested)
    before = await front.get("/auth/user/email/verify")
    fired.clear()

    verified = await front.post("/auth/user/email/verify", {"method": "token", "token": token})
    again = await front.post("/auth/user/email/verify", {"method": "token", "token": token})
    after = await front.get("/auth/user/email/verify")

    assert before.json() == {"status": "OK", "isVerified": False}
    assert verified.json() == again.json() == {"status": "OK"}
    assert after.json() == {"status": "OK", "isVerified": True}
    assert kinds(fired) == [EmailVerified]
    for answer, is_verified in ((before, False), (verified, True), (after, True)):
        assert claims(answer)["up"]["st-ev"]["v"] is is_verified


async def test_address_is_verified_without_a_session(browser: Client, ada: str, service: Service, fired: list[Event]):
    service.users.request_verification(ada)
    token = token_of(fired, EmailVerificationRequested)

    answer = await browser.post("/auth/user/email/verify", {"method": "token", "token": token})

    assert answer.json() == {"status": "OK"}
    assert "front-token" not in answer.headers
    assert service.users.get(ada).is_verified


async def test_verification_is_asked_for_until_it_is_done(
    front: Client, ada: str, service: Service, fired: list[Event]
):
    await front.sign_in()
    fired.clear()

    asked = await front.post("/auth/user/email/verify/token", {})
    service.users.update(ada, is_verified=True)
    needless = await front.post("/auth/user/email/verify/token", {})

    assert asked.json() == {"status": "OK"}
    assert needless.json() == {"status": "EMAIL_ALREADY_VERIFIED_ERROR"}
    assert kinds(fired) == [EmailVerificationRequested]


async def test_password_is_reset_with_the_mailed_token(front: Client, ada: str, fired: list[Event]):
    await front.sign_in()
    fired.clear()
    asked = await front.post("/auth/user/password/reset/token", form(email=EMAIL.upper()))
    token = token_of(fired, PasswordResetRequested)

    weak = await front.post("/auth/user/password/reset", {"token": token, **form(password="weak")})
    done = await front.post("/auth/user/password/reset", {"token": token, **form(password="another horse 2")})
    again = await front.post("/auth/user/password/reset", {"token": token, **form(password="another horse 2")})

    assert (asked.json(), done.json()) == ({"status": "OK"}, {"status": "OK"})
    assert (weak.json()["status"], weak.json()["formFields"][0]["id"]) == ("FIELD_ERROR", "password")
    assert again.json() == {"status": "RESET_PASSWORD_INVALID_TOKEN_ERROR"}
    assert kinds(fired) == [PasswordResetRequested, PasswordReset]
    assert not await front.is_signed_in()
    assert (await front.sign_in()).json() == {"status": "WRONG_CREDENTIALS_ERROR"}
    assert (await front.sign_in(password="another horse 2")).json()["status"] == "OK"


async def test_reset_request_does_not_tell_who_has_an_account(
    browser: Client, ada: str, service: Service, fired: list[Event]
):
    service.users.create("blocked@example.com", password=PASSWORD)
    service.users.block("blocked@example.com")
    fired.clear()

    answers = [
        await browser.post("/auth/user/password/reset/token", form(email=email))
        for email in (EMAIL, "nobody@example.com", "blocked@example.com", "no address", "")
    ]

    assert {(each.status_code, each.content) for each in answers} == {(200, b'{"status":"OK"}')}
    assert kinds(fired) == [PasswordResetRequested]


@pytest.mark.parametrize("odd", ["", "x", "x" * 43, " ", "é" * 43, "x" * 60_000, "\x00" * 43, "%2e%2e/"])
async def test_odd_tokens_are_refused_alike(browser: Client, ada: str, fired: list[Event], odd: str):
    verified = await browser.post("/auth/user/email/verify", {"method": "token", "token": odd})
    reset = await browser.post("/auth/user/password/reset", {"token": odd, **form(password=PASSWORD)})

    assert (verified.status_code, verified.json()) == (200, {"status": "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR"})
    assert (reset.status_code, reset.json()) == (200, {"status": "RESET_PASSWORD_INVALID_TOKEN_ERROR"})
    assert fired == []


async def test_token_is_good_for_its_purpose_alone(browser: Client, ada: str, service: Service, fired: list[Event]):
    service.users.request_verification(ada)
    service.users.request_reset(ada)
    verify, reset = token_of(fired, EmailVerificationRequested), token_of(fired, PasswordResetRequested)
    fired.clear()

    crossed = await browser.post("/auth/user/email/verify", {"token": reset})
    crossed_too = await browser.post("/auth/user/password/reset", {"token": verify, **form(password=PASSWORD)})

    assert crossed.json() == {"status": "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR"}
    assert crossed_too.json() == {"status": "RESET_PASSWORD_INVALID_TOKEN_ERROR"}
    assert fired == []


async def test_guessing_tokens_is_slowed_down(browser: Client):
    answers = [await browser.post("/auth/user/email/verify", {"token": "x" * 43}) for _ in range(12)]

    assert [each.status_code for each in answers[:10]] == [200] * 10
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1


# --- what comes from strangers


@pytest.mark.parametrize("path", POSTS)
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
async def test_bad_bodies_are_refused(
    browser: Client, fired: list[Event], path: str, content: bytes, kind: str, status: int
):
    answer = await browser.http.post(path, content=content, headers={"Content-Type": kind})

    assert answer.status_code == status
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
