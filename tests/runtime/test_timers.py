"""Runs that wait for their time are rows; the engine holds those that are due within seconds."""

from __future__ import annotations

from datetime import timedelta

from runtime.engine import NewEvent

DELAY = {"id": "wait", "type": "delay", "params": {"seconds": 3600}}
SHORT = {"id": "shipped", "type": "wait_for_event", "params": {"event": "shipped", "timeout_s": 3}}
WAITING = 20_000
COPY_RUN = (
    "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?) "
    "INSERT INTO run (id, flow_id, version, trigger, event_id, status, is_test, is_simulated, epoch, crashes, is_dead, "
    "wake_at, created_at, started_at) SELECT id + n, flow_id, version, trigger, event_id, status, 0, 0, epoch, 0, 0, "
    "wake_at + n * 1000000, created_at, started_at FROM run, n"
)
COPY_STEPS = (
    "INSERT INTO step (run_id, node, iteration, attempt, status, port, effect, started_at) SELECT run.id, node, "
    "iteration, attempt, step.status, port, json_replace(effect, '$.until', "
    "strftime('%Y-%m-%dT%H:%M:%f+00:00', run.wake_at / 1000000.0, 'unixepoch')), step.started_at "
    "FROM step, run WHERE run.id > step.run_id"
)


async def test_of_many_runs_that_wait_few_are_held_and_each_wakes_once_in_time(rig) -> None:
    rig.flow([DELAY], ["start>wait"])
    first = await rig.emit()
    await rig.run(first, lambda run: run.status == "waiting")
    await rig.engine.stop(grace_s=0)
    with rig.database.write() as session:
        session.connection().exec_driver_sql(COPY_RUN, (WAITING - 1,))
        session.connection().exec_driver_sql(COPY_STEPS)
    await rig.restart()
    held, due = [rig.engine._dispatcher.timers], 0

    rig.clock.advance(seconds=3600 - 0.5)
    for _ in range(20):
        rig.clock.advance(seconds=6)
        due += 6
        await rig.engine.wake()
        for run_id in range(first, first + due):
            await rig.run(run_id)
        held.append(rig.engine._dispatcher.timers)

    runs = rig.runs()
    assert [(run.status, run.epoch) for run in runs] == [("succeeded", 2)] * due + [("waiting", 1)] * (WAITING - due)
    assert held[0] == 0
    assert 0 < max(held) <= 12


async def test_a_run_that_has_gone_on_before_its_time_is_not_woken_at_it(rig) -> None:
    rig.flow([SHORT, DELAY], ["start>shipped", "shipped>wait"])

    async def goes_on() -> int:
        run_id = await rig.emit()
        await rig.run(run_id, lambda run: run.status == "waiting")
        await rig.engine.accept([NewEvent("shipped", {})])
        await rig.run(run_id, lambda run: run.status == "waiting" and run.wake_at > rig.clock() + timedelta(minutes=1))
        return run_id

    first = await goes_on()
    rig.clock.advance(seconds=4)
    second = await goes_on()  # its timer lets the clock be looked at

    assert [rig.read(run_id).epoch for run_id in (first, second)] == [2, 2]
