"""Every table the platform itself keeps. Rows of the person's own data tables are made by ``backend/datahub``.

Points in time are UTC, stored as whole microseconds since 1970; JSON is stored as text.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlmodel import Field, SQLModel

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(moment: datetime) -> int:
    """Return *moment* as whole microseconds since 1970, as the hot tables store it."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_us(value: int) -> datetime:
    """Return the UTC time that ``to_us`` stored."""
    return EPOCH + timedelta(microseconds=value)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as whole microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_us(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_us(value)


class JsonText(TypeDecorator[Any]):
    """A JSON value, stored as text; SQL NULL is None."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else orjson.dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else orjson.loads(value)


def _now() -> datetime:
    return datetime.now(UTC)


def _time(*, nullable: bool = False, index: bool = False) -> Any:
    return Column(UtcTime, nullable=nullable, index=index)


class Flow(SQLModel, table=True):
    """One flow: its draft document, which *revision* counts, and the version that is live."""

    __tablename__ = "flow"
    __table_args__ = (  # all there is to know about a flow whose runs have to wait, without its draft
        Index(
            "ix_flow_admission", "id", "state", "limits", sqlite_where=text("state = 'paused' OR limits IS NOT NULL")
        ),
    )

    id: str = Field(primary_key=True)
    name: str
    state: str = "draft"  # draft, published, paused
    draft: dict[str, Any] = Field(sa_column=Column(JsonText, nullable=False))
    revision: int = 1
    published_version: int | None = None
    published_revision: int | None = None  # the draft revision that the live version was made of
    limits: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))  # the live version's: see Head
    notice: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))  # code, message, at: why it paused
    created_at: datetime = Field(default_factory=_now, sa_column=_time())
    updated_at: datetime = Field(default_factory=_now, sa_column=_time())


class FlowVersion(SQLModel, table=True):
    """A published document; never changed."""

    __tablename__ = "flow_version"

    flow_id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    document: dict[str, Any] = Field(sa_column=Column(JsonText, nullable=False))
    created_at: datetime = Field(default_factory=_now, sa_column=_time())


class FlowEdit(SQLModel, table=True):
    """One undoable change of a draft: its operations and their inverse."""

    __tablename__ = "flow_edit"
    __table_args__ = (Index("ix_flow_edit_flow", "flow_id", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    flow_id: str
    operations: list[dict[str, Any]] = Field(sa_column=Column(JsonText, nullable=False))
    inverse: list[dict[str, Any]] = Field(sa_column=Column(JsonText, nullable=False))
    merge_key: str | None = None
    is_undone: bool = False
    edited_at: datetime = Field(default_factory=_now, sa_column=_time())


class Subscription(SQLModel, table=True):
    """A trigger of a live flow: which events start it."""

    __tablename__ = "subscription"

    flow_id: str = Field(primary_key=True)
    node: str = Field(primary_key=True)
    version: int
    event: str = Field(index=True)
    match: dict[str, Any] = Field(sa_column=Column(JsonText, nullable=False))


class Schedule(SQLModel, table=True):
    """A trigger of a live flow that fires at its times; *spec* has ``cron`` or ``every_s``, and ``timezone``."""

    __tablename__ = "schedule"

    flow_id: str = Field(primary_key=True)
    node: str = Field(primary_key=True)
    version: int
    spec: dict[str, Any] = Field(sa_column=Column(JsonText, nullable=False))
    next_due_at: datetime | None = Field(default=None, sa_column=_time(nullable=True, index=True))
    last_due_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    generation: int = 0  # raised when the clock was set back, so that a time of day may come again


class Webhook(SQLModel, table=True):
    """A webhook of a live flow: one trigger for each path and method (``ANY`` takes every method)."""

    __tablename__ = "webhook"

    path: str = Field(primary_key=True)
    method: str = Field(primary_key=True)
    flow_id: str = Field(index=True)
    node: str
    version: int
    params: dict[str, Any] = Field(sa_column=Column(JsonText, nullable=False))


class Credential(SQLModel, table=True):
    """A named login: its *secret* is locked, *settings* are not secret; it goes to *hosts* only."""

    __tablename__ = "credential"

    id: str = Field(primary_key=True)
    name: str
    folded_name: str = Field(unique=True)
    kind: str  # basic, bearer, header, hmac, standard_webhooks
    settings: dict[str, Any] = Field(sa_column=Column(JsonText, nullable=False))
    secret: str
    hosts: list[str] = Field(sa_column=Column(JsonText, nullable=False))
    created_at: datetime = Field(default_factory=_now, sa_column=_time())
    updated_at: datetime = Field(default_factory=_now, sa_column=_time())


class EngineLease(SQLModel, table=True):
    """Who may write as the engine: *epoch* is raised by every owner; one with an older epoch commits nothing."""

    __tablename__ = "engine_lease"

    name: str = Field(primary_key=True)
    owner: str
    epoch: int
    beat_at: datetime = Field(sa_column=_time())


class EventRow(SQLModel, table=True):
    """An event that was accepted. *path* names the flows that led to it; secrets in *payload* are masked."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_sealed", "id", sqlite_where=text("sealed <> ''")),
        Index("ix_event_root", "root_id", sqlite_where=text("depth > 1")),  # to count what one cause has led to
    )

    id: str = Field(primary_key=True)
    name: str
    payload: dict[str, Any] = Field(sa_column=Column(JsonText, nullable=False))
    digest: str | None = None  # of name and payload, where the sender chose the id
    root_id: str
    parent_run: int | None = None
    depth: int = 0
    path: list[str] = Field(sa_column=Column(JsonText, nullable=False))
    sealed: str | None = None  # locked: the payload in clear, with its secrets; empty: it was once
    created_at: datetime = Field(default_factory=_now, sa_column=_time())


