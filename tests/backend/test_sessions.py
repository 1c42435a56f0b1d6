from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select

from backend.budgets import Budget
from backend.roles import Roles
from backend.sessions import ACCESS_LIFE, REFRESH_LIFE, CsrfMissing, SessionEnded, Sessions, Tokens, TokenTheft
from backend.throttle import Throttled
from backend.users import Users
from storage.database import Database
from storage.tables import RefreshToken, UserSession

SECOND = timedelta(seconds=1)


@pytest.fixture
def anna(users: Users) -> str:
    return users.create("anna@example.com", password="correct 1 horse").id


@pytest.fixture
def opened(sessions: Sessions, anna: str) -> Tokens:
    return sessions.create(anna, with_csrf=False)


def renewed(sessions: Sessions, tokens: Tokens) -> Tokens:
    """Exchange the refresh token as a client does that holds it in a header."""
    return sessions.refresh(tokens.refresh, with_csrf=False)


def test_access_token_opens_its_session(sessions: Sessions, roles: Roles, users: Users, anna: str, clock: Any) -> None:
    roles.create("editors")
    roles.create("Writers")
    users.set_roles(anna, ["Writers", "editors"])

    tokens = sessions.create(anna, with_csrf=True)
    view = sessions.check(tokens.access)

    assert view is not None
    assert view == tokens.session
    assert (view.user_id, view.email, view.is_verified) == (anna, "anna@example.com", False)
    assert view.roles == users.get(anna).roles == ("editors", "Writers")
    assert view.user_created_at == users.get(anna).created_at
    assert view.expires_at == clock.now + ACCESS_LIFE
    assert tokens.refresh_expires_at == clock.now + REFRESH_LIFE
    assert UUID(view.handle)


def test_two_sessions_of_one_user_have_nothing_in_common(sessions: Sessions, anna: str) -> None:
    first, second = (sessions.create(anna, with_csrf=True) for _ in range(2))

    texts = [first.access, first.refresh, first.csrf, second.access, second.refresh, second.csrf]
    assert len({*texts}) == 6
    assert first.session.handle != second.session.handle
    sessions.end(first.session.handle)
    assert sessions.check(first.access) is None
    assert sessions.check(second.access) is not None


def test_access_token_ends_after_its_time(sessions: Sessions, opened: Tokens, clock: Any) -> None:
    clock.now += ACCESS_LIFE - SECOND
    assert sessions.check(opened.access) is not None

    clock.now += SECOND
    assert sessions.check(opened.access) is None
    clock.now += SECOND
    assert sessions.check(opened.access) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "A" * 43, "A" * 1_000_000, "é" * 43, "\ud800" * 43, "\0" * 43),
        *(None, 7, b"A" * 43, ["A" * 43]),
    ],
    ids=lambda text: f"{type(text).__name__}-{len(text) if hasattr(text, '__len__') else 0}",
)
def test_text_that_is_no_token_opens_nothing(sessions: Sessions, opened: Tokens, text: object) -> None:
    assert sessions.check(text) is None
    with pytest.raises(SessionEnded):
        sessions.refresh(text, with_csrf=False)
    sessions.end_by(text)
    assert sessions.check(opened.access) is not None


def test_tokens_cannot_stand_in_for_each_other(sessions: Sessions, anna: str) -> None:
    tokens = sessions.create(anna, with_csrf=True)

    assert sessions.check(tokens.refresh) is None
    assert sessions.check(tokens.csrf) is None
    for wrong in (tokens.access, tokens.csrf):
        with pytest.raises(SessionEnded):
            sessions.refresh(wrong, with_csrf=False)


def test_refresh_gives_a_new_pair_for_the_same_session(sessions: Sessions, opened: Tokens, clock: Any) -> None:
    clock.now += 2 * ACCESS_LIFE

    new = renewed(sessions, opened)

    assert new.session.handle == opened.session.handle
    assert {new.access, new.refresh}.isdisjoint({opened.access, opened.refresh})
    assert sessions.check(new.access) == new.session
    assert sessions.check(opened.access) is None
    assert new.session.expires_at == clock.now + ACCESS_LIFE
    assert new.refresh_expires_at == clock.now + REFRESH_LIFE


def test_access_token_of_before_the_refresh_is_void_at_once(sessions: Sessions, opened: Tokens) -> None:
    renewed(sessions, opened)

    assert sessions.check(opened.access) is None


