"""The roles that end users may have. What a role allows is up to whoever reads it in an event or a session."""

from __future__ import annotations

import builtins
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backend.errors import BackendError, Conflict, Fault, NotFound
from backend.events import Record, UserRolesChanged
from backend.transaction import writing
from backend.user_queries import event_fields, users_of
from backend.user_values import is_printable
from storage.database import Database
from storage.tables import RoleRow, UserRole, UserRow

NAME_CHARS = 100
DESCRIPTION_CHARS = 2_000
ROLES_OF_A_USER = 100
LOSERS = 1_000  # how many users may lose a role by its being deleted
NAMES_TOLD = 20


@dataclass(frozen=True)
class Role:
    """A role, and how many users have it."""

    id: str
    name: str
    description: str
    user_count: int

    def as_json(self) -> dict[str, Any]:
        """Return the published shape."""
        return {**vars(self)}


class Roles:
    """Reports through *record* who loses a role that is deleted, and calls *committed* after it.

    *role* is a role's id or its name, however its letters are cased.
    """

    def __init__(
        self,
        database: Database,
        record: Record,
        committed: Callable[[], None] = lambda: None,
        *,
        new_id: Callable[[], UUID] = uuid4,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._record = record
        self._committed = committed
        self._new_id = new_id
        self._clock = clock

    def list(self) -> builtins.list[Role]:
        """Return every role by name."""
        with self._database.read() as session:
            rows = session.exec(select(RoleRow).order_by(RoleRow.folded_name)).all()
            counts = dict(session.exec(select(UserRole.role_id, sa.func.count()).group_by(UserRole.role_id)).all())
        return [_role(row, counts.get(row.id, 0)) for row in rows]

    def get(self, role: str) -> Role:
        """Return one role; raises NotFound."""
        with self._database.read() as session:
            row = find_role(session, role)
            return _role(row, _user_count(session, row))

    def create(self, name: str, description: str = "") -> Role:
        """Make a role that nobody has; raises BackendError with every fault, Conflict for a name in use."""
        _refuse(*_name_faults(name), *_description_faults(description))
        row = RoleRow(
            id=str(self._new_id()),
            name=name.strip(),
            folded_name=folded_role(name),
            description=description,
            created_at=self._clock(),
        )
        with self._changing() as session:
            _refuse_taken(session, row)
            session.add(row)
        return _role(row, 0)

    def update(self, role: str, *, name: str | None = None, description: str | None = None) -> Role:
        """Change what is given. Another name is the same role, so nobody's roles change.

        Raises NotFound, Conflict for a name in use, or BackendError with every fault.
        """
        _refuse(
            *(_name_faults(name) if name is not None else ()),
            *(_description_faults(description) if description is not None else ()),
        )
        with self._changing() as session:
            row = find_role(session, role)
            if name is not None:
                row.name, row.folded_name = name.strip(), folded_role(name)
                _refuse_taken(session, row)
            if description is not None:
                row.description = description
            session.add(row)
            session.flush()
            return _role(row, _user_count(session, row))

    def delete(self, role: str) -> None:
        """Delete a role and report each user who loses it; raises NotFound, or Conflict where that is too many."""
        with self._changing() as session:
            row = find_role(session, role)
            if (count := _user_count(session, row)) > LOSERS:
                message = f"{count:,} users have this role. Take it from them first, down to {LOSERS:,}."
                raise Conflict(Fault("role.in_use", message))
            losers = session.exec(
                select(UserRow)
                .join(UserRole, col(UserRole.user_id) == col(UserRow.id))
                .where(UserRole.role_id == row.id)
                .order_by(UserRow.folded_email)
            ).all()
            session.delete(row)
            session.flush()
            now = self._clock()
            for loser in losers:
                loser.updated_at = now
                session.add(loser)
            for user in users_of(session, losers):
                self._record(session, UserRolesChanged(**event_fields(user)))

    @contextmanager
    def _changing(self) -> Iterator[Session]:
        with writing(self._database) as session:
            yield session
        self._committed()


def find_role(session: Session, role: str) -> RoleRow:
    """Return the row of one role by its id or name; raises NotFound."""
    row = None
    if isinstance(role, str) and is_printable(role):
        row = (
            session.get(RoleRow, role)
            or session.exec(select(RoleRow).where(RoleRow.folded_name == folded_role(role))).first()
        )
    if row is None:
        raise NotFound(Fault("role.not_found", "There is no such role. It may have been deleted."))
    return row


def roles_named(session: Session, names: Iterable[str], faults: builtins.list[Fault]) -> builtins.list[str]:
    """Return the ids of the roles with these names, once each; adds to *faults* what is no role's name."""
    wanted = [names] if isinstance(names, str) else [*names]
    if not wanted:
        return []
    if len(wanted) > ROLES_OF_A_USER:
        faults.append(Fault("user.too_many_roles", f"A user has at most {ROLES_OF_A_USER} roles.", "roles"))
        return []
    by_name = {row.folded_name: row for row in session.exec(select(RoleRow).order_by(RoleRow.folded_name))}
    found = {name: by_name.get(folded_role(name)) if isinstance(name, str) else None for name in wanted}
    if unknown := [str(name) for name, row in found.items() if row is None]:
        faults.append(_unknown(unknown, [row.name for row in by_name.values()]))
    return [*dict.fromkeys(row.id for row in found.values() if row is not None)]


def folded_role(name: str) -> str:
    """Return what two role names have in common when they count as the same."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _unknown(names: builtins.list[str], known: builtins.list[str]) -> Fault:
    said = ", ".join(f"“{_shown(name)}”" for name in names[:NAMES_TOLD])
    there = ", ".join(known[:NAMES_TOLD]) + (", …" if len(known) > NAMES_TOLD else "")
    has = f"There are: {there}." if known else "There are none yet."
    return Fault(
        "user.role_unknown", f"There is no role called {said}. {has} Make it on the Roles page first.", "roles"
    )


def _shown(name: str) -> str:
    short = name if len(name) <= NAME_CHARS else f"{name[:NAME_CHARS]}…"
    return short.encode(errors="replace").decode()


def _name_faults(name: object) -> Iterator[Fault]:
    if not isinstance(name, str) or not 0 < len(name.strip()) <= NAME_CHARS or not is_printable(name):
        message = f"A role needs a name of at most {NAME_CHARS} printable characters on one line."
        yield Fault("role.name_invalid", message, "name")


def _description_faults(text: object) -> Iterator[Fault]:
    is_text = isinstance(text, str) and len(text) <= DESCRIPTION_CHARS
    if not is_text or not all(char in "\n\r\t" or is_printable(char) for char in str(text)):
        message = f"A description is text of at most {DESCRIPTION_CHARS:,} printable characters."
        yield Fault("role.description_invalid", message, "description")


def _refuse(*faults: Fault) -> None:
    if faults:
        raise BackendError(*faults)


def _refuse_taken(session: Session, row: RoleRow) -> None:
    with session.no_autoflush:
        taken = session.exec(select(RoleRow.id).where(RoleRow.folded_name == row.folded_name)).first()
    if taken not in (None, row.id):
        raise Conflict(Fault("role.name_taken", "Another role has this name. Choose a different one.", "name"))


def _user_count(session: Session, row: RoleRow) -> int:
    return session.exec(select(sa.func.count()).select_from(UserRole).where(UserRole.role_id == row.id)).one()


def _role(row: RoleRow, user_count: int) -> Role:
    return Role(row.id, row.name, row.description, user_count)
