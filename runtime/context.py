"""What a running step is given: the platform behind the protocols of ``nodes/spec.py``.

Refusals of the backend reach the node as NodeError, in the backend's own words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlmodel import Session

from backend.datahub import Datahub
from backend.errors import BackendError, StorageBusy, StorageFull
from backend.events import Event
from backend.mail import DEFAULT_SENDER, MailDelayed, Mailer
from backend.mailbox import Mailbox
from backend.preferences import Preferences
from backend.secrets import MAILBOX, SecretBox, load_or_create_key
from nodes.spec import Email, Http, Json, NodeError, Passwords, SentEmail, TemporaryError, Users
from runtime import outbox
from runtime.outbound import Outbound
from runtime.outbox import NewEvent
from runtime.settings import Settings
from storage.database import Database
from storage.journal_runs import RunState

TEMPORARY = (MailDelayed, StorageBusy, StorageFull)


class ClosableHttp(Http, Protocol):
    async def close(self) -> None: ...


@dataclass(frozen=True)
class Platform:
    """What every step of this process shares."""

    database: Database
    tables: Datahub
    mailer: Mailer
    http: ClosableHttp

    async def close(self) -> None:
        await self.http.close()


def build_platform(database: Database, settings: Settings) -> Platform:
    """Return the platform of an installation; raises BackendError for settings it cannot work with."""
    configured = settings.secret_key.get_secret_value() if settings.secret_key else None
    smtp_url = settings.smtp_url.get_secret_value() if settings.smtp_url else None
    box = SecretBox(load_or_create_key(settings.data_dir, configured))
    mailer = Mailer(Preferences(database, box, smtp_url), Mailbox(database, box.for_purpose(MAILBOX)), DEFAULT_SENDER)
    tables = Datahub(database, _record, listens=outbox.listens)
    return Platform(database, tables, mailer, Outbound(settings.allow_hosts))


class StepContext:
    """The ``Context`` of one step. *session* is its transaction; without one it has no tables and no events."""

    def __init__(
        self,
        platform: Platform,
        run: RunState,
        idempotency_key: str,
        now: datetime,
        session: Session | None,
        *,
        is_read_only: bool,
    ) -> None:
        self._platform = platform
        self._run = run
        self._session = session
        self._is_read_only = is_read_only
        self.idempotency_key = idempotency_key
        self.now = now
        self.prepared: Any = None
        self.emitted: list[int] = []  # runs started by the events of this step

    @property
    def http(self) -> Http:
        return self._platform.http

    @property
    def mail(self) -> StepMail:
        return StepMail(self._platform, self._run)

    @property
    def tables(self) -> StepTables:
        if self._session is None:
            raise NodeError("This node says that it does not touch data tables.", code="node.effect_undeclared")
        return StepTables(self._platform, self._session, self._is_read_only)

    @property
    def users(self) -> Users:
        raise NodeError("This node says that it does not touch users.", code="node.effect_undeclared")

    @property
    def passwords(self) -> Passwords:
        raise NodeError("This node says that it does not touch users.", code="node.effect_undeclared")

    @property
    def events(self) -> StepContext:
        if self._session is None or self._is_read_only:
            raise NodeError("This node says that it does not write.", code="node.effect_undeclared")
        return self

    def emit(self, name: str, payload: Mapping[str, Json]) -> str:
        """Record an event in the transaction of the step and return its id."""
        assert self._session is not None
        run = self._run
        cause = NewEvent(
            name,
            dict(payload),
            root_id=run.root_id,
            parent_run=run.id,
            depth=run.depth + 1,
            path=(*run.path, run.flow_id),
        )
        event_id, runs = outbox.record(self._session, name, dict(payload), causality=cause)
        self.emitted += runs
        return event_id


class StepMail:
    """Sends through the platform's mailer."""

    def __init__(self, platform: Platform, run: RunState) -> None:
        self._platform = platform
        self._run = run

    def preview(self, email: Email) -> dict[str, Json]:
        """Return the message as it would leave; raises NodeError for what cannot be sent."""
        with _as_node_errors():
            return self._platform.mailer.preview(**vars(email))

    async def send(self, email: Email, *, idempotency_key: str) -> SentEmail:
        """Send the message; raises NodeError, or TemporaryError when trying again may help."""
        with _as_node_errors():
            message_id, via = await self._platform.mailer.send(
                **vars(email), idempotency_key=idempotency_key, run_id=self._run.id
            )
        return SentEmail(message_id, via)


class StepTables:
    """Datahub rows in the transaction of the step."""

    def __init__(self, platform: Platform, session: Session, is_read_only: bool) -> None:
        self._platform = platform
        self._session = session
        self._is_read_only = is_read_only

    def find(
        self, table: str, where: Json = None, *, order_by: str | None = None, limit: int = 100
    ) -> list[dict[str, Json]]:
        with _as_node_errors():
            page = self._hub.rows_in(self._session, table, limit=limit, sort=order_by, filter=where or None)
        return page.rows

    def count(self, table: str, where: Json = None) -> int:
        with _as_node_errors():
            return self._hub.count_in(self._session, table, where or None)

    def check(self, table: str, values: Mapping[str, Json], *, partial: bool = False) -> dict[str, Json]:
        with _as_node_errors():
            return self._hub.check_in(self._session, table, values, partial=partial)

    def insert(self, table: str, values: Mapping[str, Json]) -> dict[str, Json]:
        self._needs_writing()
        with _as_node_errors():
            return self._hub.insert_in(self._session, table, [values])[0]

    def update(self, table: str, where: Json, values: Mapping[str, Json]) -> int:
        self._needs_writing()
        with _as_node_errors():
            return self._hub.update_where_in(self._session, table, where, values)

    def delete(self, table: str, where: Json) -> int:
        self._needs_writing()
        with _as_node_errors():
            return self._hub.delete_where_in(self._session, table, where)

    @property
    def _hub(self) -> Datahub:
        return self._platform.tables

    def _needs_writing(self) -> None:
        if self._is_read_only:
            raise NodeError("This node says that it does not write.", code="node.effect_undeclared")


@contextmanager
def _as_node_errors() -> Iterator[None]:
    try:
        yield
    except BackendError as error:
        first = error.faults[0] if error.faults else None
        kind = TemporaryError if isinstance(error, TEMPORARY) else NodeError
        raise kind(str(error), code=first.code if first else "backend.refused") from error


def _record(session: Session, event: Event) -> None:
    outbox.record(session, event.name, event.payload())
