"""What happens when a node fails or takes too long: how often it is tried again, and where the run goes then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nicegui import ui

from editor.draft import Draft
from editor.frame import box
from editor.open_node import OpenNode
from editor.widgets import choice
from nodes.spec import NodeType
from runtime.limits import ATTEMPTS, RETRY_DELAY_S, STEP_TIMEOUT_S

Json: TypeAlias = Any
Edit: TypeAlias = Callable[[list[dict[str, Json]], str | None], None]
ON_ERROR = {"stop": "Stop the run", "continue": "Go on with an empty output", "port": "Go on at an Error port"}
AFTER_CRASH = {"repeat": "Call it again", "ask": "Ask a person"}
USUAL = ""  # of a drop-down: as the node type says
RETRY = (
    ("attempts", "Attempts", 3, 1, ATTEMPTS),
    ("delay_s", "Seconds between", 5, 0, RETRY_DELAY_S),
    ("backoff", "Times longer each time", 2, 1, 10),
)


class FailureForm:
    """The form of one node's ``on_error``, ``retry``, ``timeout_s`` and ``after_crash``.

    *edit* gets operations and their merge key.
    """

    def __init__(self, draft: Draft, open_node: OpenNode, node_type: NodeType, edit: Edit) -> None:
        self._draft = draft
        self._open = open_node
        self._edit = edit
        node = draft.node(open_node.id) or {}
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
        with box("fe-field"):
            ui.label("Time-out, in seconds").classes("fe-label")
            self._timeout = ui.number(
                value=node.get("timeout_s"),
                min=0.1,
                max=STEP_TIMEOUT_S,
                placeholder="None",
                on_change=self._set_timeout,
            )
            self._timeout.props('outlined dense hide-bottom-space clearable debounce=250 aria-label="Time-out"')
            ui.label("An attempt that takes longer counts as failed.").classes("fe-hint")
        self._after_crash = self._crash(node, node_type) if node_type.effect == "send" else None

    def update(self, node: Mapping[str, Json]) -> None:
        """Show what *node* holds now."""
        self._on_error.set_value(node.get("on_error", "stop"))
        self._again.set_value(bool(node.get("retry")))
        for key, number in self._retry.items():
            if key in (node.get("retry") or {}):
                number.set_value(node["retry"][key])
        self._timeout.set_value(node.get("timeout_s"))
        if self._after_crash is not None:
            self._after_crash.set_value(node.get("after_crash") or USUAL)

    def _number(self, title: str, value: float, least: float, most: float) -> ui.number:
        with box("fe-field"):
            ui.label(title).classes("fe-label")
            made = ui.number(value=value, min=least, max=most, on_change=self._set_retry)
        return made.props(f'outlined dense hide-bottom-space debounce=250 aria-label="{title}"')

    def _crash(self, node: Mapping[str, Json], node_type: NodeType) -> ui.select:
        usual = AFTER_CRASH["repeat" if node_type.is_repeatable else "ask"]
        with box("fe-field"):
            ui.label("When Pulsewire is stopped meanwhile").classes("fe-label")
            made = choice(
                {USUAL: f"As usual: {usual[0].lower()}{usual[1:]}", **AFTER_CRASH},
                value=node.get("after_crash") or USUAL,
                on_change=self._set_after_crash,
            )
            made.props["aria-label"] = "When Pulsewire is stopped meanwhile"
            hint = "It is not known then whether it took place. The same idempotency key is sent with every call."
            ui.label(hint).classes("fe-hint")
        return made

    def _set_timeout(self, event: Any) -> None:
        node = self._draft.node(self._open.id)
        value = _whole(event.value)
        if node is None or value == node.get("timeout_s") or (value is not None and not 0.1 <= value <= STEP_TIMEOUT_S):
            return
        self._edit([{"op": "patch_node", "id": self._open.id, "set": {"timeout_s": value}}], f"timeout {self._open.id}")

    def _set_after_crash(self, event: Any) -> None:
        node = self._draft.node(self._open.id)
        value = event.value or None
        if node is not None and value != node.get("after_crash"):
            self._edit([{"op": "patch_node", "id": self._open.id, "set": {"after_crash": value}}], None)

    def _set_on_error(self, event: Any) -> None:
        node = self._draft.node(self._open.id)
        if node and event.value != node.get("on_error", "stop"):
            self._edit([{"op": "patch_node", "id": self._open.id, "set": {"on_error": event.value}}], None)

    def _set_retry(self, _event: Any) -> None:
        node = self._draft.node(self._open.id)
        retry = {key: _whole(number.value) for key, number in self._retry.items()} if self._again.value else None
        if node is None or retry == node.get("retry") or (retry and None in retry.values()):
            return
        self._edit([{"op": "patch_node", "id": self._open.id, "set": {"retry": retry}}], f"retry {self._open.id}")


def _whole(value: float | None) -> float | None:
    return int(value) if value is not None and float(value).is_integer() else value
