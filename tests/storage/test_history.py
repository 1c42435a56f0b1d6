from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import SQLModel, col, func, select

from storage import history
from storage.database import Database
from storage.history import Kept
from storage.tables import EventRow, RunRow, StepRow, WaitEvent, WaitRow

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
NO_LIMIT = Kept(None, None, None)


class Store:
    def __init__(self, database: Database) -> None:
        self.database = database

    def run(self, run_id: int, ended: datetime | None = NOW - 10 * DAY, steps: int = 2, **more: Any) -> int:
        """Add a run of the flow ``f`` with its event and steps; *ended* None: it is open."""
        status = "running" if ended is None else "succeeded"
        fields = {"flow_id": "f", "status": status, "event_id": f"event-{run_id}", **more}
        if fields["event_id"] == f"event-{run_id}":
            self.event(fields["event_id"])
        self.add(RunRow(id=run_id, trigger="start", created_at=NOW - 20 * DAY, ended_at=ended, **fields))
        self.add(*(StepRow(run_id=run_id, node=f"n{number}", status="succeeded") for number in range(steps)))
        return run_id

    def event(self, event_id: str, at: datetime = NOW - 20 * DAY, **more: Any) -> None:
        fields = {"payload": {}, "root_id": event_id, "path": [], **more}
        self.add(EventRow(id=event_id, name="go", created_at=at, **fields))

    def add(self, *rows: SQLModel) -> None:
        with self.database.write() as session:
            session.add_all(rows)

    def remove(self, *run_ids: int) -> int:
        with self.database.write() as session:
            return history.remove(session, run_ids, NOW - DAY)

    def all(self, column: Any) -> list[Any]:
        with self.database.read() as session:
            return sorted(session.exec(select(col(column)).distinct()))

    def surplus(self, kept: Kept, used_bytes: int = 10**12) -> int:
        with self.database.read() as session:
            return history.surplus(session, "f", history.ended(session)["f"], kept, used_bytes)


@pytest.fixture
def store(tmp_path: Path, new_database: Callable[[Path], Database]) -> Iterator[Store]:
    database = new_database(tmp_path)
    yield Store(database)
    database.dispose()


def test_a_run_goes_with_its_steps_its_waits_and_its_event(store: Store) -> None:
    for run_id in (1, 2):
        store.run(run_id)
        store.add(WaitRow(id=run_id, run_id=run_id, node="n0", kind="event"))
        store.event(f"heard-{run_id}")
        store.add(WaitEvent(wait_id=run_id, event_id=f"heard-{run_id}"))
    store.event("newest")

    removed = store.remove(1)

    assert removed == 1
    assert store.all(RunRow.id) == store.all(StepRow.run_id) == store.all(WaitRow.id) == [2]
    assert store.all(WaitEvent.event_id) == ["heard-2"]
    assert store.all(EventRow.id) == ["event-2", "heard-2", "newest"]


@pytest.mark.parametrize(
    ("of_run", "others"),
    [
        ({"ended": None}, []),
        ({"status": "failed", "is_dead": True}, []),
        ({}, [RunRow(id=9, flow_id="f", trigger="start", parent_run=1, status="queued")]),
        (
            {"called_by": 7},
            [
                WaitRow(id=7, run_id=9, node="call", kind="run"),
                RunRow(id=9, flow_id="g", trigger="start", status="waiting"),
            ],
        ),
    ],
    ids=["open", "dead letter", "retried by an open run", "called by an open run"],
)
def test_a_run_that_somebody_needs_stays(store: Store, of_run: dict[str, Any], others: list[SQLModel]) -> None:
    store.run(1, **of_run)
    store.run(2)
    store.add(*others)

    store.remove(1, 2)

    assert 1 in store.all(RunRow.id)
    assert store.all(StepRow.run_id) == [1]


def test_what_was_retried_and_called_goes_when_those_who_needed_it_have_ended(store: Store) -> None:
    store.run(1, called_by=7)
    store.run(2, parent_run=1)
    store.add(WaitRow(id=7, run_id=2, node="call", kind="run"))

    assert store.remove(1) == 1


def test_an_event_stays_while_another_run_or_a_wait_refers_to_it(store: Store) -> None:
    store.event("shared")
    store.event("awaited")
    for run_id, event_id in ((1, "shared"), (2, "shared"), (3, "awaited")):
        store.run(run_id, event_id=event_id)
    store.add(WaitEvent(wait_id=5, event_id="awaited"))
    store.event("newest")

    store.remove(1, 3)
    between = store.all(EventRow.id)
    store.remove(2)

    assert between == ["awaited", "newest", "shared"]
    assert store.all(EventRow.id) == ["awaited", "newest"]


