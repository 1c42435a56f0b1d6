"""Who acts: a person in the editor, a program with an API key, or the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Literal

from backend.operator_values import Operator, Role, Visit, outranks
from runtime.errors import Forbidden, Problem, SignedOut, Unauthorized

REMEMBERED_S = 0.5  # a role that was taken, or a sign-in that ended, counts within a second
REMEMBERED_ACTORS = 1_000


@dataclass(frozen=True)
class Actor:
    """Someone with a role. *session* is the digest of an operator's cookie."""

    kind: Literal["operator", "key", "command", "system"]
    id: str
    name: str
    role: Role
    session: str | None = None

    @classmethod
    def command(cls) -> Actor:
        """Return whoever may run commands on this machine: they own the data directory."""
        return cls("command", "command", "Command line", "owner")

    @classmethod
    def visitor(cls, visit: Visit) -> Actor:
        """Return the operator of a sign-in."""
        return cls.operator(visit.operator, visit.digest)

    @classmethod
    def operator(cls, person: Operator, session: str | None = None) -> Actor:
        """Return a person; without *session* they are named, but may do nothing."""
        return cls("operator", person.id, person.name or person.email, person.role, session)

    @classmethod
    def key(cls, key_id: int, name: str, role: Role) -> Actor:
        """Return whoever holds an API key."""
        return cls("key", str(key_id), name, role)

    def may(self, role: Role) -> bool:
        """Return whether this actor may do what *role* may."""
        return not outranks(role, self.role)

    def require(self, role: Role) -> None:
        """Raise Forbidden unless this actor may do what *role* may."""
        if not self.may(role):
            message = f"This needs the role “{role}”, and yours is “{self.role}”. Ask an owner of this Pulsewire."
            raise Forbidden(Problem("right.missing", message))


class Standing:
    """What actors may do now, looked up again when it is older than half a second."""

    def __init__(
        self,
        visit: Callable[[str], Visit | None],
        role_of_key: Callable[[int], Role | None],
        *,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._visit = visit
        self._role_of_key = role_of_key
        self._now = now
        self._known: dict[Actor, tuple[Actor, float]] = {}

    def now(self, actor: Actor) -> Actor:
        """Return *actor* with the role of this moment; raises SignedOut, or Unauthorized for a key that is gone."""
        if actor.kind in ("command", "system"):
            return actor
        known = self._known.get(actor)
        if known is not None and known[1] > self._now():
            return known[0]
        until = self._now() + REMEMBERED_S
        try:
            current = self._looked_up(actor)
        except (SignedOut, Unauthorized):
            self._known.pop(actor, None)
            raise
        if len(self._known) >= REMEMBERED_ACTORS:
            self._known.clear()
        self._known[actor] = (current, until)
        return current

    def is_known(self, actor: Actor) -> bool:
        """Return whether ``now`` would answer without asking the database."""
        known = self._known.get(actor)
        return actor.kind in ("command", "system") or (known is not None and known[1] > self._now())

    def forget(self) -> None:
        """Look everyone up again."""
        self._known.clear()

    def _looked_up(self, actor: Actor) -> Actor:
        if actor.kind == "key":
            role = self._role_of_key(int(actor.id))
            if role is None:
                raise Unauthorized(Problem("auth.key_unknown", "This API key does not exist, or was deleted."))
            return replace(actor, role=role)
        visit = self._visit(actor.session) if actor.session else None
        if visit is None or visit.operator.id != actor.id:
            raise SignedOut(Problem("session.ended", "You are signed out. Sign in again."))
        return replace(actor, role=visit.operator.role)
