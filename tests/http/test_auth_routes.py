"""``/auth``: signing up and in, with tokens in cookies, in headers or in the body."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.events import (
    EmailVerificationRequested,
    Event,
    UserLoggedIn,
    UserSignedUp,
)
from runtime.service import Service
from tests.http.front_end import (
    EMAIL,
    MODES,
    PASSWORD,
    Client,
    cookies_of,
    form,
    kinds,
)


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