@pytest.mark.parametrize("more", [{"digest": "chosen"}, {"depth": 1}], ids=["id of its sender", "caused by a run"])
def test_an_event_that_may_be_asked_for_is_remembered_for_a_day(store: Store, more: dict[str, Any]) -> None:
    store.event("old", NOW - 25 * DAY / 24, **more)
    store.event("young", NOW - 23 * DAY / 24, **more)
    store.event("plain", NOW - 23 * DAY / 24)
    for run_id, event_id in enumerate(("old", "young", "plain"), 1):
        store.run(run_id, event_id=event_id)
    store.event("newest", NOW)

    store.remove(1, 2, 3)

    assert store.all(EventRow.id) == ["newest", "young"]


def test_the_number_of_the_newest_event_is_not_given_again(store: Store) -> None:
    store.run(1)

    store.remove(1)
    store.event("next")

    with store.database.read() as session:
        assert session.exec(select(func.max(history.ROWID)).select_from(EventRow)).one() == 2
    assert store.all(RunRow.id) == []


def test_events_without_a_run_are_found_in_order_up_to_the_first_that_is_too_young(store: Store) -> None:
    store.event("alone-1")
    store.run(1)
    store.event("alone-2")
    store.event("wrong clock", NOW + DAY)
    store.event("young", NOW - DAY / 2)
    store.event("behind it")

    def unused(after: int, limit: int) -> tuple[list[str], int]:
        with store.database.read() as session:
            return history.unused_events(session, after, NOW - DAY, NOW, limit)

    assert unused(0, 2) == (["alone-1"], 2)
    assert unused(2, 10) == (["alone-2", "wrong clock"], 4)
    assert unused(4, 10) == ([], 4)


def test_a_large_run_is_gone_at_once_and_its_steps_in_parts(store: Store) -> None:
    store.run(1, steps=25)
    store.run(2)

    with store.database.write() as session:
        assert history.remove_large(session, 1, NOW - DAY) == 1
    assert store.all(RunRow.id) == [2]
    ends = []
    while store.database and len(ends) < 9:
        with store.database.write() as session:
            noted = history.to_clear(session)
            if not noted:
                break
            ends.append(history.clear_steps(session, noted[0], 10))

    assert ends == [False, False, True]
    assert store.all(StepRow.run_id) == [2]


def test_a_large_run_that_somebody_needs_stays_whole(store: Store) -> None:
    store.run(1, steps=25, is_dead=True)

    with store.database.write() as session:
        assert history.remove_large(session, 1, NOW - DAY) == 0
        assert history.to_clear(session) == []

    assert store.all(RunRow.id) == [1]


def test_the_oldest_ends_come_first_and_in_pages(store: Store) -> None:
    for run_id, days in ((1, 3), (2, 9), (3, 9), (4, 1), (5, None), (6, 6)):
        store.run(run_id, None if days is None else NOW - days * DAY, steps=run_id)

    with store.database.read() as session:
        first = history.oldest(session, "f", NOW - 2 * DAY, 2, None)
        rest = history.oldest(session, "f", NOW - 2 * DAY, 9, (first[-1].ended_at, first[-1].id))

    assert [(run.id, run.steps) for run in first] == [(2, 2), (3, 3)]
    assert [run.id for run in rest] == [6, 1]


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (NO_LIMIT, 0),
        (Kept(NOW - 3 * DAY, None, None), 7),
        (Kept(None, 4, None), 6),
        (Kept(None, 0, None), 10),
        (Kept(None, 10, None), 0),
        (Kept(NOW - 3 * DAY, 2, None), 8),
    ],
    ids=["no limit", "age", "count", "none", "just enough", "the strictest counts"],
)
def test_surplus_counts_ended_runs_beyond_the_limits(store: Store, kept: Kept, expected: int) -> None:
    for number in range(1, 11):
        store.run(number, NOW - number * DAY, event_id=None)
    store.run(20, None)
    store.run(30, flow_id="other")

    assert store.surplus(kept) == expected


def test_surplus_by_bytes_counts_texts_of_runs_events_and_steps_of_the_newest_first(store: Store) -> None:
    for number in range(1, 9):
        store.run(number, NOW - number * DAY, steps=0, event_id=f"e{number}")
        store.event(f"e{number}", payload={"text": "x" * 49_988})
        step = StepRow(run_id=number, node="n", status="succeeded", output={"text": "y" * 49_000})
        store.add(step)

    assert store.surplus(Kept(None, None, 400_000)) == 4  # each takes a little less than 100,000
    assert store.surplus(Kept(None, None, 10_000_000)) == 0
    assert store.surplus(Kept(None, None, 0)) == 8
    assert store.surplus(Kept(None, None, 400_000), used_bytes=300_000) == 0


def test_surplus_by_bytes_of_many_runs_is_about_right(store: Store) -> None:
    store.add(
        *(
            RunRow(
                id=n, flow_id="f", trigger="t", payload={"t": "x" * 1_500}, status="succeeded", ended_at=NOW - n * DAY
            )
            for n in range(1, 1_001)
        )
    )

    assert 480 <= store.surplus(Kept(None, None, 1_000_000)) <= 520
