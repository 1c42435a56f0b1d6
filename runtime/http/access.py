"""Who may call the API: holders of an API key, whose role each route asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha256
from time import monotonic
from typing import Annotated, TypeAlias

from fastapi import Depends
from fastapi.params import Depends as Dependency
from starlette.requests import HTTPConnection

from backend.keys import Keys
from backend.operator_values import Role
from runtime.actors import Actor
from runtime.errors import Problem, Unauthorized
from runtime.service import Service

REMEMBERED_S = 0.5  # a deleted key stops working within a second, the time that a look-up takes included
REMEMBERED_KEYS = 1_000
ACTOR = "pulsewire.actor"  # where a request's scope says who sent it


class Access:
    """Checks API keys; a key that was right is not looked up again for a moment."""

    def __init__(self, keys: Keys, *, now: Callable[[], float] = monotonic) -> None:
        self._keys = keys
        self._now = now
        self._known: dict[bytes, tuple[Actor, float]] = {}

    async def require(self, authorization: str | None) -> Actor:
        """Return whose key *authorization*, the header's value, carries; raises Unauthorized if it is none."""
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise Unauthorized(
                Problem(
                    "auth.key_missing",
                    "Send an API key as “Authorization: Bearer pw_…”. `pulsewire keys create NAME` makes one.",
                )
            )
        digest = sha256(key.encode()).digest()
        known = self._known.get(digest)
        if known is not None and known[1] > self._now():
            return known[0]
        found = await asyncio.to_thread(self._keys.verify, key)
        if found is None:
            self._known.pop(digest, None)
            raise Unauthorized(Problem("auth.key_unknown", "This API key does not exist, or was deleted."))
        if len(self._known) >= REMEMBERED_KEYS:
            self._known.clear()
        actor = Actor.key(found.id, found.name, found.role)
        self._known[digest] = (actor, self._now() + REMEMBERED_S)
        return actor


def service_of(request: HTTPConnection) -> Service:
    """Return the service as whoever sent the request may use it; raises Unauthorized when nobody is known to have."""
    service: Service = request.app.state.service
    return service.of(actor_of(request))


def actor_of(request: HTTPConnection) -> Actor:
    """Return who sent the request; raises Unauthorized when nobody is known to have."""
    actor = request.scope.get(ACTOR)
    if not isinstance(actor, Actor):
        raise Unauthorized(Problem("auth.key_missing", "Send an API key, or sign in."))
    return actor


class Needs:
    """What a route declares: the role that a caller must have."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, request: HTTPConnection) -> None:
        """Raise Forbidden for a caller who may not, Unauthorized where nobody is known to call."""
        actor_of(request).require(self.role)


VIEWER, EDITOR, OWNER = (Depends(Needs(role)) for role in ("viewer", "editor", "owner"))
Caller: TypeAlias = Annotated[Service, Depends(service_of)]  # the service as whoever calls may use it


def role_needed(dependencies: list[Dependency]) -> Role | None:
    """Return the role that a route with these dependencies asks for, None where it declares none."""
    return next((each.dependency.role for each in dependencies if isinstance(each.dependency, Needs)), None)
