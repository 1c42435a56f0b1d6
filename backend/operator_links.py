"""Links that work once: to create the first owner, to accept an invitation, to choose a new password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlmodel import Session, col

from backend.tokens import digest_of, is_token, new_token
from storage.tables import OperatorLink, OperatorRow

SET_UP_LIVES = timedelta(hours=24)
INVITATION_LIVES = timedelta(days=7)
PASSWORD_LIVES = timedelta(hours=24)


@dataclass(frozen=True)
class LinkView:
    """What a live link is for, and whom; nobody yet for the set-up."""

    kind: Literal["set-up", "invitation", "password"]
    operator_id: str | None = None
    email: str = ""
    name: str = ""
    role: str = "owner"


def issue(session: Session, row: OperatorRow | None, now: datetime) -> str:
    """Return the token of a new link for *row*, None: for the first owner. Older links of the same are void."""
    operator_id = None if row is None else row.id
    lives = SET_UP_LIVES if row is None else PASSWORD_LIVES if row.password_hash else INVITATION_LIVES
    void(session, operator_id)
    token = new_token()
    session.add(OperatorLink(digest=digest_of(token), operator_id=operator_id, created_at=now, expires_at=now + lives))
    return token


def void(session: Session, operator_id: str | None) -> None:
    """Make every link of an operator worthless, None: every set-up link."""
    session.connection().execute(
        sa.delete(OperatorLink).where(col(OperatorLink.operator_id).is_not_distinct_from(operator_id))
    )


def read(session: Session, token: str, now: datetime) -> LinkView | None:
    """Return what the link is for, and leave it as it is; None for one that is wrong, used, void or expired."""
    link = session.get(OperatorLink, digest_of(token)) if is_token(token) else None
    if link is None or link.expires_at <= now:
        return None
    if link.operator_id is None:
        return LinkView("set-up")
    row = session.get(OperatorRow, link.operator_id)
    if row is None or row.is_disabled:
        return None
    return LinkView("password" if row.password_hash else "invitation", row.id, row.email, row.name, row.role)


def consume(session: Session, token: str, now: datetime) -> LinkView | None:
    """Use the link up and return what it was for; of several at once one gets it."""
    found = read(session, token, now)
    if found is None:
        return None
    used = sa.delete(OperatorLink).where(col(OperatorLink.digest) == digest_of(token))
    return found if session.connection().execute(used).rowcount == 1 else None