class RunRow(SQLModel, table=True):
    """One execution of a flow version, or of the draft in *document* when it is a test."""

    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_flow", "flow_id", "id"),
        Index("ix_run_status", "status", "id"),
        Index("ix_run_flow_status", "flow_id", "status", "id"),
        Index("ix_run_ended", "flow_id", "ended_at", sqlite_where=text("ended_at IS NOT NULL")),  # the oldest go first
        Index("ix_run_wake", "wake_at", sqlite_where=text("wake_at IS NOT NULL")),
        Index("ix_run_test", "flow_id", "id", sqlite_where=text("is_test = 1")),
        Index("ix_run_queued", "flow_id", "id", sqlite_where=text("status = 'queued'")),
        Index("ix_run_started", "flow_id", "started_at", sqlite_where=text("key IS NOT NULL")),  # of limited flows
        Index("ix_run_dead", "id", sqlite_where=text("is_dead = 1")),
        Index("ix_run_parent", "parent_run", sqlite_where=text("parent_run IS NOT NULL")),
        {"sqlite_autoincrement": True},  # an id is never used twice
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    flow_id: str
    version: int | None = None
    document: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))
    trigger: str  # the node it starts at
    event_id: str | None = Field(default=None, index=True)
    payload: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))  # None: the event's
    status: str = "queued"  # queued, running, waiting, succeeded, failed, cancelled
    is_test: bool = False
    is_simulated: bool = False
    epoch: int = 0  # raised by every claim; a write with an older one is refused
    parent_run: int | None = None  # the run this one retries
    scope: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))  # of a test: until, only or from
    key: str | None = None  # runs of one flow with the same key keep their order; empty: limited, without a key
    crashes: int = 0  # engines that died while it was under way
    is_dead: bool = False  # given up because it stopped one engine after the other
    called_by: int | None = None  # the wait of the step that called it as a sub-flow
    output: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))  # what it returned
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))  # message, code, node
    wake_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    created_at: datetime = Field(default_factory=_now, sa_column=_time())
    started_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    ended_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class StepRow(SQLModel, table=True):
    """One node's execution within a run; *iteration* is empty outside a loop. Secrets in it are masked."""

    __tablename__ = "step"
    __table_args__ = (
        Index("ix_step_sealed", "run_id", sqlite_where=text("sealed <> ''")),
        {"sqlite_with_rowid": False},
    )

    run_id: int = Field(primary_key=True)
    node: str = Field(primary_key=True)
    iteration: str = Field(default="", primary_key=True)
    attempt: int = 1
    status: str  # planned, running, waiting, succeeded, failed, skipped, unknown
    port: str | None = None
    input: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))
    output: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))  # message, code, step
    effect: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))
    input_hash: str | None = None  # of what it was called with; every attempt of an effect has the same
    sealed: str | None = None  # locked: the output in clear, where *output* is masked; empty: it was once
    started_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    ended_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class WaitRow(SQLModel, table=True):
    """What a suspended step waits for; *resolution* is how it goes on: ``port`` and ``output``, or ``error``."""

    __tablename__ = "wait"
    __table_args__ = (
        UniqueConstraint("run_id", "node", "iteration"),
        Index("ix_wait_event", "event", "match_fields", "match_digest", sqlite_where=text("resolved_at IS NULL")),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    run_id: int
    node: str
    iteration: str = ""
    kind: str  # event, approval, run
    event: str | None = None
    match: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))
    match_fields: str | None = None  # of an event: see storage/journal_waits.py
    match_digest: str | None = None
    token_digest: str | None = Field(default=None, unique=True)
    resolution: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))
    created_at: datetime = Field(default_factory=_now, sa_column=_time())
    resolved_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class WaitEvent(SQLModel, table=True):
    """An event that may be the one a step waits for; the engine looks at it when the run goes on."""

    __tablename__ = "wait_event"
    __table_args__ = (Index("ix_wait_event_event", "event_id"),)

    wait_id: int = Field(primary_key=True)
    event_id: str = Field(primary_key=True)


