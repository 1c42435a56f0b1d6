"""The steps of a run as a list: in the order of the graph, those inside a loop below it for one item at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nicegui import ui
from nicegui.element import Element

from editor import words
from editor.frame import box
from editor.loop_items import Loop, LoopItems, Wanted, item_bar
from editor.palette import node_icon
from editor.step_view import state_icon, time_taken
from editor.step_waits import in_short
from nodes.spec import NodeType
from runtime.kept_steps import Shape
from runtime.run_views import RunView, StepView

Json: TypeAlias = Any


class RunSteps:
    """Draws the list in *place*. *visit* goes to a node, *choose* looks at another item of a loop."""

    def __init__(
        self,
        place: Element,
        types: Mapping[str, NodeType],
        shape: Shape | None,
        items: LoopItems | None,
        *,
        visit: Callable[[str], None],
        choose: Callable[[Loop, Wanted], object],
    ) -> None:
        self._place = place
        self._types = types
        self._shape = shape
        self._items = items
        self._visit = visit
        self._choose = choose
        self._lines: dict[str, Element] = {}

    def draw(self, view: RunView) -> None:
        """Draw the steps of *view*."""
        self._nodes = {node["id"]: node for node in (view.document or {}).get("nodes", ())}
        self._view = view
        self._place.clear()
        self._lines.clear()
        with self._place:
            ui.label("Steps").classes("fe-group")
            top = {step.node: step for step in view.steps if not step.iteration}
            self._level(top, (), "")
            if not view.steps:
                ui.label("No step has begun yet.").classes("fe-none")

    def mark(self, node_id: str | None) -> None:
        """Show which step is selected."""
        for each, line in self._lines.items():
            line.props["aria-current"] = "true" if each == node_id else "false"
            line.update()

    def _level(self, steps: Mapping[str, StepView], around: tuple[str, ...], within: str) -> None:
        order = self._view.order or tuple(steps)
        for node_id in order:
            if (step := steps.get(node_id)) is not None:
                self._line(step)
            if self._shape is not None and self._shape.loops_around(node_id) == around:
                self._loop((node_id, within), (*around, node_id))

    def _loop(self, loop: Loop, around: tuple[str, ...]) -> None:
        picked = self._items.picked.get(loop) if self._items else None
        if picked is None or picked.item is None:
            return
        with box("fr-loop"):
            item_bar(picked, lambda wanted: self._choose(loop, wanted))
            self._level(picked.steps, around, picked.item.iteration)

    def _line(self, step: StepView) -> None:
        node = self._nodes.get(step.node, {"name": step.node, "type": ""})
        with box(f"fr-step fr-step--{step.status}", "button").props("type=button") as line:
            state_icon(step.status)
            node_icon(self._types.get(node["type"]))
            with box("fe-node-text"):
                ui.label(node["name"]).classes("fe-node-title")
                ui.label(self._hint(step)).classes("fe-node-hint")
        line.on("click", lambda node_id=step.node: self._visit(node_id))
        self._lines[step.node] = line

    def _hint(self, step: StepView) -> str:
        if step.wait is not None:
            return in_short(step.wait)
        if step.is_pinned:
            return "pinned output"
        if step.is_kept:
            return f"kept from run {self._view.parent_run}"
        told = str((step.error or {}).get("message") or time_taken(step) or step.status)
        counts = self._inside(step.node)
        return f"{told} · {counts}" if counts else told

    def _inside(self, node_id: str) -> str:
        """Return how the items of a loop fared, in a few words."""
        body = self._shape.body(node_id) if self._shape else frozenset()
        counts = [self._view.repeated[node] for node in body if node in self._view.repeated]
        if not counts:
            return ""
        total = words.count(max(sum(each.values()) for each in counts), "item")
        failed = sum(each.get("failed", 0) for each in counts)
        return f"{total}, {failed:,} failed" if failed else total
