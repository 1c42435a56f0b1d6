"""Operators, the people who use the editor, and the roles they have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, cast

from storage.tables import OperatorRow

Role: TypeAlias = Literal["viewer", "editor", "owner"]
ROLES: tuple[Role, ...] = ("viewer", "editor", "owner")  # each may also do what those before it may


@dataclass(frozen=True)
class Operator:
    """A person who uses the editor; *is_invited* until they have chosen a password."""

    id: str
    email: str
    name: str
    role: Role
    is_invited: bool
    is_disabled: bool
    created_at: datetime
    last_seen_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return the published shape; times are ISO 8601 in UTC."""
        return {
            "id": self.id,
            "email": self.email,
            "name": self.name,
            "role": self.role,
            "invited": self.is_invited,
            "disabled": self.is_disabled,
            "created_at": _iso(self.created_at),
            "last_seen_at": _iso(self.last_seen_at) if self.last_seen_at else None,
        }


@dataclass(frozen=True)
class Visit:
    """A live sign-in: whose, and under which digest it is kept."""

    digest: str
    operator: Operator
    expires_at: datetime


def operator_of(row: OperatorRow) -> Operator:
    """Return what may be shown of an operator."""
    return Operator(
        id=row.id,
        email=row.email,
        name=row.name,
        role=cast(Role, row.role),
        is_invited=row.password_hash is None,
        is_disabled=row.is_disabled,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
    )


def outranks(role: str, other: str) -> bool:
    """Return whether *role* may not do all that *other* may; a role that does not exist may nothing."""
    return _rank(role) > _rank(other)


def _rank(role: str) -> int:
    return ROLES.index(role) if role in ROLES else -1


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
