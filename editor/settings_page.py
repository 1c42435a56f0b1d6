"""Settings: the mail server, API keys, the theme, and what this installation is."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import ui

from backend.errors import BackendError
from backend.keys import ApiKeyInfo
from backend.preferences import SmtpInput
from editor import words
from editor.frame import THEMES, box, frame, icon
from editor.widgets import (
    button,
    card,
    choice,
    confirm,
    dialog,
    field,
    icon_button,
    link_button,
    problem_list,
    reasons,
    tell,
    text_input,
    toast,
)
from runtime import limits

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

TLS = {"starttls": "STARTTLS", "tls": "TLS from the start", "none": "None (local servers only)"}
PORTS = {"starttls": 587, "tls": 465, "none": 25}


def register(app: App) -> None:
    """Add the page to the application."""

    @ui.page("/settings", title="Settings · Pulsewire")
    async def settings_page() -> None:
        with frame("Settings", active="settings", layout="narrow"):
            with _section("Appearance", "How Pulsewire looks in this browser."):
                _appearance()
            with _section("Mail server", "Flows send email through it.", anchor="mail"):
                await MailSettings(app.service).build()
            with _section("API keys", "For programs that call the HTTP API.", anchor="keys"):
                await KeySettings(app.service).build()
            with _section("About", "This installation and its limits."):
                await _about(app.service, app.http.version)


@contextmanager
def _section(title: str, text: str, *, anchor: str | None = None) -> Iterator[None]:
    """Draw a card with a heading and one line of explanation."""
    with card("pw-section") as made:
        if anchor:
            made.props(f"id={anchor}")
        with box("pw-section-head"):
            with box(tag="h2"):
                ui.label(title)
            ui.label(text).classes("pw-row-sub")
        yield


def _appearance() -> None:
    with box("pw-themes").props("role=group aria-label=Theme"):
        for mode, symbol, title in THEMES:
            with box(f"pw-theme-choice pw-theme-choice--{mode}", "button").props("type=button") as pick:
                icon(symbol)
                ui.label(title)
            pick.on("click", js_handler=f"() => window.pulsewireTheme.set({mode!r})")


class MailSettings:
    """The form of the mail server."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def build(self) -> None:
        """Draw the form with what is set."""
        self._place = box("pw-place pw-place--wide")
        await self._draw()

    async def _draw(self) -> None:
        smtp = await to_thread(self._service.preferences.smtp_view)
        self._place.clear()
        with self._place:
            self._status(smtp)
            shown = smtp or {"host": "", "port": 587, "tls": "starttls", "username": "", "sender": ""}
            with box("pw-form"):
                with field("Host"):
                    self._host = text_input(shown["host"], placeholder="smtp.example.com")
                with field("Security"):
                    self._tls = choice(TLS, shown["tls"], on_change=self._suggest_port)
                with field("Port"):
                    self._port = text_input(str(shown["port"])).props("inputmode=numeric")
                with field("From", hint="The sender of every email."):
                    self._sender = text_input(shown["sender"], placeholder="Shop <shop@example.com>")
                with field("User name", is_optional=True):
                    self._username = text_input(shown["username"] or "")
                has_password = bool(smtp and smtp["has_password"])
                hint = "Kept encrypted, never shown again. Leave it empty to keep it." if has_password else None
                with field("Password", hint=hint, is_optional=True):
                    self._password = text_input(
                        placeholder="•••••••• (set)" if has_password else None, password=True
                    ).props("autocomplete=new-password")
            self._problems = box("pw-place")
            with box("pw-section-foot"):
                button("Save", self._save, kind="primary")
                if smtp is not None:
                    button("Send a test email", self._test, icon="send")
                    if smtp["source"] == "settings":
                        button("Remove", self._remove, kind="ghost")

    def _status(self, smtp: dict[str, Any] | None) -> None:
        with box("pw-note"):
            if smtp is None:
                icon("inbox")
                with box():
                    ui.label("No mail server is set: email is kept in the mailbox and nothing leaves.")
                    ui.link("Open the mailbox", "/mailbox").classes(replace="pw-textlink")
                return
            icon("outgoing_mail")
            origin = " (from PULSEWIRE_SMTP_URL)" if smtp["source"] == "environment" else ""
            ui.label(f"Email leaves through {smtp['host']}:{smtp['port']}{origin}.")

    def _suggest_port(self) -> None:
        if self._port.value in {str(port) for port in PORTS.values()} | {""}:
            self._port.value = str(PORTS[self._tls.value])

    async def _save(self) -> None:
        port = (self._port.value or "").strip()
        entered = SmtpInput(
            host=(self._host.value or "").strip(),
            port=int(port) if port.isdecimal() and len(port) < 6 else 0,
            tls=self._tls.value,
            sender=(self._sender.value or "").strip(),
            username=(self._username.value or "").strip() or None,
            password=self._password.value or None,
        )
        try:
            await to_thread(self._service.preferences.set_smtp, entered)
        except BackendError as refusal:
            self._show_faults(refusal)
        else:
            toast("Mail server saved")
            await self._draw()

    def _show_faults(self, refusal: BackendError) -> None:
        places = {
            "host": self._host,
            "port": self._port,
            "sender": self._sender,
            "username": self._username,
            "password": self._password,
        }
        for place in places.values():
            place.error = None
        others = []
        for fault in refusal.faults:
            if fault.field in places:
                places[fault.field].error = fault.message
            else:
                others.append(fault.message)
        self._problems.clear()
        if others:
            with self._problems:
                problem_list(others)

    async def _test(self) -> None:
        with dialog("Send a test email", width=420) as (window, foot):
            with field("To"):
                to = text_input(placeholder="you@example.com").props("autofocus type=email")
            problems = box("pw-place")

            async def send() -> None:
                problems.clear()
                go.props("loading")
                try:
                    await self._service.preferences.test_smtp((to.value or "").strip())
                except BackendError as refusal:
                    with problems:
                        problem_list(reasons(refusal))
                else:
                    window.close()
                    toast(f"The server took the email to {to.value}")
                finally:
                    go.props(remove="loading")

            to.on("keydown.enter", send)
            with foot:
                button("Cancel", window.close, kind="ghost")
                go = button("Send", send, kind="primary", icon="send")
        window.open()

    async def _remove(self) -> None:
        text = "Its password is forgotten. Until another is set, email is kept in the mailbox."
        if await confirm("Remove the mail server?", text, action="Remove"):
            await to_thread(self._service.preferences.clear_smtp)
            toast("Mail server removed")
            await self._draw()


