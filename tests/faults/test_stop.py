"""Signals under load: the first lets steps end, the second ends at once, and neither loses or blames anything."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.faults.bare import Bare, Senders

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


async def test_a_second_signal_ends_the_engine_at_once_and_no_run_is_blamed(bare: Bare) -> None:
    bare.outside.delay_s = 20
    async with Senders(bare.directory, 4) as senders:
        pid = await asyncio.to_thread(bare.start)
        await senders.accept_more(20)
        await asyncio.to_thread(bare.until_sent, 5)
        os.kill(pid, signal.SIGTERM)
        await asyncio.to_thread(bare.until_ending)
        os.kill(pid, signal.SIGTERM)
        status = await asyncio.to_thread(bare.wait, pid)
        bare.outside.delay_s = 0
        await asyncio.to_thread(bare.start)
        await senders.finish()
    await asyncio.to_thread(bare.has_ended_all)

    assert status == 1  # it would be 0 if the requests had been waited for
    assert bare.select("SELECT max(crashes) FROM run") == [(0,)]
    bare.check(senders.accepted)


async def test_a_first_signal_lets_what_is_under_way_end(bare: Bare) -> None:
    bare.outside.delay_s = 1
    async with Senders(bare.directory, 4) as senders:
        pid = await asyncio.to_thread(bare.start)
        await senders.accept_more(20)
        await asyncio.to_thread(bare.until_sent, 5)
        status = await asyncio.to_thread(bare.stop, pid)
        under_way = bare.select(
            "SELECT count(*) FROM step WHERE status = 'running' AND node IN ('post', 'mail')"  # a loop may go on
        )
        await asyncio.to_thread(bare.start)
        await senders.finish()
    await asyncio.to_thread(bare.has_ended_all)

    assert status == 0
    assert under_way == [(0,)]
    assert {len(keys) for keys in bare.outside.http.values()} == {1}, "a request was sent again"
    bare.check(senders.accepted)
