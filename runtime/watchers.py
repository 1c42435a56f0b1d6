"""Callers that wait until a run has ended, or waits for a person."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from sqlmodel import select

from runtime.engine_rows import OPEN
from storage.database import Database
from storage.tables import RunRow, WaitRow


class Watchers:
    """One for an engine, which tells it of every run that ``left`` the executor."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiters: dict[int, list[asyncio.Future[None]]] = {}

    def left(self, run_id: int) -> None:
        """Let those who wait for the run look at it."""
        for waiter in self._waiters.get(run_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    def close(self) -> None:
        """Let nobody wait any longer."""
        for waiter in [waiter for waiters in self._waiters.values() for waiter in waiters]:
            waiter.cancel()

    async def next(self, run_id: int) -> None:
        """Return when the run leaves the executor the next time."""
        with self._waiting(run_id) as waiter:
            await waiter

    async def settled(self, run_id: int, timeout_s: float) -> bool:
        """Return whether the run has ended, or has come to a point where a person must act, within *timeout_s*."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not await self._settles(run_id):
                    pass
                return True
        return await asyncio.to_thread(self._is_settled, run_id)

    async def _settles(self, run_id: int) -> bool:
        """Return True when the run is settled, and False when it has left the executor and may go on."""
        with self._waiting(run_id) as waiter:
            if await asyncio.to_thread(self._is_settled, run_id):
                return True
            await waiter
            return False

    @contextlib.contextmanager
    def _waiting(self, run_id: int) -> Iterator[asyncio.Future[None]]:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(run_id, []).append(waiter)
        try:
            yield waiter
        finally:
            self._waiters[run_id].remove(waiter)
            if not self._waiters[run_id]:
                del self._waiters[run_id]

    def _is_settled(self, run_id: int) -> bool:
        """Return whether nothing more happens by itself: the run has ended or is gone, or something has to come."""
        with self._database.read() as session:
            found = session.exec(select(RunRow.status, RunRow.wake_at).where(RunRow.id == run_id)).first()
            if found is None or found[0] not in OPEN:
                return True
            calls = select(WaitRow.id).where(WaitRow.run_id == run_id, WaitRow.kind == "run")
            return found == ("waiting", None) and session.exec(calls).first() is None
