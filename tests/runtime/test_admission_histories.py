"""Drawn histories of a limited flow: events, pauses, cancellations, kills and restarts; the limits hold in all of them.

``PULSEWIRE_FAULTS=long`` tries many more than a landing does.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest

from runtime.engine import NewEvent
from runtime.flows import Flows
from storage.tables import RunRow, to_us
from tests.lengths import examples

AT_ONCE, PER_KEY, RATE, SPAN_S = 4, 2, 6, 20
LIMITS = {
    "key": "$param.c",
    "runs_at_once": AT_ONCE,
    "runs_at_once_per_key": PER_KEY,
    "rate_runs": RATE,
    "rate_s": SPAN_S,
}
CALL = {"id": "send", "type": "call", "params": {"text": "{{ $param.n ~ '' }}"}}
REST = {"id": "rest", "type": "delay", "params": {"seconds": "{{ $param.rest }}"}}


@dataclass
class History:
    """What was done to the flow, and what is looked at after each step."""

    rig: Any
    chance: random.Random
    flows: Flows = field(init=False)
    count: int = 0
    is_paused: bool = False

    def __post_init__(self) -> None:
        self.flows = Flows(self.rig.database, self.rig.types, clock=self.rig.clock)

    async def step(self) -> None:
        moves = [self.accept] * 5 + [self.let_end] * 8 + [self.wait] * 4 + [self.toggle, self.cancel, self.kill]
        await self.chance.choice(moves)()
        await self.rig.engine.wake()
        await asyncio.sleep(0.005)
        self.look()

    async def accept(self) -> None:
        events = []
        for _ in range(self.chance.randint(1, 6)):
            self.count += 1
            self.rig.calls.hold(str(self.count))
            rest = self.chance.choice([0, 0, 15])
            events.append(NewEvent("go", {"n": self.count, "c": self.chance.choice("abc"), "rest": rest}))
        await self.rig.engine.accept(events)

    async def let_end(self) -> None:
        held = sorted(self.rig.calls.held)
        if held:
            self.rig.calls.release(self.chance.choice(held))

    async def wait(self) -> None:
        self.rig.clock.advance(seconds=self.chance.randint(1, 12))

    async def toggle(self) -> None:
        (self.flows.resume if self.is_paused else self.flows.pause)("f")
        self.is_paused = not self.is_paused

    async def cancel(self) -> None:
        runs = [run for run in self.rig.runs() if run.ended_at is None]
        if runs:
            await self.rig.engine.cancel(self.chance.choice(runs).id)

    async def kill(self) -> None:
        await self.rig.restart()

    async def finish(self) -> None:
        """Let everything come to its end."""
        if self.is_paused:
            await self.toggle()
        async with asyncio.timeout(60):
            while any(run.ended_at is None for run in self.rig.runs()):
                for text in [*self.rig.calls.held]:
                    self.rig.calls.release(text)
                self.rig.clock.advance(seconds=5)
                await self.rig.engine.wake()
                await asyncio.sleep(0.005)
                self.look()

    def look(self) -> None:
        """Hold the rows against the limits: those that have begun and not ended, and when each began."""
        runs = self.rig.runs()
        begun = [run for run in runs if run.started_at is not None]
        is_open = [run for run in begun if run.ended_at is None]
        assert len(is_open) <= AT_ONCE
        by_key: dict[str | None, list[RunRow]] = defaultdict(list)
        for run in begun:
            by_key[run.key].append(run)
        for key, of_key in by_key.items():
            assert key in ("a", "b", "c")
            assert sum(run.ended_at is None for run in of_key) <= PER_KEY
            starts = [to_us(run.started_at) for run in sorted(of_key, key=lambda run: run.id or 0)]
            assert starts == sorted(starts), f"the order of {key} was not kept"
        moments = sorted(to_us(run.started_at) for run in begun)
        for at, moment in enumerate(moments):
            within = [other for other in moments[: at + 1] if other > moment - SPAN_S * 1_000_000]
            assert len(within) <= RATE, "more began than the rate allows"


@pytest.mark.parametrize("seed", range(examples(3, 200)))
async def test_limits_and_order_hold_through_pauses_and_kills(rig: Any, seed: int) -> None:
    history = History(rig, random.Random(seed))
    rig.flow([CALL, REST], ["start>send", "send>rest"], limits=LIMITS)

    for _ in range(60):
        await history.step()
    await history.finish()

    assert {run.status for run in rig.runs()} <= {"succeeded", "cancelled"}
    assert len(rig.runs()) == history.count
