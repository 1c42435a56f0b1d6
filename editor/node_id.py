"""The id of the open node, which expressions use, and the small form that changes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from nicegui import ui

from editor.draft import Draft
from editor.frame import box, icon
from editor.open_node import OpenNode
from editor.widgets import button, text_input
from nodes.spec import NodeType
from runtime.errors import Invalid
from runtime.renaming import renamed

Json: TypeAlias = Any
ID_CHARS = 64
PROBE = "_"  # an id that hardly any node has, to see who names this one


class NodeId:
    """Shows a node's id; *rename* is awaited with a new one that is allowed, None for those who only read."""

    def __init__(
        self,
        draft: Draft,
        types: Mapping[str, NodeType],
        open_node: OpenNode,
        rename: Callable[[str], Awaitable[None]] | None,
    ) -> None:
        self._draft = draft
        self._types = types
        self._open = open_node
        self._rename = rename
        with box("fe-id", "button" if rename else "span") as self._chip:
            self._label = ui.label().classes("pw-clip")
            self.update()
            if rename is None:
                return
            icon("edit")
            self._chip.props["type"] = "button"
        self._menu = ui.menu().props("no-parent-event target='.fe-panel-head' anchor='bottom middle' self='top middle'")
        self._menu.classes("fe-rename").on("before-show", self._fill)
        self._chip.on("click", self._menu.open)

    def update(self) -> None:
        """Show the id that the node has now."""
        self._label.set_text(self._open.id)
        if self._rename is not None:
            self._chip.props["data-id"] = self._open.id
            self._chip.props["title"] = self._chip.props["aria-label"] = f"Id {self._open.id}: change it"
            self._chip.update()

    def _fill(self) -> None:
        self._menu.clear()
        with self._menu, box("fe-rename-form"):
            ui.label("Id of the node").classes("fe-heading")
            self._input = text_input(self._open.id).props(f'autofocus maxlength={ID_CHARS} aria-label="New id"')
            self._input.classes("pw-mono").on("keydown.enter", self._submit)
            self._input.on_value_change(self._look)
            self._fault = ui.label().classes("fe-problem").props("role=alert")
            self._fault.set_visibility(False)
            ui.label(_use(self._users())).classes("fe-hint")
            with box("fe-rename-acts"):
                button("Cancel", self._menu.close, kind="ghost")
                self._submit_button = button("Change the id", self._submit, kind="primary")
        self._submit_button.set_enabled(False)

    @property
    def _wanted(self) -> str:
        return (self._input.value or "").strip()

    def _look(self) -> None:
        fault = self._fault_of(self._wanted)
        self._fault.set_text(fault)
        self._fault.set_visibility(bool(fault))
        self._submit_button.set_enabled(not fault and self._wanted != self._open.id)

    async def _submit(self) -> None:
        self._look()
        if self._rename is None or self._fault.text or self._wanted == self._open.id:
            return
        wanted = self._wanted
        self._menu.close()
        await self._rename(wanted)

    def _fault_of(self, new_id: str) -> str:
        try:
            renamed(self._draft.document, self._open.id, new_id, self._types)
        except Invalid as refusal:
            return refusal.problems[0].message
        return ""

    def _users(self) -> list[str]:
        """Return the names of the other nodes that name this one."""
        before = self._draft.document
        probe = PROBE
        while any(node["id"] == probe for node in before["nodes"]):
            probe += "_"
        try:
            after = renamed(before, self._open.id, probe, self._types)
        except Invalid:
            return []  # it has just been deleted
        pairs = zip(before["nodes"], after["nodes"], strict=True)
        return [was["name"] for was, now in pairs if was["params"] != now["params"] and was["id"] != self._open.id]


def _use(names: list[str]) -> str:
    if not names:
        return "No expression uses it yet."
    who = f"“{names[0]}”" if len(names) == 1 else f"“{names[0]}” and {len(names) - 1} more"
    return f"Expressions in {who} use it. They change along with it."