def test_refresh_token_ends_after_its_time(sessions: Sessions, anna: str, clock: Any) -> None:
    first, second = (sessions.create(anna, with_csrf=False) for _ in range(2))
    clock.now += REFRESH_LIFE - SECOND
    again = renewed(sessions, first)

    clock.now += 2 * SECOND

    for too_old in (second, first):
        with pytest.raises(SessionEnded):
            renewed(sessions, too_old)
    assert renewed(sessions, again).session.handle == first.session.handle


def test_answer_that_was_lost_can_be_asked_for_again(sessions: Sessions, opened: Tokens) -> None:
    lost = renewed(sessions, opened)
    also_lost = renewed(sessions, opened)

    new = renewed(sessions, opened)

    assert len({lost.refresh, also_lost.refresh, new.refresh}) == 3
    assert sessions.check(new.access) is not None
    assert renewed(sessions, new).session.handle == opened.session.handle


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda sessions, tokens: sessions.check(tokens.access), id="access-token"),
        pytest.param(renewed, id="refresh-token"),
    ],
)
def test_exchanged_token_ends_the_session_once_its_successor_was_used(
    sessions: Sessions, opened: Tokens, anna: str, use: Callable[[Sessions, Tokens], object]
) -> None:
    other = sessions.create(anna, with_csrf=False)
    new = renewed(sessions, opened)
    assert use(sessions, new)

    with pytest.raises(TokenTheft) as caught:
        renewed(sessions, opened)

    assert (caught.value.handle, caught.value.user_id) == (opened.session.handle, anna)
    assert [fault.code for fault in caught.value.faults] == ["session.token_theft"]
    assert sessions.check(new.access) is None
    with pytest.raises(SessionEnded):
        renewed(sessions, new)
    assert sessions.check(other.access) is not None


def test_of_two_successors_only_one_can_go_on(sessions: Sessions, opened: Tokens) -> None:
    mine, stolen = renewed(sessions, opened), renewed(sessions, opened)
    newest = renewed(sessions, mine)

    with pytest.raises(TokenTheft):
        renewed(sessions, stolen)

    assert sessions.check(newest.access) is None


def test_token_of_long_ago_ends_the_session(sessions: Sessions, opened: Tokens, clock: Any) -> None:
    tokens = opened
    for _ in range(20):
        clock.now += ACCESS_LIFE
        tokens = renewed(sessions, tokens)

    with pytest.raises(TokenTheft):
        renewed(sessions, opened)

    assert sessions.check(tokens.access) is None


def test_successor_that_lost_is_known_for_as_long_as_it_lives(
    sessions: Sessions, opened: Tokens, anna: str, clock: Any
) -> None:
    mine = renewed(sessions, opened)
    clock.now += REFRESH_LIFE / 2
    stolen = renewed(sessions, opened)
    newest = renewed(sessions, mine)
    clock.now += REFRESH_LIFE - SECOND
    newest = renewed(sessions, newest)
    sessions.create(anna, with_csrf=False)  # which forgets what is too old

    with pytest.raises(TokenTheft):
        renewed(sessions, stolen)

    assert sessions.check(newest.access) is None


def test_asking_again_and_again_keeps_few_tokens(
    sessions: Sessions, opened: Tokens, database: Database, clock: Any
) -> None:
    for _ in range(29):
        clock.now += SECOND
        tokens = renewed(sessions, opened)

    with database.read() as session:
        assert len(session.exec(select(RefreshToken)).all()) == 11
    assert renewed(sessions, tokens).session.handle == opened.session.handle


def test_refreshing_at_once_from_many_tabs_gives_each_a_pair(sessions: Sessions, opened: Tokens) -> None:
    with ThreadPoolExecutor(8) as threads:
        pairs = list(threads.map(lambda _: renewed(sessions, opened), range(8)))

    assert len({pair.refresh for pair in pairs}) == 8
    assert [sessions.check(pair.access) is not None for pair in pairs].count(True) == 1


def test_tokens_in_cookies_need_the_anti_csrf_token(sessions: Sessions, anna: str) -> None:
    tokens = sessions.create(anna, with_csrf=True)
    view = sessions.check(tokens.access)
    other = sessions.create(anna, with_csrf=True)

    assert view is not None
    assert view.needs_csrf
    assert view.accepts_csrf(tokens.csrf)
    for wrong in (None, "", "é", other.csrf, tokens.access, 7):
        assert not view.accepts_csrf(wrong)
        with pytest.raises(CsrfMissing):
            sessions.refresh(tokens.refresh, with_csrf=True, csrf=wrong)
    assert sessions.check(tokens.access) == view