class KeySettings:
    """The list of API keys."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def build(self) -> None:
        """Draw the list and the button that makes a key."""
        self._place = box("pw-place pw-place--wide")
        await self._draw()

    async def _draw(self) -> None:
        keys = await to_thread(self._service.keys.list)
        self._place.clear()
        with self._place:
            if keys:
                with box("pw-keys", "ul"):
                    for key in keys:
                        self._line(key)
            else:
                ui.label("No keys yet. A program sends one as “Authorization: Bearer …”.").classes("pw-row-sub")
            with box("pw-section-foot"):
                button("New key", self._create, icon="add", kind="plain" if keys else "primary")
                link_button("API reference", "/api/docs", icon="menu_book", kind="ghost")

    def _line(self, key: ApiKeyInfo) -> None:
        with box("pw-key", "li"):
            icon("key")
            with box("pw-grow"):
                ui.label(key.name).classes("pw-row-title pw-clip")
                used = f"last used {words.ago(key.last_used_at)}" if key.last_used_at else "never used"
                ui.label(f"{key.prefix}… · made {words.ago(key.created_at)} · {used}").classes("pw-row-sub pw-clip")
            icon_button("delete", f"Revoke {key.name}", lambda: self._revoke(key), has_tip=False)

    async def _revoke(self, key: ApiKeyInfo) -> None:
        text = "Programs that use it are refused from now on. This cannot be undone."
        if await confirm(f"Revoke “{key.name}”?", text, action="Revoke key"):
            try:
                await to_thread(self._service.keys.delete, key.id)
            except BackendError as refusal:
                tell(refusal)
            else:
                toast(f"“{key.name}” revoked")
            await self._draw()

    def _create(self) -> None:
        with dialog("New API key", width=440) as (window, foot):
            with field("Name", hint="Who or what uses it, such as “Shop website”."):
                name = text_input().props("autofocus maxlength=100")

            async def create() -> None:
                try:
                    _, text = await to_thread(self._service.keys.create, name.value or "")
                except BackendError as refusal:
                    name.error = " ".join(reasons(refusal))
                else:
                    window.close()
                    await self._draw()
                    with self._place:
                        show_key(text)

            name.on("keydown.enter", create)
            with foot:
                button("Cancel", window.close, kind="ghost")
                button("Create key", create, kind="primary")
        window.open()


def show_key(text: str) -> None:
    """Show a new key, this once."""
    with dialog("Your new API key", width=520) as (window, foot):
        window.props("persistent")
        with box("pw-note pw-note--warn"):
            icon("visibility_off")
            ui.label("Copy it now. It is not kept in readable form and cannot be shown again.")
        with box("pw-secret"):
            shown = ui.label(text).classes("pw-mono pw-grow")
            copy = button("Copy", icon="content_copy")
            copy.on("click", js_handler=f"() => navigator.clipboard?.writeText({_text_of(shown)})")
            copy.on("click", lambda: toast("Copied"))
        with foot:
            button("Done", window.close, kind="primary")
    window.open()


def _text_of(label: ui.label) -> str:
    return f"document.getElementById('{label.html_id}').textContent"


async def _about(service: Service, version: str) -> None:
    folder = service.settings.data_dir
    used = await to_thread(_folder_size, folder)
    with box("pw-about"):
        for name, value in (
            ("Version", version),
            ("Data folder", f"{folder.resolve()} · {words.size(used)}"),
            ("Address", service.settings.public_url),
        ):
            ui.label(name)
            ui.label(value).classes("pw-num")
    with box("pw-limits"):
        for title, value in (
            ("Payload of an event", words.size(limits.PAYLOAD_BYTES)),
            ("Flow document", words.size(limits.DOCUMENT_BYTES)),
            ("Nodes in a flow", f"{limits.FLOW_NODES:,}"),
            ("Output of a step", words.size(limits.OUTPUT_BYTES)),
            ("HTTP response", words.size(limits.HTTP_RESPONSE_BYTES)),
            ("Open runs", f"{limits.QUEUE_RUNS:,}"),
        ):
            with box("pw-limit"):
                ui.label(value).classes("pw-limit-value")
                ui.label(title).classes("pw-hint")
    with box("pw-section-foot"):
        link_button("API reference", "/api/docs", icon="menu_book")
        link_button("Flow format", "/api/schema/flow.json", icon="data_object", kind="ghost")


def _folder_size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
