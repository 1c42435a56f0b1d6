from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

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
from backend.hosted import Hosted, HostedPages
from backend.mailbox import Mailbox
from backend.passwords import Busy, Cost, Passwords
from backend.roles import Roles
from backend.sessions import SessionEnded, Sessions, Tokens
from backend.sign_in import EVEN_S, UNEVEN_S, SignIn, SignUpClosed, TokenRefused, WrongCredentials
from backend.sign_up_notice import SignUpNotice
from backend.throttle import Throttled
from backend.users import Users
from storage.database import Database
from storage.errors import StorageError
from storage.tables import OneTimeToken, UserSession

ANNA, PASSWORD = "anna@example.com", "correct 1 horse"
HOME, AWAY = "192.0.2.1", "198.51.100.7"
LIVES = {"verify": timedelta(hours=24), "reset": timedelta(hours=1)}
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


@pytest.fixture
def anna(users: Users) -> str:
    return users.create(ANNA, password=PASSWORD).id


@pytest.fixture
def enter(sign_in: SignIn) -> Callable[..., Awaitable[Tokens]]:
    async def enter(email: str = ANNA, password: str = PASSWORD, address: str = HOME) -> Tokens:
        return await sign_in.sign_in(email, password, address=address, with_csrf=False)

    return enter


def about(user_id: str, *, is_verified: bool = False, roles: list[str] | None = None) -> dict[str, Any]:
    return {"userId": UUID(user_id), "email": ANNA, "emailVerified": is_verified, "roles": roles or []}


def token_in(fired: list[Event], kind: type[Any]) -> str:
    """Return the token of the newest event of a kind."""
    token = [event.token for event in fired if isinstance(event, kind)][-1]
    assert isinstance(token, str)
    return token


async def ask(sign_in: SignIn, fired: list[Event], purpose: str) -> str:
    """Ask for a mail and return the token that is in it."""
    if purpose == "verify":
        await sign_in.request_verification_for(ANNA, address=HOME)
        return token_in(fired, EmailVerificationRequested)
    await sign_in.request_reset(ANNA, address=HOME)
    return token_in(fired, PasswordResetRequested)


async def submit(sign_in: SignIn, purpose: str, token: object, address: str = HOME) -> None:
    if purpose == "verify":
        await sign_in.verify(token, address=address)
    else:
        await sign_in.reset(token, "another 1 horse", address=address)


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


class Counted(Passwords):
    """Counts how often a password was computed for a sign-in or sign-up; *meanwhile* happens at the end of it."""

    verified = 0
    hashed = 0
    is_full = False

    @staticmethod
    def meanwhile() -> None: ...

    async def hash_soon(self, password: str) -> str:
        self.hashed += 1
        return await super().hash_soon(password)

    async def verify_soon(self, hashed: str | None, password: str) -> bool:
        if self.is_full:
            raise Busy
        self.verified += 1
        is_right = await super().verify_soon(hashed, password)
        self.meanwhile()
        return is_right


@pytest.fixture
def passwords() -> Any:
    passwords = Counted(Cost(8, 1, 1))
    yield passwords
    passwords.close()


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


# tokens


@pytest.mark.parametrize("purpose", ["verify", "reset"])
async def test_token_is_good_until_its_time_is_over(
    sign_in: SignIn, fired: list[Event], clock: Any, anna: str, purpose: str
) -> None:
    first = await ask(sign_in, fired, purpose)
    fired.clear()
    clock.now += LIVES[purpose] + SECOND
    with pytest.raises(TokenRefused):
        await submit(sign_in, purpose, first)
    assert fired == []

    second = await ask(sign_in, fired, purpose)
    clock.now += LIVES[purpose] - SECOND
    await submit(sign_in, purpose, second)


@pytest.mark.parametrize("purpose", ["verify", "reset"])
async def test_setting_the_clock_back_revives_no_token(
    sign_in: SignIn, fired: list[Event], clock: Any, anna: str, purpose: str
) -> None:
    token = await ask(sign_in, fired, purpose)
    clock.now += LIVES[purpose] + SECOND
    with pytest.raises(TokenRefused):
        await submit(sign_in, purpose, token)
    fired.clear()

    clock.now -= DAY

    with pytest.raises(TokenRefused):
        await submit(sign_in, purpose, token)
    assert fired == []


async def test_link_that_was_refused_as_too_old_stays_refused_when_the_clock_is_set_back_a_little(
    sign_in: SignIn, fired: list[Event], clock: Any, anna: str
) -> None:
    token = await ask(sign_in, fired, "reset")
    clock.now += LIVES["reset"]
    assert not await sign_in.is_live(token, "reset", address=HOME)

    clock.now -= LIVES["reset"] / 2

    assert not await sign_in.is_live(token, "reset", address=HOME)
    with pytest.raises(TokenRefused):
        await submit(sign_in, "reset", token)