def test_anti_csrf_token_stays_the_same_for_the_session(sessions: Sessions, anna: str) -> None:
    tokens = sessions.create(anna, with_csrf=True)

    new = sessions.refresh(tokens.refresh, with_csrf=True, csrf=tokens.csrf)

    assert new.csrf == tokens.csrf
    assert new.session.accepts_csrf(tokens.csrf)


def test_tokens_in_headers_need_no_anti_csrf_token(sessions: Sessions, opened: Tokens) -> None:
    assert opened.csrf is None
    assert not opened.session.needs_csrf
    assert opened.session.accepts_csrf(None)
    assert renewed(sessions, opened).csrf is None


def test_session_may_move_between_cookies_and_headers(sessions: Sessions, anna: str) -> None:
    tokens = sessions.create(anna, with_csrf=True)

    in_header = renewed(sessions, tokens)
    assert not in_header.session.needs_csrf
    in_cookie = sessions.refresh(in_header.refresh, with_csrf=True)

    assert in_cookie.csrf is not None
    assert in_cookie.session.accepts_csrf(in_cookie.csrf)
    with pytest.raises(CsrfMissing):
        sessions.refresh(in_cookie.refresh, with_csrf=True)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda users, sessions, user, tokens: sessions.end(tokens.session.handle), id="signed-out"),
        pytest.param(lambda users, sessions, user, tokens: sessions.end_by(tokens.access), id="signed-out-by-token"),
        pytest.param(lambda users, sessions, user, tokens: sessions.end_all(user), id="signed-out-everywhere"),
        pytest.param(lambda users, sessions, user, tokens: users.block(user), id="blocked"),
        pytest.param(lambda users, sessions, user, tokens: users.delete(user), id="deleted"),
        pytest.param(lambda users, sessions, user, tokens: users.set_password(user, "another 1 word"), id="password"),
    ],
)
def test_session_ends_at_once(
    users: Users, sessions: Sessions, database: Database, anna: str, clock: Any, end: Callable[..., object]
) -> None:
    tokens = sessions.create(anna, with_csrf=False)
    elsewhere = Sessions(database, clock=clock)  # such as another process
    bert = sessions.create(users.create("bert@example.com").id, with_csrf=False)
    assert sessions.check(tokens.access) is not None
    assert elsewhere.check(tokens.access) is not None

    end(users, sessions, anna, tokens)

    assert sessions.check(tokens.access) is None
    assert elsewhere.check(tokens.access) is None
    with pytest.raises(SessionEnded):
        renewed(sessions, tokens)
    assert sessions.check(bert.access) is not None


def test_session_of_a_blocked_user_is_closed_even_where_it_is_still_there(
    sessions: Sessions, database: Database, opened: Tokens, anna: str
) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql("UPDATE account SET is_blocked = 1")

    assert sessions.check(opened.access) is None
    with pytest.raises(SessionEnded):
        renewed(sessions, opened)
    with pytest.raises(SessionEnded):
        sessions.create(anna, with_csrf=False)


def test_unblocking_revives_no_session(users: Users, sessions: Sessions, opened: Tokens, anna: str) -> None:
    users.block(anna)
    users.unblock(anna)

    assert sessions.check(opened.access) is None


def test_signing_out_with_a_token_that_expired_ends_the_session(sessions: Sessions, opened: Tokens, clock: Any) -> None:
    clock.now += ACCESS_LIFE + SECOND

    sessions.end_by(opened.access)

    with pytest.raises(SessionEnded):
        renewed(sessions, opened)


def test_roles_and_flags_are_those_of_the_moment(
    users: Users, roles: Roles, sessions: Sessions, opened: Tokens, anna: str
) -> None:
    editors = roles.create("editors")
    roles.create("admins")

    seen = []
    for change in (
        lambda: users.set_roles(anna, ["editors", "admins"]),
        lambda: roles.update(editors.id, name="writers"),
        lambda: users.set_roles(anna, ["writers"]),
        lambda: users.set_roles(anna, []),
        lambda: users.update(anna, is_verified=True, email="anna@example.org"),
    ):
        change()
        view = sessions.check(opened.access)
        assert view is not None
        seen.append((view.roles, view.is_verified, view.email))

    assert seen == [
        (("admins", "editors"), False, "anna@example.com"),
        (("admins", "writers"), False, "anna@example.com"),
        (("writers",), False, "anna@example.com"),
        ((), False, "anna@example.com"),
        ((), True, "anna@example.org"),
    ]


