"""The scheduler on a real database: what is due is started once, whoever looks, whatever the clock does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session, select

from nodes import spec
from runtime.errors import Conflict
from runtime.flows import Flows
from runtime.scheduler import RUNS_AT_ONCE, Scheduler
from storage.database import Database
from storage.tables import EventRow, Flow, RunRow, Schedule

NINE = datetime(2026, 5, 4, 9, tzinfo=UTC)  # a Monday
DAILY = {"cron": "0 9 * * *"}
MINUTELY = {"cron": "* * * * *"}


class Desk:
    """Flows, a clock that the test sets, and schedulers with a journal each."""

    def __init__(self, directory: Path) -> None:
        self.database = Database(f"sqlite:///{directory}/pulsewire.db")
        self.database.migrate()
        self.now = NINE - timedelta(hours=1)
        self.flows = Flows(self.database, spec.load(), clock=self.clock)
        self.started = 0

    def clock(self) -> datetime:
        return self.now

    def scheduler(self) -> Scheduler:
        async def started() -> None:
            self.started += 1

        return Scheduler(self.database, self.call, self.clock, started)

    async def call(self, work: Callable[[Session], int]) -> int:
        """Run *work* in a transaction of its own, as an engine's journal does."""

        def transact() -> int:
            with self.database.write() as session:
                return work(session)

        return await asyncio.to_thread(transact)

    def publish(self, params: dict[str, Any], flow_id: str = "f") -> None:
        """Make a flow of one schedule live, or its next version."""
        node = {"id": "start", "type": "on_schedule", "name": "Schedule", "params": params}
        document = {
            "format": "pulsewire.flow/1",
            "directed": True,
            "multigraph": True,
            "graph": {"id": flow_id, "name": flow_id, "description": ""},
            "nodes": [node],
            "edges": [],
            "samples": [],
            "layout": {},
        }
        with self.database.read() as session:
            is_known = session.get(Flow, flow_id) is not None
        if is_known:
            self.flows.save(flow_id, document)
        else:
            self.flows.create(document)
        self.flows.publish(flow_id)

    def runs(self) -> list[dict[str, Any]]:
        """Return the payloads of the runs that were started, oldest first."""
        query = select(RunRow, EventRow).join(EventRow, EventRow.id == RunRow.event_id)  # type: ignore[arg-type]
        with self.database.read() as session:
            return [event.payload for _run, event in session.exec(query.order_by(RunRow.id))]  # type: ignore[arg-type]

    def due(self) -> list[str]:
        return [payload["due_at"] for payload in self.runs()]

    def row(self, flow_id: str = "f") -> Schedule | None:
        with self.database.read() as session:
            return session.get(Schedule, (flow_id, "start"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.database.dispose()


async def test_a_due_time_writes_its_event_its_run_and_the_next_time(desk: Desk) -> None:
    desk.publish(DAILY | {"timezone": "Europe/Berlin"})
    scheduler = desk.scheduler()
    assert desk.row().next_due_at == datetime(2026, 5, 5, 7, tzinfo=UTC)  # 09:00 in Berlin is 07:00

    desk.now = datetime(2026, 5, 5, 7, 0, 0, 400_000, tzinfo=UTC)
    await scheduler.look()

    with desk.database.read() as session:
        (run,) = session.exec(select(RunRow)).all()
        event = session.get_one(EventRow, run.event_id)
    assert (run.flow_id, run.version, run.trigger, run.status) == ("f", 1, "start", "queued")
    assert (event.name, event.root_id, event.depth) == ("schedule.due", event.id, 0)
    assert event.payload == {"due_at": "2026-05-05T07:00:00Z", "local_time": "2026-05-05T09:00:00+02:00", "missed": 0}
    assert run.created_at == event.created_at == desk.now
    row = desk.row()
    assert (row.last_due_at, row.next_due_at) == (
        datetime(2026, 5, 5, 7, tzinfo=UTC),
        datetime(2026, 5, 6, 7, tzinfo=UTC),
    )
    assert desk.started == 1


async def test_nothing_starts_before_its_time(desk: Desk) -> None:
    desk.publish(DAILY)
    scheduler = desk.scheduler()

    desk.now = NINE - timedelta(milliseconds=250)
    wait_s = await scheduler.look()

    assert desk.runs() == []
    assert wait_s == 0.25  # the scheduler looks again when it is due


async def test_no_look_at_the_clock_is_more_than_a_second_away(desk: Desk) -> None:
    desk.publish(DAILY)
    scheduler = desk.scheduler()

    assert await scheduler.look() == 1.0


async def test_a_distance_is_counted_from_the_publishing(desk: Desk) -> None:
    desk.now = NINE.replace(second=7, microsecond=5)
    desk.publish({"every_s": 90})
    scheduler = desk.scheduler()

    for seconds in range(7, 300, 7):
        desk.now = NINE + timedelta(seconds=seconds)
        await scheduler.look()

    assert desk.due() == ["2026-05-04T09:01:37Z", "2026-05-04T09:03:07Z", "2026-05-04T09:04:37Z"]


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("skip", [("2026-05-04T10:41:00Z", 0)]),
        ("once", [("2026-05-04T10:41:00Z", 100)]),
    ],
)
async def test_an_outage_over_a_hundred_times_is_one_run(desk: Desk, missed, expected) -> None:
    desk.publish(MINUTELY | {"missed": missed})
    first = desk.scheduler()
    desk.now = NINE
    await first.look()

    desk.now = NINE + timedelta(minutes=101, seconds=30)
    again = desk.scheduler()
    await again.look()
    await again.look()

    assert [(run["due_at"], run["missed"]) for run in desk.runs()[1:]] == expected
    assert desk.row().next_due_at == NINE + timedelta(minutes=102)


