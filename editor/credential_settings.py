"""Stored logins in the settings: what flows name to reach other services, and what webhooks ask for."""

from __future__ import annotations

from asyncio import to_thread
from typing import TYPE_CHECKING, Any

from nicegui import ui

from backend.credentials import Credential
from editor import words
from editor.frame import box, icon
from editor.user_dialogs import place_faults
from editor.widgets import (
    Refused,
    button,
    choice,
    confirm,
    dialog,
    empty_state,
    field,
    icon_button,
    tell,
    text_input,
    toast,
)

if TYPE_CHECKING:
    from runtime.service import Service

KINDS = {
    "basic": "User name and password",
    "bearer": "Bearer token",
    "header": "Header",
    "hmac": "HMAC signature",
    "standard_webhooks": "Standard Webhooks",
}
ABOUT = {
    "basic": "HTTP Basic. Requests bring it, webhooks ask for it.",
    "bearer": "Sent as “Authorization: Bearer …”.",
    "header": "A key in a header of its own.",
    "hmac": "Signs the body; GitHub, Shopify and others send such a signature.",
    "standard_webhooks": "Signs id, time and body as standardwebhooks.com has it.",
}
SECRETS = {
    "basic": "Password",
    "bearer": "Token",
    "header": "Value",
    "hmac": "Signing secret",
    "standard_webhooks": "Secret, whsec_…",
}
HOSTS_HINT = (
    "One a line, such as api.example.com. Requests carry it to these alone; with none, it only guards webhooks."
)