def test_nobody_gets_no_session(sessions: Sessions, database: Database) -> None:
    with pytest.raises(SessionEnded):
        sessions.create("00000000-0000-0000-0000-000000000000", with_csrf=False)

    with database.read() as session:
        assert session.exec(select(UserSession)).all() == []


def test_what_is_over_is_not_kept(sessions: Sessions, database: Database, anna: str, clock: Any) -> None:
    tokens = sessions.create(anna, with_csrf=False)
    renewed(sessions, tokens)
    clock.now += REFRESH_LIFE + SECOND

    sessions.create(anna, with_csrf=False)

    with database.read() as session:
        assert len(session.exec(select(UserSession)).all()) == 1
        assert len(session.exec(select(RefreshToken)).all()) == 1


def test_only_digests_are_stored(sessions: Sessions, database: Database, anna: str) -> None:
    tokens = sessions.create(anna, with_csrf=True)
    new = sessions.refresh(tokens.refresh, with_csrf=True, csrf=tokens.csrf)
    sessions.check(new.access)
    database.dispose()

    stored = b"".join(path.read_bytes() for path in database.path.parent.iterdir() if path.is_file())

    assert new.session.handle.encode() in stored
    for text in (tokens.access, tokens.refresh, tokens.csrf, new.access, new.refresh):
        assert text
        assert text.encode() not in stored


def test_tokens_do_not_show_themselves(sessions: Sessions, anna: str) -> None:
    tokens = sessions.create(anna, with_csrf=True)

    for text in (tokens.access, tokens.refresh, tokens.csrf):
        assert text
        assert text not in f"{tokens!r} {tokens} {tokens.session!r}"


def test_decoy_looks_like_a_session_and_opens_nothing(sessions: Sessions, anna: str) -> None:
    real = sessions.create(anna, with_csrf=True)

    decoy = sessions.decoy("anna@example.com", with_csrf=True)

    assert {key: type(value) for key, value in vars(decoy).items()} == {k: type(v) for k, v in vars(real).items()}
    assert [len(text or "") for text in (decoy.access, decoy.refresh, decoy.csrf)] == [43, 43, 43]
    same = {"handle": "", "user_id": "", "csrf_digest": ""}
    assert replace(decoy.session, **same) == replace(real.session, **same)
    assert decoy.session.accepts_csrf(decoy.csrf)
    assert sessions.check(decoy.access) is None
    with pytest.raises(SessionEnded):
        sessions.refresh(decoy.refresh, with_csrf=True, csrf=decoy.csrf)


def test_session_can_be_refreshed_only_so_often(
    database: Database, users: Users, anna: str, clock: Any, seconds: Any
) -> None:
    sessions = Sessions(database, clock=clock, refreshes=Budget(30, 60, now_s=seconds))
    tokens, other = (sessions.create(anna, with_csrf=False) for _ in range(2))
    for _ in range(30):
        tokens = renewed(sessions, tokens)

    with pytest.raises(Throttled) as caught:
        renewed(sessions, tokens)

    assert caught.value.retry_after_s == 2
    assert sessions.check(tokens.access) is not None
    assert renewed(sessions, other)
    seconds.now += 2
    assert renewed(sessions, tokens).session.handle == tokens.session.handle


def test_session_remembers_only_so_many_exchanged_tokens(
    sessions: Sessions, database: Database, anna: str, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.sessions.KEPT_TOKENS", 4)
    oldest, other = (sessions.create(anna, with_csrf=False) for _ in range(2))
    handed_out = [oldest]
    for _ in range(9):
        clock.now -= SECOND  # the order is that of the exchanges, whatever the clock says
        handed_out.append(renewed(sessions, handed_out[-1]))

    with database.read() as session:
        mine = select(RefreshToken).where(RefreshToken.session_id == oldest.session.handle)
        assert len(session.exec(mine).all()) == 4
    with pytest.raises(SessionEnded):
        renewed(sessions, oldest)
    assert sessions.check(handed_out[-1].access) is not None
    assert renewed(sessions, other)
    with pytest.raises(TokenTheft):
        renewed(sessions, handed_out[-3])