async def test_an_outage_is_made_up_for_wholly_where_the_schedule_says_so(desk: Desk) -> None:
    desk.publish(DAILY | {"missed": "all"})
    scheduler = desk.scheduler()

    desk.now = NINE + timedelta(days=3, hours=5)
    await scheduler.look()

    assert [(run["due_at"][:10], run["missed"]) for run in desk.runs()] == [
        ("2026-05-04", 1),
        ("2026-05-05", 1),
        ("2026-05-06", 1),
        ("2026-05-07", 1),
    ]


async def test_what_was_missed_by_more_than_an_hour_is_let_go(desk: Desk) -> None:
    desk.publish(DAILY)
    scheduler = desk.scheduler()

    desk.now = NINE + timedelta(hours=1, minutes=1)
    await scheduler.look()

    assert desk.runs() == []
    assert desk.row().next_due_at == NINE + timedelta(days=1)


async def test_three_schedulers_on_one_database_start_each_time_once(desk: Desk) -> None:
    for number in range(20):
        desk.publish(MINUTELY, f"f{number}")
    schedulers = [desk.scheduler() for _ in range(3)]

    for minute in range(5):
        desk.now = NINE + timedelta(minutes=minute)
        await asyncio.gather(*(scheduler.look() for scheduler in schedulers))

    due = desk.due()
    assert len(due) == 20 * 5
    assert {each: due.count(each) for each in due} == {f"2026-05-04T09:0{minute}:00Z": 20 for minute in range(5)}


async def test_a_death_after_the_commit_starts_nothing_twice(desk: Desk) -> None:
    desk.publish(DAILY)
    reached = asyncio.Event()

    async def never_returns() -> None:
        reached.set()
        await asyncio.Event().wait()

    dying = Scheduler(desk.database, desk.call, desk.clock, never_returns)
    desk.now = NINE
    look = asyncio.create_task(dying.look())
    await reached.wait()
    look.cancel()

    await desk.scheduler().look()

    assert desk.due() == ["2026-05-04T09:00:00Z"]


