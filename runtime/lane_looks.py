"""One look into the database for the lanes of several flows: what is read, and the keys of the runs that are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlmodel import Session

from nodes.spec import NodeError
from runtime import backlog, lane
from runtime.backlog import Found
from runtime.lane import Lane
from runtime.rules import Rule
from runtime.run_keys import key_of
from storage.database import Database
from storage.journal_runs import RunState


@dataclass
class Look:
    """What is read for one lane, and what was found."""

    lane: Lane
    is_new: bool
    wants_more: bool
    again: tuple[str, int] | None
    called: set[int] | None = None  # runs that may be called by the flow itself; None: all that wait
    nested: list[int] = field(default_factory=list)
    begun: list[Found] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    waiting: list[Found] = field(default_factory=list)
    is_all: bool = True
    of_key: list[int] = field(default_factory=list)


def read_looks(database: Database, looks: list[Look], now_us: int) -> None:
    """Fill in what is found for each of *looks*, all in one state of the database."""
    with backlog.reading(database) as cursor:
        for look in looks:
            flow_id, rule, has_key = look.lane.flow_id, look.lane.rule, look.lane.rule.key is not None
            if look.is_new and rule.has_places:
                look.begun = backlog.begun(cursor, flow_id, has_key=has_key)
            if look.is_new and rule.rate_runs is not None:
                look.starts = backlog.starts_since(cursor, flow_id, now_us - int(rule.rate_s * 1_000_000))
            if rule.has_places and (look.called is None or look.called):
                look.nested = backlog.nested(cursor, flow_id, look.called)
            if look.again is not None:
                key, after = look.again
                look.of_key = backlog.of_key(cursor, flow_id, key, after, look.lane.seen, lane.OF_A_KEY)
            if look.wants_more:
                look.waiting, look.is_all = backlog.page(cursor, flow_id, look.lane.seen, has_key=has_key)


def known_key(rule: Rule, run: Found) -> str:
    """Return the key of a run that has begun; one that has none blocks no other."""
    if rule.key is None or run.payload is None:
        return run.key if rule.key is not None else ""
    try:
        return key_of(rule.key, run.payload)
    except NodeError:
        return ""


def key_of_state(rule: Rule, state: RunState) -> str:
    """Return the key of a run that was claimed."""
    return known_key(rule, Found(state.id, "", orjson.dumps(state.payload).decode()))


def write_keys(session: Session, keys: Mapping[int, str]) -> None:
    """Keep the keys of runs."""
    values: list[Any] = [(key, run_id) for run_id, key in keys.items()]
    session.connection().exec_driver_sql("UPDATE run SET key = ? WHERE id = ?", values)