class CredentialSettings:
    """The list of stored logins."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def build(self) -> None:
        """Draw the list and the button that stores a login."""
        self._place = box("pw-place pw-place--wide")
        await self._draw()

    async def _draw(self) -> None:
        credentials = await to_thread(self._service.credentials.list)
        self._place.clear()
        with self._place:
            if not credentials:
                text = "Store a login once, name it in flows. Its secret is locked and never shown again."
                with empty_state("passkey", "No credentials yet", text):
                    button("New credential", self._create, icon="add", kind="primary")
                return
            with box("pw-keys", "ul"):
                for credential in credentials:
                    self._line(credential)
            with box("pw-section-foot"):
                button("New credential", self._create, icon="add")

    def _line(self, credential: Credential) -> None:
        with box("pw-key", "li"):
            icon("passkey")
            with box("pw-grow"):
                ui.label(credential.name).classes("pw-row-title pw-clip")
                ui.label(_about(credential)).classes("pw-row-sub")
            icon_button("edit", f"Change {credential.name}", lambda: self._change(credential), has_tip=False)
            icon_button("delete", f"Delete {credential.name}", lambda: self._delete(credential), has_tip=False)

    async def _delete(self, credential: Credential) -> None:
        text = "Webhooks that ask for it let nobody in, and requests that need it fail. This cannot be undone."
        if await confirm(f"Delete “{credential.name}”?", text, action="Delete credential"):
            try:
                await to_thread(self._service.credentials.delete, credential.id)
            except Refused as refusal:
                tell(refusal)
            else:
                toast(f"“{credential.name}” deleted")
            await self._draw()

    def _create(self) -> None:
        with dialog("New credential", width=480) as (window, foot):
            with field("Name", hint="What flows call it. It cannot be changed later."):
                name = text_input(placeholder="Shop").props("autofocus maxlength=100")
            with field("Kind"):
                kind = choice(KINDS, "basic")
                hint = ui.label(ABOUT["basic"]).classes("pw-hint")
            form = _Form()
            form.draw("basic")
            problems = box("pw-place")

            def turn(chosen: str) -> None:
                hint.set_text(ABOUT[chosen])
                form.draw(chosen)

            kind.on_value_change(lambda event: turn(event.value))

            async def create() -> None:
                try:
                    await to_thread(
                        self._service.credentials.create,
                        name.value or "",
                        kind.value,
                        form.secret.value or "",
                        form.settings(),
                        form.hosts(),
                    )
                except Refused as refusal:
                    place_faults(refusal, form.places() | {"name": name}, problems)
                    return
                window.close()
                toast(f"“{(name.value or '').strip()}” stored")
                await self._draw()

            with foot:
                button("Cancel", window.close, kind="ghost")
                button("Store credential", create, kind="primary")
        window.open()

    def _change(self, credential: Credential) -> None:
        with dialog(f"Change “{credential.name}”", width=480) as (window, foot):
            form = _Form()
            form.draw(credential.kind, credential)
            problems = box("pw-place")

            async def save() -> None:
                try:
                    await to_thread(
                        self._service.credentials.update,
                        credential.id,
                        secret=form.secret.value or None,
                        settings=form.settings(),
                        hosts=form.hosts(),
                    )
                except Refused as refusal:
                    place_faults(refusal, form.places(), problems)
                    return
                window.close()
                toast(f"“{credential.name}” changed")
                await self._draw()

            with foot:
                button("Cancel", window.close, kind="ghost")
                button("Save", save, kind="primary")
        window.open()


class _Form:
    """The fields of one kind, below each other."""

    def __init__(self) -> None:
        self._place = box("pw-place pw-place--wide")
        self._settings: dict[str, Any] = {}

    def draw(self, kind: str, credential: Credential | None = None) -> None:
        """Draw the fields of *kind*, with what is stored."""
        stored = dict((credential and credential.settings) or {})
        self._place.clear()
        self._settings = {}
        with self._place:
            if kind == "basic":
                self._text("user", "User name", stored)
            if kind == "header":
                self._text("header", "Header", stored, placeholder="X-Api-Key")
            if kind == "hmac":
                self._text("header", "Header", stored, placeholder="X-Hub-Signature-256")
            with field(SECRETS[kind], hint=None if credential is None else "Leave it empty to keep the stored one."):
                shown = None if credential is None else "•••••••• (set)"
                self.secret = text_input(placeholder=shown, password=True).props("autocomplete=new-password")
            if kind == "hmac":
                with box("pw-form"):
                    self._choice("algorithm", "Algorithm", ["sha256", "sha1", "sha512"], stored)
                    self._choice("encoding", "Encoding", ["hex", "base64"], stored)
                self._text("prefix", "Prefix", stored, placeholder="sha256=", is_optional=True)
            with field("Hosts", hint=HOSTS_HINT, is_optional=True):
                self._hosts = ui.textarea(value="\n".join((credential and credential.hosts) or ()))
                self._hosts.props("outlined dense hide-bottom-space autogrow autocomplete=off spellcheck=false")

    def settings(self) -> dict[str, str]:
        return {name: (control.value or "").strip() for name, control in self._settings.items()}

    def hosts(self) -> list[str]:
        return [line.strip() for line in (self._hosts.value or "").replace(",", "\n").splitlines() if line.strip()]

    def places(self) -> dict[str, Any]:
        settings = {f"settings.{name}": control for name, control in self._settings.items()}
        return settings | {"secret": self.secret, "hosts": self._hosts}

    def _text(
        self,
        name: str,
        title: str,
        stored: dict[str, Any],
        *,
        placeholder: str | None = None,
        is_optional: bool = False,
    ) -> None:
        with field(title, is_optional=is_optional):
            self._settings[name] = text_input(stored.get(name, ""), placeholder=placeholder)

    def _choice(self, name: str, title: str, options: list[str], stored: dict[str, Any]) -> None:
        with field(title):
            self._settings[name] = choice(options, stored.get(name, options[0]))


def _about(credential: Credential) -> str:
    hosts = credential.hosts or ()
    where = f"goes to {', '.join(hosts[:3])}{' …' if len(hosts) > 3 else ''}" if hosts else "for webhooks only"
    changed = f" · changed {words.ago(credential.updated_at)}" if credential.updated_at else ""
    return f"{KINDS.get(credential.kind, credential.kind)} · {where}{changed}"
