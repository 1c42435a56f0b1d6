"""Kills at random under load: 200 or as many as fit into a minute, and 1,000 with ``make faults``."""

from __future__ import annotations

import asyncio
import os
import random
import time

import pytest

from tests.faults.bare import Bare, Senders

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
IS_LONG = "PULSEWIRE_FAULT_KILLS" in os.environ
KILLS = int(os.environ.get("PULSEWIRE_FAULT_KILLS", "200"))
SHORT_S = 60


async def test_random_kills_lose_nothing_leave_nothing_stuck_and_double_nothing(bare: Bare, faults_told) -> None:
    chance, kills, under_way = random.Random(), 0, 0
    end = time.monotonic() + SHORT_S
    async with Senders(bare.directory, 30, are_patient=True) as senders:
        while kills < KILLS and (IS_LONG or time.monotonic() < end):
            pid = await asyncio.to_thread(bare.start)
            await senders.ready()
            await senders.accept_more(chance.randint(0, 6))
            await asyncio.sleep(chance.uniform(0, 0.04))
            await asyncio.to_thread(bare.kill, pid)
            under_way += bare.select("SELECT count(*) FROM run WHERE status = 'running'")[0][0]
            kills += 1
            bare.blame_nobody()
        await asyncio.to_thread(bare.start)
        await senders.finish()
    await asyncio.to_thread(bare.has_ended_all)

    bare.check(senders.accepted, senders.large)
    repeated = sum(len(keys) - 1 for keys in bare.outside.http.values())
    assert len(senders.accepted) > kills
    assert under_way > kills
    faults_told(
        f"{kills} kills: {len(senders.accepted)} events accepted, 0 lost; {under_way} runs were under way, 0 stuck; "
        f"0 rows doubled; {repeated} requests repeated, each with the key it had"
    )
