"""The live webhooks in memory, so that a request needs no look at the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from types import MappingProxyType
from typing import Any

import orjson

from backend.credential_values import NO_LOGIN
from backend.credentials import Credentials, folded_credential
from backend.logins import Login
from runtime.webhooks import ANY, BY_RESPOND
from storage.database import Database

KEPT_S = 0.5  # what another process changes counts after this time; what this one changes at once
MISSED_S = 0.05  # between two looks for an address that nobody knows
log = logging.getLogger("pulsewire.webhooks")


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook of a live flow. *login* is what a caller must know; one that is missing admits nobody.

    *is_answered_by_flow*: the caller waits for it, unless the flow is paused and its runs wait themselves.
    """

    path: str
    method: str
    flow_id: str
    node: str
    has_login: bool
    login: Login | None
    is_answered_by_flow: bool
    status: int
    origins: frozenset[str]


NOTHING: Mapping[str, Hook] = MappingProxyType({})
WEBHOOKS = "SELECT path, method, flow_id, node, params, flow.state FROM webhook JOIN flow ON flow.id = webhook.flow_id"


class WebhookView:
    """Reads webhooks and their logins again when they may have changed. ``forget`` may be called in any thread."""

    def __init__(self, database: Database, credentials: Credentials, *, now: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._credentials = credentials
        self._now = now
        self._by_path: dict[str, dict[str, Hook]] = {}
        self._read_at = float("-inf")
        self._changes = 0  # made in this process
        self._seen_changes = -1
        self._reading: asyncio.Task[None] | None = None

    def forget(self) -> None:
        """Look again before the next answer: a flow or a credential was changed here."""
        self._changes += 1

    async def _at(self, path: str) -> Mapping[str, Hook]:
        """Return the webhooks at *path* by their method."""
        if self._seen_changes != self._changes:
            await self._refreshed()
        elif self._now() - self._read_at > KEPT_S:
            self._refresh()  # meanwhile the old ones will do
        found = self._by_path.get(path)
        if found is None and self._now() - self._read_at > MISSED_S:
            await self._refreshed()
            found = self._by_path.get(path)
        return NOTHING if found is None else found

    async def for_method(self, path: str, method: str) -> tuple[Hook | None, Mapping[str, Hook]]:
        """Return the webhook that takes *method* at *path*, and all that stand there."""
        hooks = await self._at(path)
        hook = _of(hooks, method)
        if hook is None and hooks and self._now() - self._read_at > MISSED_S:
            await self._refreshed()
            hooks = self._by_path.get(path, NOTHING)
            hook = _of(hooks, method)
        return hook, hooks

    async def is_gone(self, hook: Hook) -> bool:
        """Return whether *hook* stands no longer, as the database says now."""
        await self._refreshed()
        now = self._by_path.get(hook.path, {}).get(hook.method)
        return now is None or now.flow_id != hook.flow_id

    async def _refreshed(self) -> None:
        """Read what has changed until now."""
        changes = self._changes
        while True:
            await asyncio.shield(self._refresh())
            if self._seen_changes >= changes:
                return

    def _refresh(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        changes, at = self._changes, self._now()
        try:
            self._by_path = await asyncio.to_thread(self._stored)
        except Exception as error:  # a database that cannot be read for a moment; what is known still holds
            log.error("reading the webhooks failed with %s", type(error).__name__)
        self._read_at, self._seen_changes = at, changes

    def _stored(self) -> dict[str, dict[str, Hook]]:
        with self._database.read() as session:
            rows = session.connection().exec_driver_sql(WEBHOOKS).all()
            logins = self._credentials.logins_in(session) if rows else {}
        found: dict[str, dict[str, Hook]] = {}
        for path, method, flow_id, node, params, state in rows:
            hook = _hook(path, method, flow_id, node, orjson.loads(params), state, logins)
            found.setdefault(path, {})[method] = hook
        return found


def _of(hooks: Mapping[str, Hook], method: str) -> Hook | None:
    return hooks.get(method) or hooks.get(ANY)


def _hook(
    path: str,
    method: str,
    flow_id: str,
    node: str,
    params: Mapping[str, Any],
    state: str,
    logins: Mapping[str, Login],
) -> Hook:
    return Hook(
        path=path,
        method=method,
        flow_id=flow_id,
        node=node,
        has_login=params["auth"] != NO_LOGIN,
        login=logins.get(folded_credential(params["auth"])),
        is_answered_by_flow=params["answer"] == BY_RESPOND and state != "paused",
        status=params["status"],
        origins=frozenset(origin.lower() for origin in params["origins"]),
    )
