from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from backend import one_time_tokens
from backend.one_time_tokens import Purpose
from backend.users import Users
from storage.database import Database
from storage.tables import OneTimeToken, UserRow

BOTH: list[Purpose] = ["verify", "reset"]
LIVES = {"verify": timedelta(hours=24), "reset": timedelta(hours=1)}
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


@pytest.fixture
def anna(users: Users) -> str:
    return users.create("anna@example.com").id


@pytest.fixture
def issue(database: Database, anna: str, clock: Callable[[], datetime]) -> Callable[..., str]:
    def issue(purpose: Purpose = "reset", user_id: str = anna) -> str:
        with database.write() as session:
            return one_time_tokens.issue(session, session.get_one(UserRow, user_id), purpose, clock())

    return issue


@pytest.fixture
def consume(database: Database, clock: Callable[[], datetime]) -> Callable[..., str | None]:
    def consume(token: object, purpose: Purpose = "reset") -> str | None:
        with database.write() as session:
            return one_time_tokens.consume(session, token, purpose, clock())

    return consume


@pytest.fixture
def look(database: Database, clock: Callable[[], datetime]) -> Callable[..., Any]:
    def look(how: Callable[[Session, object, Purpose, datetime], Any], token: str, purpose: Purpose = "reset") -> Any:
        with database.read() as session:
            return how(session, token, purpose, clock())

    return look


@pytest.mark.parametrize("purpose", BOTH)
def test_token_works_once(anna: str, issue: Any, consume: Any, purpose: Purpose) -> None:
    token = issue(purpose)

    assert consume(token, purpose) == anna
    assert consume(token, purpose) is None


@pytest.mark.parametrize("purpose", BOTH)
def test_token_works_until_its_time_is_over(anna: str, issue: Any, consume: Any, clock: Any, purpose: Purpose) -> None:
    token = issue(purpose)
    clock.now += LIVES[purpose] - SECOND
    assert consume(token, purpose) == anna

    token = issue(purpose)
    clock.now += LIVES[purpose] + SECOND
    assert consume(token, purpose) is None

    token = issue(purpose)
    clock.now += LIVES[purpose]
    assert consume(token, purpose) is None


@pytest.mark.parametrize("purpose", BOTH)
def test_token_of_one_purpose_is_worthless_for_another(anna: str, issue: Any, consume: Any, purpose: Purpose) -> None:
    other: Purpose = "reset" if purpose == "verify" else "verify"
    token = issue(purpose)

    assert consume(token, other) is None
    assert consume(token, purpose) == anna


def _flipped(token: str, index: int) -> str:
    return token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :]


@pytest.mark.parametrize(
    "change",
    [
        *(pytest.param(lambda token, n=n: _flipped(token, n), id=f"flipped-{n}") for n in (0, 20, 42)),
        pytest.param(lambda token: token[:-1], id="truncated"),
        pytest.param(lambda token: token + "A", id="longer"),
        pytest.param(lambda token: f" {token}", id="space-before"),
        pytest.param(lambda token: f"{token} ", id="space-after"),
        pytest.param(lambda token: f"{token}\n", id="line-end"),
        pytest.param(lambda token: token[:20] + " " + token[21:], id="space-within"),
        pytest.param(lambda token: token.swapcase(), id="other-case"),
        pytest.param(lambda token: token + "=", id="padded"),
        pytest.param(lambda token: token * 25_000, id="1-MB"),
        pytest.param(lambda token: "é" * 43, id="no-ascii"),
        pytest.param(lambda token: "\ud800" * 43, id="surrogates"),
        pytest.param(lambda token: "\0" * 43, id="nul"),
        pytest.param(lambda token: "", id="empty"),
        pytest.param(lambda token: None, id="none"),
        pytest.param(lambda token: 7, id="number"),
        pytest.param(lambda token: [token], id="list"),
        pytest.param(lambda token: token.encode(), id="bytes"),
    ],
)
def test_what_is_nearly_a_token_does_nothing(
    anna: str, issue: Any, consume: Any, look: Any, change: Callable[[str], object]
) -> None:
    token = issue()

    assert consume(change(token)) is None
    assert look(one_time_tokens.is_live, change(token)) is False
    assert look(one_time_tokens.was_consumed, change(token)) is None
    assert consume(token) == anna


@pytest.mark.parametrize("purpose", BOTH)
def test_newer_token_voids_the_one_before_it(anna: str, issue: Any, consume: Any, purpose: Purpose) -> None:
    first, other, second = issue(purpose), issue("verify" if purpose == "reset" else "reset"), issue(purpose)

    assert consume(first, purpose) is None
    assert consume(second, purpose) == anna
    assert consume(other, "verify" if purpose == "reset" else "reset") == anna


@pytest.mark.parametrize("purpose", BOTH)
def test_setting_the_clock_back_revives_nothing(
    issue: Any, consume: Any, clock: Any, users: Users, purpose: Purpose
) -> None:
    bert = users.create("bert@example.com").id
    used, expired = issue(purpose), issue(purpose, bert)
    consume(used, purpose)
    clock.now += LIVES[purpose] + SECOND
    assert consume(expired, purpose) is None
    later = issue(purpose)

    clock.now -= DAY

    assert [consume(token, purpose) for token in (used, expired, later)] == [None, None, None]


