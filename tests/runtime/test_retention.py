"""Old runs go by themselves, in short turns, and the disk gets their room back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, func, select, update

from runtime.engine import NewEvent
from runtime.errors import Invalid
from runtime.retention import Sweeper
from runtime.retention_rules import Retention, Rules
from storage.space import measure
from storage.tables import EventRow, Flow, RunRow, StepRow
from tests.runtime.conftest import Rig

ECHO = {"id": "echo", "type": "echo", "params": {"text": "hello"}}


@pytest.fixture
def quiet(rig: Rig) -> Rig:
    """An engine with a flow that does little."""
    rig.flow([ECHO], ["start>echo"])
    return rig


def keep(rig: Rig, days: float | None = None, runs: int | None = None, mb: float | None = None) -> None:
    Retention(rig.database).save(Rules(days, runs, mb))


def count(rig: Rig, table: Any) -> int:
    with rig.database.read() as session:
        return session.exec(select(func.count()).select_from(table)).one()


def add_runs(rig: Rig, runs: int, steps: int = 4, flow: str = "f") -> None:
    """Put in runs that ended some time ago, faster than an engine runs them."""
    at = int(rig.clock().timestamp() * 1e6) - 86_400_000_000
    with rig.database.write() as session:
        connection = session.connection()
        first = (connection.exec_driver_sql("SELECT max(id) FROM run").scalar() or 0) + 1
        connection.exec_driver_sql(
            "INSERT INTO event (id, name, payload, root_id, depth, path, created_at) "
            "VALUES (?, 'go', ?, '', 0, '[]', ?)",
            [(f"{number:09}", '{"text":"' + "x" * 200 + '"}', at) for number in range(first, first + runs)],
        )
        connection.exec_driver_sql(
            "INSERT INTO run (id, flow_id, version, trigger, event_id, status, is_test, is_simulated, epoch, "
            "created_at, ended_at) VALUES (?, ?, 1, 'start', ?, 'succeeded', 0, 0, 1, ?, ?)",
            [(number, flow, f"{number:09}", at, at + number) for number in range(first, first + runs)],
        )
        connection.exec_driver_sql(
            "INSERT INTO step (run_id, node, iteration, attempt, status, output) VALUES (?, ?, '', 1, 'succeeded', ?)",
            [
                (number, f"n{step}", '{"text":"' + "y" * 150 + '"}')
                for number in range(first, first + runs)
                for step in range(steps)
            ],
        )


async def test_runs_go_when_they_are_too_old_and_open_ones_stay(quiet: Rig) -> None:
    quiet.flow([{"id": "call", "type": "call", "params": {"text": "slow"}}], ["start>call"], flow_id="g", event="wait")
    quiet.calls.hold("slow")
    open_run = await quiet.emit(name="wait")
    await asyncio.wait_for(quiet.calls.arrived["slow"].wait(), 5)
    old, _ = await quiet.done()
    quiet.clock.advance(days=31)
    new, _ = await quiet.done()

    await quiet.engine.sweeper.sweep()

    assert [run.id for run in quiet.runs()] == sorted([open_run, new.id or 0])
    assert old.id not in {run.id for run in quiet.runs()}
    assert count(quiet, EventRow) == 2
    quiet.calls.release("slow")
    await quiet.run(open_run)


async def test_a_flow_overrides_the_rules_of_the_installation(quiet: Rig) -> None:
    quiet.flow([ECHO], ["start>echo"], flow_id="long", event="long")
    with quiet.database.write() as session:
        session.connection().execute(
            update(Flow).where(col(Flow.id) == "long").values(limits={"keep_days": 100, "runs_at_once": 5})
        )
    keep(quiet, days=1)
    await quiet.done()
    kept = await quiet.run(await quiet.emit(name="long"))
    quiet.clock.advance(days=2)

    await quiet.engine.sweeper.sweep()

    assert [run.id for run in quiet.runs()] == [kept.id]


async def test_runs_of_a_deleted_flow_go_too(quiet: Rig) -> None:
    await quiet.done()
    with quiet.database.write() as session:
        session.delete(session.get_one(Flow, "f"))
    quiet.clock.advance(days=31)

    await quiet.engine.sweeper.sweep()

    assert quiet.runs() == []


async def test_whoever_started_a_run_finds_it_for_some_minutes_however_little_is_kept(quiet: Rig) -> None:
    keep(quiet, runs=0)
    await quiet.done()

    quiet.clock.advance(minutes=4)
    await quiet.engine.sweeper.sweep()
    between = len(quiet.runs())
    quiet.clock.advance(minutes=2)
    await quiet.engine.sweeper.sweep()

    assert between == 1
    assert quiet.runs() == []


async def test_an_id_chosen_by_the_sender_is_known_after_its_run_is_gone(quiet: Rig) -> None:
    keep(quiet, runs=0)
    event = NewEvent("go", {}, id="order-1")
    (first,) = await quiet.engine.accept([event])
    await quiet.run(first.runs[0])
    quiet.clock.advance(hours=23)
    await quiet.engine.sweeper.sweep()

    (again,) = await quiet.engine.accept([event])
    runs = quiet.runs()
    quiet.clock.advance(hours=2)
    await quiet.engine.accept([NewEvent("other", {})])
    await quiet.engine.sweeper.sweep()
    (fresh,) = await quiet.engine.accept([event])

    assert (again.duplicate, again.runs, runs) == (True, [], [])
    assert not fresh.duplicate
    assert len(fresh.runs) == 1


async def test_events_that_started_nothing_go_after_a_day(quiet: Rig) -> None:
    for number in range(3):
        await quiet.engine.accept([NewEvent("unheard", {"n": number})])
    quiet.clock.advance(hours=25)
    await quiet.engine.accept([NewEvent("unheard", {"n": 3})])

    await quiet.engine.sweeper.sweep()

    assert count(quiet, EventRow) == 1


async def test_the_oldest_go_first_until_few_enough_are_left(quiet: Rig) -> None:
    add_runs(quiet, 3_000)
    keep(quiet, runs=700)

    await quiet.engine.sweeper.sweep()

    assert [run.id for run in quiet.runs()] == list(range(2_301, 3_001))
    assert count(quiet, StepRow) == 700 * 4
    assert count(quiet, EventRow) == 700


async def test_after_20000_runs_are_gone_the_file_on_the_disk_is_small_again(quiet: Rig) -> None:
    add_runs(quiet, 20_000, steps=2)
    full = measure(quiet.database).file_bytes
    await quiet.engine.sweeper.sweep()
    before = quiet.database.path.stat().st_size
    keep(quiet, runs=0)

    while not (await quiet.engine.sweeper.sweep()).is_done:
        pass

    assert count(quiet, RunRow) == count(quiet, StepRow) == 0
    assert before == full > 15_000_000  # nothing was in the log alone
    assert quiet.database.path.stat().st_size < 0.6 * before
    with quiet.database.look() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


class Stopped(Exception):
    pass


def stopping(rig: Rig, turns: int) -> Callable[[Callable[[Session], Any]], Any]:
    """Return what takes the writer's place for some turns, and then is as dead as after a kill."""
    left = iter(range(turns))

    async def call(work: Callable[[Session], Any]) -> Any:
        if next(left, None) is None:
            raise Stopped
        with rig.database.write() as session:
            return work(session)

    return call