@pytest.mark.parametrize("purpose", ["verify", "reset"])
async def test_second_request_voids_the_first(sign_in: SignIn, fired: list[Event], anna: str, purpose: str) -> None:
    first, second = await ask(sign_in, fired, purpose), await ask(sign_in, fired, purpose)

    with pytest.raises(TokenRefused):
        await submit(sign_in, purpose, first)
    await submit(sign_in, purpose, second)


async def test_token_of_one_purpose_is_refused_for_the_other(
    sign_in: SignIn, users: Users, fired: list[Event], anna: str
) -> None:
    tokens = {purpose: await ask(sign_in, fired, purpose) for purpose in ("verify", "reset")}
    fired.clear()

    for purpose in ("verify", "reset"):
        with pytest.raises(TokenRefused):
            await submit(sign_in, purpose, tokens["reset" if purpose == "verify" else "verify"])

    assert fired == []
    assert not users.get(anna).is_verified


@pytest.mark.parametrize("purpose", ["verify", "reset"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda token: token[:-1], id="truncated"),
        pytest.param(lambda token: f" {token} ", id="spaces"),
        pytest.param(lambda token: token * 25_000, id="1-MB"),
        pytest.param(lambda token: ("A" if token[0] != "A" else "B") + token[1:], id="bit-flipped"),
        pytest.param(lambda token: None, id="none"),
        pytest.param(lambda token: [token], id="list"),
    ],
)
async def test_what_is_nearly_a_token_is_refused(
    sign_in: SignIn, fired: list[Event], anna: str, purpose: str, change: Callable[[str], object]
) -> None:
    token = await ask(sign_in, fired, purpose)
    fired.clear()

    with pytest.raises(TokenRefused) as caught:
        await submit(sign_in, purpose, change(token))

    assert [fault.code for fault in caught.value.faults] == ["auth.token_invalid"]
    assert token not in str(caught.value)
    assert fired == []


async def test_of_fifty_resets_with_one_token_at_once_one_succeeds(
    sign_in: SignIn, fired: list[Event], anna: str, enter: Any
) -> None:
    token = await ask(sign_in, fired, "reset")
    fired.clear()
    passwords = [f"another {n} horse" for n in range(50)]

    found = await asyncio.gather(
        *(sign_in.reset(token, passwords[n], address=f"10.0.0.{n}") for n in range(50)), return_exceptions=True
    )

    assert [type(each) for each in found if each is not None] == [TokenRefused] * 49
    assert fired == [PasswordReset(**about(anna))]
    await enter(password=passwords[found.index(None)])


async def test_fifty_verifications_with_one_token_at_once_report_one(
    sign_in: SignIn, fired: list[Event], anna: str
) -> None:
    token = await ask(sign_in, fired, "verify")
    fired.clear()

    await asyncio.gather(*(sign_in.verify(token, address=f"10.0.0.{n}") for n in range(50)))

    assert fired == [EmailVerified(**about(anna, is_verified=True))]


async def test_verification_link_that_is_followed_again_shows_success_and_reports_nothing(
    sign_in: SignIn, users: Users, fired: list[Event], clock: Any, anna: str
) -> None:
    token = await ask(sign_in, fired, "verify")
    await sign_in.verify(token, address=AWAY)  # a mail scanner
    fired.clear()

    clock.now += DAY - SECOND
    await sign_in.verify(token, address=HOME)

    assert fired == []
    clock.now += 2 * SECOND
    with pytest.raises(TokenRefused):
        await sign_in.verify(token, address=HOME)
    assert users.get(anna).is_verified


async def test_verifying_again_never_brings_a_verification_back(
    sign_in: SignIn, users: Users, fired: list[Event], anna: str
) -> None:
    token = await ask(sign_in, fired, "verify")
    await sign_in.verify(token, address=HOME)
    fired.clear()

    for change in ({"is_verified": False}, {"email": "anna@example.org"}):
        users.update(anna, **change)  # type: ignore[arg-type]
        with pytest.raises(TokenRefused):
            await sign_in.verify(token, address=HOME)
        assert not users.get(anna).is_verified

    assert fired == []


async def test_used_reset_token_is_refused(sign_in: SignIn, fired: list[Event], anna: str) -> None:
    token = await ask(sign_in, fired, "reset")
    await submit(sign_in, "reset", token)
    fired.clear()

    with pytest.raises(TokenRefused):
        await submit(sign_in, "reset", token)
    assert not await sign_in.is_live(token, "reset", address=HOME)

    assert fired == []


