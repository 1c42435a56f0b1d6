"""The people who use the editor: invited by link, with a role, and never without an owner among them."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from sqlmodel import Session, col, func, select

from backend import operator_links
from backend.errors import BackendError, Conflict, Fault, NotFound
from backend.operator_sessions import end_all
from backend.operator_values import ROLES, Operator, operator_of
from backend.transaction import writing
from backend.user_values import email_in, folded_email, name_in
from storage.database import Database
from storage.tables import OperatorRow


@dataclass(frozen=True)
class Invitation:
    """A new operator and the token of the link that lets them in."""

    operator: Operator
    token: str = field(repr=False)


class Operators:
    """Everything that can be done with operators. Raises BackendError; a refused call changed nothing."""

    def __init__(
        self,
        database: Database,
        *,
        new_id: Callable[[], str] = lambda: str(uuid4()),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._new_id = new_id
        self._clock = clock

    def list(self) -> builtins.list[Operator]:
        """Return everyone, owners first, then by address."""
        with self._database.read() as session:
            found = [operator_of(row) for row in session.exec(select(OperatorRow)).all()]
        return sorted(found, key=lambda each: (-ROLES.index(each.role), each.email))

    def get(self, operator_id: str) -> Operator:
        """Return one operator, by id or address; raises NotFound."""
        with self._database.read() as session:
            return operator_of(operator_row(session, operator_id))

    def has_owner(self) -> bool:
        """Return whether the installation was set up."""
        with self._database.read() as session:
            return owner_count(session) > 0

    def invite(self, email: str, role: str, name: str = "") -> Invitation:
        """Add an operator who is let in by the link of the answer; Conflict when there is one with this address."""
        row = new_row(email, name, role, self._new_id(), self._clock())
        with writing(self._database) as session:
            add(session, row)
            token = operator_links.issue(session, row, self._clock())
            return Invitation(operator_of(row), token)

    def link_for(self, operator_id: str) -> Invitation:
        """Return a new link for someone whose invitation expired, or who lost their password."""
        with writing(self._database) as session:
            row = operator_row(session, operator_id)
            if row.is_disabled:
                raise Conflict(Fault("operator.disabled", f"{row.email} is disabled. Enable them first."))
            return Invitation(operator_of(row), operator_links.issue(session, row, self._clock()))

    def set_up_link(self) -> str | None:
        """Return the token of a new link to create the first owner; None once there is an owner."""
        with writing(self._database) as session:
            return None if owner_count(session) else operator_links.issue(session, None, self._clock())

    def set_role(self, operator_id: str, role: str) -> Operator:
        """Give an operator another role; Conflict when that would leave no owner."""
        if faults := _role_faults(role):
            raise BackendError(*faults)
        with writing(self._database) as session:
            row = operator_row(session, operator_id)
            with _with_an_owner(session, row):
                row.role = role
            return operator_of(row)

    def disable(self, operator_id: str) -> Operator:
        """Sign an operator out and let them in no more; Conflict when that would leave no owner."""
        with writing(self._database) as session:
            row = operator_row(session, operator_id)
            with _with_an_owner(session, row):
                row.is_disabled = True
            end_all(session, row.id)
            operator_links.void(session, row.id)
            return operator_of(row)

    def enable(self, operator_id: str) -> Operator:
        """Let a disabled operator in again, with the password they had."""
        with writing(self._database) as session:
            row = operator_row(session, operator_id)
            row.is_disabled = False
            session.flush()
            return operator_of(row)

    def delete(self, operator_id: str) -> None:
        """Remove an operator; Conflict when that would leave no owner."""
        with writing(self._database) as session:
            row = operator_row(session, operator_id)
            with _with_an_owner(session, row):
                session.delete(row)

    def rename(self, operator_id: str, name: str) -> Operator:
        """Change what an operator is called."""
        faults: builtins.list[Fault] = []
        text = name_in(name, "name", faults)
        if faults:
            raise BackendError(*faults)
        with writing(self._database) as session:
            row = operator_row(session, operator_id)
            row.name = text
            session.flush()
            return operator_of(row)


def new_row(email: str, name: str, role: str, operator_id: str, now: datetime) -> OperatorRow:
    """Return the row of a new operator; raises BackendError with every fault."""
    faults: list[Fault] = []
    sound = email_in(email, "email", faults)
    called = name_in(name, "name", faults)
    faults.extend(_role_faults(role))
    if faults:
        raise BackendError(*faults)
    return OperatorRow(
        id=operator_id, email=sound, folded_email=folded_email(sound), name=called, role=role, created_at=now
    )


def add(session: Session, row: OperatorRow) -> None:
    """Write a new operator; Conflict when there is one with this address."""
    query = select(OperatorRow.id).where(OperatorRow.folded_email == row.folded_email)
    if session.exec(query).first() is not None:
        message = f"There is an operator {row.email} already. Make a new link for them, or change their role."
        raise Conflict(Fault("operator.exists", message, "email"))
    session.add(row)
    session.flush()


def operator_row(session: Session, key: str) -> OperatorRow:
    """Return an operator by id or address; raises NotFound."""
    row = session.get(OperatorRow, key)
    if row is None:
        row = session.exec(select(OperatorRow).where(OperatorRow.folded_email == folded_email(key))).first()
    if row is None:
        raise NotFound(Fault("operator.not_found", f"There is no operator “{key[:80]}”. They may have been removed."))
    return row


def owner_count(session: Session) -> int:
    """Return how many owners there are who can sign in."""
    query = select(func.count()).select_from(OperatorRow)
    return session.exec(
        query.where(
            OperatorRow.role == "owner",
            col(OperatorRow.password_hash).is_not(None),
            col(OperatorRow.is_disabled).is_(False),
        )
    ).one()


@contextmanager
def _with_an_owner(session: Session, row: OperatorRow) -> Iterator[None]:
    """Raise Conflict when what was done in the block took the last owner away."""
    before = owner_count(session)
    yield
    session.flush()
    if before and not owner_count(session):
        message = f"{row.email} is the only owner who can sign in. Make somebody else an owner first."
        raise Conflict(Fault("operator.last_owner", message))


def _role_faults(role: str) -> list[Fault]:
    if role in ROLES:
        return []
    return [Fault("operator.role_unknown", f"A role is one of {', '.join(ROLES)}.", "role")]
