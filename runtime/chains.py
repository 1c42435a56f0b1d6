"""Flows that cause their own events: chains are stopped, and a flow that goes on and on is paused.

Every event carries what led to it. A chain ends after ``EVENT_DEPTH`` flows, or when a flow has led to its own event
``SAME_FLOW_IN_PATH`` times; what a cause leads to beyond the direct events of its runs ends after ``ROOT_RUNS`` runs.
Whatever goes past these is slowed down per flow: one that other runs start too often is paused, with its queue.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from runtime import limits
from runtime.window import Window
from storage.journal_rows import EventSeed
from storage.tables import from_us

SPAN_US = limits.BREAKER_S * 1_000_000
ROOTS_KEPT = 10_000
_LED_TO = (
    "SELECT count(*) FROM (SELECT 1 FROM event INDEXED BY ix_event_root JOIN run ON run.event_id = event.id "
    "WHERE event.root_id = ? AND event.depth > 1 LIMIT ?)"
)


class Verdict(NamedTuple):
    """*error* is why a run is not started, in JSON; *pauses*: the flow is paused from now on."""

    error: str | None
    pauses: bool


def loop_error(flow_id: str, event: EventSeed) -> str | None:
    """Return why *event* must not start the flow again, for the length of its chain alone, as JSON."""
    reason = _too_long(flow_id, event)
    return None if reason is None else orjson.dumps(_error(reason)).decode()


class Chains:
    """Remembers how often flows were started by other flows. Use it from the thread that writes."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._starts: dict[str, Window] = {}
        self._stops: dict[str, Window] = {}
        self._left: OrderedDict[str, int] = OrderedDict()  # root -> runs that it may still lead to
        self.has_paused = False  # since whoever looks has set it to False

    def verdict(self, cursor: sqlite3.Cursor, flow_id: str, event: EventSeed, *, is_paused: bool) -> Verdict:
        """Say whether *event*, which a run has caused, may start the flow, and count the start.

        A flow that is stopped or paused here tells it, in the cursor's transaction.
        """
        reason = _too_long(flow_id, event)
        if reason is None and event.depth > 1 and not self._takes_from(cursor, event.root_id):
            reason = f"One event has led to {limits.ROOT_RUNS:,} runs of flows that started each other."
        if reason is not None:
            error = _error(reason)
            return Verdict(orjson.dumps(error).decode(), self._note_stop(cursor, flow_id, error["message"]))
        return Verdict(None, not is_paused and self._is_one_too_many(cursor, flow_id))

    def _is_one_too_many(self, cursor: sqlite3.Cursor, flow_id: str) -> bool:
        now = self._now_us()
        starts = self._starts.setdefault(flow_id, Window(SPAN_US))
        if starts.count(now) < limits.BREAKER_RUNS:
            starts.add(now)
            return False
        reason = f"Other runs started this flow {limits.BREAKER_RUNS:,} times within {limits.BREAKER_S} s."
        self._pause(cursor, flow_id, "flow.too_often", reason)
        return True

    def _takes_from(self, cursor: sqlite3.Cursor, root_id: str) -> bool:
        """Count a run for the event it all began with; False when there were enough."""
        if root_id not in self._left:
            (count,) = cursor.execute(_LED_TO, [root_id, limits.ROOT_RUNS]).fetchone()
            self._left[root_id] = limits.ROOT_RUNS - count
            if len(self._left) > ROOTS_KEPT:
                self._left.popitem(last=False)
        self._left.move_to_end(root_id)
        self._left[root_id] -= 1
        return self._left[root_id] >= 0

    def _note_stop(self, cursor: sqlite3.Cursor, flow_id: str, text: str) -> bool:
        """Tell it on the flow; return whether it happened too often, and the flow is paused now."""
        now = self._now_us()
        stops = self._stops.setdefault(flow_id, Window(SPAN_US))
        stops.add(now)
        count = stops.count(now)
        if count >= limits.LOOP_STOPS:
            reason = f"It was kept from starting itself again {count} times within {limits.BREAKER_S} s."
            self._pause(cursor, flow_id, "flow.loop", reason)
            return True
        if count == 1:
            notice = _notice("event.loop", text, now)
            cursor.execute("UPDATE flow SET notice = ? WHERE id = ? AND state = 'published'", [notice, flow_id])
        return False

    def _pause(self, cursor: sqlite3.Cursor, flow_id: str, code: str, reason: str) -> None:
        text = f"{reason} It was paused, and new runs wait. Look for what starts it over and over, then resume it."
        notice = _notice(code, text, self._now_us())
        pause = "UPDATE flow SET state = 'paused', notice = ? WHERE id = ? AND state = 'published'"
        cursor.execute(pause, [notice, flow_id])
        self._starts.pop(flow_id, None)  # once resumed, it begins anew
        self._stops.pop(flow_id, None)
        self.has_paused = True


def _too_long(flow_id: str, event: EventSeed) -> str | None:
    if event.depth >= limits.EVENT_DEPTH:  # so many flows have led to it
        return f"The event is the end of a chain of {limits.EVENT_DEPTH} flows that started each other."
    if event.path.count(flow_id) >= limits.SAME_FLOW_IN_PATH:
        return f"This flow has led to its own event {limits.SAME_FLOW_IN_PATH} times in a row."
    return None


def _error(reason: str) -> dict[str, Any]:
    message = f"{reason} The run was not started, to stop the loop. Let the flow not cause its own event."
    return {"code": "event.loop", "message": message, "node": None}


def _notice(code: str, text: str, now_us: int) -> str:
    at = from_us(now_us).isoformat().replace("+00:00", "Z")
    return orjson.dumps({"code": code, "message": text, "at": at}).decode()