async def test_a_death_before_the_commit_loses_nothing(desk: Desk) -> None:
    desk.publish(DAILY)

    async def refuse(_work: Any) -> int:
        raise OSError("killed")

    desk.now = NINE
    with pytest.raises(OSError, match="killed"):
        await Scheduler(desk.database, refuse, desk.clock, _nothing).look()
    await desk.scheduler().look()

    assert desk.due() == ["2026-05-04T09:00:00Z"]


@pytest.mark.parametrize("what", ["paused", "unpublished", "published anew"])
async def test_what_changes_between_the_look_and_the_commit_counts(desk: Desk, what: str) -> None:
    desk.publish(DAILY)
    desk.now = NINE
    changes = {
        "paused": lambda: desk.flows.pause("f"),
        "unpublished": lambda: desk.flows.unpublish("f"),
        "published anew": lambda: desk.publish({"cron": "0 12 * * *"}),
    }

    async def call_late(work: Callable[[Session], int]) -> int:
        changes[what]()
        return await desk.call(work)

    with suppress(Conflict):  # it is paused once, and published no more the second time
        await Scheduler(desk.database, call_late, desk.clock, _nothing).look()

    row = desk.row()
    assert desk.runs() == []
    assert row is None or row.next_due_at == {"paused": NINE}.get(what, NINE + timedelta(hours=3))


async def test_a_thousand_schedules_of_one_second_take_few_transactions(desk: Desk) -> None:
    desk.publish(MINUTELY)
    with desk.database.write() as session:
        row = session.get_one(Schedule, ("f", "start"))
        flow = session.get_one(Flow, "f")
        for number in range(1_000):
            session.add(Flow(**flow.model_dump() | {"id": f"g{number}"}))
            session.add(Schedule(**row.model_dump() | {"flow_id": f"g{number}"}))
    scheduler = desk.scheduler()
    await scheduler.look()
    commits: list[int] = []
    event.listen(desk.database.writer, "commit", lambda _connection: commits.append(1))

    desk.now = NINE
    await scheduler.look()

    assert len(desk.runs()) == 1_001
    assert len(commits) <= 1_001 // RUNS_AT_ONCE + 2


async def test_catching_up_is_divided_into_transactions(desk: Desk) -> None:
    for number in range(12):
        desk.publish(MINUTELY | {"missed": "all"}, f"f{number}")
    scheduler = desk.scheduler()

    desk.now = NINE + timedelta(hours=3)
    await scheduler.look()

    assert len(desk.runs()) == 1_200
    assert desk.started == 6


# -- publishing


async def test_publishing_again_keeps_the_next_time_of_an_unchanged_schedule(desk: Desk) -> None:
    desk.publish({"every_s": 3_600})
    first = desk.row()

    desk.now += timedelta(minutes=40)
    desk.publish({"every_s": 3_600, "missed": "all", "timezone": "Europe/Berlin"})

    row = desk.row()
    assert (row.version, row.spec["missed"]) == (2, "all")
    assert (row.next_due_at, row.generation) == (first.next_due_at, first.generation)


async def test_a_changed_schedule_is_due_at_its_new_time(desk: Desk) -> None:
    desk.publish(DAILY)

    desk.publish(DAILY | {"timezone": "America/New_York"})

    assert desk.row().next_due_at == datetime(2026, 5, 4, 13, tzinfo=UTC)


async def test_what_fell_due_just_before_publishing_again_is_started_on_the_new_version(desk: Desk) -> None:
    desk.publish(DAILY)
    scheduler = desk.scheduler()

    desk.now = NINE
    desk.publish(DAILY | {"missed": "all"})
    await scheduler.look()

    with desk.database.read() as session:
        assert [run.version for run in session.exec(select(RunRow))] == [2]


async def test_a_schedule_that_was_started_is_not_due_again_when_it_is_published_again(desk: Desk) -> None:
    desk.publish(DAILY)
    scheduler = desk.scheduler()
    desk.now = NINE
    await scheduler.look()

    desk.publish(DAILY | {"missed": "all"})
    await scheduler.look()
    desk.flows.unpublish("f")
    desk.publish(DAILY)
    await scheduler.look()

    assert desk.due() == ["2026-05-04T09:00:00Z"]