async def test_weak_password_leaves_the_token_good(
    sign_in: SignIn, passwords: Counted, fired: list[Event], anna: str
) -> None:
    token = await ask(sign_in, fired, "reset")

    for weak in ("short", "password1", None, "x1" * 3_000):
        with pytest.raises(BackendError) as caught:
            await sign_in.reset(token, weak, address=HOME)
        assert {fault.field for fault in caught.value.faults} == {"password"}

    assert await sign_in.is_live(token, "reset", address=HOME)
    await submit(sign_in, "reset", token)


async def test_wrong_token_costs_no_hash(sign_in: SignIn, passwords: Counted, anna: str) -> None:
    passwords.hashed = 0

    with pytest.raises(TokenRefused):
        await submit(sign_in, "reset", "A" * 43)

    assert passwords.hashed == 0


async def test_reset_ends_every_session_and_voids_every_token(
    sign_in: SignIn, sessions: Sessions, fired: list[Event], database: Database, anna: str, enter: Any
) -> None:
    tokens = [await enter() for _ in range(2)]
    verify, reset = await ask(sign_in, fired, "verify"), await ask(sign_in, fired, "reset")

    await submit(sign_in, "reset", reset)

    assert [sessions.check(each.access) for each in tokens] == [None, None]
    with pytest.raises(TokenRefused):
        await sign_in.verify(verify, address=HOME)
    with database.read() as session:
        assert [token for token in session.exec(select(OneTimeToken)) if token.used_at is None] == []


async def test_stranger_who_signed_up_with_my_address_is_out_after_my_reset(
    sign_in: SignIn, sessions: Sessions, fired: list[Event], enter: Any
) -> None:
    stranger = await sign_in.sign_up(ANNA, "mallorys 1 password", address=AWAY, with_csrf=False)

    await submit(sign_in, "reset", await ask(sign_in, fired, "reset"))

    assert sessions.check(stranger.access) is None
    with pytest.raises(SessionEnded):
        sessions.refresh(stranger.refresh, with_csrf=False)
    with pytest.raises(WrongCredentials):
        await enter(password="mallorys 1 password", address=AWAY)


@pytest.mark.parametrize("purpose", ["verify", "reset"])
@pytest.mark.parametrize("how", ["block", "delete"])
async def test_token_of_a_user_who_is_gone_is_refused(
    sign_in: SignIn, users: Users, fired: list[Event], anna: str, purpose: str, how: str
) -> None:
    token = await ask(sign_in, fired, purpose)
    getattr(users, how)(anna)
    fired.clear()

    with pytest.raises(TokenRefused):
        await submit(sign_in, purpose, token)

    assert fired == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda users, anna: users.block(anna), id="blocked"),
        pytest.param(lambda users, anna: users.delete(anna), id="deleted"),
        pytest.param(lambda users, anna: users.set_password(anna, "another 1 horse"), id="password-changed"),
    ],
)
async def test_user_who_changes_while_the_password_is_checked_stays_out(
    sign_in: SignIn,
    users: Users,
    passwords: Counted,
    fired: list[Event],
    anna: str,
    enter: Any,
    change: Callable[[Users, str], object],
) -> None:
    def meanwhile() -> None:
        change(users, anna)
        fired.clear()

    passwords.meanwhile = meanwhile  # type: ignore[method-assign]

    with pytest.raises(WrongCredentials):
        await enter()

    assert fired == []


# limits


async def test_wrong_passwords_are_slowed_down_and_the_right_one_too(
    sign_in: SignIn, seconds: Any, anna: str, enter: Any
) -> None:
    for _ in range(5):
        with pytest.raises(WrongCredentials):
            await enter(password="wrong 1 horse")

    with pytest.raises(Throttled):
        await enter()
    seconds.now += 1
    await enter()


async def test_right_passwords_are_never_too_many(anna: str, enter: Any) -> None:
    for _ in range(60):
        await enter()


async def test_unknown_account_is_slowed_down_like_a_known_one(sign_in: SignIn, anna: str, enter: Any) -> None:
    answers = []
    for email in (ANNA, "nobody@example.com"):
        for number in range(7):
            with pytest.raises(BackendError) as caught:
                await enter(email, "wrong 1 horse", address=f"10.0.{len(email)}.1")
            answers.append((number, type(caught.value), caught.value.faults))

    assert answers[:7] == answers[7:]


