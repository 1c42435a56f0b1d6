"""The mail server in the settings."""

from __future__ import annotations

from asyncio import to_thread
from typing import TYPE_CHECKING, Any

from nicegui import ui

from backend.errors import BackendError
from backend.preferences import SmtpInput
from editor.frame import box, icon
from editor.widgets import (
    button,
    choice,
    confirm,
    dialog,
    field,
    problem_list,
    reasons,
    text_input,
    toast,
)

if TYPE_CHECKING:
    from runtime.service import Service

TLS = {"starttls": "STARTTLS", "tls": "TLS from the start", "none": "None (local servers only)"}
PORTS = {"starttls": 587, "tls": 465, "none": 25}


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
