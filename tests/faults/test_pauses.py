"""An engine that is stopped beyond its lease and goes on later has nothing more to say.

``make faults`` does many more rounds.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal

import pytest

from runtime import link
from tests.faults.bare import Bare, Senders

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
ROUNDS = int(os.environ.get("PULSEWIRE_FAULT_PAUSES", "5"))
LEASE_S = 0.8  # ten seconds otherwise
LOST = 1  # exit status of an engine that lost its lease


async def test_an_engine_that_wakes_up_after_its_lease_commits_nothing_and_ends(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, faults_told
) -> None:
    monkeypatch.setattr(link, "CALL_S", 0.5)  # a client gives a silent engine up
    chance, replaced, locked = random.Random(), 0, 0
    order = {"lease_s": LEASE_S, "busy_s": 0.2}
    bare.outside.delay_s = 0.2
    async with Senders(bare.directory, 2, pause_s=0.3) as senders:  # the engine is not always in a transaction
        engine = await asyncio.to_thread(bare.start, **order)
        while replaced < ROUNDS:
            await senders.ready()
            await senders.accept_more(chance.randint(1, 5))
            await asyncio.sleep(chance.uniform(0, 0.3))
            os.kill(engine, signal.SIGSTOP)
            epoch = bare.epoch()
            other = await asyncio.to_thread(bare.start, **order)
            await asyncio.to_thread(bare.until_takes_over, other, epoch)
            if bare.epoch() == epoch:  # it was stopped in the middle of a transaction and has the write lock
                locked += 1
                assert await asyncio.to_thread(bare.wait, other) == LOST
                os.kill(engine, signal.SIGCONT)
                continue
            await senders.ready()
            await senders.accept_more(3)
            os.kill(engine, signal.SIGCONT)
            assert await asyncio.to_thread(bare.wait, engine) == LOST
            await senders.accept_more(3)  # the socket is still the new one's
            assert bare.epoch() == epoch + 1
            engine, replaced = other, replaced + 1
            bare.forgive_runs()
        await senders.finish()
    await asyncio.to_thread(bare.has_ended_all)

    bare.check(senders.accepted, senders.large)
    assert bare.log().count("another engine has taken over this database; nothing more is written here") == replaced
    faults_told(
        f"{replaced + locked} pauses beyond the lease: {replaced} engines replaced, {locked} kept the write lock; "
        f"{len(senders.accepted)} events accepted, 0 lost, 0 stuck, 0 rows doubled"
    )
