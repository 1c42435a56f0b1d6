"""Another program keeps the database locked. ``make faults`` does so for a minute."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing

import pytest

from tests.faults.bare import Bare, Senders

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
LOCKED_S = float(os.environ.get("PULSEWIRE_FAULT_LOCKED_S", "2"))


async def test_a_locked_database_refuses_events_loses_nothing_and_work_goes_on(bare: Bare, faults_told) -> None:
    bare.outside.delay_s = 0.2
    async with Senders(bare.directory) as senders:
        pid = await asyncio.to_thread(bare.start, busy_s=min(LOCKED_S / 10, 10))
        await senders.accept_more(20)
        with closing(bare.connect()) as other:
            other.isolation_level = None
            other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(LOCKED_S)
            other.execute("ROLLBACK")
        await senders.accept_more(20)
        await senders.finish()
    await asyncio.to_thread(bare.has_ended_all)

    assert set(senders.refused) <= {"engine.down", "storage.busy"}  # down: before it was up
    assert senders.refused["storage.busy"]
    assert bare.is_up(pid)
    bare.check(senders.accepted, senders.large)
    faults_told(
        f"locked for {LOCKED_S:.0f} s: {senders.refused['storage.busy']} refusals, {len(senders.accepted)} events "
        "accepted, 0 lost, 0 stuck, 0 rows doubled, the same engine goes on"
    )
