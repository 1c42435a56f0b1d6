"""Sign-ins of operators: found by the digest of a cookie, ended by signing out or after two weeks without a visit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backend.errors import StorageBusy, StorageFull
from backend.operator_values import Visit, operator_of
from backend.tokens import digest_of, is_token, new_token
from backend.transaction import writing
from storage.database import Database
from storage.tables import OperatorRow, OperatorSession

LIVES = timedelta(days=14)  # since the last page that was opened
NOTED_EVERY = timedelta(hours=1)


class OperatorSessions:
    """The sign-ins that are live. What an operator may do is read anew on each look, never kept with the sign-in."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock

    def visit(self, digest: str) -> Visit | None:
        """Return the live sign-in kept under *digest*, or None."""
        query = (
            select(OperatorSession.expires_at, OperatorRow)
            .join(OperatorRow, col(OperatorRow.id) == OperatorSession.operator_id)
            .where(OperatorSession.digest == digest)
        )
        with self._database.read() as session:
            found = session.exec(query).first()
            if found is None or found[0] <= self._clock() or found[1].is_disabled:
                return None
            return Visit(digest, operator_of(found[1]), found[0])

    def visit_by(self, cookie: str | None) -> Visit | None:
        """Return the live sign-in that the value of a cookie stands for, or None."""
        return self.visit(digest_of(cookie)) if cookie is not None and is_token(cookie) else None

    def touch(self, digest: str) -> bool:
        """Let a sign-in live on from now; True when that was noted, which happens once an hour."""
        now = self._clock()
        try:
            with writing(self._database) as session:
                row = session.get(OperatorSession, digest)
                if row is None or row.expires_at <= now or now - row.seen_at < NOTED_EVERY:
                    return False
                row.seen_at, row.expires_at = now, now + LIVES
                session.add(row)
                _note_visit(session, row.operator_id, now)
                return True
        except (StorageFull, StorageBusy):
            return False  # they may go on reading

    def end(self, digest: str) -> None:
        """Sign out."""
        with writing(self._database) as session:
            session.connection().execute(sa.delete(OperatorSession).where(col(OperatorSession.digest) == digest))


def begin(session: Session, operator_id: str, now: datetime) -> str:
    """Return the cookie of a new sign-in, and clear away those of anyone that have expired."""
    cookie = new_token()
    session.connection().execute(sa.delete(OperatorSession).where(col(OperatorSession.expires_at) <= now))
    session.add(
        OperatorSession(
            digest=digest_of(cookie), operator_id=operator_id, created_at=now, seen_at=now, expires_at=now + LIVES
        )
    )
    _note_visit(session, operator_id, now)
    return cookie


def end_all(session: Session, operator_id: str, *, but: str | None = None) -> None:
    """End every sign-in of an operator, except the one kept under the digest *but*."""
    ended = sa.delete(OperatorSession).where(col(OperatorSession.operator_id) == operator_id)
    if but is not None:
        ended = ended.where(col(OperatorSession.digest) != but)
    session.connection().execute(ended)


def _note_visit(session: Session, operator_id: str, now: datetime) -> None:
    seen = sa.update(OperatorRow).where(col(OperatorRow.id) == operator_id).values(last_seen_at=now)
    session.connection().execute(seen)
