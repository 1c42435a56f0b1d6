"""Signing up and in: what it reports, and that it answers everybody alike."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import select

from backend.errors import BackendError
from backend.events import (
    EmailVerificationRequested,
    EmailVerified,
    Event,
    PasswordReset,
    PasswordResetRequested,
    UserLoggedIn,
    UserSignedUp,
)
from backend.hosted import HostedPages
from backend.mailbox import Mailbox
from backend.passwords import Cost, Passwords
from backend.roles import Roles
from backend.sessions import SessionEnded, Sessions
from backend.sign_in import SignIn, SignUpClosed, WrongCredentials
from backend.sign_up_notice import SignUpNotice
from backend.users import Users
from storage.database import Database
from storage.tables import UserSession
from tests.backend.sign_in.rig import ANNA, DAY, HOME, PASSWORD, Counted, about, ask, submit, token_in

# what each reports, and nothing else


async def test_sign_up_reports_itself_and_then_the_verification(
    sign_in: SignIn, users: Users, sessions: Sessions, fired: list[Event]
) -> None:
    tokens = await sign_in.sign_up(ANNA, PASSWORD, "Anna", "Berg", address=HOME, with_csrf=True)

    user = users.get(ANNA)
    token = token_in(fired, EmailVerificationRequested)
    link = f"https://flows.example.com/verify-email?token={token}"
    facts = about(user.id)
    assert fired == [UserSignedUp(**facts), EmailVerificationRequested(**facts, token=token, link=link)]
    assert (user.first_name, user.last_name, user.is_verified, user.has_password) == ("Anna", "Berg", False, True)
    assert sessions.check(tokens.access) == tokens.session
    assert tokens.session.user_id == user.id


async def test_sign_up_without_a_session_opens_none(sign_in: SignIn, fired: list[Event], database: Database) -> None:
    assert await sign_in.sign_up(ANNA, PASSWORD, address=HOME, with_csrf=None) is None  # type: ignore[func-returns-value]

    assert [type(event) for event in fired] == [UserSignedUp, EmailVerificationRequested]
    with database.read() as session:
        assert session.exec(select(UserSession)).all() == []


async def test_sign_in_reports_only_itself(
    users: Users, roles: Roles, sessions: Sessions, fired: list[Event], clock: Any, anna: str, enter: Any
) -> None:
    roles.create("My Super User Role")
    users.set_roles(anna, ["My Super User Role"])
    users.update(anna, is_verified=True)
    fired.clear()
    clock.now += DAY

    tokens = await enter()

    assert fired == [UserLoggedIn(**about(anna, is_verified=True, roles=["My Super User Role"]))]
    assert sessions.check(tokens.access) == tokens.session
    assert users.get(anna).last_login_at == clock.now


async def test_verifying_reports_only_that(sign_in: SignIn, users: Users, fired: list[Event], anna: str) -> None:
    token = await ask(sign_in, fired, "verify")
    fired.clear()

    await sign_in.verify(token, address=HOME)

    assert fired == [EmailVerified(**about(anna, is_verified=True))]
    assert users.get(anna).is_verified


@pytest.mark.parametrize("is_on", [True, False], ids=["pages-on", "pages-off"])
async def test_request_for_a_reset_reports_it_with_the_link_of_the_page(
    sign_in: SignIn, hosted: HostedPages, fired: list[Event], anna: str, is_on: bool
) -> None:
    hosted.save(replace(hosted.read(), is_on=is_on))

    token = await ask(sign_in, fired, "reset")

    link = f"https://flows.example.com/set-new-password?token={token}" if is_on else None
    assert fired == [PasswordResetRequested(**about(anna), token=token, link=link)]


async def test_reset_reports_only_that(sign_in: SignIn, fired: list[Event], anna: str, enter: Any) -> None:
    token = await ask(sign_in, fired, "reset")
    fired.clear()

    await sign_in.reset(token, "another 1 horse", address=HOME)

    assert fired == [PasswordReset(**about(anna))]
    with pytest.raises(WrongCredentials):
        await enter()
    await enter(password="another 1 horse")


async def test_signed_in_user_asks_for_a_verification(
    sign_in: SignIn, users: Users, fired: list[Event], anna: str
) -> None:
    assert await sign_in.request_verification(anna) is True
    assert [type(event) for event in fired] == [EmailVerificationRequested]
    fired.clear()
    users.update(anna, is_verified=True)

    assert await sign_in.request_verification(anna) is False
    await sign_in.request_verification_for(ANNA, address=HOME)

    assert fired == []


async def test_verification_is_no_affair_of_who_is_gone(
    sign_in: SignIn, users: Users, fired: list[Event], anna: str
) -> None:
    users.block(anna)
    fired.clear()

    for user_id in (anna, "00000000-0000-0000-0000-000000000000", ""):
        with pytest.raises(SessionEnded):
            await sign_in.request_verification(user_id)

    assert fired == []


async def test_refreshing_and_signing_out_report_nothing(
    sessions: Sessions, fired: list[Event], anna: str, enter: Any
) -> None:
    tokens = await enter()
    fired.clear()

    tokens = sessions.refresh(tokens.refresh, with_csrf=False)
    sessions.check(tokens.access)
    sessions.end(tokens.session.handle)

    assert fired == []


# what fails, alike for everybody


async def failures(sign_in: SignIn, tries: list[tuple[str, str]]) -> list[tuple[type[Exception], Any]]:
    found: list[tuple[type[Exception], Any]] = []
    for number, (email, password) in enumerate(tries):
        with pytest.raises(BackendError) as caught:
            await sign_in.sign_in(email, password, address=f"10.0.0.{number}", with_csrf=False)
        found.append((caught.type, caught.value.faults))
    return found


async def test_failed_sign_in_says_the_same_for_every_reason_and_reports_nothing(
    sign_in: SignIn, users: Users, fired: list[Event], anna: str, clock: Any
) -> None:
    users.block(users.create("blocked@example.com", password=PASSWORD).id)
    users.create("invited@example.com")
    fired.clear()
    before = users.get(anna)

    found = await failures(
        sign_in,
        [
            (ANNA, "wrong 1 horse"),
            (ANNA, ""),
            (ANNA, PASSWORD + " "),
            (ANNA, PASSWORD.upper()),
            (ANNA, "x" * 5_000),
            (ANNA, "\ud800"),
            ("nobody@example.com", PASSWORD),
            ("blocked@example.com", PASSWORD),
            ("invited@example.com", PASSWORD),
            ("invited@example.com", ""),
            ("no address", PASSWORD),
            ("", ""),
            ("\ud800@example.com", PASSWORD),
            (f"{'x' * 1_000_000}@example.com", PASSWORD),
        ],
    )

    assert {kind for kind, _ in found} == {WrongCredentials}
    assert len({faults for _, faults in found}) == 1
    assert fired == []
    assert users.get(anna) == before


@pytest.mark.parametrize("email", [ANNA, "nobody@example.com", "blocked@example.com", "invited@example.com"])
async def test_every_sign_in_computes_one_hash(
    sign_in: SignIn, users: Users, passwords: Counted, anna: str, email: str
) -> None:
    users.block(users.create("blocked@example.com", password=PASSWORD).id)
    users.create("invited@example.com")
    passwords.hashed = passwords.verified = 0

    with pytest.raises(WrongCredentials):
        await sign_in.sign_in(email, "wrong 1 horse", address=HOME, with_csrf=False)

    assert (passwords.verified, passwords.hashed) == (1, 0)


@pytest.mark.parametrize("email", [ANNA, "new@example.com"], ids=["known", "unknown"])
async def test_every_sign_up_computes_one_hash(sign_in: SignIn, passwords: Counted, anna: str, email: str) -> None:
    passwords.hashed = passwords.verified = 0

    await sign_in.sign_up(email, PASSWORD, address=HOME, with_csrf=True)

    assert (passwords.verified, passwords.hashed) == (0, 1)


async def test_address_is_found_however_it_is_written(
    sign_in: SignIn, fired: list[Event], anna: str, enter: Any
) -> None:
    for number, email in enumerate(["ANNA@Example.COM", "anna@example.com", " anna@example.com"]):  # full width
        tokens = await enter(email, address=f"10.0.0.{number}")
        assert tokens.session.user_id == anna
    fired.clear()

    await sign_in.request_reset("ANNA@EXAMPLE.COM", address=HOME)

    assert [(type(event), event.payload()["email"]) for event in fired] == [(PasswordResetRequested, ANNA)]


@pytest.mark.parametrize("purpose", ["verify", "reset"])
async def test_request_for_nobodys_or_a_blocked_address_is_answered_alike_and_reports_nothing(
    sign_in: SignIn, users: Users, fired: list[Event], anna: str, purpose: str
) -> None:
    users.block(anna)
    fired.clear()
    request = sign_in.request_reset if purpose == "reset" else sign_in.request_verification_for

    for email in (ANNA, "nobody@example.com", "anna+tag@example.com", "no address", "", "\ud800", "x" * 1_000_000):
        assert await request(email, address=HOME) is None  # type: ignore[func-returns-value]

    assert fired == []


async def test_unverified_user_may_reset_and_is_not_verified_by_it(
    sign_in: SignIn, users: Users, fired: list[Event], anna: str
) -> None:
    await submit(sign_in, "reset", await ask(sign_in, fired, "reset"))

    assert not users.get(anna).is_verified


async def test_weak_hash_is_replaced_at_the_next_sign_in(
    sign_in: SignIn, users: Users, passwords: Counted, anna: str, enter: Any
) -> None:
    old = Passwords(Cost(16, 1, 1))
    users.set_password(anna, await old.accept_soon(PASSWORD))
    old.close()

    for wanted in (1, 0):
        passwords.hashed = 0
        await enter()
        assert passwords.hashed == wanted


# sign-up


async def test_sign_up_with_a_known_address_looks_like_any_other(
    sign_in: SignIn, users: Users, sessions: Sessions, fired: list[Event], anna: str, enter: Any
) -> None:
    other = await sign_in.sign_up("bert@example.com", "another 1 horse", "B", "C", address=HOME, with_csrf=True)
    fired.clear()
    before = users.get(anna)

    tokens = await sign_in.sign_up(ANNA.upper(), "another 1 horse", "Mallory", "M", address=HOME, with_csrf=True)

    assert {key: type(value) for key, value in vars(tokens).items()} == {k: type(v) for k, v in vars(other).items()}
    shown = vars(tokens.session)
    assert {key: type(value) for key, value in shown.items()} == {k: type(v) for k, v in vars(other.session).items()}
    assert shown["user_id"] != anna
    assert shown["email"] == ANNA.upper()  # as it was entered: the stored spelling would tell
    assert sessions.check(tokens.access) is None
    assert fired == []
    assert users.get(anna) == before
    await enter()


async def test_owner_of_an_address_is_told_once_an_hour_of_sign_ups_with_it(
    sign_in: SignIn, hosted: HostedPages, notice: SignUpNotice, mailbox: Mailbox, seconds: Any, anna: str
) -> None:
    hosted.save(replace(hosted.read(), name="Shop"))
    for _ in range(3):
        await sign_in.sign_up(ANNA, PASSWORD, address=HOME, with_csrf=True)
    await sign_in.sign_up("bert@example.com", PASSWORD, address=HOME, with_csrf=True)
    await notice.finish()

    (mail,) = mailbox.list(10)
    message = mailbox.get(mail.id)
    assert (mail.recipients, mail.subject) == ((ANNA,), "You already have an account")
    assert message.text is not None
    assert "sign up at Shop" in message.text
    assert "https://flows.example.com/login" in message.text
    seconds.now += 3_600
    await sign_in.sign_up(ANNA, PASSWORD, address=HOME, with_csrf=None)
    await notice.finish()
    assert len(mailbox.list(10)) == 2


async def test_notice_goes_to_the_address_as_its_owner_wrote_it(
    sign_in: SignIn, users: Users, notice: SignUpNotice, mailbox: Mailbox
) -> None:
    users.create("Anna.Berg@Example.com", password=PASSWORD)

    await sign_in.sign_up("ANNA.BERG@\uff45xample.com", PASSWORD, address=HOME, with_csrf=True)
    await notice.finish()

    (mail,) = mailbox.list(10)
    assert mail.recipients == ("Anna.Berg@Example.com",)


async def test_blocked_user_gets_no_notice(
    sign_in: SignIn, users: Users, notice: SignUpNotice, mailbox: Mailbox, anna: str
) -> None:
    users.block(anna)

    await sign_in.sign_up(ANNA, PASSWORD, address=HOME, with_csrf=True)
    await notice.finish()

    assert mailbox.list(10) == []


async def test_two_sign_ups_at_once_make_one_account(
    sign_in: SignIn, users: Users, fired: list[Event], sessions: Sessions
) -> None:
    emails = [ANNA, ANNA.upper(), "Anna@Example.com"] * 3

    found = await asyncio.gather(*(sign_in.sign_up(email, PASSWORD, address=HOME, with_csrf=False) for email in emails))

    assert users.list().total == 1
    assert [type(event) for event in fired] == [UserSignedUp, EmailVerificationRequested]
    assert [sessions.check(tokens.access) is not None for tokens in found].count(True) == 1


async def test_sign_up_tells_every_fault_and_makes_nothing(sign_in: SignIn, users: Users, fired: list[Event]) -> None:
    with pytest.raises(BackendError) as caught:
        await sign_in.sign_up("a@b, c@d", "SHORT", "x" * 101, "a\nb", address=HOME, with_csrf=True)

    assert sorted((fault.field, fault.code) for fault in caught.value.faults) == [
        ("email", "user.email_invalid"),
        ("first_name", "user.name_invalid"),
        ("last_name", "user.name_invalid"),
        ("password", "password.no_digit"),
        ("password", "password.no_lower_case"),
        ("password", "password.too_short"),
    ]
    assert fired == []
    assert users.list().total == 0


@pytest.mark.parametrize(
    "wrong", [None, 7, ["a@example.com"], {"$ne": ""}, True], ids=lambda value: type(value).__name__
)
async def test_sign_up_takes_text_alone(sign_in: SignIn, users: Users, wrong: object) -> None:
    with pytest.raises(BackendError) as caught:
        await sign_in.sign_up(wrong, wrong, wrong, wrong, address=HOME, with_csrf=True)

    assert {fault.field for fault in caught.value.faults} == {"email", "first_name", "last_name", "password"}
    assert users.list().total == 0


@pytest.mark.parametrize(
    "password",
    ["x 1 " * 16, "x1" * 500, "  nul \0 1 a ", "1 ümläut a🐴", "a" * 4_095 + "1"],
    ids=["64", "1000", "nul", "emoji", "4096"],
)
async def test_password_is_compared_as_it_is(sign_in: SignIn, enter: Any, password: str) -> None:
    await sign_in.sign_up(ANNA, password, address=HOME, with_csrf=True)

    await enter(password=password)
    for wrong in (password[:-1], password + " ", password.strip() + "x"):
        with pytest.raises(WrongCredentials):
            await enter(password=wrong, address=f"10.0.0.{len(wrong) % 200}")


@pytest.mark.parametrize("password", ["a1" * 2_049, "password1", "12345678", "abcdefgh"])
async def test_password_that_is_not_allowed_is_refused_before_anything_is_computed(
    sign_in: SignIn, passwords: Counted, password: str
) -> None:
    with pytest.raises(BackendError) as caught:
        await sign_in.sign_up(ANNA, password, address=HOME, with_csrf=True)

    assert {fault.field for fault in caught.value.faults} == {"password"}
    assert passwords.hashed == 0


async def test_closed_sign_up_makes_nothing_for_anybody(
    sign_in: SignIn, users: Users, hosted: HostedPages, fired: list[Event], anna: str
) -> None:
    hosted.save(replace(hosted.read(), allow_sign_up=False))

    for email in (ANNA, "bert@example.com", "no address"):
        with pytest.raises(SignUpClosed):
            await sign_in.sign_up(email, PASSWORD, address=HOME, with_csrf=True)

    assert users.list().total == 1
    assert fired == []
