"""What signing up and in changes in the database, one transaction each with its events. Everything here blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlmodel import Session

from backend import one_time_tokens
from backend.events import EmailVerified, PasswordReset, Record, UserEvent, UserLoggedIn, UserSignedUp
from backend.one_time_tokens import Purpose
from backend.passwords import PasswordHash
from backend.sessions import Sessions, Tokens
from backend.tokens import is_token
from backend.transaction import writing
from backend.user_changes import UserChanges
from backend.user_queries import event_fields, user_by_email, user_of
from storage.database import Database
from storage.tables import UserRow


class SignInChanges:
    """The transactions behind ``SignIn``, which decides who may try and how long the answer takes."""

    def __init__(
        self,
        database: Database,
        record: Record,
        committed: Callable[[], None],
        users: UserChanges,
        sessions: Sessions,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._record = record
        self._committed = committed
        self._users = users
        self._sessions = sessions
        self._clock = clock

    def user_with(self, email: str) -> UserRow | None:
        """Return whose address *email* is, or None."""
        with self._database.read() as session:
            return user_by_email(session, email)

    def user(self, user_id: str) -> UserRow | None:
        """Return a user who may sign in, or None."""
        with self._database.read() as session:
            row = session.get(UserRow, user_id)
        return None if row is None or row.is_blocked else row

    def sign_up(
        self, email: str, password: PasswordHash, names: tuple[str, str], *, with_csrf: bool | None
    ) -> tuple[UserRow | None, Tokens | None]:
        """Return whose address it is already, or None and the tokens of the user that was made, if any are wanted."""
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

    def sign_in(self, user_id: str, checked: str, fresh: str, *, with_csrf: bool) -> Tokens | None:
        """Open a session and keep the *fresh* hash, unless the user or the hash that was *checked* has changed."""
        with self._changing() as session:
            row = session.get(UserRow, user_id)
            if row is None or row.is_blocked or row.password_hash != checked:
                return None
            row.password_hash, row.last_login_at = fresh, self._clock()
            session.add(row)
            session.flush()
            self._report(session, UserLoggedIn, row)
            return self._sessions.create_in(session, row.id, with_csrf=with_csrf)

    def request(self, email: str, purpose: Purpose) -> None:
        """Report the request for a mail, if there is an account that may have one."""
        with self._changing() as session:
            row = user_by_email(session, email)
            if row is None or row.is_blocked:
                return
            if purpose == "reset":
                self._users.request_reset_in(session, row.id)
            elif not row.is_verified:
                self._users.request_verification_in(session, row.id)

    def verify(self, token: object) -> bool:
        """Mark the address verified that *token* went to; also True for a token that did so before."""
        now = self._clock()
        with self._changing() as session:
            user_id = one_time_tokens.consume(session, token, "verify", now)
            if user_id is None:
                user_id = one_time_tokens.was_consumed(session, token, "verify", now)
                return user_id is not None and session.get_one(UserRow, user_id).is_verified
            row = session.get_one(UserRow, user_id)
            row.is_verified, row.updated_at = True, now
            session.add(row)
            session.flush()
            self._report(session, EmailVerified, row)
            return True

    def is_live(self, token: object, purpose: Purpose) -> bool:
        """Tell whether *token* would be taken now; one that is too old is forgotten, like every other of that kind."""
        now = self._clock()
        with self._database.read() as session:
            is_live = one_time_tokens.is_live(session, token, purpose, now)
        if not is_live and is_token(token):
            with writing(self._database) as session:
                one_time_tokens.sweep(session, now)
        return is_live

    def reset(self, token: object, password: PasswordHash) -> bool:
        """Set the password of whoever *token* went to, and end their sessions; False for no such token."""
        with self._changing() as session:
            user_id = one_time_tokens.consume(session, token, "reset", self._clock())
            if user_id is None:
                return False
            user = self._users.set_password_in(session, user_id, password)
            self._record(session, PasswordReset(**event_fields(user)))
            return True

    def _report(self, session: Session, event: type[UserEvent], row: UserRow) -> None:
        self._record(session, event(**event_fields(user_of(session, row))))

    @contextmanager
    def _changing(self) -> Iterator[Session]:
        with writing(self._database) as session:
            yield session
        self._committed()
