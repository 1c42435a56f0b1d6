"""Sessions of signed-in users: a short-lived access token, and a refresh token that is exchanged for the next pair.

Only digests are stored. What a session may do is read when it is used: a user who was blocked or deleted has none, and
roles are those of this moment.

An exchanged refresh token is good for another pair until one of its successors was used, because the answer may have
been lost on its way. After that two parties have it, and the session ends for both.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, exists, text
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, delete, select, update

from backend.budgets import Budget
from backend.errors import BackendError, Fault, StorageBusy, StorageFull
from backend.session_views import SessionView, is_csrf, look_up, view_of
from backend.throttle import Throttled
from backend.tokens import digest_of, is_token, new_token
from backend.transaction import writing
from storage.database import Database
from storage.tables import RefreshToken, UserRow, UserSession

__all__ = ["CsrfMissing", "SessionEnded", "SessionView", "Sessions", "TokenTheft", "Tokens"]

ACCESS_LIFE = timedelta(minutes=30)
REFRESH_LIFE = timedelta(days=100)
SUCCESSORS = 10  # kept of one refresh token while none was used
KEPT_TOKENS = 1_000  # of one session; who presents an older one finds the session ended, but ends it not
REFRESHES = (30, 60.0)  # of one session in so many seconds: a client needs one in half an hour
NEWEST_FIRST = text("refresh_token.rowid DESC")  # as they were handed out, also when the clock was set back


class SessionEnded(BackendError):
    """The session is over, or never was: signed out, expired, or its user was blocked or deleted."""


class CsrfMissing(BackendError):
    """The tokens came in cookies without the anti-CSRF token that goes with them."""


class TokenTheft(BackendError):
    """A refresh token was used by two parties; the session *handle* of *user_id* was ended."""

    def __init__(self, handle: str, user_id: str) -> None:
        message = "This sign-in was used in two places at once and was ended. Sign in again."
        super().__init__(Fault("session.token_theft", message))
        self.handle = handle
        self.user_id = user_id


@dataclass(frozen=True)
class Tokens:
    """What a client gets, once; *csrf* stays the same for as long as the session travels in cookies."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    csrf: str | None = field(repr=False)
    refresh_expires_at: datetime
    session: SessionView


