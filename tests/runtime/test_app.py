from __future__ import annotations

import asyncio

from runtime.app import Waker


class SlowEngine:
    """Looks for runs at once, and answers when it is told to."""

    def __init__(self) -> None:
        self.looks = 0
        self.looked = asyncio.Event()
        self.answer = asyncio.Event()

    async def wake(self) -> None:
        self.looks += 1
        self.looked.set()
        await self.answer.wait()


async def test_a_commit_while_the_engine_is_being_told_is_told_too() -> None:
    engine = SlowEngine()
    waker = Waker(engine)  # type: ignore[arg-type]
    waker.start()

    waker()
    await engine.looked.wait()
    engine.looked.clear()
    waker()
    waker()
    await asyncio.sleep(0)
    engine.answer.set()
    async with asyncio.timeout(2):
        await engine.looked.wait()

    assert engine.looks == 2
