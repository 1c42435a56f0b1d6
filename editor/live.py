"""A run as the canvas shows it: the state of each node, and which edges were taken."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import to_thread
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from editor import words
from editor.canvas import FlowCanvas
from editor.widgets import Refused
from runtime.errors import NotFound
from runtime.run_views import RunView, StepView

if TYPE_CHECKING:
    from runtime.service import Service

Json: TypeAlias = Any
POLL_S = 0.12
SLOW_POLL_S = 1.0
SLOW_AFTER = 100  # polls
BEAT_S = 0.09  # how long a step that took no time is shown as running
MOST_BEATS = 14
DECIDED = frozenset({"succeeded", "failed"})
WORST_FIRST = ("unknown", "failed", "running", "waiting", "planned", "succeeded", "skipped")  # of a loop's items


def node_states(view: RunView, item: Mapping[str, StepView] | None = None) -> dict[str, dict[str, Json]]:
    """Return what the canvas shows on each node that the run has reached.

    Of a node inside a loop that is all its items together, or its step in *item*, by node.
    """
    states = {step.node: _state(step) for step in view.steps if not step.iteration}
    together = {node: _together(view, node, counts) for node, counts in view.repeated.items()}
    picked = {node: _state(step) | {"count": words.item(step.iteration)} for node, step in (item or {}).items()}
    return states | together | picked


def edge_states(view: RunView) -> list[dict[str, str]]:
    """Return the edges behind every step that has ended, as taken or not."""
    return list(_edges(view))


def _edges(view: RunView) -> Iterator[dict[str, str]]:
    fired: dict[str, set[str | None]] = {}
    depth: dict[str, int] = {}  # in how many loops
    for step in view.steps:
        depth[step.node] = step.iteration.count(".") + 1 if step.iteration else 0
        if step.status not in ("planned", "running", "waiting"):
            fired.setdefault(step.node, set()).add(step.port)
    for edge in (view.document or {}).get("edges", ()):
        ports = fired.get(edge["source"])
        is_begun = depth.get(edge["target"], 0) > depth.get(edge["source"], 0)  # into the body of a loop
        if ports is not None or is_begun:
            yield {**edge, "state": "taken" if is_begun or edge["key"] in (ports or ()) else "untaken"}


def worst(counts: Mapping[str, int]) -> str:
    """Return the status that tells most of steps with these."""
    return next(status for status in WORST_FIRST if counts.get(status))


def _together(view: RunView, node: str, counts: Mapping[str, int]) -> dict[str, Json]:
    status, total = worst(counts), sum(counts.values())
    message = next((step.error for step in view.steps if step.node == node and step.error and step.port is None), None)
    count = f"{counts[status]:,} of {total:,}" if status in ("failed", "unknown") and total > 1 else f"{total:,} ×"
    has_output = any(step.node == node and step.output is not None for step in view.steps)
    told = (message or {}).get("message")
    return {"state": status, "ms": None, "message": told, "count": count, "output": has_output}


def _state(step: StepView) -> dict[str, Json]:
    return {
        "state": step.status,
        "ms": took_ms(step),
        "message": None if step.wait else (step.error or {}).get("message"),
        "output": step.port is not None and step.status == "succeeded",
        "pinned": step.is_pinned,
    }


def took_ms(step: StepView) -> float | None:
    """Return how long a step took, or has taken until now."""
    if step.started_at is None or step.status == "skipped":
        return None
    if step.ended_at is None:
        return None
    return max(0.0, (step.ended_at - step.started_at).total_seconds() * 1000)


class Overlay:
    """Follows one run at a time and shows it on a canvas. *on_view* hears of every state that was read."""

    def __init__(self, service: Service, canvas: FlowCanvas, on_view: Callable[[RunView], None]) -> None:
        self._runs = service.runs
        self._canvas = canvas
        self._on_view = on_view
        self._view: RunView | None = None
        self._item: dict[str, StepView] = {}
        self._task: asyncio.Task[None] | None = None
        self._polls = 0
        self._is_due = asyncio.Event()

    @property
    def is_busy(self) -> bool:
        """Whether a run is being followed."""
        return self._task is not None and not self._task.done()

    def follow(self, run_id: int, *, is_played: bool = True) -> asyncio.Task[None]:
        """Show a run until it has ended; with *is_played*, steps that took no time light up one after the other."""
        self.stop()
        if is_played:
            self._item = {}
        self._task = asyncio.get_running_loop().create_task(self._follow(run_id, is_played))
        return self._task

    def stop(self) -> None:
        """Follow no more; what is shown stays."""
        if self._task is not None:
            self._task.cancel()

    def clear(self) -> None:
        """Show no run."""
        self.stop()
        self._canvas.set_status(is_reset=True)

    def look(self) -> None:
        """Read the run that is followed again soon, and often: something was done to it.

        Only what follows a run reads it, so that what is shown is never older than what was shown before.
        """
        self._polls = 0
        self._is_due.set()

    def show_items(self, steps: dict[str, StepView]) -> None:
        """Show of nodes inside loops these steps, by node, in place of all items together."""
        if steps == self._item:
            return
        self._item = steps
        if self._view is not None:
            self._canvas.set_status(node_states(self._view, steps))

    async def _follow(self, run_id: int, is_played: bool) -> None:
        shown: dict[str, Json] = {}
        self._canvas.set_status(is_reset=True)
        self._polls = 0
        while True:
            self._is_due.clear()
            try:
                view = await to_thread(self._runs.get, run_id)
            except NotFound:  # removed with old runs
                return
            except Refused:  # the database cannot answer now
                await asyncio.sleep(SLOW_POLL_S)
                continue
            new = [step for step in view.steps if _is_new(step, shown)]
            if is_played and len(new) <= MOST_BEATS:
                await self._play(view, sorted(new, key=_began))
            self._view = view
            states = node_states(view, self._item)
            states = {node: state for node, state in states.items() if shown.get(node) != state}
            shown.update(states)
            self._canvas.set_status(states, edge_states(view))
            self._on_view(view)
            if view.has_ended:
                return
            self._polls += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S if self._polls < SLOW_AFTER else SLOW_POLL_S):
                    await self._is_due.wait()

    async def _play(self, view: RunView, steps: list[StepView]) -> None:
        edges = edge_states(view)
        for step in steps:
            self._canvas.set_status({step.node: {"state": "running"}})
            await asyncio.sleep(BEAT_S)
            self._canvas.set_status({step.node: _state(step)}, [edge for edge in edges if edge["source"] == step.node])


def _is_new(step: StepView, shown: Mapping[str, Json]) -> bool:
    return step.node not in shown and step.status in DECIDED and not step.iteration and not step.is_kept


def _began(step: StepView) -> tuple[datetime, int]:
    return step.started_at or datetime.max.replace(tzinfo=UTC), 0
