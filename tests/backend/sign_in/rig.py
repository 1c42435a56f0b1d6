"""What the tests of signing in share: one user, two places, and how tokens are had."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from backend.events import (
    EmailVerificationRequested,
    Event,
    PasswordResetRequested,
)
from backend.passwords import Busy, Passwords
from backend.sign_in import SignIn

ANNA, PASSWORD = "anna@example.com", "correct 1 horse"
HOME, AWAY = "192.0.2.1", "198.51.100.7"
LIVES = {"verify": timedelta(hours=24), "reset": timedelta(hours=1)}
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


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
