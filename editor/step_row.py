"""A step in the log of a test: one line that opens to all that is known about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nicegui import ui

from editor import words
from editor.frame import box, icon
from editor.live import worst
from editor.open_node import OpenNode
from editor.palette import node_icon
from editor.step_results import StepResults
from editor.step_view import state_icon, time_taken
from editor.step_waits import in_short
from nodes.spec import NodeType
from runtime.run_views import RunView, StepView

Json: TypeAlias = Any
ROW_WORDS = {"insert": ("add", "added"), "update": ("change", "changed"), "delete": ("delete", "deleted")}
USER_WORDS = {
    "create": ("add", "added"),
    "update": ("change", "changed"),
    "delete": ("delete", "deleted"),
    "set_roles": ("set the roles of", "set the roles of"),
    "block": ("block", "blocked"),
    "unblock": ("unblock", "unblocked"),
    "send_verification": ("request verification for", "requested verification for"),
    "send_password_reset": ("request a reset for", "requested a reset for"),
}


class StepRow:
    """A step in the log; a click opens its detail."""

    def __init__(self, named: tuple[str, str, NodeType | None], visit: Callable[[str], None]) -> None:
        self._node, name, node_type = named
        self._visit = visit
        self._shown: object = None
        self._run: RunView | None = None
        with box("ft-step") as self._box:
            with box("ft-row", "button").props('type=button aria-expanded="false"') as self._line:
                self._state = box("ft-state", "span")
                node_icon(node_type)
                ui.label(name).classes("ft-name pw-clip")
                self._what = ui.label().classes("ft-what pw-clip")
                self._time = ui.label().classes("ft-time pw-num")
                icon("expand_more").classes("ft-arrow")
            with box("ft-detail") as self._detail:
                self._results = StepResults(OpenNode(self._node))
        self._detail.set_visibility(False)
        self._line.on("click", self._toggle)

    def show(self, run: RunView) -> None:
        """Show how the node has fared in *run* so far."""
        counts = run.repeated.get(self._node)
        step = next(step for step in run.steps if step.node == self._node)
        if (step, counts) == self._shown:
            return
        self._shown, self._run = (step, counts), run
        status = worst(counts) if counts else step.status
        self._box.classes(replace=f"ft-step ft-step--{status}")
        self._state.clear()
        with self._state:
            state_icon(status)
        self._time.set_text("" if counts else time_taken(step))
        self._what.set_text(_items(counts) if counts else _in_short(step, is_simulated=run.is_simulated))
        if self._detail.visible:
            self._results.show(run)
        elif status == "failed" or (step.effect or {}).get("kind") == "email":
            self._toggle(is_quiet=True)
            self._line.run_method("scrollIntoView", {"block": "start", "behavior": "smooth"})

    def _toggle(self, *, is_quiet: bool = False) -> None:
        is_open = not self._detail.visible
        self._detail.set_visibility(is_open)
        self._line.props["aria-expanded"] = "true" if is_open else "false"
        self._line.update()
        if is_open:
            self._results.show(self._run)
            if is_quiet is False:
                self._visit(self._node)


def _items(counts: Mapping[str, int]) -> str:
    """Return how the items of a loop fared, in one short line."""
    total, failed = sum(counts.values()), counts.get("failed", 0)
    return f"{failed:,} of {words.count(total, 'item')} failed" if failed else words.count(total, "item")


def _in_short(step: StepView, *, is_simulated: bool) -> str:
    if step.wait:
        return in_short(step.wait)
    if step.is_pinned:
        return "pinned output"
    if step.is_kept:
        return "kept from the run before"
    if step.error:
        return str(step.error.get("message", ""))
    if step.effect:
        return effect_in_words(step.effect, is_simulated=is_simulated)
    if step.status == "skipped":
        return "skipped"
    return f"→ {step.port}" if step.port and step.port != "out" else ""


def effect_in_words(effect: Mapping[str, Json], *, is_simulated: bool) -> str:
    """Return what an effect did, or would have done, in one short line."""
    match effect.get("kind"):
        case "email":
            would, did, what = "send", "sent", f"“{effect.get('subject', '')}”"
        case "http":
            would, did, what = "call", "called", f"{effect.get('method', '')} {effect.get('url', '')}"
        case "event":
            would, did, what = "report", "reported", str(effect.get("name", ""))
        case "rows":
            would, did = ROW_WORDS.get(str(effect.get("action")), ("change", "changed"))
            count = effect.get("count", 1)
            what = f"{words.count(count, 'row') if isinstance(count, int) else 'rows'} of {effect.get('table', '')}"
        case "user":
            would, did = USER_WORDS.get(str(effect.get("action")), ("change", "changed"))
            what = str(effect.get("user", ""))
        case "delay" | "approval" | "run":
            return "not waited for" if is_simulated else ""
        case "marked_done":
            return "marked as done by hand"
        case _:
            return ""
    return f"would {would} {what}" if is_simulated else f"{did} {what}"
