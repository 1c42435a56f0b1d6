from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runtime import dispatcher, limits
from runtime.engine import NewEvent
from runtime.errors import Unavailable
from storage import journal
from storage.errors import StorageError

SEND = {"id": "send", "type": "call", "params": {"text": "send"}}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let three payloads of 1,000 bytes be at work at once."""
    monkeypatch.setattr(limits, "PAYLOAD_BYTES", 1_000)
    monkeypatch.setattr(dispatcher, "BYTES_AT_ONCE", 3_000)


def events(count: int) -> list[NewEvent]:
    return [NewEvent("go", {"text": "x" * 980}) for _ in range(count)]


async def settled(rig: Any, least: int) -> int:
    """Return how many calls have been made when no more come; *least* come in any case."""
    made = -1
    async with asyncio.timeout(10):
        while len(rig.calls.seen) < least:  # noqa: ASYNC110 - nothing tells of the last
            await asyncio.sleep(0.01)
    while made != len(rig.calls.seen):
        made = len(rig.calls.seen)
        await asyncio.sleep(0.2)
    return made


async def test_large_payloads_come_into_memory_a_few_at_a_time(rig) -> None:
    rig.flow([SEND], ["start>send"])
    rig.calls.hold("send")

    accepted = await rig.engine.accept(events(12))
    at_once, is_open = await settled(rig, 3), (await rig.engine.status()).open_runs
    rig.calls.release("send")

    assert (at_once, is_open) == (4, 12)  # the one that reaches the limit is the last
    assert [(await rig.run(each.runs[0])).status for each in accepted] == ["succeeded"] * 12
    assert len(rig.calls.seen) == 12


async def test_after_a_restart_large_payloads_are_taken_up_a_few_at_a_time(rig) -> None:
    rig.flow([SEND], ["start>send"])
    rig.calls.hold("send")
    accepted = await rig.engine.accept(events(12))
    before = await settled(rig, 3)

    await rig.restart()
    at_once = await settled(rig, before + 3) - before
    rig.calls.release("send")

    assert at_once in (3, 4)
    assert [(await rig.run(each.runs[0])).status for each in accepted] == ["succeeded"] * 12


async def test_a_run_that_cannot_be_taken_up_does_not_keep_the_others(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "BYTES_AT_ONCE", 100_000)
    monkeypatch.setattr(dispatcher, "TICK_S", 0.02)
    rig.flow([SEND], ["start>send"])
    rig.calls.hold("send")
    accepted = [each.runs[0] for each in await rig.engine.accept(events(4))]
    await settled(rig, 4)
    take_up = journal.SqliteJournal.take_up

    async def without_memory(self: Any, run_ids: list[int], admitted: Any) -> Any:
        if accepted[1] in run_ids:
            raise StorageError("There was no memory for it.")
        return await take_up(self, run_ids, admitted)

    monkeypatch.setattr(journal.SqliteJournal, "take_up", without_memory)
    await rig.restart()
    rig.calls.release("send")

    assert [(await rig.run(accepted[each])).status for each in (0, 2, 3)] == ["succeeded"] * 3
    monkeypatch.undo()
    assert (await rig.run(accepted[1])).status == "succeeded"


async def test_payloads_that_wait_to_be_written_are_bounded(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "ARRIVING_CHARS", 2_000)

    answers = await asyncio.gather(*(rig.engine.accept(events(1)) for _ in range(6)), return_exceptions=True)
    later = await rig.engine.accept(events(1))

    assert [type(answer) for answer in answers] == [list] * 3 + [Unavailable] * 3
    assert answers[3].problems[0].code == "engine.busy"
    assert len(later) == 1