@pytest.mark.parametrize("take_away", ["unpublish", "delete"])
async def test_a_flow_that_is_gone_is_due_no_more(desk: Desk, take_away: str) -> None:
    desk.publish(DAILY)
    scheduler = desk.scheduler()

    getattr(desk.flows, take_away)("f")
    desk.now = NINE
    await scheduler.look()

    assert desk.row() is None
    assert desk.runs() == []


async def test_a_trigger_that_is_taken_out_is_due_no_more(desk: Desk) -> None:
    desk.publish(DAILY)
    node = {"id": "by_hand", "type": "manual", "name": "By hand", "params": {}}
    document = desk.flows.get("f").draft

    desk.flows.save("f", document | {"nodes": [node]})
    desk.flows.publish("f")

    assert desk.row() is None


async def test_a_trigger_that_is_switched_off_is_not_due(desk: Desk) -> None:
    desk.publish(DAILY)
    document = desk.flows.get("f").draft

    desk.flows.save("f", document | {"nodes": [{**document["nodes"][0], "disabled": True}]})
    desk.flows.publish("f")

    assert desk.row() is None


async def test_a_paused_flow_starts_nothing_and_makes_up_for_it_when_it_is_resumed(desk: Desk) -> None:
    desk.now = NINE - timedelta(minutes=1)
    desk.publish(MINUTELY)
    scheduler = desk.scheduler()
    desk.flows.pause("f")

    for minute in range(10):
        desk.now = NINE + timedelta(minutes=minute)
        await scheduler.look()
    paused = desk.runs()
    desk.flows.resume("f")
    desk.now += timedelta(seconds=1)
    await scheduler.look()

    assert paused == []
    assert [(run["due_at"], run["missed"]) for run in desk.runs()] == [("2026-05-04T09:09:00Z", 9)]


@pytest.mark.parametrize("how", ["resume", "publish"])
async def test_a_flow_that_goes_on_without_its_queue_makes_up_for_nothing(desk: Desk, how: str) -> None:
    desk.now = NINE
    desk.publish({"every_s": 420, "missed": "all"})
    scheduler = desk.scheduler()
    desk.flows.pause("f")

    desk.now = NINE + timedelta(hours=1)
    getattr(desk.flows, how)("f", queue="discard")
    await scheduler.look()

    assert desk.runs() == []
    assert desk.row().next_due_at == NINE + timedelta(minutes=63)


async def test_a_long_pause_is_not_made_up_for(desk: Desk) -> None:
    desk.publish(DAILY)
    scheduler = desk.scheduler()
    desk.flows.pause("f")

    desk.now = NINE + timedelta(days=9, hours=3)
    desk.flows.resume("f")
    await scheduler.look()

    assert desk.runs() == []
    assert desk.flows.get("f").schedules[0].next_due_at == NINE + timedelta(days=10)


# -- clocks


async def test_a_clock_set_forward_a_day_is_no_storm(desk: Desk) -> None:
    desk.publish(MINUTELY, "minutely")
    desk.publish({"every_s": 1}, "secondly")
    desk.publish(DAILY, "daily")
    scheduler = desk.scheduler()
    desk.now = NINE
    await scheduler.look()
    before = len(desk.runs())

    desk.now = NINE + timedelta(days=1, seconds=30)
    await scheduler.look()

    assert len(desk.runs()) - before == 3  # one each, the daily one's of its own time


