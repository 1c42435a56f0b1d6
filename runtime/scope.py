"""What the names in an expression stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from runtime.access import ABSENT

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

    def with_item(self, item: Json) -> Scope:
        """Return the same names with another ``$item``."""
        return replace(self, item=item)
