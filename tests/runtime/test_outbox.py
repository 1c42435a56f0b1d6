from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import Session, select

from runtime import limits, outbox
from runtime.errors import Invalid
from runtime.intake import Subscriber
from runtime.outbox import NewEvent
from storage.tables import EventRow, RunRow, Subscription


@pytest.fixture
def session(rig):
    with rig.database.write() as session:
        session.add(Subscription(flow_id="a", node="start", version=3, event="go", match={"Name": "orders"}))
        session.add(Subscription(flow_id="b", node="first", version=1, event="go", match={}))
        session.flush()
        yield session


def runs(session: Session) -> list[tuple[Any, ...]]:
    return [(run.flow_id, run.version, run.trigger, run.status) for run in session.exec(select(RunRow)).all()]


def test_an_event_and_its_runs_are_written_in_the_callers_transaction(session: Session) -> None:
    event_id, ids = outbox.record(session, "go", {"Name": "orders"})

    assert len(ids) == 2
    assert runs(session) == [("a", 3, "start", "queued"), ("b", 1, "first", "queued")]
    event = session.get_one(EventRow, event_id)
    assert (event.name, event.payload, event.root_id, event.depth, event.path) == (
        "go",
        {"Name": "orders"},
        event_id,
        0,
        [],
    )


def test_a_rollback_drops_event_and_runs(session: Session) -> None:
    with session.begin_nested() as savepoint:
        outbox.record(session, "go", {"Name": "orders"})
        savepoint.rollback()

    assert runs(session) == []


def test_only_matching_triggers_start(session: Session) -> None:
    outbox.record(session, "go", {"Name": "customers"})

    assert runs(session) == [("b", 1, "first", "queued")]


def test_a_match_on_null_is_not_met_by_a_payload_without_the_name(session: Session) -> None:
    session.add(Subscription(flow_id="c", node="start", version=1, event="paid", match={"Name": None}))

    outbox.record(session, "paid", {})
    outbox.record(session, "paid", {"Name": None})

    assert runs(session) == [("c", 1, "start", "queued")]


@pytest.mark.parametrize(
    ("name", "known", "is_heard"),
    [
        ("go", {"Name": "customers"}, True),
        ("wait", {"Name": "orders", "ID": "7"}, True),
        ("wait", {"ID": "7"}, True),
        ("wait", {"Name": "customers"}, False),
        ("gone", {}, False),
    ],
    ids=["everything", "what matches", "what may match", "something else", "another event"],
)
def test_known_values_tell_whether_anybody_listens(
    session: Session, name: str, known: dict[str, Any], is_heard: bool
) -> None:
    session.add(Subscription(flow_id="c", node="start", version=1, event="wait", match={"Name": "orders"}))

    assert outbox.listens(session, name, known) is is_heard


def test_an_id_with_another_name_is_refused(session: Session) -> None:
    outbox.record(session, "go", {"n": 1}, id="x")

    with pytest.raises(Invalid) as caught:
        outbox.record(session, "gone", {"n": 1}, id="x")

    assert [problem.code for problem in caught.value.problems] == ["event.id_reused"]


def test_an_id_seen_before_writes_nothing(session: Session) -> None:
    first = outbox.record(session, "go", {"n": 1}, id="x")
    second = outbox.record(session, "go", {"n": 1}, id="x")

    assert first == second
    with pytest.raises(Invalid):
        outbox.record(session, "go", {"n": 2}, id="x")


def test_a_loop_is_recorded_as_a_failed_run_that_never_starts(session: Session) -> None:
    cause = NewEvent("go", {}, depth=3, path=("b",) * limits.SAME_FLOW_IN_PATH)

    _, ids = outbox.record(session, "go", {}, causality=cause)

    assert ids == []
    (run,) = session.exec(select(RunRow)).all()
    assert (run.status, run.error and run.error["code"]) == ("failed", "event.loop")


def test_an_event_for_one_flow_alone_starts_it_once_and_no_one_who_listens(session: Session) -> None:
    starts = [(NewEvent("go", {"n": n}, id=f"due-{n}"), Subscriber("c", 2, "start", {})) for n in (1, 2, 2)]
    now = datetime(2026, 5, 4, tzinfo=UTC)

    counts = [outbox.start(session, starts, now), outbox.start(session, starts, now)]

    assert counts == [2, 0]
    assert runs(session) == [("c", 2, "start", "queued")] * 2
    assert session.get_one(EventRow, "due-2").payload == {"n": 2}
