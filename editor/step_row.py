"""A step in the log of a test: one line that opens to all that is known about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nicegui import ui

from editor import words
from editor.frame import box, icon
from editor.palette import node_icon
from editor.step_view import state_icon, step_detail, time_taken
from nodes.spec import NodeType
from runtime.run_views import StepView

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
        self._shown: StepView | None = None
        self._is_simulated = False
        with box("ft-step") as self._box:
            with box("ft-row", "button").props('type=button aria-expanded="false"') as self._line:
                self._state = box("ft-state", "span")
                node_icon(node_type)
                ui.label(name).classes("ft-name pw-clip")
                self._what = ui.label().classes("ft-what pw-clip")
                self._time = ui.label().classes("ft-time pw-num")
                icon("expand_more").classes("ft-arrow")
            self._detail = box("ft-detail")
        self._detail.set_visibility(False)
        self._line.on("click", self._toggle)

    def show(self, step: StepView, *, is_simulated: bool) -> None:
        if step == self._shown:
            return
        self._shown, self._is_simulated = step, is_simulated
        self._box.classes(replace=f"ft-step ft-step--{step.status}")
        self._state.clear()
        with self._state:
            state_icon(step.status)
        self._time.set_text(time_taken(step))
        self._what.set_text(_in_short(step, is_simulated=is_simulated))
        if self._detail.visible:
            self._fill()
        elif step.status == "failed" or (step.effect or {}).get("kind") == "email":
            self._toggle(is_quiet=True)
            self._line.run_method("scrollIntoView", {"block": "start", "behavior": "smooth"})

    def _toggle(self, *, is_quiet: bool = False) -> None:
        is_open = not self._detail.visible
        self._detail.set_visibility(is_open)
        self._line.props["aria-expanded"] = "true" if is_open else "false"
        self._line.update()
        if is_open:
            self._fill()
            if is_quiet is False:
                self._visit(self._node)

    def _fill(self) -> None:
        self._detail.clear()
        if self._shown is not None:
            with self._detail:
                step_detail(self._shown, is_simulated=self._is_simulated)


def _in_short(step: StepView, *, is_simulated: bool) -> str:
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
        case _:
            return ""
    return f"would {would} {what}" if is_simulated else f"{did} {what}"