async def test_owner_gets_in_while_ten_thousand_wrong_passwords_come_from_many_addresses(
    sign_in: SignIn, passwords: Counted, fired: list[Event], anna: str, enter: Any
) -> None:
    async def guess(number: int) -> type[BaseException]:
        with pytest.raises(BackendError) as caught:
            await enter(password=f"guess {number}", address=f"10.0.0.{number % 200}")
        return caught.type

    found: list[type[BaseException]] = []
    for first in range(0, 10_000, 50):
        found += await asyncio.gather(*(guess(first + number) for number in range(50)))

    assert {*found} == {WrongCredentials, Throttled}
    assert found.count(WrongCredentials) == passwords.verified <= 600
    assert fired == []
    tokens = await enter()
    assert tokens.session.user_id == anna


async def test_too_many_at_once_are_told_to_come_back_and_lose_no_try(
    passwords: Counted, anna: str, enter: Any
) -> None:
    passwords.is_full = True
    for _ in range(20):
        with pytest.raises(Busy):
            await enter()
    passwords.is_full = False

    await enter()


async def test_reset_mails_are_few_and_the_answer_stays_the_same(
    sign_in: SignIn, fired: list[Event], seconds: Any, anna: str
) -> None:
    for number in range(10):
        await sign_in.request_reset(ANNA, address=f"10.0.0.{number}")
    assert [type(event) for event in fired] == [PasswordResetRequested] * 3

    seconds.now += 60
    await sign_in.request_reset(ANNA, address=HOME)
    assert len(fired) == 4


async def test_verification_mails_are_few_for_a_signed_in_user_too(
    sign_in: SignIn, fired: list[Event], anna: str
) -> None:
    answers = [await sign_in.request_verification(anna) for _ in range(10)]

    assert answers == [True] * 10
    assert len(fired) == 3


async def test_last_token_stays_good_when_a_further_mail_is_refused(
    sign_in: SignIn, fired: list[Event], anna: str
) -> None:
    for _ in range(10):
        token = await ask(sign_in, fired, "reset")

    await submit(sign_in, "reset", token)


@pytest.mark.parametrize("method", ["request_reset", "request_verification_for"])
async def test_address_may_ask_for_twenty_mails_a_minute(sign_in: SignIn, method: str) -> None:
    request = getattr(sign_in, method)
    for number in range(20):
        await request(f"user{number}@example.com", address=HOME)

    with pytest.raises(Throttled):
        await request(ANNA, address=HOME)
    await request(ANNA, address=AWAY)


@pytest.mark.parametrize("purpose", ["verify", "reset"])
async def test_address_may_try_ten_wrong_tokens_a_minute(
    sign_in: SignIn, fired: list[Event], seconds: Any, anna: str, purpose: str
) -> None:
    token = await ask(sign_in, fired, purpose)
    for _ in range(10):
        with pytest.raises(TokenRefused):
            await submit(sign_in, purpose, "A" * 43)

    with pytest.raises(Throttled):
        await submit(sign_in, purpose, token)
    with pytest.raises(Throttled):
        await sign_in.is_live(token, "reset", address=HOME)
    await submit(sign_in, purpose, token, AWAY)


async def test_looking_at_tokens_counts_like_using_them(sign_in: SignIn) -> None:
    assert [await sign_in.is_live("A" * 43, "reset", address=HOME) for _ in range(10)] == [False] * 10

    with pytest.raises(Throttled):
        await sign_in.is_live("A" * 43, "reset", address=HOME)


async def test_answers_that_could_tell_an_account_take_the_same_time(
    sign_in: SignIn, pauses: list[float], anna: str
) -> None:
    for email in (ANNA, "nobody@example.com"):
        for _ in range(5):  # with mail and without
            await sign_in.request_reset(email, address=HOME)
        await sign_in.request_verification_for(email, address=HOME)
        await sign_in.sign_up(email, PASSWORD, address=HOME, with_csrf=True)

    assert len(pauses) == 14
    assert all(EVEN_S <= pause <= EVEN_S + UNEVEN_S for pause in pauses)
    assert len({*pauses}) == 14


async def test_notice_that_cannot_be_sent_is_told_to_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Unread:
        async def send(self, **_mail: str) -> tuple[str, str]:
            raise StorageError("The database file is damaged.")

    notice = SignUpNotice(Unread(), "https://flows.example.com")
    notice.send(ANNA, Hosted())

    await notice.finish()

    assert "a sign-up notice could not be sent: The database file is damaged." in caplog.messages


async def test_sign_ups_for_one_mailbox_are_few_whoever_has_an_account(sign_in: SignIn, anna: str) -> None:
    for name in ("anna", "bert"):
        for n in range(10):
            await sign_in.sign_up(f"{name}+{n}@example.com", PASSWORD, address=HOME, with_csrf=None)
        for email in (f"{name}@example.com", f"{name.upper()}+new@Example.com"):
            with pytest.raises(Throttled):
                await sign_in.sign_up(email, PASSWORD, address=AWAY, with_csrf=None)
