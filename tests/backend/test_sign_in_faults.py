"""A database that is busy, or a disk that is full, costs nobody a try and loses no mail."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from backend.errors import StorageBusy
from backend.events import Event, PasswordResetRequested
from backend.sessions import Sessions
from backend.sign_in import SignIn
from backend.users import Users
from storage import errors
from storage.database import Database

ANNA, PASSWORD, HOME = "anna@example.com", "correct 1 horse", "192.0.2.1"

Locked = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def locked(database: Database) -> Iterator[Locked]:
    """Give what has another process write for as long as it is entered."""

    def lose_patience(raw: Any, *_: object) -> None:
        raw.execute("PRAGMA busy_timeout=10").fetchone()

    @contextmanager
    def locked() -> Iterator[None]:
        with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    event.listen(database.engine, "checkout", lose_patience)
    yield locked
    event.remove(database.engine, "checkout", lose_patience)


@pytest.fixture
def anna(users: Users) -> str:
    return users.create(ANNA, password=PASSWORD).id


async def test_right_password_is_no_failure_while_the_database_is_busy(
    sign_in: SignIn, anna: str, fired: list[Event], locked: Locked
) -> None:
    with locked():
        for _ in range(10):
            with pytest.raises(StorageBusy):
                await sign_in.sign_in(ANNA, PASSWORD, address=HOME, with_csrf=True)
    assert fired == []

    tokens = await sign_in.sign_in(ANNA, PASSWORD, address=HOME, with_csrf=True)

    assert tokens.session.user_id == anna


async def test_mail_that_could_not_be_asked_for_is_not_counted(
    sign_in: SignIn, anna: str, fired: list[Event], locked: Locked
) -> None:
    with locked():
        for _ in range(5):
            with pytest.raises(StorageBusy):
                await sign_in.request_reset(ANNA, address=HOME)
            with pytest.raises(StorageBusy):
                await sign_in.request_verification(anna)

    await sign_in.request_reset(ANNA, address=HOME)
    assert await sign_in.request_verification(anna)

    assert len(fired) == 2


async def test_token_is_not_wrong_because_nobody_could_look(
    sign_in: SignIn, anna: str, users: Users, fired: list[Event], locked: Locked
) -> None:
    users.request_reset(anna)
    (asked,) = fired
    assert isinstance(asked, PasswordResetRequested)
    with locked():
        for _ in range(20):
            with pytest.raises(StorageBusy):
                await sign_in.verify(asked.token, address=HOME)
            with pytest.raises(StorageBusy):
                await sign_in.reset(asked.token, "another 1 horse", address=HOME)

    await sign_in.reset(asked.token, "another 1 horse", address=HOME)

    tokens = await sign_in.sign_in(ANNA, "another 1 horse", address=HOME, with_csrf=True)
    assert tokens.session.user_id == anna


def test_session_is_not_over_because_nobody_could_look(
    sessions: Sessions, anna: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = sessions.create(anna, with_csrf=False)
    database.dispose()
    monkeypatch.setattr("storage.database.BUSY_TIMEOUT_S", 0.01)

    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE").fetchone()
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(errors.StorageBusy):
            sessions.check(tokens.access)

    assert sessions.check(tokens.access) is not None