class DataTable(SQLModel, table=True):
    """A person's table: its settings. The rows live in the SQL table named *physical*."""

    __tablename__ = "data_table"

    id: str = Field(primary_key=True)
    name: str
    folded_name: str = Field(unique=True)  # casefolded, so that two names never differ in case alone
    description: str = ""
    physical: str = Field(unique=True)
    columns: list[dict[str, Any]] = Field(sa_column=Column(JsonText, nullable=False))
    created_at: datetime = Field(default_factory=_now, sa_column=_time())
    updated_at: datetime = Field(default_factory=_now, sa_column=_time())


class MailboxMessage(SQLModel, table=True):
    """A message the built-in mailbox kept, as it would have left; *subject* and *source* are locked."""

    __tablename__ = "mailbox_message"
    __table_args__ = (UniqueConstraint("idempotency_key"),)

    id: int | None = Field(default=None, primary_key=True)
    idempotency_key: str
    message_id: str
    sender: str
    recipients: list[str] = Field(sa_column=Column(JsonText, nullable=False))
    subject: str
    source: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    run_id: int | None = None
    has_secret: bool = False  # it carries a live token or link
    is_read: bool = False
    created_at: datetime = Field(default_factory=_now, sa_column=_time())


class ApiKey(SQLModel, table=True):
    """An API key: only its SHA-256 is kept, and its first characters to tell it apart."""

    __tablename__ = "api_key"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    prefix: str
    digest: str = Field(unique=True)
    role: str = "owner"  # owner, editor, viewer
    created_at: datetime = Field(default_factory=_now, sa_column=_time())
    last_used_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class Setting(SQLModel, table=True):
    """One settings group, such as ``smtp``; secrets inside it are encrypted."""

    __tablename__ = "setting"

    key: str = Field(primary_key=True)
    value: dict[str, Any] = Field(sa_column=Column(JsonText, nullable=False))
    updated_at: datetime = Field(default_factory=_now, sa_column=_time())


class UserRow(SQLModel, table=True):
    """An end user. *folded_email* is what two addresses are compared by; mail goes to *email*.

    *search_text* is address and names, casefolded; see ``backend/user_queries.py``.
    """

    __tablename__ = "account"
    __table_args__ = (Index("ix_account_created", "created_at", "id"),)

    id: str = Field(primary_key=True)
    email: str
    folded_email: str = Field(unique=True)
    first_name: str = ""
    last_name: str = ""
    search_text: str = ""
    password_hash: str | None = None  # argon2id; None: cannot sign in with a password
    is_verified: bool = False
    is_blocked: bool = False
    created_at: datetime = Field(default_factory=_now, sa_column=_time())
    updated_at: datetime = Field(default_factory=_now, sa_column=_time())
    last_login_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class RoleRow(SQLModel, table=True):
    """A role that end users may have."""

    __tablename__ = "role"

    id: str = Field(primary_key=True)
    name: str
    folded_name: str = Field(unique=True)
    description: str = ""
    created_at: datetime = Field(default_factory=_now, sa_column=_time())


