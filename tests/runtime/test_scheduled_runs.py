"""Schedules in a running engine: what it starts by itself when the clock says so."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runtime.flows import Flows

NINE = datetime(2026, 5, 4, 9, tzinfo=UTC)


@pytest.fixture
def flows(rig) -> Flows:
    return Flows(rig.database, rig.types, clock=rig.clock)


def publish(rig, flows: Flows, **params: Any) -> None:
    start = {"id": "start", "type": "on_schedule", "params": params}
    echo = {"id": "echo", "type": "echo", "params": {"text": "{{ $param.local_time }} {{ $param.missed }}"}}
    flows.create(rig.document([start, echo], ["start>echo"]))
    flows.publish("f")


async def put_out(rig, count: int) -> list[str]:
    """Return what the runs that the engine starts by itself have put out, when there are *count* of them."""
    await rig.engine.wake()
    async with asyncio.timeout(10):
        while [run.status for run in rig.runs()] != ["succeeded"] * count:  # noqa: ASYNC110 - rows tell nobody
            await asyncio.sleep(0.01)
    return [rig.steps(run.id)["echo"].output["text"] for run in rig.runs()]


@pytest.mark.parametrize("started", [True, False], ids=["published while it runs", "published before"])
async def test_the_engine_runs_what_is_due(rig, flows: Flows, started: bool) -> None:
    rig.clock.moment = NINE - timedelta(minutes=5)
    publish(rig, flows, cron="0 9 * * *", timezone="Asia/Kathmandu")
    rig.clock.moment = datetime(2026, 5, 5, 3, 15, tzinfo=UTC)
    if not started:
        await rig.restart()

    assert await put_out(rig, 1) == ["2026-05-05T09:00:00+05:45 0"]


async def test_an_engine_that_was_down_makes_up_once(rig, flows: Flows) -> None:
    rig.clock.moment = NINE
    publish(rig, flows, every_s=60)
    await rig.engine.stop(grace_s=0)

    rig.clock.moment = NINE + timedelta(minutes=100)
    await rig.restart()

    assert await put_out(rig, 1) == ["2026-05-04T10:40:00+00:00 99"]


async def test_a_start_is_not_repeated_by_the_next_engine(rig, flows: Flows) -> None:
    rig.clock.moment = NINE
    publish(rig, flows, every_s=60)
    rig.clock.advance(seconds=60)
    await put_out(rig, 1)

    for _restart in range(3):
        await rig.restart()
        await rig.engine.wake()
    rig.clock.advance(seconds=60)
    await put_out(rig, 2)

    assert [run.event_id for run in rig.runs()] == [
        "schedule:f:start:1:2026-05-04T09:01:00Z",
        "schedule:f:start:1:2026-05-04T09:02:00Z",
    ]