class Sessions:
    """The sessions of all users."""

    def __init__(
        self,
        database: Database,
        *,
        new_id: Callable[[], UUID] = uuid4,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        refreshes: Budget | None = None,
    ) -> None:
        self._database = database
        self._refreshes = refreshes or Budget(*REFRESHES)
        self._lock = threading.Lock()
        self._new_id = new_id
        self._clock = clock

    def create(self, user_id: str, *, with_csrf: bool) -> Tokens:
        """Open a session; *with_csrf* for tokens that travel in cookies. Raises SessionEnded for a user
        who is blocked or does not exist.
        """
        with writing(self._database) as session:
            return self.create_in(session, user_id, with_csrf=with_csrf)

    def create_in(self, session: Session, user_id: str, *, with_csrf: bool) -> Tokens:
        """Do what ``create`` does, in the caller's transaction."""
        user, now = session.get(UserRow, user_id), self._clock()
        if user is None or user.is_blocked:
            raise _ended()
        self._sweep(session, now)
        row = UserSession(
            id=str(self._new_id()),
            user_id=user_id,
            access_digest="",
            access_expires_at=now,
            refresh_digest="",
            created_at=now,
            expires_at=now,
        )
        return self._hand_out(session, row, None, now, csrf=_new_csrf(with_csrf))

    def check(self, access_token: object) -> SessionView | None:
        """Return the session that *access_token* opens, or None."""
        if not is_token(access_token):
            return None
        with self._database.look() as connection:
            found = look_up(connection, str(access_token), self._clock())
        if found is None:
            return None
        if not found.is_confirmed:
            self._note_use(found.refresh_digest)
        return found.view

    def refresh(self, refresh_token: object, *, with_csrf: bool, csrf: object = None) -> Tokens:
        """Exchange *refresh_token*; *with_csrf*: it came in a cookie, and *csrf* must have come with it.

        Raises SessionEnded, CsrfMissing and Throttled (nothing has changed), and TokenTheft for a token that another
        party used too.
        """
        if not is_token(refresh_token):
            raise _ended()
        now = self._clock()
        with writing(self._database) as session:
            row, known = self._find(session, digest_of(str(refresh_token)), now)
            if with_csrf and not is_csrf(csrf, row.csrf_digest):
                message = "The request lacks its anti-CSRF token. Load the page again and repeat it."
                raise CsrfMissing(Fault("session.csrf_missing", message))
            is_theft = not _confirm(session, known.digest) or _is_replaced(session, known.digest)
            if not is_theft:
                self._count(row.id)
                kept = str(csrf) if with_csrf and row.csrf_digest else None
                return self._hand_out(session, row, known.digest, now, csrf=kept or _new_csrf(with_csrf))
            session.delete(row)
        raise TokenTheft(row.id, row.user_id)

    def end(self, handle: str) -> None:
        """End one session; one that is over already is left alone."""
        with writing(self._database) as session:
            session.connection().execute(delete(UserSession).where(col(UserSession.id) == handle))

    def end_by(self, access_token: object) -> None:
        """End the session that *access_token* was made for, also when the token has expired since."""
        if is_token(access_token):
            with writing(self._database) as session:
                mine = col(UserSession.access_digest) == digest_of(str(access_token))
                session.connection().execute(delete(UserSession).where(mine))

    def end_all(self, user_id: str) -> None:
        """End every session of a user."""
        with writing(self._database) as session:
            self.end_all_in(session, user_id)

    def end_all_in(self, session: Session, user_id: str) -> None:
        """Do what ``end_all`` does, in the caller's transaction."""
        session.connection().execute(delete(UserSession).where(col(UserSession.user_id) == user_id))

    def decoy(self, email: str, *, with_csrf: bool) -> Tokens:
        """Return tokens that open nothing, in the shape of those of a new user who has *email*."""
        now, csrf = self._clock(), _new_csrf(with_csrf)
        view = SessionView(
            handle=str(self._new_id()),
            user_id=str(self._new_id()),
            email=email,
            is_verified=False,
            user_created_at=now,
            roles=(),
            expires_at=now + ACCESS_LIFE,
            csrf_digest=digest_of(csrf) if csrf else None,
        )
        return Tokens(new_token(), new_token(), csrf, now + REFRESH_LIFE, view)

    def _count(self, handle: str) -> None:
        """Count a refresh; raises Throttled for one too many."""
        with self._lock:
            if wait_s := self._refreshes.take(handle):
                raise Throttled(wait_s)

    def _find(self, session: Session, digest: str, now: datetime) -> tuple[UserSession, RefreshToken]:
        found = session.exec(
            select(UserSession, RefreshToken)
            .where(col(RefreshToken.session_id) == UserSession.id, col(UserRow.id) == UserSession.user_id)
            .where(RefreshToken.digest == digest, col(RefreshToken.created_at) > now - REFRESH_LIFE, *_alive(now))
        ).first()
        if found is None:
            raise _ended()
        return found

    def _hand_out(
        self, session: Session, row: UserSession, parent: str | None, now: datetime, *, csrf: str | None
    ) -> Tokens:
        access, refresh = new_token(), new_token()
        row.access_digest, row.access_expires_at = digest_of(access), now + ACCESS_LIFE
        row.refresh_digest, row.expires_at = digest_of(refresh), now + REFRESH_LIFE
        row.csrf_digest = digest_of(csrf) if csrf else None
        session.add(row)
        session.flush()
        if parent is not None:
            _drop_unused_successors(session, parent)
        session.add(
            RefreshToken(
                digest=row.refresh_digest,
                session_id=row.id,
                parent=parent,
                is_confirmed=parent is None,
                created_at=now,
            )
        )
        session.flush()
        if parent is not None:
            _drop_oldest(session, row.id)
        return Tokens(access, refresh, csrf, row.expires_at, view_of(session, row.id))

    def _note_use(self, digest: str) -> None:
        try:
            with writing(self._database) as session:
                _confirm(session, digest)
        except (StorageFull, StorageBusy):
            return  # the next use notes it

    def _sweep(self, session: Session, now: datetime) -> None:
        execute = session.connection().execute
        execute(delete(UserSession).where(col(UserSession.expires_at) <= now))
        # a token is known for as long as one that was exchanged for the same may still come
        execute(delete(RefreshToken).where(col(RefreshToken.created_at) <= now - 2 * REFRESH_LIFE))


def _alive(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (col(UserSession.expires_at) > now, col(UserRow.is_blocked).is_(False))


def _confirm(session: Session, digest: str) -> bool:
    """Note that the token was used; False when a sibling was used already."""
    sibling = aliased(RefreshToken)
    used_sibling = exists().where(
        col(sibling.parent) == col(RefreshToken.parent),
        col(sibling.digest) != col(RefreshToken.digest),
        col(sibling.is_confirmed).is_(True),
    )
    done = session.connection().execute(
        update(RefreshToken).where(col(RefreshToken.digest) == digest, ~used_sibling).values(is_confirmed=True)
    )
    return done.rowcount == 1


def _is_replaced(session: Session, digest: str) -> bool:
    """Tell whether a successor of the token was used."""
    used = select(RefreshToken.digest).where(RefreshToken.parent == digest, col(RefreshToken.is_confirmed).is_(True))
    return session.exec(used).first() is not None


def _drop_unused_successors(session: Session, parent: str) -> None:
    newest = (
        select(RefreshToken.digest)
        .where(RefreshToken.parent == parent)
        .order_by(col(RefreshToken.created_at).desc())
        .limit(SUCCESSORS - 1)
    )
    session.connection().execute(
        delete(RefreshToken).where(col(RefreshToken.parent) == parent, col(RefreshToken.digest).not_in(newest))
    )


def _drop_oldest(session: Session, handle: str) -> None:
    mine = select(RefreshToken.digest).where(RefreshToken.session_id == handle)
    older = mine.order_by(NEWEST_FIRST).offset(KEPT_TOKENS)
    session.connection().execute(delete(RefreshToken).where(col(RefreshToken.digest).in_(older)))


def _new_csrf(is_wanted: bool) -> str | None:
    return new_token() if is_wanted else None


def _ended() -> SessionEnded:
    return SessionEnded(Fault("session.ended", "You are signed out. Sign in again."))
