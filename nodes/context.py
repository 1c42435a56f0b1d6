"""What a step is given to act with: HTTP client, mail, tables, users, events and clock, behind ``ctx``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

Json: TypeAlias = Any  # a value that JSON can hold: None, bool, int, float, str, list or dict of these


@dataclass(frozen=True)
class Email:
    """A message as a flow describes it; addresses are single addr-specs, optionally with a display name."""

    to: Sequence[str]
    subject: str
    text: str | None = None
    html: str | None = None
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    reply_to: str | None = None


@dataclass(frozen=True)
class SentEmail:
    """*via* is ``smtp`` or ``mailbox``."""

    message_id: str
    via: str


@dataclass(frozen=True)
class HttpResponse:
    """A whole answer; *body* is at most the outbound limit and already decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http(Protocol):
    def check(self, url: str, headers: Mapping[str, str]) -> None:
        """Raise NodeError for an address or headers that no request can have; nothing is looked up."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 30,
        credential: str | None = None,
    ) -> HttpResponse:
        """Send one request through the guarded client; raises NodeError or TemporaryError.

        *credential* is the name of a stored login that the platform adds, if it may go to that host.
        """


class Mail(Protocol):
    def preview(self, email: Email) -> dict[str, Json]:
        """Return the message as it would leave: ``from``, ``to``, ``subject``, ``text``, ``html``, ``via``.

        Raises NodeError for an address or header that cannot be sent.
        """

    async def send(self, email: Email, *, idempotency_key: str) -> SentEmail: ...


class Tables(Protocol):
    """Datahub rows, inside the transaction of the step. *table* is a table's name or id. Raises NodeError."""

    def find(
        self, table: str, where: Json = None, *, order_by: str | None = None, limit: int = 100
    ) -> list[dict[str, Json]]: ...
    def count(self, table: str, where: Json = None) -> int: ...
    def check(self, table: str, values: Mapping[str, Json], *, partial: bool = False) -> dict[str, Json]:
        """Return *values* as they would be stored, without storing them."""

    def insert(self, table: str, values: Mapping[str, Json]) -> dict[str, Json]: ...
    def update(self, table: str, where: Json, values: Mapping[str, Json]) -> int: ...
    def delete(self, table: str, where: Json) -> int: ...


class Passwords(Protocol):
    async def hash(self, password: str) -> object:
        """Return *password* as it may be stored, for ``ctx.users`` alone; it takes a moment, so call it in ``before``.

        Raises NodeError for a password that the rule does not allow, TemporaryError when too many wait.
        """


class Users(Protocol):
    """End users, inside the transaction of the step; their events start flows as everywhere. Raises NodeError.

    A user is ``{"id", "email", "first_name", "last_name", "roles", "email_verified", "blocked", "created_at",
    "updated_at", "last_login_at"}``. A *password* is what ``ctx.passwords.hash`` gave. Those that write return
    the user as it is afterwards, ``delete`` as it was.
    """

    def get(self, by: Literal["email", "id"], value: str) -> dict[str, Json]:
        """Return the user; raises NodeError (``user.not_found``) where there is none."""

    def find(
        self,
        *,
        search: str = "",
        role: str | None = None,
        email_verified: bool | None = None,
        blocked: bool | None = None,
        limit: int = 100,
    ) -> list[dict[str, Json]]: ...
    def check(self, values: Mapping[str, Json], *, user_id: str | None = None) -> dict[str, Json]:
        """Return *values* (``email``, ``first_name``, ``last_name``, ``roles``, ``email_verified``) as they would be
        stored, without storing them: of the user *user_id*, or of a new one."""

    def create(
        self,
        email: str,
        *,
        password: object | None = None,
        first_name: str = "",
        last_name: str = "",
        roles: Sequence[str] = (),
        email_verified: bool = False,
    ) -> dict[str, Json]: ...
    def update(self, user_id: str, values: Mapping[str, Json], *, password: object | None = None) -> dict[str, Json]:
        """Change only what *values* names: ``email``, ``first_name``, ``last_name``, ``email_verified``."""

    def delete(self, user_id: str) -> dict[str, Json]: ...
    def set_roles(self, user_id: str, names: Sequence[str]) -> dict[str, Json]: ...
    def block(self, user_id: str) -> dict[str, Json]: ...
    def unblock(self, user_id: str) -> dict[str, Json]: ...
    def send_verification(self, user_id: str) -> dict[str, Json]:
        """Emit the event that asks for a verification mail, with a new token that the caller never sees."""

    def send_password_reset(self, user_id: str) -> dict[str, Json]:
        """Emit the event that asks for a reset mail, with a new token that the caller never sees."""


class Events(Protocol):
    def emit(self, name: str, payload: Mapping[str, Json]) -> str:
        """Record an event in the transaction of the step and return its id."""


class Context(Protocol):
    """What a running step is given."""

    @property
    def idempotency_key(self) -> str: ...  # the same in every attempt of this step
    @property
    def now(self) -> datetime: ...  # UTC, recorded at the start of the run
    @property
    def time(self) -> datetime: ...  # UTC, of this call; what is worked out with it has to be kept in the output
    @property
    def http(self) -> Http: ...
    @property
    def mail(self) -> Mail: ...
    @property
    def tables(self) -> Tables: ...
    @property
    def events(self) -> Events: ...
    @property
    def users(self) -> Users: ...
    @property
    def passwords(self) -> Passwords: ...
    @property
    def approval_link(self) -> str: ...  # where a person decides, if this step waits for an approval
    @property
    def prepared(self) -> Any: ...  # what the node's ``before`` gave; None where it has none
