"""A run as the canvas shows it: the state of each node, and which edges were taken."""

from __future__ import annotations

import asyncio
from asyncio import to_thread
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from editor.canvas import FlowCanvas
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


def node_states(view: RunView) -> dict[str, dict[str, Json]]:
    """Return what the canvas shows on each node that the run has reached."""
    return {step.node: _state(step) for step in view.steps}


def edge_states(view: RunView) -> list[dict[str, str]]:
    """Return the edges behind every step that has ended, as taken or not."""
    steps = {step.node: step for step in view.steps}
    return list(_edges(view, steps))


def _edges(view: RunView, steps: dict[str, StepView]) -> Iterator[dict[str, str]]:
    for edge in (view.document or {}).get("edges", ()):
        step = steps.get(edge["source"])
        if step is None or step.status in ("running", "waiting"):
            continue
        is_taken = step.status in DECIDED and step.port == edge["key"]
        yield {**edge, "state": "taken" if is_taken else "untaken"}


def _state(step: StepView) -> dict[str, Json]:
    return {"state": step.status, "ms": took_ms(step), "message": (step.error or {}).get("message")}


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
        self._task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a run is being followed."""
        return self._task is not None and not self._task.done()

    def follow(self, run_id: int, *, is_played: bool = True) -> asyncio.Task[None]:
        """Show a run until it has ended; with *is_played*, steps that took no time light up one after the other."""
        self.stop()
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

    async def _follow(self, run_id: int, is_played: bool) -> None:
        shown: dict[str, Json] = {}
        self._canvas.set_status(is_reset=True)
        polls = 0
        while True:
            view = await to_thread(self._runs.get, run_id)
            new = [step for step in view.steps if step.node not in shown and step.status in DECIDED]
            if is_played and len(new) <= MOST_BEATS:
                await self._play(view, sorted(new, key=_began))
            states = {node: state for node, state in node_states(view).items() if shown.get(node) != state}
            shown.update(states)
            self._canvas.set_status(states, edge_states(view))
            self._on_view(view)
            if view.has_ended:
                return
            polls += 1
            await asyncio.sleep(POLL_S if polls < SLOW_AFTER else SLOW_POLL_S)

    async def _play(self, view: RunView, steps: list[StepView]) -> None:
        edges = edge_states(view)
        for step in steps:
            self._canvas.set_status({step.node: {"state": "running"}})
            await asyncio.sleep(BEAT_S)
            self._canvas.set_status({step.node: _state(step)}, [edge for edge in edges if edge["source"] == step.node])


def _began(step: StepView) -> tuple[datetime, int]:
    return step.started_at or datetime.max.replace(tzinfo=UTC), 0
