"""The user that most tests of signing in are about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backend.passwords import Cost
from backend.sessions import Tokens
from backend.sign_in import SignIn
from backend.users import Users
from tests.backend.sign_in.rig import ANNA, HOME, PASSWORD, Counted


@pytest.fixture
def anna(users: Users) -> str:
    return users.create(ANNA, password=PASSWORD).id


@pytest.fixture
def enter(sign_in: SignIn) -> Callable[..., Awaitable[Tokens]]:
    async def enter(email: str = ANNA, password: str = PASSWORD, address: str = HOME) -> Tokens:
        return await sign_in.sign_in(email, password, address=address, with_csrf=False)

    return enter


@pytest.fixture
def passwords() -> Any:
    passwords = Counted(Cost(8, 1, 1))
    yield passwords
    passwords.close()
