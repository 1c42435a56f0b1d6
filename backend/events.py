"""The events of the built-in backend. A class holds the published name; its fields are the published payload.

They are written in the transaction of the change itself, once per operation, those of rows once per row; a rollback
drops them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlmodel import Session


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in the backend.

    The fields in *secret* work like a password for *lives*; whoever records the event keeps them locked.
    """

    name: ClassVar[str]
    secret: ClassVar[tuple[str, ...]] = ()
    lives: ClassVar[timedelta | None] = None

    def payload(self) -> dict[str, Any]:
        """Return the payload as JSON values."""
        return {key: str(value) if isinstance(value, UUID) else value for key, value in vars(self).items()}


Record = Callable[[Session, Event], None]
"""Writes an event in the session's transaction."""


@dataclass(frozen=True, kw_only=True)
class DataTableEvent(Event):
    ID: UUID
    Name: str
    Description: str


@dataclass(frozen=True, kw_only=True)
class DataTableCreated(DataTableEvent):
    """A data table was created."""

    name: ClassVar[str] = "api.dataTable_created"


@dataclass(frozen=True, kw_only=True)
class DataTableUpdated(DataTableEvent):
    """A data table's name, description or columns were changed."""

    name: ClassVar[str] = "api.dataTable_updated"


@dataclass(frozen=True, kw_only=True)
class DataTableEmptied(DataTableEvent):
    """A data table was cleared: `Clear table` in its settings menu, or the API."""

    name: ClassVar[str] = "api.dataTable_emptied"


@dataclass(frozen=True, kw_only=True)
class DataTableDeleted(DataTableEvent):
    """A data table was deleted."""

    name: ClassVar[str] = "api.dataTable_deleted"


@dataclass(frozen=True, kw_only=True)
class DataRowEvent(Event):
    """*row* is the row after the change, *before* as it was; both are the row that was, where it was deleted.

    A row has its columns, ``id``, ``created_at`` and ``updated_at``.
    """

    ID: UUID  # the table's
    Name: str
    row: dict[str, Any]
    before: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class DataTableRowCreated(DataRowEvent):
    """A row was added to a data table; nothing was there *before*."""

    name: ClassVar[str] = "api.dataTable_rowCreated"

    before: None


@dataclass(frozen=True, kw_only=True)
class DataTableRowUpdated(DataRowEvent):
    """A row of a data table has other values than before."""

    name: ClassVar[str] = "api.dataTable_rowUpdated"

    before: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DataTableRowDeleted(DataRowEvent):
    """A row of a data table was deleted by itself, not with its table or by `Clear table`."""

    name: ClassVar[str] = "api.dataTable_rowDeleted"

    before: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class UserEvent(Event):
    userId: UUID
    email: str
    emailVerified: bool
    roles: list[str]  # their names, in the order of the alphabet


@dataclass(frozen=True, kw_only=True)
class UserSignedUp(UserEvent):
    """A person signed up; a sign-in is not a sign-up."""

    name: ClassVar[str] = "auth.user_signedUp"


@dataclass(frozen=True, kw_only=True)
class UserLoggedIn(UserEvent):
    """A user signed in with the right password."""

    name: ClassVar[str] = "auth.user_loggedIn"


@dataclass(frozen=True, kw_only=True)
class EmailVerificationRequested(UserEvent):
    """A user's address is to be verified: after a sign-up, or on request. *link* is None while the pages are off."""

    name: ClassVar[str] = "auth.email_verificationRequested"
    secret: ClassVar[tuple[str, ...]] = ("token", "link")
    lives: ClassVar[timedelta | None] = timedelta(hours=24)

    token: str = field(repr=False)
    link: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class EmailVerified(UserEvent):
    """A user showed, with the token, that the address is theirs."""

    name: ClassVar[str] = "auth.email_verified"


@dataclass(frozen=True, kw_only=True)
class PasswordResetRequested(UserEvent):
    """A user asked to set a new password. It shares its published name with PasswordReset, which has no token."""

    name: ClassVar[str] = "auth.password_reset"
    secret: ClassVar[tuple[str, ...]] = ("token", "link")
    lives: ClassVar[timedelta | None] = timedelta(hours=1)

    token: str = field(repr=False)
    link: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class PasswordReset(UserEvent):
    """A user set a new password with a token; a change on the Users page is no reset."""

    name: ClassVar[str] = "auth.password_reset"


@dataclass(frozen=True, kw_only=True)
class UserBlocked(UserEvent):
    """A user may not sign in any more."""

    name: ClassVar[str] = "auth.user_blocked"


@dataclass(frozen=True, kw_only=True)
class UserDeleted(UserEvent):
    """A user was deleted; the payload is what the user was."""

    name: ClassVar[str] = "auth.user_deleted"


@dataclass(frozen=True, kw_only=True)
class UserRolesChanged(UserEvent):
    """A user has other roles than before; *roles* are the new ones."""

    name: ClassVar[str] = "auth.user_rolesChanged"
