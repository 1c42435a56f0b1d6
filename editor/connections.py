"""A node's connections as fields: where each port leads, and what the node comes after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nicegui import background_tasks, ui

from editor.catalog import ports_of
from editor.draft import Draft
from editor.frame import box, icon
from editor.open_node import OpenNode
from editor.widgets import choice
from nodes.spec import NodeType
from runtime.graph import reachable_from

Json: TypeAlias = Any


class Connections:
    """The way to wire nodes without a mouse. *visit* goes to another node."""

    def __init__(
        self, draft: Draft, types: Mapping[str, NodeType], open_node: OpenNode, visit: Callable[[str], None]
    ) -> None:
        self._draft = draft
        self._types = types
        self._open = open_node
        self._visit = visit
        self._wires: dict[str, ui.select] = {}
        self._box = box("fe-wires")

    def update(self, node: Mapping[str, Json]) -> None:
        """Show the connections that the draft holds now."""
        document = self._draft.document
        ports = {
            port.name: port.title or ("Next" if port.name == "out" else port.name)
            for port in ports_of(node, self._types.get(node["type"]))
        }
        pairs = [(edge["target"], edge["source"]) for edge in document["edges"]]
        before = reachable_from([self._open.id], pairs)  # these would close a circle
        targets = {
            other["id"]: other["name"]
            for other in document["nodes"]
            if other["id"] not in before and not self._is_trigger(other)
        }
        if list(self._wires) != list(ports):
            self._wires.clear()
            self._box.clear()
            with self._box:
                for port, title in ports.items():
                    self._wire(port, title)
                self._came_from = box("fe-from")
        for port, select in self._wires.items():
            wired = [e["target"] for e in document["edges"] if e["source"] == self._open.id and e["key"] == port]
            if select.options != targets or select.value != wired:
                select.set_options(targets, value=wired)
        self._came_from.clear()
        sources = [e["source"] for e in document["edges"] if e["target"] == self._open.id]
        with self._came_from:
            if sources:
                ui.label("Comes after").classes("fe-label")
            for source in dict.fromkeys(sources):
                earlier = self._draft.node(source)
                with box("fe-jump", "button").props("type=button") as jump:
                    icon("arrow_back")
                    ui.label(earlier["name"] if earlier else source)
                jump.on("click", lambda source=source: self._visit(source))

    def _wire(self, port: str, title: str) -> None:
        with box("fe-field"):
            ui.label(title).classes("fe-label")
            select = choice({}, value=[], multiple=True, on_change=lambda event: self._rewire(port, event.value or []))
            select.props("use-chips use-input input-debounce=0 placeholder='Choose a node…'")
            select.props["aria-label"] = f"Connect {title} to"
            self._wires[port] = select

    def _rewire(self, port: str, targets: list[str]) -> None:
        wired = [e for e in self._draft.document["edges"] if e["source"] == self._open.id and e["key"] == port]
        now = {edge["target"] for edge in wired}
        operations = [{"op": "del_edge", "edge": edge} for edge in wired if edge["target"] not in targets]
        new = [{"source": self._open.id, "target": target, "key": port} for target in targets if target not in now]
        operations += [{"op": "add_edge", "edge": edge} for edge in new]
        background_tasks.create(self._draft.edit(operations), name="connect a node")

    def _is_trigger(self, node: Mapping[str, Json]) -> bool:
        node_type = self._types.get(node["type"])
        return node_type is not None and node_type.kind == "trigger"
