"""The flow editor as a test drives it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from playwright.sync_api import Locator, Page, expect

from runtime.flows import Flows
from storage.database import Database

T = TypeVar("T")


@dataclass
class Server:
    """A running installation: its address, and its flows as another process sees them."""

    url: str
    flows: Flows
    database: Database


def until(check: Callable[[], T], timeout_s: float = 15) -> T:
    """Return what *check* gives as soon as it is true."""
    end = time.monotonic() + timeout_s
    while not (value := check()):
        assert time.monotonic() < end, "this did not come true"
        time.sleep(0.03)
    return value


class FlowPage:
    def __init__(self, page: Page, flow_id: str, flows: Any = None) -> None:
        self.page = page
        self.flow_id = flow_id
        self.flows = flows
        self.open()

    def open(self) -> None:
        self.page.goto(f"/flows/{self.flow_id}")
        self.ready()

    def ready(self) -> None:
        self.page.locator('.fc[aria-label^="Flow with"]').wait_for()
        expect(self.page.locator(".fc-save")).to_have_attribute("data-state", "saved")

    # -- the document

    @property
    def draft(self) -> dict[str, Any]:
        return self.flows.get(self.flow_id).draft  # type: ignore[no-any-return]

    @property
    def nodes(self) -> dict[str, dict[str, Any]]:
        return {node["id"]: node for node in self.draft["nodes"]}

    @property
    def edges(self) -> set[str]:
        return {f"{e['source']} {e['key']} {e['target']}" for e in self.draft["edges"]}

    def has(self, nodes: int, edges: int) -> None:
        """Wait until browser and database both have so many."""
        label = f"Flow with {nodes} nodes and {edges} connections"
        expect(self.page.locator(".fc")).to_have_attribute("aria-label", label)
        until(lambda: (len(self.draft["nodes"]), len(self.draft["edges"])) == (nodes, edges))

    def saved(self) -> None:
        expect(self.page.locator(".fc-save")).to_have_attribute("data-state", "saved")

    # -- the canvas

    @property
    def pane(self) -> Locator:
        return self.page.locator(".vue-flow__pane")

    def node(self, node_id: str) -> Locator:
        return self.page.locator(f'.vue-flow__node[data-id="{node_id}"]')

    def handle(self, node_id: str, port: str) -> Locator:
        return self.node(node_id).locator(f'.vue-flow__handle[data-handleid="{port}"]')

    def drop(self, type_name: str, x: int, y: int) -> None:
        self.page.drag_and_drop(f'[data-node="{type_name}"]', ".vue-flow__pane", target_position={"x": x, "y": y})

    def middle(self, target: Locator) -> tuple[float, float]:
        box = target.bounding_box()
        assert box
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def start_wire(self, node_id: str, port: str) -> None:
        x, y = self.middle(self.handle(node_id, port))
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + 12, y + 3, steps=3)

    def drag_to(self, x: float, y: float) -> None:
        self.page.mouse.move(x - 20, y - 4, steps=4)
        self.page.mouse.move(x, y, steps=4)

    def wire(self, source: str, port: str, target: str) -> None:
        self.start_wire(source, port)
        self.drag_to(*self.middle(self.handle(target, "in")))
        self.page.mouse.up()

    def hover_edge(self, source: str, port: str, target: str) -> None:
        (x1, y1), (x2, y2) = self.middle(self.handle(source, port)), self.middle(self.handle(target, "in"))
        self.page.mouse.move((x1 + x2) / 2, (y1 + y2) / 2, steps=3)

    def click_pane(self) -> None:
        self.pane.click(position={"x": 500, "y": 30})

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def selected(self) -> set[str]:
        chosen = self.page.locator(".vue-flow__node.selected")
        return {chosen.nth(i).get_attribute("data-id") or "" for i in range(chosen.count())}

    @property
    def positions(self) -> dict[str, list[float]]:
        script = "() => getElement(+document.querySelector('.fc').id.slice(1)).getPositions()"
        return self.page.evaluate(script)  # type: ignore[no-any-return]

    @property
    def zoom(self) -> float:
        script = "() => getElement(+document.querySelector('.fc').id.slice(1)).getViewport().zoom"
        return float(self.page.evaluate(script))

    # -- the panel

    def fill(self, title: str, text: str) -> None:
        self.page.locator(".fe-right").get_by_label(title, exact=True).fill(text)

    def panel_shows(self, name: str) -> None:
        expect(self.page.get_by_label("Name of the node")).to_have_value(name)


def flow_id_of(page: Page) -> str:
    """Return the id in the address of an open flow."""
    found = re.search(r"/flows/([^/?#]+)", page.url)
    assert found
    return found[1]