async def test_a_clock_set_back_a_day_is_no_silence_and_no_storm(desk: Desk) -> None:
    desk.publish(MINUTELY, "minutely")
    desk.publish({"every_s": 60}, "distance")
    desk.publish(DAILY, "daily")
    scheduler = desk.scheduler()
    desk.now = NINE
    await scheduler.look()
    before = len(desk.runs())

    desk.now = NINE - timedelta(days=1, minutes=-30)
    await scheduler.look()
    at_once = len(desk.runs()) - before
    for _minute in range(3):
        desk.now += timedelta(minutes=1)
        await scheduler.look()
    in_three_minutes = len(desk.runs()) - before
    desk.now = NINE
    await scheduler.look()

    assert at_once == 0
    assert in_three_minutes == 6
    assert desk.row("daily").last_due_at == NINE
    with desk.database.read() as session:
        daily = session.exec(select(RunRow.event_id).where(RunRow.flow_id == "daily")).all()
    assert daily == ["schedule:daily:start:1:2026-05-04T09:00:00Z", "schedule:daily:start:2:2026-05-04T09:00:00Z"]


async def test_a_clock_set_back_while_the_engine_was_down_is_noticed(desk: Desk) -> None:
    desk.publish(MINUTELY)
    desk.now = NINE
    await desk.scheduler().look()

    desk.now = NINE - timedelta(days=1)
    again = desk.scheduler()
    await again.look()
    desk.now += timedelta(minutes=1)
    await again.look()

    assert desk.due()[-1] == "2026-05-03T09:01:00Z"


async def test_a_clock_that_is_put_right_by_seconds_starts_nothing_twice(desk: Desk) -> None:
    desk.publish(MINUTELY)
    scheduler = desk.scheduler()
    desk.now = NINE
    await scheduler.look()
    before = len(desk.runs())

    for seconds in (-20, -1, 0, 30):
        desk.now = NINE + timedelta(seconds=seconds)
        await scheduler.look()

    assert len(desk.runs()) == before


async def test_a_clock_that_jumps_there_and_back_loses_no_time(desk: Desk) -> None:
    desk.publish(DAILY)
    scheduler = desk.scheduler()
    desk.now = NINE - timedelta(minutes=5)
    await scheduler.look()

    desk.now += timedelta(days=1)
    await scheduler.look()
    desk.now -= timedelta(days=1)
    await scheduler.look()
    for minute in range(10):
        desk.now = NINE + timedelta(minutes=minute)
        await scheduler.look()

    assert desk.due() == ["2026-05-04T09:00:00Z"]


async def test_a_schedule_that_cannot_be_computed_keeps_no_other_one_from_its_time(desk: Desk, caplog: Any) -> None:
    desk.publish(DAILY, "broken")
    desk.publish(DAILY, "sound")
    with desk.database.write() as session:
        row = session.get_one(Schedule, ("broken", "start"))
        row.spec = {**row.spec, "timezone": "Mars/Olympus"}
        session.add(row)
    scheduler = desk.scheduler()

    desk.now = NINE
    await scheduler.look()

    assert desk.due() == ["2026-05-04T09:00:00Z"]
    assert desk.row("broken").next_due_at is None
    assert "There is no time zone “Mars/Olympus”" in caplog.text


@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T20", ["2026-03-29T03:00:00+02:00"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T20", ["2026-10-25T02:30:00+02:00"]),
        ("30 1 * * *", "America/New_York", "2026-10-31T22", ["2026-11-01T01:30:00-04:00"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T09", ["2026-10-04T02:30:00+11:00"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T09", ["2026-04-05T01:45:00+11:00"]),
        ("0 12 31 * *", "Asia/Kathmandu", "2026-10-31T02", ["2026-10-31T12:00:00+05:45"]),
        ("0 12 29 2 *", "UTC", "2028-02-29T02", ["2028-02-29T12:00:00+00:00"]),
    ],
)
async def test_on_odd_days_each_time_starts_one_run(desk: Desk, line, zone, after, expected) -> None:
    desk.now = datetime.fromisoformat(after).replace(tzinfo=UTC)
    end = desk.now + timedelta(hours=22)
    desk.publish({"cron": line, "timezone": zone})
    scheduler = desk.scheduler()

    while desk.now < end:
        desk.now += timedelta(minutes=5)
        await scheduler.look()

    assert [run["local_time"] for run in desk.runs()] == expected


async def _nothing() -> None: ...
