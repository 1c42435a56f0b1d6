"""One-time tokens: what a mail's link carries to show that whoever has it reads the user's mail.

A token is bound to one purpose, one use, one user and the address it went to; only its digest is stored. Every function
here works in the caller's transaction, so that a token is used up together with what it was used for, or not at all.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, CursorResult, Delete, exists
from sqlmodel import Session, col, delete, select, update

from backend.events import EmailVerificationRequested, PasswordResetRequested
from backend.tokens import digest_of, is_token, new_token
from storage.tables import OneTimeToken, UserRow

Purpose = Literal["verify", "reset"]

LIVES: dict[Purpose, timedelta] = {
    "verify": EmailVerificationRequested.lives or timedelta(),
    "reset": PasswordResetRequested.lives or timedelta(),
}
PAGES: dict[Purpose, str] = {"verify": "verify-email", "reset": "set-new-password"}


def issue(session: Session, user: UserRow, purpose: Purpose, now: datetime) -> str:
    """Return a new token for *user*; an older one for the same purpose is void from now on."""
    sweep(session, now)
    mine = (col(OneTimeToken.user_id) == user.id, col(OneTimeToken.purpose) == purpose)
    _run(session, delete(OneTimeToken).where(*mine))
    token = new_token()
    session.add(
        OneTimeToken(
            digest=digest_of(token),
            purpose=purpose,
            user_id=user.id,
            email=user.folded_email,
            created_at=now,
            expires_at=now + LIVES[purpose],
        )
    )
    session.flush()
    return token


def consume(session: Session, token: object, purpose: Purpose, now: datetime) -> str | None:
    """Use *token* up and return its user's id; None for one that is unknown, used, void or expired.

    A token that comes from the future was issued before the clock was set back, and is refused.
    """
    if not is_token(token):
        return None
    sweep(session, now)
    done = session.exec(
        update(OneTimeToken)
        .where(*_is_valid(token, purpose, now), col(OneTimeToken.used_at).is_(None))
        .values(used_at=now)
        .execution_options(synchronize_session=False)
    )
    is_mine = cast(CursorResult[Any], done).rowcount == 1
    return was_consumed(session, token, purpose, now) if is_mine else None


def was_consumed(session: Session, token: object, purpose: Purpose, now: datetime) -> str | None:
    """Return whose *token* it is when it did its work already and has not expired since; else None.

    A link that is followed twice, by a mail scanner and then by the person, can so show success both times.
    """
    return _whose(session, token, purpose, now, col(OneTimeToken.used_at).is_not(None))


def is_live(session: Session, token: object, purpose: Purpose, now: datetime) -> bool:
    """Tell whether ``consume`` would take *token*, and leave it as it is."""
    return _whose(session, token, purpose, now, col(OneTimeToken.used_at).is_(None)) is not None


def void(session: Session, user_id: str, purpose: Purpose | None = None) -> None:
    """Make the user's unused tokens worthless, those of every purpose or of one."""
    unused = delete(OneTimeToken).where(col(OneTimeToken.user_id) == user_id, col(OneTimeToken.used_at).is_(None))
    _run(session, unused if purpose is None else unused.where(col(OneTimeToken.purpose) == purpose))


def sweep(session: Session, now: datetime) -> None:
    """Forget what has expired, so that setting the clock back does not bring it to life again."""
    _run(session, delete(OneTimeToken).where(col(OneTimeToken.expires_at) <= now))


def link_for(base_url: str, purpose: Purpose, token: str) -> str:
    """Return the address of the hosted page that takes *token*; *base_url* comes from the settings alone."""
    return f"{base_url.rstrip('/')}/{PAGES[purpose]}?token={token}"


def _whose(
    session: Session, token: object, purpose: Purpose, now: datetime, condition: ColumnElement[bool]
) -> str | None:
    if not is_token(token):
        return None
    return session.exec(select(OneTimeToken.user_id).where(*_is_valid(token, purpose, now), condition)).first()


def _is_valid(token: object, purpose: Purpose, now: datetime) -> tuple[ColumnElement[bool], ...]:
    is_for_the_user_as_now = exists().where(
        col(UserRow.id) == col(OneTimeToken.user_id),
        col(UserRow.folded_email) == col(OneTimeToken.email),
        col(UserRow.is_blocked).is_(False),
    )
    return (
        col(OneTimeToken.digest) == digest_of(str(token)),
        col(OneTimeToken.purpose) == purpose,
        col(OneTimeToken.created_at) <= now,
        col(OneTimeToken.expires_at) > now,
        is_for_the_user_as_now,
    )


def _run(session: Session, statement: Delete) -> None:
    session.exec(statement.execution_options(synchronize_session=False))
