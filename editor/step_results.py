"""How a node fared in the last test: its step, or one of its steps when it is inside a loop."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from editor import words
from editor.frame import box
from editor.open_node import OpenNode
from editor.step_view import step_detail
from editor.step_waits import StepTools
from editor.widgets import icon_button
from runtime.run_views import RunView, StepView


class StepResults:
    """The “Result” of a node's panel. *pin* keeps the output that is shown."""

    def __init__(self, open_node: OpenNode, *, pin: Callable[[StepView], None] | None = None) -> None:
        self._open = open_node
        self._pin = pin
        self._is_pinned = False
        self._run: RunView | None = None
        self._steps: list[StepView] = []
        self._place = 0
        self._drawn: object = None
        self._box = box("fe-panel-body")

    @property
    def step(self) -> StepView | None:
        """What is shown."""
        return self._steps[self._place] if self._steps else None

    def show(self, run: RunView | None) -> None:
        """Show the steps of *run*, of a loop's item the first that failed."""
        self._run = run
        self._steps = [step for step in run.steps if step.node == self._open.id] if run else []
        failed = [place for place, step in enumerate(self._steps) if step.status in ("failed", "unknown")]
        self._place = failed[0] if failed else 0
        self._draw()

    def set_pinned(self, is_pinned: bool) -> None:
        """Offer to pin what is shown only while nothing is pinned."""
        self._is_pinned = is_pinned
        self._draw()

    def set_visibility(self, is_visible: bool) -> None:
        self._box.set_visibility(is_visible)

    def _draw(self) -> None:
        drawn = (self.step, len(self._steps), self._is_pinned)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self._box.clear()
        step = self.step
        if step is None or self._run is None:
            return
        may_pin = not self._is_pinned and step.status == "succeeded"
        with self._box:
            if step.iteration:
                self._items()
            tools = StepTools(pin=self._pin if may_pin else None)
            step_detail(step, is_simulated=self._run.is_simulated, repeats=self._run.parent_run, tools=tools)

    def _items(self) -> None:
        assert self._run is not None
        total = sum(self._run.repeated.get(self._open.id, {}).values())
        with box("fs-items"):
            icon_button("chevron_left", "Item before", lambda: self._go(-1), is_small=True)
            ui.label(words.item(self._steps[self._place].iteration)).classes("fs-items-now")
            icon_button("chevron_right", "Next item", lambda: self._go(1), is_small=True)
            ui.space()
            shown = f" of {total:,}" if total > len(self._steps) else ""
            ui.label(f"{self._place + 1:,} / {len(self._steps):,}{shown}").classes("pw-muted pw-num")
            if total > len(self._steps):
                with ui.link(target=f"/runs/{self._run.id}").classes("fe-hint-link"):
                    ui.label("All")

    def _go(self, by: int) -> None:
        self._place = (self._place + by) % len(self._steps)
        self._draw()
