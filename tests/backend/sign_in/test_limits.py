"""How often one may try, and how long an answer takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backend.errors import BackendError
from backend.events import (
    Event,
    PasswordResetRequested,
)
from backend.hosted import Hosted
from backend.passwords import Busy
from backend.sign_in import EVEN_S, UNEVEN_S, SignIn, TokenRefused, WrongCredentials
from backend.sign_up_notice import SignUpNotice
from backend.throttle import Throttled
from storage.errors import StorageError
from tests.backend.sign_in.rig import ANNA, AWAY, HOME, PASSWORD, Counted, ask, submit


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
