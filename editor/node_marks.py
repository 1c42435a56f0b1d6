"""What is special about the open node while testing, with the way back: it is passed over, or its output is pinned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nicegui import ui

from editor.elements import box, icon
from editor.node_actions import NodeActions
from editor.open_node import OpenNode

Json: TypeAlias = Any


class NodeMarks:
    """Draws them in the current place."""

    def __init__(self, open_node: OpenNode, actions: NodeActions) -> None:
        self._open = open_node
        self._actions = actions
        self._shown: object = None
        self._box = box("fe-marks")

    def update(self, given: Mapping[str, Json]) -> None:
        """Show what the node is now."""
        is_off, is_pinned = marks = (bool(given.get("disabled")), bool(given.get("pinned")))
        if marks == self._shown:
            return
        self._shown = marks
        self._box.clear()
        self._box.set_visibility(any(marks))
        node, actions = self._open, self._actions
        with self._box:
            if is_off:
                is_trigger = actions.is_trigger(node.id)
                text = "Disabled: it starts no runs." if is_trigger else "Disabled: runs pass over it."
                _mark("power_settings_new", text, ("Enable", lambda: actions.disable(node.id, False)))
            if is_pinned:
                edit = ("Edit", lambda: actions.edit_pin(node.id))
                unpin = ("Unpin", lambda: actions.unpin(node.id))
                _mark("keep", "Pinned: tests do not call it.", edit, unpin)


def _mark(symbol: str, text: str, *acts: tuple[str, Callable[[], None]]) -> None:
    with box("fe-mark"):
        icon(symbol)
        ui.label(text).classes("pw-grow")
        for title, act in acts:
            with box("fe-mark-act", "button").props("type=button") as made:
                ui.label(title)
            made.on("click", act)