def test_expired_token_that_nobody_tried_is_not_revived_either(
    issue: Any, consume: Any, clock: Any, users: Users
) -> None:
    expired = issue("verify")
    clock.now += DAY + SECOND
    issue("reset", users.create("bert@example.com").id)  # anything that happens with tokens

    clock.now -= DAY

    assert consume(expired, "verify") is None


@pytest.mark.parametrize("purpose", BOTH)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda users, anna: users.update(anna, email="anna@example.org"), id="address"),
        pytest.param(lambda users, anna: users.set_password(anna, "another 1 password"), id="password"),
        pytest.param(lambda users, anna: users.block(anna), id="blocked"),
        pytest.param(lambda users, anna: (users.block(anna), users.unblock(anna)), id="blocked-for-a-time"),
        pytest.param(lambda users, anna: users.delete(anna), id="deleted"),
    ],
)
def test_change_of_the_account_voids_its_tokens(
    users: Users, anna: str, issue: Any, consume: Any, purpose: Purpose, change: Callable[[Users, str], object]
) -> None:
    token = issue(purpose)

    change(users, anna)

    assert consume(token, purpose) is None


def test_token_is_for_the_address_it_went_to(
    database: Database, anna: str, issue: Any, consume: Any, look: Any
) -> None:
    token, used = issue("reset"), issue("verify")
    consume(used, "verify")
    with database.write() as session:
        row = session.get_one(UserRow, anna)
        row.email = row.folded_email = "anna@example.org"
        session.add(row)

    assert consume(token) is None
    assert look(one_time_tokens.is_live, token) is False
    assert look(one_time_tokens.was_consumed, used, "verify") is None


def test_token_of_a_blocked_user_is_refused_even_where_it_is_still_there(
    database: Database, anna: str, issue: Any, consume: Any, look: Any
) -> None:
    token = issue("reset")
    with database.write() as session:
        session.connection().exec_driver_sql("UPDATE account SET is_blocked = 1")

    assert look(one_time_tokens.is_live, token) is False
    assert consume(token) is None


def test_token_that_was_used_is_known_again_while_it_would_have_lived(
    anna: str, issue: Any, consume: Any, look: Any, clock: Any
) -> None:
    token = issue("verify")
    assert look(one_time_tokens.was_consumed, token, "verify") is None
    consume(token, "verify")

    assert look(one_time_tokens.was_consumed, token, "verify") == anna
    assert look(one_time_tokens.was_consumed, token, "reset") is None
    clock.now += DAY - SECOND
    assert look(one_time_tokens.was_consumed, token, "verify") == anna
    clock.now += 2 * SECOND
    assert look(one_time_tokens.was_consumed, token, "verify") is None


def test_look_at_a_token_leaves_it_good(anna: str, issue: Any, consume: Any, look: Any) -> None:
    token = issue()

    assert look(one_time_tokens.is_live, token) is True
    assert look(one_time_tokens.is_live, token, "verify") is False
    assert consume(token) == anna
    assert look(one_time_tokens.is_live, token) is False


def test_voided_tokens_are_those_of_one_user_and_purpose(
    database: Database, users: Users, anna: str, issue: Any, consume: Any
) -> None:
    bert = users.create("bert@example.com").id
    verify, reset, of_bert = issue("verify"), issue("reset"), issue("reset", bert)

    with database.write() as session:
        one_time_tokens.void(session, anna, "reset")

    assert consume(reset, "reset") is None
    assert consume(verify, "verify") == anna
    assert consume(of_bert, "reset") == bert


def test_token_comes_back_when_what_it_was_used_for_fails(
    database: Database, anna: str, issue: Any, consume: Any, clock: Any
) -> None:
    token = issue()

    def use_and_fail() -> None:
        with database.write() as session:
            assert one_time_tokens.consume(session, token, "reset", clock()) == anna
            raise LookupError("what the token was for")

    with pytest.raises(LookupError):
        use_and_fail()

    assert consume(token) == anna


@pytest.mark.parametrize("purpose", BOTH)
def test_of_fifty_who_use_one_token_at_once_one_succeeds(anna: str, issue: Any, consume: Any, purpose: Purpose) -> None:
    for _ in range(4):
        token = issue(purpose)

        with ThreadPoolExecutor(50) as threads:
            found = list(threads.map(lambda _, token=token: consume(token, purpose), range(50)))

        assert (found.count(anna), found.count(None)) == (1, 49)


def test_expired_tokens_are_not_kept(database: Database, issue: Any, clock: Any, users: Users) -> None:
    for n in range(3):
        issue("verify", users.create(f"user{n}@example.com").id)
    clock.now += DAY + SECOND

    issue("verify")

    with database.read() as session:
        assert len(session.exec(select(col(OneTimeToken.digest))).all()) == 1


def test_tokens_are_long_and_never_the_same(issue: Any) -> None:
    tokens = {issue() for _ in range(100)}

    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {43}
    assert all(token.replace("-", "").replace("_", "").isalnum() and token.isascii() for token in tokens)


@pytest.mark.parametrize("base_url", ["https://flows.example.com/pulse", "https://flows.example.com/pulse/"])
def test_link_leads_to_the_page_of_its_purpose(base_url: str) -> None:
    assert one_time_tokens.link_for(base_url, "verify", "T") == "https://flows.example.com/pulse/verify-email?token=T"
    assert (
        one_time_tokens.link_for(base_url, "reset", "T") == "https://flows.example.com/pulse/set-new-password?token=T"
    )
