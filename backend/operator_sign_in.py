"""How operators get in: with a link that works once, then with their password."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from sqlmodel import Session, select

from backend import operator_links
from backend.errors import BackendError, Conflict, Fault
from backend.operator_links import LinkView
from backend.operator_sessions import begin, end_all
from backend.operator_values import Operator, operator_of
from backend.operators import add, new_row, operator_row, owner_count
from backend.passwords import Busy, Passwords
from backend.throttle import RequestThrottle, SignInThrottle
from backend.transaction import writing
from backend.user_values import folded_email, name_in
from storage.database import Database
from storage.tables import OperatorRow

WRONG = Fault("operator.sign_in_wrong", "The email address or the password is wrong.")
NOT_YOURS = Fault("operator.password_wrong", "This is not your password.", "old")
LINK_VOID = Fault("operator.link_void", "This link has expired, or was used already. Ask an owner for a new one.")


@dataclass(frozen=True)
class SignedIn:
    """An operator who has just signed in, and the value of their cookie."""

    operator: Operator
    cookie: str = field(repr=False)


class OperatorSignIn:
    """Raises BackendError; a refused call changed nothing. Passwords are hashed beside the event loop.

    *address* is the client's, for the throttles.
    """

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        *,
        new_id: Callable[[], str] = lambda: str(uuid4()),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._new_id = new_id
        self._clock = clock
        self._sign_ins = SignInThrottle()
        self._links = RequestThrottle()

    def link(self, token: str, *, address: str = "") -> LinkView | None:
        """Return what a link is for, without using it up; None for one that is worthless. Raises Throttled."""
        self._links.token(address)
        with self._database.read() as session:
            found = operator_links.read(session, token, self._clock())
        if found is not None:
            self._links.token_was_not_wrong(address)
        return found

    async def accept(
        self, token: str, password: str, *, email: str = "", name: str = "", address: str = ""
    ) -> SignedIn:
        """Use a link up: set the password, for the set-up create the owner *email*, and sign in.

        Older sign-ins of the operator end. With every fault told, the link still works.
        """
        view = await asyncio.to_thread(lambda: self.link(token, address=address))
        if view is None:
            raise BackendError(LINK_VOID)
        faults: list[Fault] = []
        called = name_in(name, "name", faults)
        if faults:
            raise BackendError(*faults)
        first = None
        if view.operator_id is None:
            first = new_row(email, called, "owner", self._new_id(), self._clock())
        hashed = (await self._passwords.accept_soon(password)).text
        return await asyncio.to_thread(self._accept, token, hashed, first, called)

    async def sign_in(self, email: str, password: str, *, address: str = "") -> SignedIn:
        """Return a new sign-in; the same refusal and time for a wrong password, an unknown and a disabled address.

        Raises Throttled, and Busy.
        """
        attempt = self._sign_ins.begin(folded_email(email), address)
        row = await asyncio.to_thread(self._who, email)
        hashed = None if row is None or row.is_disabled else row.password_hash
        try:
            is_right = await self._passwords.verify_soon(hashed, password)
        except Busy:
            attempt.withdraw()
            raise
        if not is_right or row is None or hashed is None:
            raise BackendError(WRONG)
        attempt.succeeded()
        renewed = await self._passwords.hash_soon(password) if self._passwords.needs_rehash(hashed) else hashed
        return await asyncio.to_thread(self._sign_in, row.id, hashed, renewed)

    async def change_password(self, operator_id: str, old: str, new: str, *, keep: str | None = None) -> None:
        """Replace a password, knowing it; every sign-in ends but the one kept under the digest *keep*.

        Raises Throttled: whoever found a browser signed in must not guess the password there.
        """
        hashed = await asyncio.to_thread(self._password_of, operator_id)
        attempt = self._sign_ins.begin(operator_id, keep or "")
        try:
            is_right = await self._passwords.verify_soon(hashed, old)
        except Busy:
            attempt.withdraw()
            raise
        if not is_right:
            raise BackendError(NOT_YOURS)
        attempt.succeeded()
        renewed = (await self._passwords.accept_soon(new)).text
        await asyncio.to_thread(self._set_password, operator_id, hashed, renewed, keep)

    def _accept(self, token: str, hashed: str, first: OperatorRow | None, name: str) -> SignedIn:
        with writing(self._database) as session:
            now = self._clock()
            view = operator_links.consume(session, token, now)
            if view is None or (view.operator_id is None) != (first is not None):
                raise BackendError(LINK_VOID)
            row = operator_row(session, view.operator_id or "") if first is None else _first_owner(session, first)
            row.password_hash, row.name = hashed, name or row.name
            session.add(row)
            session.flush()
            end_all(session, row.id)
            return SignedIn(operator_of(row), begin(session, row.id, now))

    def _who(self, email: str) -> OperatorRow | None:
        with self._database.read() as session:
            return session.exec(select(OperatorRow).where(OperatorRow.folded_email == folded_email(email))).first()

    def _sign_in(self, operator_id: str, hashed: str, renewed: str) -> SignedIn:
        with writing(self._database) as session:
            row = session.get(OperatorRow, operator_id)
            if row is None or row.is_disabled or row.password_hash != hashed:  # changed while it was verified
                raise BackendError(WRONG)
            row.password_hash = renewed
            session.add(row)
            session.flush()
            return SignedIn(operator_of(row), begin(session, row.id, self._clock()))

    def _password_of(self, operator_id: str) -> str | None:
        with self._database.read() as session:
            return operator_row(session, operator_id).password_hash

    def _set_password(self, operator_id: str, hashed: str | None, renewed: str, keep: str | None) -> None:
        with writing(self._database) as session:
            row = operator_row(session, operator_id)
            if row.password_hash != hashed:  # changed while it was verified
                raise BackendError(NOT_YOURS)
            row.password_hash = renewed
            session.add(row)
            end_all(session, row.id, but=keep)
            operator_links.void(session, row.id)


def _first_owner(session: Session, row: OperatorRow) -> OperatorRow:
    if owner_count(session):
        raise Conflict(Fault("operator.set_up_already", "This Pulsewire has an owner already. Sign in."))
    add(session, row)
    return row
