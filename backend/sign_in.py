"""Signing up and in, verifying an address and setting a new password: what end users do themselves.

Each is one transaction with its events. Known and unknown accounts get the same answer after the same time; what
differs is told by mail to whoever reads the address. *address* is always the client's, for the throttle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar, overload

from sqlmodel import Session

from backend import one_time_tokens
from backend.errors import BackendError, Fault
from backend.events import EmailVerified, PasswordReset, Record, UserEvent, UserLoggedIn, UserSignedUp
from backend.hosted import HostedPages
from backend.one_time_tokens import Purpose
from backend.passwords import Busy, PasswordHash, Passwords
from backend.sessions import SessionEnded, Sessions, Tokens
from backend.sign_up_notice import SignUpNotice
from backend.throttle import RequestThrottle, SignInThrottle
from backend.transaction import writing
from backend.user_changes import UserChanges
from backend.user_queries import event_fields, user_by_email, user_of
from backend.user_values import email_in, folded_email, name_in, password_faults
from storage.database import Database
from storage.tables import UserRow

EVEN_S = 0.2  # a mail is asked for, or an account made, in no less: writing takes longer than finding nobody
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
        self._database = database
        self._record = record
        self._committed = committed
        self._users = users
        self._passwords = passwords
        self._sessions = sessions
        self._hosted = hosted
        self._notice = notice
        self._sign_ins = sign_ins or SignInThrottle()
        self._requests = requests or RequestThrottle()
        self._clock = clock
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
        return await self._evenly(self._sign_up(checked, str(password), names, with_csrf))

    async def sign_in(self, email: str, password: str, *, address: str, with_csrf: bool) -> Tokens:
        """Return the tokens of a new session; raises WrongCredentials, Throttled or Busy.

        Whether nobody has the address, the account is blocked or the password is wrong makes no difference.
        """
        attempt = self._sign_ins.begin(_account(email), address)
        row = await asyncio.to_thread(self._user_with, email)
        hashed = None if row is None or row.is_blocked else row.password_hash
        try:
            is_right = await self._passwords.verify_soon(hashed, password)
        except Busy:
            attempt.withdraw()
            raise
        if row is None or hashed is None or not is_right:
            raise _wrong()
        fresh = await self._passwords.hash_soon(password) if self._passwords.needs_rehash(hashed) else hashed
        tokens = await asyncio.to_thread(self._open, row.id, hashed, fresh, with_csrf)
        attempt.succeeded()
        return tokens

    async def request_verification(self, user_id: str) -> bool:
        """Report that a signed-in user's address is to be verified; False when it is verified already.

        A request too many is passed over without a word. Raises SessionEnded for a user who is blocked or deleted.
        """
        return await asyncio.to_thread(self._request_verification, user_id)

    async def request_verification_for(self, email: str, *, address: str) -> None:
        """Report that an address is to be verified where an account needs it; raises Throttled for the client."""
        self._requests.request(address)
        await self._evenly(asyncio.to_thread(self._request_for, email, "verify"))

    async def verify(self, token: object, *, address: str) -> None:
        """Mark the address verified that *token* went to, also when it was used for that before.

        Raises TokenRefused or Throttled.
        """
        self._requests.token(address)
        if not await asyncio.to_thread(self._verify, token):
            raise _refused()
        self._requests.token_was_right(address)

    async def request_reset(self, email: str, *, address: str) -> None:
        """Report that a new password was asked for where there is such an account; raises Throttled for the client."""
        self._requests.request(address)
        await self._evenly(asyncio.to_thread(self._request_for, email, "reset"))

    async def is_live(self, token: object, purpose: Purpose, *, address: str) -> bool:
        """Tell whether *token* would be taken now, and leave it as it is; raises Throttled."""
        self._requests.token(address)
        is_live = await asyncio.to_thread(self._is_live, token, purpose)
        if is_live:
            self._requests.token_was_right(address)
        return is_live

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
        if not await asyncio.to_thread(self._reset, token, hashed):
            raise _refused()

    async def _evenly(self, work: Awaitable[Result]) -> Result:
        """Return what *work* gives, after the same time whatever it had to do."""
        rest = asyncio.ensure_future(self._pause(EVEN_S))
        try:
            return await work
        finally:
            await rest

    async def _sign_up(
        self, email: str, password: str, names: tuple[str, str], with_csrf: bool | None
    ) -> Tokens | None:
        hashed = PasswordHash(await self._passwords.hash_soon(password))
        row, tokens = await asyncio.to_thread(self._make, email, hashed, names, with_csrf)
        if row is None:
            return tokens
        if not row.is_blocked and self._requests.may_notify(row.id):
            self._notice.send(row.email, self._hosted.read())
        return None if with_csrf is None else self._sessions.decoy(email, with_csrf=with_csrf)

    def _make(
        self, email: str, password: PasswordHash, names: tuple[str, str], with_csrf: bool | None
    ) -> tuple[UserRow | None, Tokens | None]:
        """Return whose address it is already, or None and the tokens of the user that was made."""
        with self._changing() as session:
            if (row := user_by_email(session, email)) is not None:
                return row, None
            first_name, last_name = names
            user = self._users.create_in(session, email, password=password, first_name=first_name, last_name=last_name)
            self._record(session, UserSignedUp(**event_fields(user)))
            self._users.request_verification_in(session, user.id)
            if with_csrf is None:
                return None, None
            return None, self._sessions.create_in(session, user.id, with_csrf=with_csrf)

    def _open(self, user_id: str, verified: str, fresh: str, with_csrf: bool) -> Tokens:
        """Open a session, if the user is still as the password was checked against."""
        with self._changing() as session:
            row = session.get(UserRow, user_id)
            if row is None or row.is_blocked or row.password_hash != verified:
                raise _wrong()
            row.password_hash, row.last_login_at = fresh, self._clock()
            session.add(row)
            session.flush()
            self._report(session, UserLoggedIn, row)
            return self._sessions.create_in(session, row.id, with_csrf=with_csrf)

    def _request_verification(self, user_id: str) -> bool:
        with self._changing() as session:
            row = session.get(UserRow, user_id)
            if row is None or row.is_blocked:
                raise SessionEnded(Fault("session.ended", "You are signed out. Sign in again."))
            if not row.is_verified and self._requests.may_mail("verify", row.folded_email):
                self._users.request_verification_in(session, row.id)
            return not row.is_verified

    def _request_for(self, email: str, purpose: Purpose) -> None:
        may_mail = self._requests.may_mail(purpose, _account(email))
        with self._changing() as session:
            row = user_by_email(session, email)
            if row is None or row.is_blocked or not may_mail:
                return
            if purpose == "reset":
                self._users.request_reset_in(session, row.id)
            elif not row.is_verified:
                self._users.request_verification_in(session, row.id)

    def _verify(self, token: object) -> bool:
        now = self._clock()
        with self._changing() as session:
            user_id = one_time_tokens.consume(session, token, "verify", now)
            if user_id is None:
                return one_time_tokens.was_consumed(session, token, "verify", now) is not None
            row = session.get_one(UserRow, user_id)
            row.is_verified, row.updated_at = True, now
            session.add(row)
            session.flush()
            self._report(session, EmailVerified, row)
            return True

    def _is_live(self, token: object, purpose: Purpose) -> bool:
        with self._database.read() as session:
            return one_time_tokens.is_live(session, token, purpose, self._clock())

    def _reset(self, token: object, password: PasswordHash) -> bool:
        with self._changing() as session:
            user_id = one_time_tokens.consume(session, token, "reset", self._clock())
            if user_id is None:
                return False
            user = self._users.set_password_in(session, user_id, password)
            self._record(session, PasswordReset(**event_fields(user)))
            return True

    def _user_with(self, email: str) -> UserRow | None:
        with self._database.read() as session:
            return user_by_email(session, email)

    def _report(self, session: Session, event: type[UserEvent], row: UserRow) -> None:
        self._record(session, event(**event_fields(user_of(session, row))))

    @contextmanager
    def _changing(self) -> Iterator[Session]:
        with writing(self._database) as session:
            yield session
        self._committed()


def _account(email: str) -> str:
    """Return what tries for one account have in common, whether or not there is one."""
    return folded_email(email[:500])


def _wrong() -> WrongCredentials:
    return WrongCredentials(Fault("auth.wrong_credentials", "The address or the password is not right."))


def _refused() -> TokenRefused:
    message = "This link is not valid any more: it was used, replaced by a newer one, or too old. Ask for a new one."
    return TokenRefused(Fault("auth.token_invalid", message))