def sweeper(rig: Rig, call: Callable[[Callable[[Session], Any]], Any]) -> Sweeper:
    return Sweeper(rig.database, call, rig.clock, is_full=lambda: False, is_idle=lambda: False)


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8])
async def test_stopped_after_any_turn_it_leaves_no_half_run_and_goes_on_later(quiet: Rig, turns: int) -> None:
    await quiet.engine.stop()
    add_runs(quiet, 200)
    add_runs(quiet, 2, steps=3_000)
    keep(quiet, runs=1)
    sizes = select(func.count()).select_from(StepRow).join(RunRow, col(RunRow.id) == StepRow.run_id)

    with suppress(Stopped):
        await sweeper(quiet, stopping(quiet, turns)).sweep()
    with quiet.database.read() as session:
        sizes_seen = set(session.exec(sizes.group_by(col(RunRow.id))))
    await sweeper(quiet, stopping(quiet, 1_000)).sweep()

    assert sizes_seen <= {4, 3_000}
    assert [run.id for run in quiet.runs()] == [202]
    assert count(quiet, StepRow) == 3_000


async def test_while_the_disk_is_full_nothing_is_tried_and_later_it_goes_on(quiet: Rig) -> None:
    await quiet.engine.stop()
    add_runs(quiet, 50)
    keep(quiet, runs=0)
    is_full = True
    sweeper = Sweeper(quiet.database, stopping(quiet, 100), quiet.clock, is_full=lambda: is_full, is_idle=lambda: False)

    first = await sweeper.sweep()
    is_full = False
    second = await sweeper.sweep()

    assert (first.runs, first.turns, first.is_done) == (0, 0, True)
    assert second.runs == 50
    assert quiet.runs() == []


async def test_the_engine_sweeps_by_itself_when_the_rules_are_changed(quiet: Rig) -> None:
    await quiet.done()
    quiet.clock.advance(days=2)

    keep(quiet, days=1)

    async with asyncio.timeout(30):
        while quiet.runs():  # noqa: ASYNC110 - rows are read, nothing tells of them
            await asyncio.sleep(0.05)


def test_rules_that_cannot_be_kept_are_refused_with_every_problem(rig: Rig) -> None:
    retention = Retention(rig.database)

    with pytest.raises(Invalid) as refused:
        retention.save(Rules(keep_days=-1, keep_runs=1.5, keep_mb=True))  # type: ignore[arg-type]

    assert [problem.param for problem in refused.value.problems] == ["keep_days", "keep_runs", "keep_mb"]
    assert retention.read() == Rules(30, 100_000, 1_000)


def test_rules_without_a_limit_are_kept_as_such(rig: Rig) -> None:
    retention = Retention(rig.database)

    retention.save(Rules(None, None, 0.5))

    assert retention.read() == Rules(None, None, 0.5)
    assert retention.read().kept(rig.clock()).bytes == 500_000
    assert retention.read().of_flow({"keep_days": 7}) == Rules(7, None, 0.5)
    assert Rules(7).kept(rig.clock()).ended_after == rig.clock() - timedelta(days=7)
