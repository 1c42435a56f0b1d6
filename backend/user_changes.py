"""Changing end users in the caller's transaction, each change with its event. Passwords arrive hashed.

*user* is a user's id or address; *record* overrides where the events go, for flows that say what led to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, delete, select

from backend import one_time_tokens
from backend.errors import BackendError, Conflict, Fault
from backend.events import (
    EmailVerificationRequested,
    PasswordResetRequested,
    Record,
    UserBlocked,
    UserDeleted,
    UserEvent,
    UserRolesChanged,
)
from backend.hosted import HostedPages
from backend.passwords import PasswordHash
from backend.roles import find_role, roles_named
from backend.user_pages import UserPage, page_of_users
from backend.user_queries import (
    User,
    event_fields,
    find_user,
    search_text,
    user_by_email,
    user_of,
)
from backend.user_values import email_in, folded_email, name_in
from storage.tables import UserRole, UserRow, UserSession


class UserChanges:
    """What can be done to users within a transaction that somebody else holds."""

    def __init__(
        self,
        record: Record,
        *,
        base_url: str,
        hosted: HostedPages,
        new_id: Callable[[], UUID],
        clock: Callable[[], datetime],
    ) -> None:
        self._record = record
        self._base_url = base_url
        self._hosted = hosted
        self._new_id = new_id
        self._clock = clock

    def get_in(self, session: Session, user: str) -> User:
        """Return one user; raises NotFound."""
        return user_of(session, find_user(session, user))

    def list_in(
        self,
        session: Session,
        *,
        search: str | None = None,
        role: str | None = None,
        verified: bool | None = None,
        blocked: bool | None = None,
        sort: str = "-created_at",
        limit: int = 50,
        offset: int = 0,
    ) -> UserPage:
        """Return some users, and how many match; *role* is a role's id or name. Raises like ``Users.list``."""
        return page_of_users(
            session,
            search=search,
            role_id=None if role is None else find_role(session, role).id,
            verified=verified,
            blocked=blocked,
            sort=sort,
            limit=limit,
            offset=offset,
        )

    def create_in(
        self,
        session: Session,
        email: str,
        *,
        password: PasswordHash | None = None,
        first_name: str = "",
        last_name: str = "",
        roles: Iterable[str] = (),
        is_verified: bool = False,
    ) -> User:
        """Make a user, which reports nothing: it is no sign-up. Raises BackendError with every fault, or Conflict."""
        faults: list[Fault] = []
        now = self._clock()
        row = UserRow(
            id=str(self._new_id()),
            email=email_in(email, "email", faults),
            folded_email="",
            first_name=name_in(first_name, "first_name", faults),
            last_name=name_in(last_name, "last_name", faults),
            password_hash=None if password is None else password.text,
            is_verified=is_verified,
            created_at=now,
            updated_at=now,
        )
        role_ids = roles_named(session, roles, faults)
        _refuse(faults)
        _refuse_taken(session, row.email)
        _keep(session, row)
        session.add_all(UserRole(user_id=row.id, role_id=role_id) for role_id in role_ids)
        session.flush()
        return user_of(session, row)

    def update_in(
        self,
        session: Session,
        user: str,
        *,
        email: str | None = None,
        first_name: str | None = None,
        last_name: str | None = None,
        is_verified: bool | None = None,
    ) -> User:
        """Change what is given, and report nothing. Raises NotFound, Conflict, or BackendError with every fault.

        Another address is not verified unless *is_verified* says so, and tokens that went to the old one are void.
        """
        row = find_user(session, user)
        faults: list[Fault] = []
        address = row.email if email is None else email_in(email, "email", faults)
        new = {
            "email": address,
            "first_name": row.first_name if first_name is None else name_in(first_name, "first_name", faults),
            "last_name": row.last_name if last_name is None else name_in(last_name, "last_name", faults),
        }
        _refuse(faults)
        if has_moved := folded_email(address) != row.folded_email:
            _refuse_taken(session, address)
        stays_verified = row.is_verified and not has_moved
        changes = {**new, "is_verified": stays_verified if is_verified is None else is_verified}
        if any(getattr(row, name) != value for name, value in changes.items()):
            for name, value in changes.items():
                setattr(row, name, value)
            if has_moved:
                one_time_tokens.void(session, row.id)
            row.updated_at = self._clock()
            _keep(session, row)
        return user_of(session, row)

    def set_password_in(self, session: Session, user: str, password: PasswordHash) -> User:
        """Set a password, end every session and void every token; reports nothing. Raises NotFound."""
        row = find_user(session, user)
        row.password_hash = password.text
        self._lock_out(session, row)
        return user_of(session, row)

    def set_roles_in(self, session: Session, user: str, names: Iterable[str], *, record: Record | None = None) -> User:
        """Give the user these roles and no others; reports it once, and only where something changed.

        Sessions go on: what they may do is looked up at each use. Raises NotFound, or BackendError for unknown roles.
        """
        row = find_user(session, user)
        faults: list[Fault] = []
        wanted = {*roles_named(session, names, faults)}
        _refuse(faults)
        present = {*session.exec(select(UserRole.role_id).where(UserRole.user_id == row.id))}
        if wanted != present:
            gone = delete(UserRole).where(col(UserRole.user_id) == row.id, col(UserRole.role_id).in_(present - wanted))
            session.exec(gone.execution_options(synchronize_session=False))
            session.add_all(UserRole(user_id=row.id, role_id=role_id) for role_id in wanted - present)
            row.updated_at = self._clock()
            _keep(session, row)
            self._report(session, UserRolesChanged, user_of(session, row), record)
        return user_of(session, row)

    def block_in(self, session: Session, user: str, *, record: Record | None = None) -> User:
        """Keep the user from signing in, end every session and void every token; reports it unless blocked before."""
        row = find_user(session, user)
        if not row.is_blocked:
            row.is_blocked = True
            self._lock_out(session, row)
            self._report(session, UserBlocked, user_of(session, row), record)
        return user_of(session, row)

    def unblock_in(self, session: Session, user: str) -> User:
        """Let the user sign in again; reports nothing."""
        row = find_user(session, user)
        if row.is_blocked:
            row.is_blocked = False
            row.updated_at = self._clock()
            _keep(session, row)
        return user_of(session, row)

    def delete_in(self, session: Session, user: str, *, record: Record | None = None) -> User:
        """Delete the user with sessions and tokens, report it, and return what the user was. Raises NotFound."""
        row = find_user(session, user)
        was = user_of(session, row)
        session.delete(row)
        session.flush()
        self._report(session, UserDeleted, was, record)
        return was

    def request_verification_in(self, session: Session, user: str, *, record: Record | None = None) -> User:
        """Report that the address is to be verified, with a new token; older ones are void.

        Raises NotFound, or Conflict for a user who is verified or blocked.
        """
        row = find_user(session, user)
        if row.is_verified:
            raise Conflict(Fault("user.is_verified", "The address of this user is verified already."))
        return self._request(session, row, EmailVerificationRequested, "verify", record)

    def request_reset_in(self, session: Session, user: str, *, record: Record | None = None) -> User:
        """Report that the user asked for a new password, with a new token; older ones are void.

        Raises NotFound, or Conflict for a user who is blocked.
        """
        return self._request(session, find_user(session, user), PasswordResetRequested, "reset", record)

    def _request(
        self,
        session: Session,
        row: UserRow,
        event: type[EmailVerificationRequested] | type[PasswordResetRequested],
        purpose: one_time_tokens.Purpose,
        record: Record | None,
    ) -> User:
        if row.is_blocked:
            raise Conflict(
                Fault("user.is_blocked", "This user is blocked, so the link would not work. Unblock it first.")
            )
        token = one_time_tokens.issue(session, row, purpose, self._clock())
        link = one_time_tokens.link_for(self._base_url, purpose, token) if self._hosted.read().is_on else None
        user = user_of(session, row)
        self._report(session, event, user, record, token=token, link=link)
        return user

    def _lock_out(self, session: Session, row: UserRow) -> None:
        row.updated_at = self._clock()
        _keep(session, row)
        ended = delete(UserSession).where(col(UserSession.user_id) == row.id)
        session.exec(ended.execution_options(synchronize_session=False))
        one_time_tokens.void(session, row.id)

    def _report(self, session: Session, event: type[UserEvent], user: User, record: Record | None, **more: Any) -> None:
        (record or self._record)(session, event(**event_fields(user), **more))


def _keep(session: Session, row: UserRow) -> None:
    row.folded_email = folded_email(row.email)
    row.search_text = search_text(row.email, row.first_name, row.last_name)
    session.add(row)
    session.flush()


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise BackendError(*faults)


def _refuse_taken(session: Session, email: str) -> None:
    if user_by_email(session, email) is not None:
        raise Conflict(Fault("user.email_taken", "Another user has this address. Use a different one.", "email"))
