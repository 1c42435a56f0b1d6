"""A paused flow keeps its queue; resuming it runs what waits or drops it; limits are those of the live version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from nodes import spec
from runtime import flow_queue, outbox
from runtime.errors import Conflict
from runtime.flow_views import FlowStanding
from runtime.flows import Flows
from runtime.metrics import Metrics
from storage.database import Database
from storage.tables import EPOCH, Flow, RunRow

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def database(tmp_path: Path, new_database: Callable[[Path], Database]) -> Iterator[Database]:
    database = new_database(tmp_path / "data")
    yield database
    database.dispose()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def flows(database: Database, told: list[str], document: Make) -> Flows:
    flows = Flows(database, spec.load())
    flows.on_live(lambda: told.append("live"))
    flows.create(document())
    flows.publish("greet")
    told.clear()
    return flows


def report(database: Database, count: int = 1) -> None:
    with database.write() as session:
        for _ in range(count):
            outbox.record(session, "shop.order_paid", {"total": 1})


def runs(database: Database) -> list[tuple[str, str | None]]:
    with database.read() as session:
        return [(run.status, run.error and run.error["code"]) for run in session.exec(select(RunRow))]


def notice(database: Database, state: str = "paused") -> None:
    with database.write() as session:
        flow = session.get_one(Flow, "greet")
        flow.state, flow.notice = state, {"code": "flow.loop", "message": "It went round.", "at": "now"}


def test_runs_of_a_paused_flow_wait_and_are_counted(flows: Flows, database: Database) -> None:
    flows.pause("greet")
    report(database, 3)

    assert flows.get("greet").queued == 3
    assert flows.get("greet").as_json()["queued"] == 3
    assert [flow.queued for flow in flows.list()] == [3]
    assert flows.standing("greet") == FlowStanding(1, "paused", None, 3)


def test_what_waits_stays_queued_when_the_flow_is_resumed(flows: Flows, database: Database, told: list[str]) -> None:
    flows.pause("greet")
    report(database, 2)

    flow = flows.resume("greet")

    assert (flow.state, flow.queued) == ("published", 2)
    assert told == ["live"] * 2


@pytest.mark.parametrize("act", ["resume", "publish"])
def test_what_waits_can_be_dropped_and_says_so(
    flows: Flows, database: Database, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    monkeypatch.setattr(flow_queue, "AT_ONCE", 2)
    flows.pause("greet")
    report(database, 5)

    flow = getattr(flows, act)("greet", queue="discard")

    assert (flow.state, flow.queued) == ("published", 0)
    assert runs(database) == [("cancelled", "flow.discarded")] * 5
    with database.read() as session:
        (run, *_) = session.exec(select(RunRow)).all()
        assert run.ended_at is not None
        assert "resumed without" in run.error["message"]


def test_dropping_the_queue_of_a_flow_that_is_live_drops_nothing(flows: Flows, database: Database) -> None:
    report(database, 2)

    flows.resume("greet", queue="discard")

    assert runs(database) == [("queued", None)] * 2


def test_what_has_begun_and_tests_are_not_dropped(flows: Flows, database: Database) -> None:
    flows.pause("greet")
    with database.write() as session:
        session.add(RunRow(flow_id="greet", version=1, trigger="start", started_at=EPOCH))
        session.add(RunRow(flow_id="greet", trigger="start", is_test=True))

    flows.resume("greet", queue="discard")

    assert runs(database) == [("queued", None)] * 2


@pytest.mark.parametrize("act", ["unpublish", "delete"])
def test_nothing_waits_for_a_flow_that_will_not_be_resumed(
    flows: Flows, database: Database, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    monkeypatch.setattr(flow_queue, "AT_ONCE", 2)
    flows.pause("greet")
    report(database, 3)

    getattr(flows, act)("greet")

    assert runs(database) == [("cancelled", "flow.discarded")] * 3


def test_runs_on_their_way_stay_when_their_flow_is_unpublished_or_deleted(flows: Flows, database: Database) -> None:
    report(database)

    flows.unpublish("greet")
    flows.delete("greet")

    assert runs(database) == [("queued", None)]


@pytest.mark.parametrize("act", ["resume", "publish", "unpublish"])
def test_a_flow_that_was_paused_by_the_platform_says_why_until_then(flows: Flows, database: Database, act: str) -> None:
    notice(database)

    before = [flows.get("greet"), *flows.list()]
    after = getattr(flows, act)("greet")

    assert [each.notice and each.notice["message"] for each in before] == ["It went round."] * 2
    assert before[0].as_json()["notice"]["code"] == "flow.loop"
    assert after.notice is None


def test_a_notice_of_a_live_flow_is_dismissed_and_that_of_a_paused_one_is_not(flows: Flows, database: Database) -> None:
    notice(database, "published")
    dismissed = flows.dismiss_notice("greet").notice
    notice(database, "paused")

    assert dismissed is None
    assert flows.dismiss_notice("greet").notice is not None


def test_pausing_and_resuming_what_is_not_published_is_refused(flows: Flows, database: Database) -> None:
    flows.unpublish("greet")

    for act in (flows.pause, flows.resume):
        with pytest.raises(Conflict):
            act("greet")


def test_the_limits_are_those_of_the_live_version(flows: Flows, database: Database) -> None:
    def limits() -> dict[str, Any] | None:
        with database.read() as session:
            return session.get_one(Flow, "greet").limits

    seen = [limits()]
    flows.edit("greet", [{"op": "patch_flow", "set": {"settings": {"runs_at_once": 2}}}])
    seen.append(limits())
    flows.publish("greet")
    seen.append(limits())
    flows.edit("greet", [{"op": "patch_flow", "set": {"settings": None}}])
    flows.publish("greet")
    seen.append(limits())

    assert seen == [None, None, {"runs_at_once": 2}, None]


def test_metrics_tell_how_many_runs_wait_and_why(flows: Flows, database: Database, document: Make) -> None:
    flows.create(document() | {"graph": {"id": "other", "name": "Other"}})
    flows.edit("other", [{"op": "patch_flow", "set": {"settings": {"runs_at_once": 1}}}])
    flows.publish("other")
    flows.pause("greet")
    report(database, 3)

    lines = Metrics(database).text(None).splitlines()

    assert 'pulsewire_runs_held{reason="paused"} 3' in lines
    assert 'pulsewire_runs_held{reason="limited"} 3' in lines
