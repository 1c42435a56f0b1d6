"""Which flows' runs have to wait, and for what: the flow is paused, or its settings limit it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import orjson
from sqlmodel import Session

from runtime.document_parts import FlowSettings
from storage.tables import Flow

log = logging.getLogger("pulsewire.rules")
_RULES = "SELECT id, state, limits FROM flow INDEXED BY ix_flow_admission "
_HELD = "WHERE (state = 'paused' OR limits IS NOT NULL)"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a flow's runs wait for. *is_paused*: all of them, until it is resumed."""

    is_paused: bool = False
    runs_at_once: int | None = None
    key: str | None = None
    runs_at_once_per_key: int = 1
    rate_runs: int | None = None
    rate_s: float = 60

    @property
    def has_places(self) -> bool:
        """Whether a run holds a place from its start to its end."""
        return self.runs_at_once is not None or self.key is not None

    @property
    def is_limited(self) -> bool:
        return self.has_places or self.rate_runs is not None


def read_rules(cursor: sqlite3.Cursor, flow_ids: Collection[str] | None = None) -> dict[str, Rule]:
    """Return the rules of the flows that have any; of *flow_ids* alone where they are given."""
    if flow_ids is None:
        rows = cursor.execute(_RULES + _HELD).fetchall()
    else:
        marks = ",".join("?" * len(flow_ids))
        rows = cursor.execute(f"{_RULES}{_HELD} AND id IN ({marks})", list(flow_ids)).fetchall()
    found = {flow_id: _rule(state == "paused", limits) for flow_id, state, limits in rows}
    return {flow_id: rule for flow_id, rule in found.items() if rule.is_paused or rule.is_limited}


def rules_in(session: Session) -> dict[str, Rule]:
    """Return the rules of the flows that have any, as the session sees them."""
    raw = session.connection().connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return read_rules(raw.cursor())


def reason_to_wait(flow: Flow) -> str | None:
    """Return ``paused`` or ``limited`` where runs of the flow have to wait, else None."""
    if flow.state == "paused":
        return "paused"
    limits = None if flow.limits is None else orjson.dumps(flow.limits).decode()
    return "limited" if _rule(False, limits).is_limited else None


@lru_cache(maxsize=4096)
def _rule(is_paused: bool, limits: str | None) -> Rule:
    try:
        settings = FlowSettings() if limits is None else FlowSettings.model_validate(orjson.loads(limits))
    except ValueError as error:  # those of another version of Pulsewire: nothing may stop for it
        log.error("the limits of a flow cannot be read and are left out: %s", type(error).__name__)
        settings = FlowSettings()
    return Rule(
        is_paused,
        settings.runs_at_once,
        settings.key,
        settings.runs_at_once_per_key,
        settings.rate_runs,
        settings.rate_s,
    )
