"""End users as a running step sees and changes them, in the step's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from sqlmodel import Session

from backend.errors import BackendError, Conflict, Fault
from backend.events import Record
from backend.passwords import PasswordHash, Passwords
from backend.roles import roles_named
from backend.user_changes import UserChanges
from backend.user_queries import User, user_by_email
from backend.user_values import email_in, name_in
from nodes.spec import Json, NodeError
from runtime.node_errors import as_node_errors, undeclared

COLUMNS = {"email_verified": "is_verified"}  # the published name -> the backend's


class StepPasswords:
    """Hashes beside the event loop."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    async def hash(self, password: str) -> PasswordHash:
        """Return a new password as it may be stored; raises NodeError, TemporaryError when too many wait."""
        with as_node_errors():
            return await self._passwords.accept_soon(password)


class StepUsers:
    """*record* takes the events of what is done; without it nothing may be done. *refuse* raises for secrets."""

    def __init__(
        self, users: UserChanges, session: Session, record: Record | None, refuse: Callable[[Json], None]
    ) -> None:
        self._users = users
        self._session = session
        self._record = record
        self._refuse = refuse

    def get(self, by: Literal["email", "id"], value: str) -> dict[str, Json]:
        with as_node_errors():
            if ("@" in value) != (by == "email"):
                raise NodeError("There is no such user. It may have been deleted.", code="user.not_found")
            return self._users.get_in(self._session, value).as_json()

    def find(
        self,
        *,
        search: str = "",
        role: str | None = None,
        email_verified: bool | None = None,
        blocked: bool | None = None,
        limit: int = 100,
    ) -> list[dict[str, Json]]:
        with as_node_errors():
            page = self._users.list_in(
                self._session,
                search=search or None,
                role=role,
                verified=email_verified,
                blocked=blocked,
                limit=limit,
            )
        return [user.as_json() for user in page.users]

    def check(self, values: Mapping[str, Json], *, user_id: str | None = None) -> dict[str, Json]:
        self._refuse(dict(values))
        faults: list[Fault] = []
        checked = dict(values)
        with as_node_errors():
            if "email" in values:
                checked["email"] = email_in(values["email"], "email", faults)
            for name in ("first_name", "last_name"):
                if name in values:
                    checked[name] = name_in(values[name], name, faults)
            if "roles" in values:
                roles_named(self._session, values["roles"], faults)
            if faults:
                raise BackendError(*faults)
            found = user_by_email(self._session, checked["email"]) if "email" in values else None
            if found is not None and found.id != user_id:
                raise Conflict(
                    Fault("user.email_taken", "Another user has this address. Use a different one.", "email")
                )
        return checked

    def create(
        self,
        email: str,
        *,
        password: object | None = None,
        first_name: str = "",
        last_name: str = "",
        roles: Sequence[str] = (),
        email_verified: bool = False,
    ) -> dict[str, Json]:
        self._refuse([email, first_name, last_name, *roles])
        return self._done(
            self._users.create_in,
            email,
            password=_hashed(password),
            first_name=first_name,
            last_name=last_name,
            roles=roles,
            is_verified=email_verified,
        )

    def update(self, user_id: str, values: Mapping[str, Json], *, password: object | None = None) -> dict[str, Json]:
        self._refuse(dict(values))
        changes = {COLUMNS.get(name, name): value for name, value in values.items()}
        updated = self._done(self._users.update_in, user_id, **changes)
        if (hashed := _hashed(password)) is None:
            return updated
        return self._done(self._users.set_password_in, user_id, hashed)

    def delete(self, user_id: str) -> dict[str, Json]:
        return self._done(self._users.delete_in, user_id, record=self._record)

    def set_roles(self, user_id: str, names: Sequence[str]) -> dict[str, Json]:
        return self._done(self._users.set_roles_in, user_id, names, record=self._record)

    def block(self, user_id: str) -> dict[str, Json]:
        return self._done(self._users.block_in, user_id, record=self._record)

    def unblock(self, user_id: str) -> dict[str, Json]:
        return self._done(self._users.unblock_in, user_id)

    def send_verification(self, user_id: str) -> dict[str, Json]:
        return self._done(self._users.request_verification_in, user_id, record=self._record)

    def send_password_reset(self, user_id: str) -> dict[str, Json]:
        return self._done(self._users.request_reset_in, user_id, record=self._record)

    def _done(self, change: Callable[..., User], *given: Any, **named: Any) -> dict[str, Json]:
        if self._record is None:
            raise undeclared("write")
        with as_node_errors():
            return change(self._session, *given, **named).as_json()


def _hashed(password: object | None) -> PasswordHash | None:
    if password is None or isinstance(password, PasswordHash):
        return password
    raise NodeError("A password is hashed before it is kept.", code="password.not_hashed")
