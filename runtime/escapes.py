"""Writes down that an expression of a flow tried to reach behind the values, when it did so in a run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlmodel import Session

from runtime.methods import REFUSED
from storage.tables import AuditEntry

REMEMBERED = 1_000  # nodes that are not told of again
log = logging.getLogger("pulsewire.escapes")


class Escapes:
    """One entry in the audit log for each node, however often it runs. *call* runs work in a transaction."""

    def __init__(
        self, call: Callable[[Callable[[Session], None]], asyncio.Future[Any]], clock: Callable[[], datetime]
    ) -> None:
        self._call = call
        self._clock = clock
        self._told: set[tuple[str, str]] = set()

    def note(self, flow_id: str, run_id: int, node: str) -> None:
        """Write an entry, without waiting for it."""
        if (flow_id, node) in self._told:
            return
        if len(self._told) >= REMEMBERED:
            self._told.clear()
        self._told.add((flow_id, node))
        entry = AuditEntry(
            at=self._clock(),
            actor_kind="system",
            actor_id="engine",
            actor="Pulsewire",
            action=REFUSED,
            target=flow_id,
            details={"run": run_id, "node": node},
        )
        self._call(lambda session: session.add(entry)).add_done_callback(_look)


def _look(written: asyncio.Future[Any]) -> None:
    if not written.cancelled() and (error := written.exception()) is not None:
        log.error("an escape is missing in the audit log: %s", type(error).__name__)
