"""The palette: node types to drag onto the canvas, with search."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nicegui import ui
from nicegui.element import Element

from editor.catalog import Entry, color_of, entries
from editor.frame import box
from nodes.spec import NodeType

DRAG = (
    "(e) => { e.dataTransfer.setData('application/x-pulsewire-node', e.currentTarget.dataset.node);"
    " e.dataTransfer.effectAllowed = 'copy' }"
)


def node_icon(node_type: NodeType | None) -> None:
    """Draw the tinted icon of a node type."""
    with box("fe-icon", "span").style(f"--kind: var({color_of(node_type)})"):
        ui.icon(f"sym_r_{node_type.icon if node_type else 'help'}").props("aria-hidden=true")


class Palette:
    """All node types and their presets by category. *add* puts one on the canvas without dragging, by its key."""

    def __init__(self, types: Mapping[str, NodeType], add: Callable[[str], None]) -> None:
        self._types = types
        self._add = add
        self._items: list[tuple[Element, str, Element]] = []  # item, what it is found by, its category's heading

    def build(self) -> None:
        """Draw it in the current place."""
        with box("fe-search"):
            search = ui.input(placeholder="Search nodes", on_change=lambda event: self._find(event.value or ""))
            search.props("outlined dense clearable hide-bottom-space debounce=80 aria-label='Search nodes'")
            search.classes("pw-search")
            with search.add_slot("prepend"):
                ui.icon("sym_r_search")
            search.on("keydown.enter", self._add_first)
            self._search = search
        with box("fe-nodes"):
            heading: Element | None = None
            category = None
            for entry in entries(self._types):
                if entry.node_type.category != category or heading is None:
                    category = entry.node_type.category
                    heading = ui.label(category).classes("fe-group")
                self._item(entry, heading)
            self._none = ui.label("No node is called that.").classes("fe-none")
        self._none.set_visibility(False)

    def _item(self, entry: Entry, heading: Element) -> None:
        node_type = entry.node_type
        with box("fe-node", "button").props("type=button draggable=true") as item:
            node_icon(node_type)
            with box("fe-node-text"):
                ui.label(entry.title).classes("fe-node-title")
                ui.label(entry.hint).classes("fe-node-hint")
        item.props["data-node"] = entry.key
        item.props["title"] = f"{entry.hint}. Drag it onto the canvas, or press Enter."
        item.on("dragstart", js_handler=DRAG)
        item.on("click", lambda: self._add(entry.key))
        words = f"{entry.title} {entry.hint} {node_type.hint} {node_type.category} {node_type.type}".lower()
        self._items.append((item, words, heading))

    def _find(self, text: str) -> None:
        terms = text.lower().split()
        shown: set[int] = set()
        for item, words, heading in self._items:
            is_found = all(term in words for term in terms)
            item.set_visibility(is_found)
            if is_found:
                shown.add(heading.id)
        for _item, _words, heading in self._items:
            heading.set_visibility(heading.id in shown)
        self._none.set_visibility(not shown)

    def _add_first(self) -> None:
        """Add what is called by what was typed, else the first that it finds."""
        typed = (self._search.value or "").strip().lower()
        shown = [(item, words) for item, words, _heading in self._items if item.visible]
        found = next((item for item, words in shown if words.startswith(typed)), shown[0][0] if shown else None)
        if found is not None:
            self._add(str(found.props["data-node"]))
            self._search.set_value("")
