"""Below the fields of a webhook: the address it stands at, who gets in, and how a program calls it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nicegui import ui

from backend.credential_values import NO_LOGIN
from backend.credentials import folded_credential
from editor.draft import Draft
from editor.frame import box, icon
from editor.open_node import OpenNode
from editor.widgets import copies, icon_button, segments
from nodes.spec import NodeType
from runtime.webhooks import ANY, webhook_of

Json: TypeAlias = Any
LOGINS = {  # how curl says that it knows a login of a kind, with the secret left out
    "basic": ["-u", "user:$PASSWORD"],
    "bearer": ["-H", "Authorization: Bearer $TOKEN"],
    "header": ["-H", "X-Api-Key: $KEY"],
}
KINDS = {
    "basic": "user name and password",
    "bearer": "a bearer token",
    "header": "a header",
    "hmac": "a signature of the body",
    "standard_webhooks": "a Standard Webhooks signature",
}
OPEN = "Anyone who knows the address can start this flow. Choose a login, unless that is what you want."


def has_address(node_type: NodeType | None) -> bool:
    """Return whether nodes of a type stand at an address of their own."""
    return node_type is not None and node_type.kind == "trigger" and "path" in node_type.params.model_fields


class WebhookAddress:
    """Redrawn when what it tells has changed."""

    def __init__(
        self,
        draft: Draft,
        node_type: NodeType,
        open_node: OpenNode,
        base_url: str,
        credentials: Callable[[], Mapping[str, str]],
    ) -> None:
        self._draft = draft
        self._type = node_type
        self._open = open_node
        self._base_url = base_url
        self._credentials = credentials
        self._is_test = False
        self._drawn: object = None
        self._place = box("fe-address").props('role=group aria-label="Address"')

    def update(self, node: Mapping[str, Json]) -> None:
        """Show what the draft holds now."""
        webhook = webhook_of(self._type, node.get("params") or {})
        body = self._sample()
        drawn = (webhook, body, self._draft.view.state, dict(self._credentials()))
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self._draw(webhook, body)

    def _draw(self, webhook: Mapping[str, Json] | None, body: Json) -> None:
        self._place.clear()
        with self._place:
            if webhook is None:
                ui.label("Its address is shown here once it has a path.").classes("fe-hint")
                return
            segments({False: "Live", True: "Test"}, self._is_test, lambda event: self._turn(event.value, webhook, body))
            if self._is_test:
                self._test(body)
            else:
                self._live(webhook, body)

    def _turn(self, is_test: bool, webhook: Mapping[str, Json], body: Json) -> None:
        self._is_test = is_test
        self._draw(webhook, body)

    def _live(self, webhook: Mapping[str, Json], body: Json) -> None:
        url = f"{self._base_url}/hooks/{webhook['path']}"
        _copyable(url, "address")
        if self._draft.view.state == "draft":
            ui.label("Nobody answers here until the flow is published.").classes("fe-hint")
        self._protection(webhook["auth"])
        ui.label("From a program").classes("fe-label")
        _copyable(self._curl(url, webhook, body), "example", is_code=True)

    def _test(self, body: Json) -> None:
        ui.label(
            "Runs the draft and sends nothing: every effect is shown as it would be. It needs an API key of an editor."
        ).classes("fe-hint")
        url = f"{self._base_url}/api/flows/{self._draft.flow_id}/test"
        _copyable(url, "address")
        ui.label("From a program").classes("fe-label")
        payload = self._type.sample_of({}) | {"body": body}
        sent = json.dumps({"trigger": self._open.id, "payload": payload}, ensure_ascii=False)
        key = ["-H", "Authorization: Bearer $PULSEWIRE_KEY"]
        _copyable(_command(url, "POST", key, sent), "example", is_code=True)

    def _protection(self, auth: str) -> None:
        kind = {folded_credential(name): kind for name, kind in self._credentials().items()}.get(
            folded_credential(auth)
        )
        is_open = auth == NO_LOGIN
        with box("pw-note pw-note--warn" if is_open or kind is None else "pw-note"):
            icon("lock_open" if is_open else "lock")
            if is_open:
                ui.label(OPEN)
            elif kind is None:
                ui.label(f"There is no credential “{auth}”, so nobody gets in.")
            else:
                ui.label(f"Protected by “{auth}”: {KINDS.get(kind, kind)}.")

    def _curl(self, url: str, webhook: Mapping[str, Json], body: Json) -> str:
        method = "POST" if webhook["method"] == ANY else webhook["method"]
        kind = {folded_credential(name): kind for name, kind in self._credentials().items()}.get(
            folded_credential(webhook["auth"]), ""
        )
        login = LOGINS.get(kind, [])
        if kind == "hmac":
            login = ["-H", "X-Signature: $SIGNATURE"]
        if kind == "standard_webhooks":
            login = [part for name in ("id", "timestamp", "signature") for part in ("-H", f"webhook-{name}: …")]
        sent = None if method == "GET" else json.dumps(body, ensure_ascii=False)
        return _command(url, method, login, sent)

    def _sample(self) -> Json:
        """Return the body of the flow's first sample for this node, or of the example that its type brings."""
        samples = self._draft.document.get("samples") or []
        payload = next((each["payload"] for each in samples if each["trigger"] == self._open.id), None)
        return (self._type.sample_of({}) if payload is None else payload).get("body")


def _command(url: str, method: str, options: list[str], sent: str | None) -> str:
    """Return a curl command on several lines; what stands as $NAME is left to the shell."""
    given = [f"curl {'' if method == 'GET' else f'-X {method} '}{shlex.quote(url)}"]
    given += [f"{option} {_quoted(value)}" for option, value in zip(options[::2], options[1::2], strict=True)]
    if sent is not None:
        given += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(sent)}"]
    return " \\\n  ".join(given)


def _quoted(value: str) -> str:
    return f'"{value}"' if "$" in value else shlex.quote(value)


def _copyable(text: str, what: str, *, is_code: bool = False) -> None:
    """Draw *text* as it is, with a button that copies it."""
    with box("fe-copyable"):
        shown = ui.label(text).classes("fe-copyable-text" + (" fe-copyable-text--code" if is_code else ""))
        copy = icon_button("content_copy", f"Copy the {what}", is_small=True)
    copies(copy, shown)
