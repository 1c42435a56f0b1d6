"""Looking at end users: by id or address, what is shown of them, and what events tell of them."""

from __future__ import annotations

import builtins
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from backend.errors import Fault, NotFound
from backend.user_values import EMAIL_CHARS, folded_email
from storage.tables import RoleRow, UserRole, UserRow

AT_ONCE = 500  # values in one IN list


@dataclass(frozen=True)
class User:
    """An end user; *roles* are names in the order of the alphabet."""

    id: str
    email: str
    first_name: str
    last_name: str
    roles: tuple[str, ...]
    is_verified: bool
    is_blocked: bool
    has_password: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return the published shape; times are ISO 8601 in UTC."""
        return {
            "id": self.id,
            "email": self.email,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "roles": [*self.roles],
            "email_verified": self.is_verified,
            "blocked": self.is_blocked,
            "created_at": _iso(self.created_at),
            "updated_at": _iso(self.updated_at),
            "last_login_at": None if self.last_login_at is None else _iso(self.last_login_at),
        }


def find_user(session: Session, id_or_email: str) -> UserRow:
    """Return the row of one user; raises NotFound."""
    if (user_id := _uuid(id_or_email)) is not None:
        row = session.get(UserRow, user_id)
    else:
        row = user_by_email(session, id_or_email)
    if row is None:
        raise NotFound(Fault("user.not_found", "There is no such user. It may have been deleted."))
    return row


def user_by_email(session: Session, email: str) -> UserRow | None:
    """Return whose address *email* is, however it is written; None for nobody's, also for text that is no address."""
    if (
        not isinstance(email, str)
        or len(email) > EMAIL_CHARS
        or any(unicodedata.category(char) == "Cs" for char in email)
    ):
        return None
    return session.exec(select(UserRow).where(UserRow.folded_email == folded_email(email))).first()


def user_of(session: Session, row: UserRow) -> User:
    """Return the user that *row* is, with the roles as they are now in the session's transaction."""
    return users_of(session, [row])[0]


def users_of(session: Session, rows: Collection[UserRow]) -> builtins.list[User]:
    """Return the users that *rows* are, in their order."""
    roles = role_names(session, [row.id for row in rows])
    return [_user(row, roles.get(row.id, ())) for row in rows]


def rows_of(session: Session, user_ids: Sequence[str]) -> builtins.list[UserRow]:
    """Return the rows with these ids, in their order; a user who is gone is left out."""
    found: dict[str, UserRow] = {}
    for ids in _batches(user_ids):
        found |= {row.id: row for row in session.exec(select(UserRow).where(col(UserRow.id).in_(ids)))}
    return [found[user_id] for user_id in user_ids if user_id in found]


def role_names(session: Session, user_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the names of the roles of each user that has any, in the order of the alphabet."""
    found: dict[str, builtins.list[tuple[str, str]]] = {}
    for ids in _batches(user_ids):
        query = (
            select(UserRole.user_id, RoleRow.folded_name, RoleRow.name)
            .join(RoleRow, col(RoleRow.id) == col(UserRole.role_id))
            .where(col(UserRole.user_id).in_(ids))
        )
        for user_id, folded_name, name in session.exec(query):
            found.setdefault(user_id, []).append((folded_name, name))
    return {user_id: tuple(name for _, name in sorted(names)) for user_id, names in found.items()}


def event_fields(user: User) -> dict[str, Any]:
    """Return what every event tells of a user."""
    return {
        "userId": UUID(user.id),
        "email": user.email,
        "emailVerified": user.is_verified,
        "roles": [*user.roles],
    }


def search_text(email: str, first_name: str, last_name: str) -> str:
    """Return what a search looks through: “anna berg” finds a first and a last name."""
    return folded(f"{email} {first_name} {last_name}")


def folded(text: str) -> str:
    """Return *text* as a search compares it."""
    return unicodedata.normalize("NFKC", text).casefold()


def _user(row: UserRow, roles: Collection[str]) -> User:
    return User(
        id=row.id,
        email=row.email,
        first_name=row.first_name,
        last_name=row.last_name,
        roles=tuple(roles),
        is_verified=row.is_verified,
        is_blocked=row.is_blocked,
        has_password=row.password_hash is not None,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_login_at=row.last_login_at,
    )


def _uuid(text: object) -> str | None:
    try:
        return str(UUID(text)) if isinstance(text, str) and len(text) <= 36 else None
    except ValueError:
        return None


def _batches(values: Iterable[str]) -> Iterator[builtins.list[str]]:
    rest = iter(values)
    while batch := [*islice(rest, AT_ONCE)]:
        yield batch


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
