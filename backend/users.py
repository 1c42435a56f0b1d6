"""The end users of the backend: what an administrator does to them, one transaction each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlmodel import Session

from backend.events import Record
from backend.hosted import HostedPages
from backend.passwords import PasswordHash, Passwords
from backend.transaction import writing
from backend.user_changes import UserChanges
from backend.user_pages import UserPage
from backend.user_queries import User
from storage.database import Database

__all__ = ["User", "UserPage", "Users"]


class Users(UserChanges):
    """Reports its events through *record*, in the transaction of the change, and calls *committed* after it.

    *user* is a user's id or address. A password given as text is checked and hashed here, which blocks; one that was
    hashed already is taken as it is. The methods ending in ``_in`` work in the caller's transaction.
    """

    def __init__(
        self,
        database: Database,
        record: Record,
        committed: Callable[[], None],
        passwords: Passwords,
        *,
        base_url: str,
        hosted: HostedPages,
        new_id: Callable[[], UUID] = uuid4,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(record, base_url=base_url, hosted=hosted, new_id=new_id, clock=clock)
        self._database = database
        self._committed = committed
        self._passwords = passwords

    def list(
        self,
        *,
        search: str | None = None,
        role: str | None = None,
        verified: bool | None = None,
        blocked: bool | None = None,
        sort: str = "-created_at",
        limit: int = 50,
        offset: int = 0,
    ) -> UserPage:
        """Return the users from *offset* on, and how many match; *role* is a role's id or name.

        *search* is looked for in address and names, however its letters are cased. Raises BackendError with ``sort``,
        ``limit``, ``offset`` or ``search``, NotFound for a role that does not exist.
        """
        with self._database.read() as session:
            return self.list_in(
                session,
                search=search,
                role=role,
                verified=verified,
                blocked=blocked,
                sort=sort,
                limit=limit,
                offset=offset,
            )

    def get(self, user: str) -> User:
        """Return one user; raises NotFound."""
        with self._database.read() as session:
            return self.get_in(session, user)

    def create(
        self,
        email: str,
        *,
        password: str | PasswordHash | None = None,
        first_name: str = "",
        last_name: str = "",
        roles: Iterable[str] = (),
        is_verified: bool = False,
    ) -> User:
        """Make a user, which reports nothing; raises BackendError with every fault, Conflict for an address in use."""
        hashed = None if password is None else self._hashed(password)
        with self._changing() as session:
            return self.create_in(
                session,
                email,
                password=hashed,
                first_name=first_name,
                last_name=last_name,
                roles=roles,
                is_verified=is_verified,
            )

    def update(
        self,
        user: str,
        *,
        email: str | None = None,
        first_name: str | None = None,
        last_name: str | None = None,
        is_verified: bool | None = None,
    ) -> User:
        """Change what is given, which reports nothing; another address is not verified unless *is_verified* says so.

        Raises NotFound, Conflict for an address in use, or BackendError with every fault.
        """
        with self._changing() as session:
            return self.update_in(
                session, user, email=email, first_name=first_name, last_name=last_name, is_verified=is_verified
            )

    def set_password(self, user: str, password: str | PasswordHash) -> User:
        """Set a password, end every session and void every token; reports nothing."""
        hashed = self._hashed(password)
        with self._changing() as session:
            return self.set_password_in(session, user, hashed)

    def set_roles(self, user: str, names: Iterable[str]) -> User:
        """Give the user these roles and no others; reported where something changed."""
        with self._changing() as session:
            return self.set_roles_in(session, user, names)

    def block(self, user: str) -> User:
        """Keep the user from signing in and end every session; reported unless blocked before."""
        with self._changing() as session:
            return self.block_in(session, user)

    def unblock(self, user: str) -> User:
        """Let the user sign in again; reports nothing."""
        with self._changing() as session:
            return self.unblock_in(session, user)

    def delete(self, user: str) -> None:
        """Delete the user with everything that is theirs."""
        with self._changing() as session:
            self.delete_in(session, user)

    def request_verification(self, user: str) -> User:
        """Report that the address is to be verified, with a new token; Conflict for one who is verified or blocked."""
        with self._changing() as session:
            return self.request_verification_in(session, user)

    def request_reset(self, user: str) -> User:
        """Report that a new password was asked for, with a new token; Conflict for one who is blocked."""
        with self._changing() as session:
            return self.request_reset_in(session, user)

    @contextmanager
    def _changing(self) -> Iterator[Session]:
        with writing(self._database) as session:
            yield session
        self._committed()

    def _hashed(self, password: str | PasswordHash) -> PasswordHash:
        return password if isinstance(password, PasswordHash) else self._passwords.accept(password)
