"""Signing up and in, verifying an address and setting a new password: what end users do themselves.

Known and unknown accounts get the same answer after the same time; what differs is told by mail to whoever reads the
address. *address* is always the client's, for the throttle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from random import SystemRandom
from typing import TypeVar, overload

from backend.errors import BackendError, Fault, StorageBusy, StorageFull
from backend.events import Record
from backend.hosted import HostedPages
from backend.one_time_tokens import Purpose
from backend.passwords import Busy, PasswordHash, Passwords
from backend.sessions import SessionEnded, Sessions, Tokens
from backend.sign_in_changes import SignInChanges
from backend.sign_up_notice import SignUpNotice
from backend.throttle import RequestThrottle, SignInThrottle
from backend.user_changes import UserChanges
from backend.user_values import email_in, folded_email, name_in, password_faults
from storage.database import Database
from storage.errors import StorageError

EVEN_S = 0.2  # a mail is asked for, or an account stored, in no less: writing takes longer than finding nobody
UNEVEN_S = 0.05  # up to so much longer by chance: what was written leaves traces of parts of a millisecond
CHANCE = SystemRandom()
UNANSWERED = (Busy, StorageBusy, StorageFull, StorageError)  # nobody looked, so nothing was tried
Result = TypeVar("Result")


class WrongCredentials(BackendError):
    """No account has this address and password, or it may not sign in; which of them is not told."""


class TokenRefused(BackendError):
    """A one-time token that is unknown, used, void or expired."""


class SignUpClosed(BackendError):
    """The settings of the hosted pages allow no sign-ups."""


class SignIn:
    """Reports its events through *record*, in the transaction of the change, and calls *committed* after it."""

    def __init__(
        self,
        database: Database,
        record: Record,
        committed: Callable[[], None],
        *,
        users: UserChanges,
        passwords: Passwords,
        sessions: Sessions,
        hosted: HostedPages,
        notice: SignUpNotice,
        sign_ins: SignInThrottle | None = None,
        requests: RequestThrottle | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._changes = SignInChanges(database, record, committed, users, sessions, clock)
        self._passwords = passwords
        self._sessions = sessions
        self._hosted = hosted
        self._notice = notice
        self._sign_ins = sign_ins or SignInThrottle()
        self._requests = requests or RequestThrottle()
        self._pause = pause

    @overload
    async def sign_up(
        self,
        email: object,
        password: object,
        first_name: object = "",
        last_name: object = "",
        *,
        address: str,
        with_csrf: bool,
    ) -> Tokens: ...

    @overload
    async def sign_up(
        self,
        email: object,
        password: object,
        first_name: object = "",
        last_name: object = "",
        *,
        address: str,
        with_csrf: None,
    ) -> None: ...

    async def sign_up(
        self,
        email: object,
        password: object,
        first_name: object = "",
        last_name: object = "",
        *,
        address: str,
        with_csrf: bool | None,
    ) -> Tokens | None:
        """Make an account and sign it in; *with_csrf* None opens no session, and True one that travels in cookies.

        For an address that has an account the answer is the same, with tokens that open nothing; its owner is told.
        Raises SignUpClosed, Throttled, Busy, or BackendError with every fault.
        """
        if not self._hosted.read().allow_sign_up:
            raise SignUpClosed(Fault("auth.sign_up_closed", "New accounts cannot be made here. Ask for an invitation."))
        self._requests.sign_up(address)
        faults: list[Fault] = []
        names = (name_in(first_name, "first_name", faults), name_in(last_name, "last_name", faults))
        checked = email_in(email, "email", faults)
        faults += password_faults(password)
        if faults:
            raise BackendError(*faults)
        self._requests.sign_up_of(_account(checked))
        hashed = PasswordHash(await self._passwords.hash_soon(str(password)))
        return await self._evenly(self._make(checked, hashed, names, with_csrf))

    async def sign_in(self, email: str, password: str, *, address: str, with_csrf: bool) -> Tokens:
        """Return the tokens of a new session; raises WrongCredentials, Throttled or Busy.

        Whether nobody has the address, the account is blocked or the password is wrong makes no difference.
        """
        attempt = self._sign_ins.begin(_account(email), address)
        try:
            tokens = await self._enter(email, password, with_csrf=with_csrf)
        except UNANSWERED:
            attempt.withdraw()
            raise
        if tokens is None:
            raise WrongCredentials(Fault("auth.wrong_credentials", "The address or the password is not right."))
        attempt.succeeded()
        return tokens

    async def request_verification(self, user_id: str) -> bool:
        """Report that a signed-in user's address is to be verified; False when it is verified already.

        A request too many is passed over without a word. Raises SessionEnded for a user who is blocked or deleted.
        """
        row = await asyncio.to_thread(self._changes.user, user_id)
        if row is None:
            raise SessionEnded(Fault("session.ended", "You are signed out. Sign in again."))
        if not row.is_verified and self._requests.may_mail("verify", row.folded_email):
            await self._ask(row.email, "verify", row.folded_email)
        return not row.is_verified

    async def request_verification_for(self, email: str, *, address: str) -> None:
        """Report that an address is to be verified where an account needs it; raises Throttled for the client."""
        await self._request(email, "verify", address)

    async def request_reset(self, email: str, *, address: str) -> None:
        """Report that a new password was asked for where there is such an account; raises Throttled for the client."""
        await self._request(email, "reset", address)

    async def verify(self, token: object, *, address: str) -> None:
        """Mark the address verified that *token* went to, also when it was used for that before.

        Raises TokenRefused or Throttled.
        """
        if not await self._try(self._changes.verify, token, address=address):
            raise _refused()

    async def is_live(self, token: object, purpose: Purpose, *, address: str) -> bool:
        """Tell whether *token* would be taken now, and leave it as it is; raises Throttled."""
        return await self._try(self._changes.is_live, token, purpose, address=address)

    async def reset(self, token: object, password: object, *, address: str) -> None:
        """Set a new password with a token, and end every session of the user.

        Raises BackendError for a password that is not allowed, which leaves the token good; TokenRefused, Throttled
        or Busy.
        """
        if faults := password_faults(password):
            raise BackendError(*faults)
        if not await self.is_live(token, "reset", address=address):  # before work that a stranger could ask for
            raise _refused()
        hashed = PasswordHash(await self._passwords.hash_soon(str(password)))
        if not await asyncio.to_thread(self._changes.reset, token, hashed):
            raise _refused()

    async def _enter(self, email: str, password: str, *, with_csrf: bool) -> Tokens | None:
        row = await asyncio.to_thread(self._changes.user_with, email)
        hashed = None if row is None or row.is_blocked else row.password_hash
        is_right = await self._passwords.verify_soon(hashed, password)
        if row is None or hashed is None or not is_right:
            return None
        fresh = await self._passwords.hash_soon(password) if self._passwords.needs_rehash(hashed) else hashed
        return await asyncio.to_thread(self._changes.sign_in, row.id, hashed, fresh, with_csrf=with_csrf)

    async def _make(
        self, email: str, password: PasswordHash, names: tuple[str, str], with_csrf: bool | None
    ) -> Tokens | None:
        owner, tokens = await asyncio.to_thread(self._changes.sign_up, email, password, names, with_csrf=with_csrf)
        if owner is None:
            return tokens
        if not owner.is_blocked and self._requests.may_notify(owner.id):
            self._notice.send(owner.email, self._hosted.read())
        return None if with_csrf is None else self._sessions.decoy(email, with_csrf=with_csrf)

    async def _request(self, email: str, purpose: Purpose, address: str) -> None:
        self._requests.request(address)
        account = _account(email)
        if self._requests.may_mail(purpose, account):
            await self._evenly(self._ask(email, purpose, account))
        else:
            await self._pause(_even_s())

    async def _ask(self, email: str, purpose: Purpose, account: str) -> None:
        try:
            await asyncio.to_thread(self._changes.request, email, purpose)
        except UNANSWERED:
            self._requests.no_mail_went(purpose, account)
            raise

    async def _try(self, look: Callable[..., bool], *token: object, address: str) -> bool:
        """Return whether *look* finds the token right; it counts as wrong only if it was found to be."""
        self._requests.token(address)
        try:
            is_right = await asyncio.to_thread(look, *token)
        except UNANSWERED:
            self._requests.token_was_not_wrong(address)
            raise
        if is_right:
            self._requests.token_was_not_wrong(address)
        return is_right

    async def _evenly(self, work: Awaitable[Result]) -> Result:
        """Return what *work* gives, after the same time whatever it had to do."""
        rest = asyncio.ensure_future(self._pause(_even_s()))
        try:
            return await work
        finally:
            await rest


def _even_s() -> float:
    return EVEN_S + CHANCE.uniform(0, UNEVEN_S)


def _account(email: str) -> str:
    """Return what tries for one account have in common, whether or not there is one."""
    return folded_email(email[:500])


def _refused() -> TokenRefused:
    message = "This link is not valid any more: it was used, replaced by a newer one, or too old. Ask for a new one."
    return TokenRefused(Fault("auth.token_invalid", message))
