"""The steps of a run as a list: in the order of the graph, those inside a loop below it for one item at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from nicegui import ui
from nicegui.element import Element

from editor import words
from editor.frame import box
from editor.loop_items import ItemBar, Loop, LoopItems, Wanted
from editor.palette import node_icon
from editor.step_view import show_state, state_icon, state_word, time_taken
from editor.step_waits import in_short
from nodes.spec import NodeType
from runtime.kept_steps import Shape
from runtime.run_views import RunView, StepView

Json: TypeAlias = Any


class RunSteps:
    """Draws the list in *place*. *visit* goes to a node, *choose* looks at another item of a loop.

    What stays from one state of the run to the next is not drawn anew: it keeps the focus, and a click on it counts.
    """

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
        self._types = types
        self._shape = shape
        self._items = items
        self._visit = visit
        self._choose = choose
        self._lines: dict[str, _Line] = {}  # by node
        self._loops: dict[str, _LoopBox] = {}  # by the loop's node
        with place:
            ui.label("Steps").classes("fe-group")
            self._list = box("fr-list")
            self._none = ui.label("No step has begun yet.").classes("fe-none")

    def draw(self, view: RunView) -> None:
        """Draw the steps of *view*."""
        self._nodes = {node["id"]: node for node in (view.document or {}).get("nodes", ())}
        self._view = view
        top = {step.node: step for step in view.steps if not step.iteration}
        self._level(self._list, top, (), "")
        self._none.set_visibility(not view.steps)

    def mark(self, node_id: str | None) -> None:
        """Show which step is selected."""
        for each, line in self._lines.items():
            line.mark(each == node_id)

    def _level(self, place: Element, steps: Mapping[str, StepView], around: tuple[str, ...], within: str) -> None:
        shown: list[Element] = []
        for node_id in self._view.order or tuple(steps):
            if (step := steps.get(node_id)) is not None:
                shown.append(self._line(place, step))
            if self._shape is not None and self._shape.loops_around(node_id) == around:
                shown += self._loop(place, (node_id, within), (*around, node_id))
        _arrange(place, shown)

    def _loop(self, place: Element, loop: Loop, around: tuple[str, ...]) -> list[Element]:
        picked = self._items.picked.get(loop) if self._items else None
        if picked is None or picked.item is None:
            return []
        made = self._loops.get(loop[0])
        if made is None or made.box.is_deleted:
            with place:
                made = self._loops[loop[0]] = _LoopBox(self._choose)
        made.bar.show(loop, picked)
        self._level(made.lines, picked.steps, around, picked.item.iteration)
        return [made.box]

    def _line(self, place: Element, step: StepView) -> Element:
        made = self._lines.get(step.node)
        if made is None or made.box.is_deleted:
            node = self._nodes.get(step.node, {"name": step.node, "type": ""})
            with place:
                node_type = self._types.get(node["type"])
                made = self._lines[step.node] = _Line(node["name"], node_type, partial(self._visit, step.node))
        made.show(step.status, self._hint(step))
        return made.box

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


class _Line:
    """The line of one step."""

    def __init__(self, name: str, node_type: NodeType | None, visit: Callable[[], None]) -> None:
        self._name = name
        self._shown: object = None
        with box("fr-step", "button").props("type=button") as self.box:
            self._state = state_icon("planned")
            node_icon(node_type)
            with box("fe-node-text"):
                ui.label(name).classes("fe-node-title")
                self._hint = ui.label().classes("fe-node-hint")
        self.box.on("click", visit)

    def show(self, status: str, hint: str) -> None:
        if self._shown == (status, hint):
            return
        self._shown = (status, hint)
        show_state(self._state, status)
        self._hint.set_text(hint)
        self._hint.props["title"] = hint
        self.box.props["aria-label"] = f"{self._name}: {state_word(status)}, {hint}"
        self.box.classes(replace=f"fr-step fr-step--{status}")

    def mark(self, is_selected: bool) -> None:
        now = "true" if is_selected else "false"
        if self.box.props.get("aria-current") != now:
            self.box.props["aria-current"] = now
            self.box.update()


class _LoopBox:
    """The steps of one item of a loop, below the bar that chooses it."""

    def __init__(self, choose: Callable[[Loop, Wanted], object]) -> None:
        with box("fr-loop") as self.box:
            self.bar = ItemBar(choose)
            self.lines = box("fr-list")


def _arrange(place: Element, shown: list[Element]) -> None:
    """Let *place* hold these elements in this order, and no others; what is there already stays untouched."""
    wanted = {element.id for element in shown}
    for child in list(place.default_slot.children):
        if child.id not in wanted:
            child.delete()
    for index, element in enumerate(shown):
        if place.default_slot.children[index] is not element:
            element.move(place, index)
