"""What can be done with one node while testing: run it or a part of the flow, pin its output, pass over it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeAlias

from nicegui import background_tasks, ui

from editor.draft import Draft
from editor.open_node import OpenNode
from editor.widgets import Refused, button, choice, dialog, field, menu_item, reasons, toast
from nodes.spec import NodeType
from runtime.graph import with_failure_port
from runtime.payloads import check_payload
from runtime.run_views import StepView

Json: TypeAlias = Any
TestPart: TypeAlias = Literal["only", "until", "from"]
TESTS: tuple[tuple[TestPart, str, str], ...] = (  # NOTE: the same words and icons as in static/canvas/src/menu.js
    ("only", "Run only this node", "play_circle"),
    ("until", "Run up to here", "keyboard_tab"),
    ("from", "Run from here", "start"),
)


class NodeActions:
    """The actions on the nodes of one open draft. *test* runs a part of it, *remove* deletes a node."""

    def __init__(
        self,
        draft: Draft,
        types: Mapping[str, NodeType],
        *,
        test: Callable[[TestPart, str], Awaitable[None]],
        remove: Callable[[str], None],
        dress_code: Callable[[ui.codemirror], None],
    ) -> None:
        self._draft = draft
        self._types = types
        self._test = test
        self._remove = remove
        self._dress_code = dress_code

    def is_trigger(self, node_id: str) -> bool:
        """Whether a node starts the flow; its output is never pinned."""
        node_type = self._type(node_id)
        return node_type is not None and node_type.kind == "trigger"

    def test_items(self, node: OpenNode) -> None:
        """Draw the lines of a menu that run a part of the flow."""
        for part, title, symbol in TESTS:
            if part == "from" or not self.is_trigger(node.id):
                menu_item(title, symbol, lambda part=part: self._test(part, node.id))

    def more_items(self, node_id: str, step: StepView | None) -> None:
        """Draw the other lines of a node's menu; *step* is how it fared last."""
        node = self._draft.node(node_id) or {}
        if not self.is_trigger(node_id):
            if node.get("pinned"):
                menu_item("Edit the pinned output", "edit", lambda: self.edit_pin(node_id))
                menu_item("Unpin the output", "keep_off", lambda: self.unpin(node_id))
            elif step is not None and step.status == "succeeded":
                menu_item("Pin this output", "keep", lambda: self.pin(node_id, step))
            else:
                menu_item("Pin an output", "keep", lambda: self.edit_pin(node_id))
        is_off = bool(node.get("disabled"))
        menu_item("Enable" if is_off else "Disable", "power_settings_new", lambda: self.disable(node_id, not is_off))
        ui.separator()
        menu_item("Delete", "delete", lambda: self._remove(node_id), is_danger=True)

    def disable(self, node_id: str, is_off: bool) -> None:
        """Let runs pass over a node, or call it again."""
        self._patch(node_id, {"disabled": is_off})

    def pin(self, node_id: str, step: StepView | None) -> None:
        """Take the output of *step* in tests from now on in place of calling the node."""
        if step is None or step.status != "succeeded":
            toast("It has no output yet. Run it first.", "info")
        else:
            self._patch(node_id, {"pinned": {"port": step.port or "out", "output": step.output}})

    def unpin(self, node_id: str) -> None:
        """Let tests call the node again."""
        self._patch(node_id, {"pinned": None})

    def edit_pin(self, node_id: str) -> None:
        """Open a dialog with the pinned output, and the port that it leaves at."""
        node = self._draft.node(node_id)
        if node is None:
            return
        pinned = node.get("pinned") or {}
        node_type = self._types.get(node["type"])
        ports = (
            with_failure_port(tuple(node_type.ports(node.get("params") or {})), node.get("on_error", "stop"))
            if node_type
            else ()
        )
        titles = {port.name: port.title or port.name for port in ports} or {"out": "out"}
        chosen = pinned.get("port") if pinned.get("port") in titles else next(iter(titles))
        with dialog(f"Pinned output of “{node['name']}”", width=520) as (window, foot):
            ui.label("Tests take it in place of calling the node. Published runs do not.").classes("pw-soft")
            port = choice(titles, chosen).props("aria-label=Port")
            port.set_visibility(len(titles) > 1)
            with field("Output"):
                code = ui.codemirror(_pretty(pinned.get("output")), language="JSON", line_wrapping=True)
                code.classes("fe-code").props["aria-label"] = "Output"
                self._dress_code(code)
            fault = ui.label().classes("fe-problem").props("role=alert")

            def save() -> None:
                try:
                    output = check_payload((code.value or "").encode())
                except Refused as refusal:
                    fault.set_text(" ".join(reasons(refusal)))
                else:
                    window.close()
                    self._patch(node_id, {"pinned": {"port": port.value, "output": output}})

            with foot:
                button("Cancel", window.close, kind="ghost")
                button("Pin", save, kind="primary")
        window.open()

    def _patch(self, node_id: str, settings: Mapping[str, Json]) -> None:
        operation = {"op": "patch_node", "id": node_id, "set": settings}
        background_tasks.create(self._draft.edit([operation]), name="change a node")

    def _type(self, node_id: str) -> NodeType | None:
        node = self._draft.node(node_id)
        return self._types.get(node["type"]) if node else None


def _pretty(output: Json) -> str:
    return json.dumps({} if output is None else output, ensure_ascii=False, indent=2)
