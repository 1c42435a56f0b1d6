"""What a running step is given: the platform behind the protocols of ``nodes/spec.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from backend.events import Event
from nodes.spec import Email, Json, SentEmail
from runtime import outbox, waits
from runtime.node_errors import as_node_errors, undeclared
from runtime.outbox import NewEvent
from runtime.platform import Platform
from runtime.records import Records
from runtime.run_secrets import RunSecrets
from runtime.step_http import StepHttp
from runtime.step_tables import StepTables
from runtime.step_users import StepPasswords, StepUsers
from storage.journal_runs import RunState
from storage.tables import from_us


@dataclass(slots=True)
class RunContext:
    """What the steps of one run have in common; *installation* begins its idempotency keys.

    *records* know what must not stand in clear, and are told what a step is given of that kind.
    """

    platform: Platform
    run: RunState
    installation: str
    clock: Callable[[], datetime]
    records: Records

    def approval_token(self, node: str, iteration: str) -> str:
        """Return the token with which a person decides on a step that waits for it."""
        return waits.approval_token(self.platform.seals, self.installation, self.run.id, node, iteration)


class StepContext:
    """The ``Context`` of one step. *session* is its transaction; without one it has no tables, users or events."""

    __slots__ = ("_common", "_is_read_only", "_iteration", "_node", "_session", "emitted", "prepared")

    def __init__(
        self,
        common: RunContext,
        node: str,
        iteration: str,
        session: Session | None = None,
        *,
        is_read_only: bool = False,
        prepared: Any = None,
    ) -> None:
        self._common = common
        self._node = node
        self._iteration = iteration
        self._session = session
        self._is_read_only = is_read_only
        self.prepared = prepared
        self.emitted: list[int] = []  # runs that are due because of the events of this step

    @property
    def idempotency_key(self) -> str:
        return f"{self._common.installation}-{self._common.run.id}:{self._node}:{self._iteration}"

    @property
    def now(self) -> datetime:
        return from_us(self._common.run.started_us)

    @property
    def time(self) -> datetime:
        return self._common.clock()

    @property
    def approval_link(self) -> str:
        token = self._common.approval_token(self._node, self._iteration)
        return waits.approval_link(self._platform.public_url, token)

    @property
    def _platform(self) -> Platform:
        return self._common.platform

    @property
    def _run(self) -> RunState:
        return self._common.run

    @property
    def _secrets(self) -> RunSecrets | None:
        return self._common.records.secrets

    @property
    def http(self) -> StepHttp:
        return StepHttp(self._platform, self._run, self.idempotency_key, self._common.records.keep_secret)

    @property
    def mail(self) -> StepMail:
        return StepMail(self._platform, self._run, self._common.records)

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
    """Sends through the platform's mailer; what its mailbox keeps is written as the run's, or not at all."""

    def __init__(self, platform: Platform, run: RunState, records: Records) -> None:
        self._platform = platform
        self._run = run
        self._records = records

    def preview(self, email: Email) -> dict[str, Json]:
        """Return the message as it would leave; raises NodeError for what cannot be sent."""
        with as_node_errors():
            return self._platform.mailer.preview(**vars(email))

    async def send(self, email: Email, *, idempotency_key: str) -> SentEmail:
        """Send the message; raises NodeError, or TemporaryError when trying again may help."""
        secrets = self._records.secrets
        has_secret = secrets is not None and secrets.finds(_fields(email))
        with as_node_errors():
            message_id, via = await self._platform.mailer.send(
                **vars(email),
                idempotency_key=idempotency_key,
                run_id=self._run.id,
                has_secret=has_secret,
                write=self._records.write,
            )
        return SentEmail(message_id, via)


def _fields(email: Email) -> Json:
    return [email.subject, email.text, email.html, email.reply_to, *email.to, *email.cc, *email.bcc]
