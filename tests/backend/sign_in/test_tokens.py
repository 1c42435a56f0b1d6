"""Tokens that were mailed: what they are good for, and how long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import select

from backend.errors import BackendError
from backend.events import (
    EmailVerified,
    Event,
    PasswordReset,
)
from backend.sessions import SessionEnded, Sessions
from backend.sign_in import SignIn, TokenRefused, WrongCredentials
from backend.users import Users
from storage.database import Database
from storage.tables import OneTimeToken
from tests.backend.sign_in.rig import ANNA, AWAY, DAY, HOME, LIVES, SECOND, Counted, about, ask, submit


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
