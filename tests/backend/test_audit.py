"""The audit log: added to, read in pages, and bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NoReturn

import pytest

from backend import audit
from backend.audit import MERGED_FOR, Audit
from backend.errors import Fault, StorageFull
from storage.database import Database

SECOND = timedelta(seconds=1)
KEPT_ENTRIES = 10
TRIM_EVERY = 20


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(database: Database, clock: Clock) -> Audit:
    return Audit(database, kept_entries=KEPT_ENTRIES, trim_every=TRIM_EVERY, clock=clock)


def add(log: Audit, action: str, target: str = "", *, actor: str = "anna", is_merged: bool = False) -> None:
    log.add("operator", actor, actor.capitalize(), action, target, is_merged=is_merged)


def actions(log: Audit, **filters: object) -> list[str]:
    return [entry.action for entry in log.list(**filters).items]  # type: ignore[arg-type]


def test_entries_come_newest_first_in_pages(log: Audit):
    for number in range(5):
        add(log, f"flow.{number}")

    first = log.list(limit=2)
    second = log.list(limit=2, before=first.next)
    third = log.list(limit=2, before=second.next)

    assert [[each.action for each in page.items] for page in (first, second, third)] == [
        ["flow.4", "flow.3"],
        ["flow.2", "flow.1"],
        ["flow.0"],
    ]
    assert third.next is None


def test_filters_narrow_each_other(log: Audit, clock: Clock):
    add(log, "flow.publish", "Greet")
    add(log, "flows.odd", "Greet")
    clock.now += SECOND
    add(log, "flow.delete", "Warn", actor="bob")
    add(log, "user.block", "100%_sure@example.com", actor="bob")

    assert actions(log, action="flow") == ["flow.delete", "flow.publish"]
    assert actions(log, action="flow.publish") == ["flow.publish"]
    assert actions(log, actor="bob", action="flow") == ["flow.delete"]
    assert actions(log, search="greet") == ["flows.odd", "flow.publish"]
    assert actions(log, search="0%_s") == ["user.block"]
    assert actions(log, search="%") == ["user.block"]
    assert actions(log, since=clock.now) == ["user.block", "flow.delete"]
    assert actions(log, until=clock.now) == ["flows.odd", "flow.publish"]
    assert log.actors() == [("anna", "Anna"), ("bob", "Bob")]
    assert log.actions() == ["flow.delete", "flow.publish", "flows.odd", "user.block"]


def test_changes_by_the_dozen_are_one_entry_for_ten_minutes(log: Audit, clock: Clock):
    for _ in range(3):
        add(log, "flow.edit", "a", is_merged=True)
    add(log, "flow.edit", "b", is_merged=True)
    add(log, "flow.edit", "a", actor="bob", is_merged=True)
    clock.now += MERGED_FOR - SECOND
    add(log, "flow.edit", "a", is_merged=True)
    before = len(actions(log))
    clock.now += SECOND
    add(log, "flow.edit", "a", is_merged=True)

    assert (before, len(actions(log))) == (3, 4)


def test_change_that_could_not_be_written_down_is_with_the_next_one(log: Audit, monkeypatch: pytest.MonkeyPatch):
    def full(_database: Database) -> NoReturn:
        raise StorageFull(Fault("storage.full", "The disk is full."))

    with monkeypatch.context() as at_first:
        at_first.setattr(audit, "writing", full)
        with pytest.raises(StorageFull):
            add(log, "flow.edit", "a", is_merged=True)
    add(log, "flow.edit", "a", is_merged=True)

    assert actions(log) == ["flow.edit"]


def test_oldest_entries_go_when_there_are_too_many(log: Audit):
    for number in range(TRIM_EVERY):
        add(log, f"flow.{number}")

    assert actions(log) == [f"flow.{number}" for number in range(TRIM_EVERY - 1, TRIM_EVERY - KEPT_ENTRIES - 1, -1)]


def test_entries_are_kept_for_a_year(log: Audit, clock: Clock):
    add(log, "flow.old")
    clock.now += audit.KEPT_FOR + SECOND

    for _ in range(TRIM_EVERY):
        add(log, "flow.new")

    assert "flow.old" not in log.actions()


def test_entry_is_published_with_who_what_and_when(log: Audit):
    log.add("key", "7", "ci", "operator.set_role", "eve@example.com", {"role": "viewer"})

    assert log.list().items[0].as_json() == {
        "id": 1,
        "at": "2026-01-01T00:00:00Z",
        "actor": {"kind": "key", "id": "7", "name": "ci"},
        "action": "operator.set_role",
        "target": "eve@example.com",
        "details": {"role": "viewer"},
    }


def test_long_target_is_cut(log: Audit):
    add(log, "flow.publish", "x" * 10_000)

    assert len(log.list().items[0].target) == audit.TARGET_CHARS


def test_busy_editors_push_out_nothing_of_the_owners(log: Audit):
    kept = ("operator.set_role", "key.create", "user.delete", "role.create", "settings.save")
    for action in kept:
        add(log, action)
    for number in range(3 * TRIM_EVERY):
        add(log, f"flow.{number}")

    assert set(kept) <= set(log.actions())
    assert len([action for action in log.actions() if action.startswith("flow.")]) < KEPT_ENTRIES + TRIM_EVERY
