"""The one door: editor, HTTP API and CLI call these, and nothing below them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property

from backend.audit import Audit
from backend.credentials import Credentials
from backend.datahub import Datahub
from backend.hosted import HostedPages
from backend.keys import Keys
from backend.mailbox import Mailbox
from backend.operator_sessions import OperatorSessions
from backend.operator_sign_in import OperatorSignIn
from backend.operators import Operators
from backend.passwords import Passwords
from backend.preferences import Preferences
from backend.roles import Roles
from backend.sessions import Sessions
from backend.sign_in import SignIn
from backend.users import Users
from nodes.spec import NodeType
from runtime.actors import Actor, Standing
from runtime.backups import Backups
from runtime.causes import Causes
from runtime.engine_api import Accepted, EngineApi
from runtime.flows import Flows
from runtime.guarded import Checkpoint, guarded
from runtime.outbox import NewEvent
from runtime.previews import Previews
from runtime.retention_rules import Retention
from runtime.runs import Runs
from runtime.settings import Settings
from runtime.webhook_view import WebhookView
from storage.database import Database
from storage.errors import StorageError as StorageError  # for the doors, which tell people what it says

KNOWN_ACTORS = 1_000  # whose way of using the service is not put together anew for each call


@dataclass(frozen=True)
class Service:
    """What an installation can do. Everything here is built once, in ``build_app``."""

    settings: Settings
    types: Mapping[str, NodeType]
    database: Database
    engine: EngineApi
    flows: Flows
    runs: Runs
    tables: Datahub
    mailbox: Mailbox
    preferences: Preferences
    keys: Keys
    credentials: Credentials
    users: Users
    roles: Roles
    hosted: HostedPages
    passwords: Passwords
    sessions: Sessions
    sign_in: SignIn
    operators: Operators
    operator_sign_in: OperatorSignIn
    operator_sessions: OperatorSessions
    audit: Audit
    webhooks: WebhookView
    causes: Causes
    retention: Retention
    backups: Backups
    standing: Standing
    previews: Previews

    def of(self, actor: Actor) -> Service:
        """Return the service as *actor* may use it: calls are checked, as their role is then, and written down.

        They raise Forbidden, SignedOut for an operator whose sign-in ended, Unauthorized for a key that is gone.
        """
        if (known := self._known.get(actor)) is not None:
            return known
        if len(self._known) >= KNOWN_ACTORS:
            self._known.clear()
        checkpoint = Checkpoint(self, actor)
        parts = {each.name: guarded(getattr(self, each.name), each.name, checkpoint) for each in fields(self)}
        made = replace(self, **(parts | {"types": self.types}))  # declarations, the same for everyone
        self._known[actor] = made
        return made

    @cached_property
    def _known(self) -> dict[Actor, Service]:
        return {}

    async def emit(self, events: list[NewEvent]) -> list[Accepted]:
        """Accept events: they and the runs they start are committed when this returns.

        An id that was seen before gives the runs of the first time; raises Invalid when it came with other content,
        and Unavailable when nothing could be accepted.
        """
        return await self.engine.accept(events)
