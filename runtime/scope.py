"""What the names in an expression stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from runtime.access import ABSENT
from storage.tables import from_us

Json: TypeAlias = Any
ROOTS = ("param", "action", "var", "item", "index", "env", "flow", "run", "now")


@dataclass(slots=True)
class Scope:
    """The values of ``$param``, ``$action`` … in one step. All are plain JSON; ``now`` is ISO 8601 in UTC."""

    param: Json = field(default_factory=dict)
    action: Mapping[str, Json] = field(default_factory=dict)
    var: Mapping[str, Json] = field(default_factory=dict)
    item: Json = ABSENT
    index: Json = ABSENT
    env: Mapping[str, Json] = field(default_factory=dict)
    flow: Mapping[str, Json] = field(default_factory=dict)
    run: Mapping[str, Json] = field(default_factory=dict)
    now: Json = ABSENT
    _begun: tuple[int, int] | None = field(default=None, repr=False)

    @classmethod
    def of_run(
        cls, param: Json, action: Mapping[str, Json], env: Mapping[str, Json], flow: Json, run_id: int, started_us: int
    ) -> Scope:
        """Return the names of a run; its start is written out only for an expression that asks for it."""
        scope = cls.__new__(cls)
        scope.param, scope.action, scope.var, scope.env, scope.flow = param, action, {}, env, flow
        scope.item = scope.index = ABSENT
        scope._begun = (run_id, started_us)
        return scope

    def __getattr__(self, name: str) -> Json:
        """Fill ``run`` and ``now``, which ``of_run`` has left open."""
        if name not in ("run", "now") or self._begun is None:
            raise AttributeError(name)
        run_id, started_us = self._begun
        self.now = from_us(started_us).isoformat().replace("+00:00", "Z")
        self.run = {"id": run_id, "started_at": self.now}
        return getattr(self, name)

    def with_item(self, item: Json) -> Scope:
        """Return the same names with another ``$item``."""
        return replace(self, item=item)
