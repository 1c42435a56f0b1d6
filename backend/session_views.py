"""One session as it is now: with its user's address, flags and roles, read in one look-up."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, Connection, Select, bindparam, func, type_coerce
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from backend.tokens import digest_of, is_token
from storage.tables import RefreshToken, RoleRow, UserRole, UserRow, UserSession, from_us, to_us


@dataclass(frozen=True)
class SessionView:
    """A session that is open, with its user as of now; *expires_at* is when the access token does."""

    handle: str
    user_id: str
    email: str
    is_verified: bool
    user_created_at: datetime
    roles: tuple[str, ...]  # names, in the order of the alphabet
    expires_at: datetime
    csrf_digest: str | None = field(repr=False)

    @property
    def needs_csrf(self) -> bool:
        """Whether its tokens travel in cookies, so that what changes something must bring the anti-CSRF token."""
        return self.csrf_digest is not None

    def accepts_csrf(self, token: object) -> bool:
        """Tell whether *token* is the anti-CSRF token of this session; a session without one accepts anything."""
        return is_csrf(token, self.csrf_digest)


@dataclass(frozen=True)
class Found:
    """A session, and what is known of the refresh token that came with its access token."""

    view: SessionView
    refresh_digest: str
    is_confirmed: bool


def look_up(connection: Connection, access_token: str, now: datetime) -> Found | None:
    """Return the session that *access_token* opens, or None; a blocked user has none."""
    now_us = to_us(now)
    row = connection.exec_driver_sql(_LOOK_UP, (digest_of(access_token), now_us, now_us)).first()
    return None if row is None else Found(_view(row), row.refresh_digest, bool(row.is_confirmed))


def view_of(session: Session, handle: str) -> SessionView:
    """Return the session *handle*, which must be there."""
    return _view(session.connection().execute(_VIEW.where(col(UserSession.id) == handle)).one())


def is_csrf(token: object, digest: str | None) -> bool:
    """Tell whether *token* is the one that *digest* is of; without a digest anything is."""
    return digest is None or (is_token(token) and hmac.compare_digest(digest_of(str(token)), digest))


_Role = aliased(RoleRow)
_ROLES = (
    select(func.json_group_array(_Role.name))
    .where(col(UserRole.role_id) == _Role.id, col(UserRole.user_id) == UserRow.id)
    .scalar_subquery()
)
_VIEW: Select[Any] = (
    select(  # type: ignore[call-overload]
        UserSession.id,
        UserSession.user_id,
        type_coerce(UserSession.access_expires_at, BigInteger).label("access_expires_at"),
        UserSession.refresh_digest,
        UserSession.csrf_digest,
        UserRow.email,
        UserRow.is_verified,
        type_coerce(UserRow.created_at, BigInteger).label("created_at"),
        RefreshToken.is_confirmed,
        _ROLES.label("roles"),
    )
    .join(UserRow, col(UserRow.id) == UserSession.user_id)
    .join(RefreshToken, col(RefreshToken.digest) == UserSession.refresh_digest)
)


_LOOK_UP = str(  # made once, because making a statement takes longer than running it
    _VIEW.where(
        col(UserSession.access_digest) == bindparam("digest"),
        col(UserSession.access_expires_at) > bindparam("now"),
        col(UserSession.expires_at) > bindparam("now"),
        col(UserRow.is_blocked).is_(False),
    ).compile(dialect=sqlite.dialect())
)


def _view(found: Any) -> SessionView:
    """Return the session of a row of ``_VIEW``, whose times are as stored."""
    return SessionView(
        handle=found.id,
        user_id=found.user_id,
        email=found.email,
        is_verified=bool(found.is_verified),
        user_created_at=from_us(found.created_at),
        roles=tuple(sorted(orjson.loads(found.roles), key=str.casefold)),
        expires_at=from_us(found.access_expires_at),
        csrf_digest=found.csrf_digest,
    )
