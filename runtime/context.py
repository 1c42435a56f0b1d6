"""What a running step is given: the platform behind the protocols of ``nodes/spec.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from backend.events import Event
from nodes.spec import Email, Json, SentEmail
from runtime import outbox
from runtime.node_errors import as_node_errors, undeclared
from runtime.outbox import NewEvent
from runtime.platform import Platform
from runtime.run_secrets import RunSecrets
from runtime.step_http import KeepSecret, StepHttp
from runtime.step_tables import StepTables
from runtime.step_users import StepPasswords, StepUsers
from storage.journal_runs import RunState


def _forgotten(_secrets: Iterable[str]) -> None:
    """Take secrets of which no record is kept."""


class StepContext:
    """The ``Context`` of one step. *session* is its transaction; without one it has no tables, users or events.

    *secrets* are those that the run knows; *keep_secret* takes those that it is given meanwhile.
    """

    def __init__(
        self,
        platform: Platform,
        run: RunState,
        idempotency_key: str,
        now: datetime,
        session: Session | None,
        *,
        is_read_only: bool,
        secrets: RunSecrets | None = None,
        keep_secret: KeepSecret = _forgotten,
        prepared: Any = None,
        approval_link: Callable[[], str] = str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._platform = platform
        self._run = run
        self._session = session
        self._is_read_only = is_read_only
        self._secrets = secrets
        self._keep_secret = keep_secret
        self.idempotency_key = idempotency_key
        self.now = now
        self.prepared = prepared
        self._approval_link = approval_link
        self._clock = clock
        self.emitted: list[int] = []  # runs that are due because of the events of this step

    @property
    def time(self) -> datetime:
        return self._clock()

    @property
    def approval_link(self) -> str:
        return self._approval_link()

    @property
    def http(self) -> StepHttp:
        return StepHttp(self._platform, self._run, self.idempotency_key, self._keep_secret)

    @property
    def mail(self) -> StepMail:
        return StepMail(self._platform, self._run, self._secrets)

    @property
    def passwords(self) -> StepPasswords:
        return StepPasswords(self._platform.passwords)

    @property
    def tables(self) -> StepTables:
        if self._session is None:
            raise undeclared("touch data tables")
        hub = self._platform.tables if self._is_read_only else self._platform.tables.reporting(self._record)
        return StepTables(hub, self._session, self._is_read_only, self._refuse_in_tables)

    @property
    def users(self) -> StepUsers:
        if self._session is None:
            raise undeclared("touch users")
        record = None if self._is_read_only else self._record
        return StepUsers(self._platform.users, self._session, record, self._refuse_in_users)

    @property
    def events(self) -> StepContext:
        if self._session is None or self._is_read_only:
            raise undeclared("write")
        return self

    def emit(self, name: str, payload: Mapping[str, Json]) -> str:
        """Record an event in the transaction of the step and return its id."""
        assert self._session is not None
        shown, sealed = (dict(payload), None) if self._secrets is None else self._secrets.event(dict(payload))
        event_id, runs = outbox.record(
            *(self._session, name, shown),
            causality=cause(self._run, name),
            sealed=sealed,
            chains=self._platform.chains,
        )
        self.emitted += runs
        return event_id

    def _record(self, session: Session, event: Event) -> None:
        self.emitted += self._platform.reporter.write(session, event, cause(self._run, event.name))

    def _refuse_in_tables(self, value: Json) -> None:
        if self._secrets is not None:
            self._secrets.refuse(value, "Data tables")

    def _refuse_in_users(self, value: Json) -> None:
        if self._secrets is not None:
            self._secrets.refuse(value, "The fields of users")


def cause(run: RunState, event_name: str) -> NewEvent:
    """Return what led to an event that *run* reports."""
    path = (*run.path, run.flow_id)
    return NewEvent(event_name, {}, root_id=run.root_id, parent_run=run.id, depth=run.depth + 1, path=path)


class StepMail:
    """Sends through the platform's mailer."""

    def __init__(self, platform: Platform, run: RunState, secrets: RunSecrets | None) -> None:
        self._platform = platform
        self._run = run
        self._secrets = secrets

    def preview(self, email: Email) -> dict[str, Json]:
        """Return the message as it would leave; raises NodeError for what cannot be sent."""
        with as_node_errors():
            return self._platform.mailer.preview(**vars(email))

    async def send(self, email: Email, *, idempotency_key: str) -> SentEmail:
        """Send the message; raises NodeError, or TemporaryError when trying again may help."""
        has_secret = self._secrets is not None and self._secrets.finds(_fields(email))
        with as_node_errors():
            message_id, via = await self._platform.mailer.send(
                **vars(email), idempotency_key=idempotency_key, run_id=self._run.id, has_secret=has_secret
            )
        return SentEmail(message_id, via)


def _fields(email: Email) -> Json:
    return [email.subject, email.text, email.html, email.reply_to, *email.to, *email.cc, *email.bcc]
