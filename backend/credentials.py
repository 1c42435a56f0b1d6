"""Named, stored logins: flows name them, and nobody reads their secret again."""

from __future__ import annotations

import builtins
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

from sqlmodel import Session, select

from backend.credential_values import hosts_in, kind_faults, name_faults, secret_faults, settings_in
from backend.errors import BackendError, Conflict, Fault, NotFound
from backend.logins import Kind, Login
from backend.secrets import SecretBox
from backend.transaction import writing
from backend.user_values import is_printable
from storage.database import Database
from storage.tables import Credential as CredentialRow

OPENED = 1_000  # secrets that are not unlocked anew for every use


@dataclass(frozen=True)
class Credential:
    """What may be shown of a credential: everything but its secret. To those who may only see names, names."""

    id: str
    name: str
    kind: str
    settings: dict[str, Any] | None = None
    hosts: tuple[str, ...] | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the published shape; times are ISO 8601 in UTC."""
        shape: dict[str, Any] = {"id": self.id, "name": self.name, "kind": self.kind}
        if self.settings is None or self.created_at is None or self.updated_at is None:
            return shape
        return shape | {
            "settings": self.settings,
            "has_secret": True,
            "hosts": [*(self.hosts or ())],
            "created_at": self.created_at.isoformat().replace("+00:00", "Z"),
            "updated_at": self.updated_at.isoformat().replace("+00:00", "Z"),
        }


class Credentials:
    """The logins of an installation. *credential* is an id or a name, however its letters are cased.

    *changed* is called after each change. A name stays what it is, because flows hold it.
    """

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        changed: Callable[[], None] = lambda: None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._box = box
        self._changed = changed
        self._clock = clock
        self._opened: dict[str, str] = {}  # what was unlocked, by what was locked

    def list(self, *, names_only: bool = False) -> builtins.list[Credential]:
        """Return every credential by name; with *names_only* nothing but what flows need to name them."""
        with self._database.read() as session:
            rows = session.exec(select(CredentialRow).order_by(CredentialRow.folded_name)).all()
        return [Credential(row.id, row.name, row.kind) if names_only else _shown(row) for row in rows]

    def get(self, credential: str) -> Credential:
        """Return one credential; raises NotFound."""
        with self._database.read() as session:
            return _shown(find_credential(session, credential))

    def create(
        self,
        name: str,
        kind: str,
        secret: str,
        settings: Mapping[str, Any] | None = None,
        hosts: Sequence[str] = (),
    ) -> Credential:
        """Store a login; raises BackendError with every fault, Conflict for a name in use."""
        faults = [*name_faults(name), *kind_faults(kind)]
        if not any(fault.field == "kind" for fault in faults):
            sound = settings_in(kind, {} if settings is None else settings, faults)
            faults += secret_faults(kind, secret)
        allowed = hosts_in(hosts, faults)
        if faults:
            raise BackendError(*faults)
        now = self._clock()
        row = CredentialRow(
            id=str(uuid4()),
            name=name.strip(),
            folded_name=folded_credential(name),
            kind=kind,
            settings=sound,
            secret=self._box.encrypt(secret),
            hosts=allowed,
            created_at=now,
            updated_at=now,
        )
        with writing(self._database) as session:
            if session.exec(select(CredentialRow.id).where(CredentialRow.folded_name == row.folded_name)).first():
                message = "Another credential has this name. Choose a different one."
                raise Conflict(Fault("credential.name_taken", message, "name"))
            session.add(row)
        self._changed()
        return _shown(row)

    def update(
        self,
        credential: str,
        *,
        secret: str | None = None,
        settings: Mapping[str, Any] | None = None,
        hosts: Sequence[str] | None = None,
    ) -> Credential:
        """Change what is given. Without *secret* the stored one stays, as long as it goes to no other host.

        Raises NotFound, or BackendError with every fault.
        """
        with writing(self._database) as session:
            row, faults = find_credential(session, credential), builtins.list[Fault]()
            if settings is not None:
                row.settings = settings_in(row.kind, settings, faults)
            if secret is not None:
                faults += secret_faults(row.kind, secret)
            if hosts is not None:
                allowed = hosts_in(hosts, faults)
                if secret is None and not faults and not {*allowed} <= {*row.hosts}:
                    message = "Enter the secret again: it would go to a host that it did not go to before."
                    faults.append(Fault("credential.secret_missing", message, "secret"))
                row.hosts = allowed
            if faults:
                raise BackendError(*faults)
            if secret is not None:
                row.secret = self._box.encrypt(secret)
            row.updated_at = self._clock()
            session.add(row)
        self._changed()
        return _shown(row)

    def delete(self, credential: str) -> None:
        """Forget a login: webhooks that ask for it admit nobody, and requests that need it fail. Raises NotFound."""
        with writing(self._database) as session:
            session.delete(find_credential(session, credential))
        self._changed()

    def login(self, name: str) -> Login | None:
        """Return the login called *name* with its secret in clear, or None.

        Raises BackendError when it was locked with another key.
        """
        with self._database.read() as session:
            return self.login_in(session, name)

    def login_in(self, session: Session, name: str) -> Login | None:
        """Do ``login`` in the caller's transaction."""
        query = select(CredentialRow).where(CredentialRow.folded_name == folded_credential(name))
        row = session.exec(query).first()
        return None if row is None else self._login(row)

    def logins_in(self, session: Session) -> dict[str, Login]:
        """Return every login by its folded name, without those that this installation's key does not open."""
        found: dict[str, Login] = {}
        for row in session.exec(select(CredentialRow)):
            with suppress(BackendError):
                found[row.folded_name] = self._login(row)
        return found

    def _login(self, row: CredentialRow) -> Login:
        secret = self._opened.get(row.secret)
        if secret is None:
            if len(self._opened) >= OPENED:
                self._opened.clear()
            secret = self._opened[row.secret] = self._box.decrypt(row.secret)
        return Login(row.name, cast(Kind, row.kind), row.settings, secret, tuple(row.hosts))


def find_credential(session: Session, credential: str) -> CredentialRow:
    """Return the row of one credential by its id or name; raises NotFound."""
    row = None
    if isinstance(credential, str) and is_printable(credential):
        by_name = select(CredentialRow).where(CredentialRow.folded_name == folded_credential(credential))
        row = session.get(CredentialRow, credential) or session.exec(by_name).first()
    if row is None:
        raise NotFound(Fault("credential.not_found", "There is no such credential. It may have been deleted."))
    return row


def folded_credential(name: str) -> str:
    """Return what two names have in common when they count as the same."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _shown(row: CredentialRow) -> Credential:
    return Credential(row.id, row.name, row.kind, dict(row.settings), tuple(row.hosts), row.created_at, row.updated_at)
