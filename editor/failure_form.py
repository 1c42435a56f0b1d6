"""What happens when a node fails: how often it is tried again, and where the run goes then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nicegui import ui

from editor.draft import Draft
from editor.frame import box
from editor.widgets import choice
from runtime.limits import ATTEMPTS, RETRY_DELAY_S

Json: TypeAlias = Any
Edit: TypeAlias = Callable[[list[dict[str, Json]], str | None], None]
ON_ERROR = {"stop": "Stop the run", "continue": "Go on with an empty output", "port": "Go on at an Error port"}
RETRY = (
    ("attempts", "Attempts", 3, 1, ATTEMPTS),
    ("delay_s", "Seconds between", 5, 0, RETRY_DELAY_S),
    ("backoff", "Times longer each time", 2, 1, 10),
)


class FailureForm:
    """The form of one node's ``on_error`` and ``retry``; *edit* gets operations and their merge key."""

    def __init__(self, draft: Draft, node_id: str, edit: Edit) -> None:
        self._draft = draft
        self._node_id = node_id
        self._edit = edit
        node = draft.node(node_id) or {}
        with box("fe-field"):
            ui.label("After the last attempt").classes("fe-label")
            self._on_error = choice(ON_ERROR, value=node.get("on_error", "stop"), on_change=self._set_on_error)
            self._on_error.props["aria-label"] = "After the last attempt"
        with box("fe-field"):
            self._again = ui.switch(
                "Try again when the error may pass", value=bool(node.get("retry")), on_change=self._set_retry
            )
        self._retry: dict[str, ui.number] = {}
        with box("fe-retry") as numbers:
            for key, title, default, least, most in RETRY:
                self._retry[key] = self._number(title, (node.get("retry") or {}).get(key, default), least, most)
        numbers.bind_visibility_from(self._again, "value")

    def update(self, node: Mapping[str, Json]) -> None:
        """Show what *node* holds now."""
        self._on_error.set_value(node.get("on_error", "stop"))
        self._again.set_value(bool(node.get("retry")))
        for key, number in self._retry.items():
            if key in (node.get("retry") or {}):
                number.set_value(node["retry"][key])

    def _number(self, title: str, value: float, least: float, most: float) -> ui.number:
        with box("fe-field"):
            ui.label(title).classes("fe-label")
            made = ui.number(value=value, min=least, max=most, on_change=self._set_retry)
        return made.props(f'outlined dense hide-bottom-space debounce=250 aria-label="{title}"')

    def _set_on_error(self, event: Any) -> None:
        node = self._draft.node(self._node_id)
        if node and event.value != node.get("on_error", "stop"):
            self._edit([{"op": "patch_node", "id": self._node_id, "set": {"on_error": event.value}}], None)

    def _set_retry(self, _event: Any) -> None:
        node = self._draft.node(self._node_id)
        retry = {key: _whole(number.value) for key, number in self._retry.items()} if self._again.value else None
        if node is None or retry == node.get("retry") or (retry and None in retry.values()):
            return
        self._edit([{"op": "patch_node", "id": self._node_id, "set": {"retry": retry}}], f"retry {self._node_id}")


def _whole(value: float | None) -> float | None:
    return int(value) if value is not None and float(value).is_integer() else value
