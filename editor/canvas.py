"""The canvas as an element: it shows pictures of a flow and reports what people do to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from nicegui import events, ui

from editor.catalog import Edge, Picture, canvas_catalog, edge_identity
from nodes.spec import NodeType

Json: TypeAlias = Any
Handler: TypeAlias = Callable[..., Any]
SCRIPT = Path(__file__).resolve().parent.parent / "static" / "dist" / "flow_canvas.js"


class FlowCanvas(ui.element, component=SCRIPT):
    """Draws a flow. The page tells it what to show; edits come back as lists of operations.

    *on_operations* gets ``{"tab", "seq", "operations"}`` and ``"group"``, the same number for the parts of one long
    edit; *on_select* ``{"nodes", "edges"}``, *on_command* ``{"name", …}``.
    """

    def __init__(
        self,
        flow_id: str,
        types: Mapping[str, NodeType],
        *,
        is_readonly: bool = False,
        may_test: bool = False,
        save_target: str | None = None,
        cover: str | None = None,
        on_operations: Handler | None = None,
        on_select: Handler | None = None,
        on_command: Handler | None = None,
    ) -> None:
        super().__init__()
        self._props.update({"flowId": flow_id, "catalog": canvas_catalog(types), "readonly": is_readonly})
        if may_test:
            self._props["mayTest"] = True
        if cover:
            self._props["cover"] = cover
        if save_target:
            self._props["saveTarget"] = save_target
        self._picture = Picture()
        self._is_ready = False
        self._waiting: list[tuple[str, Json]] = []  # calls made before the browser had drawn the canvas
        self.on("ready", self._ready)
        for name, handler in (("ops", on_operations), ("select", on_select), ("command", on_command)):
            if handler:
                self.on(name, _with_arguments(handler))

    def show(self, picture: Picture, *, is_fitting: bool = False, renamed: Mapping[str, str] | None = None) -> None:
        """Show *picture*; only what differs from the one before is sent. *renamed*: former ids -> those of now."""
        changes = picture.changes_since(self._picture)
        self._picture = picture
        if self._is_ready and (any(changes.values()) or is_fitting):
            self.run_method("patch", {**changes, "fit": is_fitting, "renamed": dict(renamed or {})})

    def acknowledge(self, message: Mapping[str, Json], picture: Picture) -> None:
        """Show *picture* to the tab whose *message* was dealt with, and put right what it had assumed."""
        nodes, edges = touched_by(message["operations"])
        changes = picture.changes_since(self._picture, nodes, edges)
        self._picture = picture
        self.run_method("patch", {**changes, "tab": message["tab"], "ack": message["seq"]})

    def set_status(
        self, nodes: Mapping[str, Json] | None = None, edges: list[Json] | None = None, *, is_reset: bool = False
    ) -> None:
        """Show how nodes and edges fare in a run, in one call for all that changed."""
        self._call("setStatus", {"nodes": dict(nodes or {}), "edges": edges or [], "reset": is_reset})

    def set_records(self, nodes: list[dict[str, Json]]) -> None:
        """Hand over the whole records of the selected nodes, for the clipboard."""
        self._call("setRecords", nodes)

    def set_busy(self, value: bool) -> None:
        """Show that the page is saving something itself."""
        self._call("setBusy", value)

    def visit(self, node_id: str) -> None:
        """Select a node and bring it into view."""
        self._call("visit", node_id)

    def select(self, node_ids: list[str]) -> None:
        """Select exactly these nodes."""
        self._call("select", node_ids)

    def add(self, type_name: str) -> None:
        """Add a node after the selected one, or in the middle."""
        self._call("add", type_name)

    def show_help(self) -> None:
        """Show the keyboard shortcuts."""
        self._call("showHelp", None)

    def _ready(self) -> None:
        self._is_ready = True
        self.run_method("load", self._picture.as_json())
        for name, *arguments in self._waiting:
            self.run_method(name, *arguments)
        self._waiting.clear()

    def _call(self, name: str, *arguments: Json) -> None:
        if self._is_ready:
            self.run_method(name, *arguments)
        else:
            self._waiting.append((name, *arguments))


def touched_by(operations: list[dict[str, Json]]) -> tuple[set[str], set[Edge]]:
    """Return the nodes and edges that *operations* are about."""
    nodes: set[str] = set()
    edges: set[Edge] = set()
    for operation in operations:
        if "edge" in operation:
            edges.add(edge_identity(operation["edge"]))
        elif operation.get("op") == "add_node":
            nodes.add(operation["node"]["id"])
        elif operation.get("op") == "move":
            nodes.update(operation["at"])
        elif "id" in operation:
            nodes.add(operation["id"])
    return nodes, edges


def _with_arguments(handler: Handler) -> Handler:
    def call(event: events.GenericEventArguments) -> Any:
        return handler(event.args)

    return call
