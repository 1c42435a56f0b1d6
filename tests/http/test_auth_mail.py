"""``/auth/user``: verifying an address and setting a new password with a token."""

from __future__ import annotations

import pytest

from backend.events import (
    EmailVerificationRequested,
    EmailVerified,
    Event,
    PasswordReset,
    PasswordResetRequested,
)
from runtime.service import Service
from tests.http.front_end import (
    EMAIL,
    PASSWORD,
    Client,
    claims,
    form,
    kinds,
    token_of,
)


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
