"""Kills at random under load. ``make faults`` does many more of them."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from tests.faults.bare import Bare, Senders

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
KILLS = int(os.environ.get("PULSEWIRE_FAULT_KILLS", "200"))


async def test_random_kills_lose_nothing_leave_nothing_stuck_and_double_nothing(bare: Bare, faults_told) -> None:
    chance = random.Random()
    under_way = 0
    async with Senders(bare.directory) as senders:
        for _ in range(KILLS):
            pid = await asyncio.to_thread(bare.start)
            await senders.ready()
            await senders.accept_more(chance.randint(0, 12))
            await asyncio.sleep(chance.uniform(0, 0.04))
            await asyncio.to_thread(bare.kill, pid)
            under_way += bare.select("SELECT count(*) FROM run WHERE status = 'running'")[0][0]
            bare.blame_nobody()
        await asyncio.to_thread(bare.start)
        await senders.finish()
    await asyncio.to_thread(bare.has_ended_all)

    bare.check(senders.accepted)
    repeated = sum(len(keys) - 1 for keys in bare.outside.http.values())
    assert len(senders.accepted) > KILLS
    assert under_way > KILLS
    faults_told(
        f"{KILLS} kills: {len(senders.accepted)} events accepted, 0 lost; {under_way} runs were under way, 0 stuck; "
        f"0 rows doubled; {repeated} requests repeated, each with the key it had"
    )
