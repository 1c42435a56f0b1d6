"""Runs that kill the engine, or eat its memory."""

from __future__ import annotations

import asyncio

import pytest

from runtime.limits import CRASHES
from tests.faults.bare import Bare, Senders, flow

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
HARMFUL = "shop.order_harmful"


def harmful(how: str, size_mb: int = 0) -> dict[str, object]:
    return flow("harmful", HARMFUL, [("harm", "harm", {"how": how, "size_mb": size_mb})])


@pytest.mark.parametrize("count", [1, 3], ids=["one", "three"])
async def test_runs_that_kill_the_engine_are_given_up_and_everyone_elses_go_on(bare: Bare, count: int) -> None:
    bare.add_flow(harmful("die"))
    bare.outside.delay_s = 0.1
    async with Senders(bare.directory, 0) as senders:
        running = asyncio.create_task(asyncio.to_thread(bare.start))
        sending = [senders.send(number) for number in range(12)]
        sending[6:6] = [senders.send(number, HARMFUL) for number in range(100, 100 + count)]
        pid = await running
        both = asyncio.gather(*sending)
        await asyncio.to_thread(bare.wait, pid)
        deaths = 1 + await asyncio.to_thread(bare.keep_running)
        await asyncio.wait_for(both, 20)
        await asyncio.to_thread(bare.has_ended_all)

    dead = bare.select("SELECT status, crashes, json_extract(error, '$.code') FROM run WHERE flow_id = 'harmful'")
    assert dead == [("failed", CRASHES, "run.dead_letter")] * count
    assert bare.select("SELECT count(*) FROM run WHERE is_dead") == [(count,)]
    assert deaths <= CRASHES * count
    bare.forget("harmful")
    bare.check(set(range(12)))


@pytest.mark.parametrize("how", ["eat", "hoard"])
async def test_a_step_that_asks_for_too_much_memory_fails_and_the_engine_stays(bare: Bare, how: str) -> None:
    bare.add_flow(harmful(how, size_mb=2_000))
    async with Senders(bare.directory, 0) as senders:
        pid = await asyncio.to_thread(bare.start, environment={"PULSEWIRE_WORKER_MEMORY_MB": "400"})
        await asyncio.gather(senders.send(1), senders.send(100, HARMFUL), senders.send(2))
        await asyncio.to_thread(bare.has_ended_all)

    ((status, code, message),) = bare.select(
        "SELECT status, json_extract(error, '$.code'), json_extract(error, '$.message') FROM run "
        "WHERE flow_id = 'harmful'"
    )
    assert (status, code) == ("failed", "step.out_of_memory")
    assert "Let it handle less at once" in message
    assert bare.is_up(pid)
    bare.forget("harmful")
    bare.check({1, 2})