class UserRole(SQLModel, table=True):
    """Which user has which role."""

    __tablename__ = "account_role"

    user_id: str = Field(primary_key=True, foreign_key="account.id", ondelete="CASCADE")
    role_id: str = Field(primary_key=True, foreign_key="role.id", ondelete="CASCADE", index=True)


class UserSession(SQLModel, table=True):
    """An end user's sign-in: digests of its tokens only."""

    __tablename__ = "user_session"

    id: str = Field(primary_key=True)
    user_id: str = Field(foreign_key="account.id", ondelete="CASCADE", index=True)
    access_digest: str = Field(unique=True)
    access_expires_at: datetime = Field(sa_column=_time())
    refresh_digest: str  # of the refresh token that came with the access token
    csrf_digest: str | None = None  # of the anti-CSRF token; None: the tokens travel in headers
    created_at: datetime = Field(default_factory=_now, sa_column=_time())
    expires_at: datetime = Field(sa_column=_time(index=True))


class RefreshToken(SQLModel, table=True):
    """A refresh token that was given out, by its digest; it stays when it was exchanged, to be known again."""

    __tablename__ = "refresh_token"

    digest: str = Field(primary_key=True)
    session_id: str = Field(foreign_key="user_session.id", ondelete="CASCADE", index=True)
    parent: str | None = Field(default=None, index=True)  # the digest of the one it was exchanged for
    is_confirmed: bool = False  # it, or the access token that came with it, has been used
    created_at: datetime = Field(default_factory=_now, sa_column=_time(index=True))


class OneTimeToken(SQLModel, table=True):
    """A token that was mailed to a user, by its digest: for one purpose, one use and the address it went to."""

    __tablename__ = "one_time_token"
    __table_args__ = (Index("ix_one_time_token_user", "user_id", "purpose"),)

    digest: str = Field(primary_key=True)
    purpose: str  # verify, reset
    user_id: str = Field(foreign_key="account.id", ondelete="CASCADE")
    email: str  # folded, as it was then
    created_at: datetime = Field(default_factory=_now, sa_column=_time())
    expires_at: datetime = Field(sa_column=_time(index=True))
    used_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class OperatorRow(SQLModel, table=True):
    """A person who uses the editor; apart from the end users."""

    __tablename__ = "operator"

    id: str = Field(primary_key=True)
    email: str
    folded_email: str = Field(unique=True)
    name: str = ""
    role: str  # owner, editor, viewer
    password_hash: str | None = None  # None until the invitation is accepted
    is_disabled: bool = False
    created_at: datetime = Field(default_factory=_now, sa_column=_time())
    last_seen_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class OperatorSession(SQLModel, table=True):
    """An operator's sign-in, by the digest of its cookie."""

    __tablename__ = "operator_session"

    digest: str = Field(primary_key=True)
    operator_id: str = Field(foreign_key="operator.id", ondelete="CASCADE", index=True)
    created_at: datetime = Field(default_factory=_now, sa_column=_time())
    seen_at: datetime = Field(default_factory=_now, sa_column=_time())
    expires_at: datetime = Field(sa_column=_time(index=True))


class OperatorLink(SQLModel, table=True):
    """A one-time link: to create the first owner (*operator_id* None), to accept an invitation, to set a password."""

    __tablename__ = "operator_link"

    digest: str = Field(primary_key=True)
    operator_id: str | None = Field(default=None, foreign_key="operator.id", ondelete="CASCADE", index=True)
    created_at: datetime = Field(default_factory=_now, sa_column=_time())
    expires_at: datetime = Field(sa_column=_time())


class AuditEntry(SQLModel, table=True):
    """Who did what: *actor* is a person or API key as it was named then, *target* what it was done to."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_actor", "actor_id", "id"),
        Index("ix_audit_entry_action", "action", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(default_factory=_now, sa_column=_time(index=True))
    actor_kind: str  # operator, key, command, system
    actor_id: str
    actor: str
    action: str  # such as flow.publish
    target: str = ""
    details: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonText))
