"""Settings: the mail server, API keys, the theme, and what this installation is."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request
from nicegui import app as pages
from nicegui import ui
from starlette.responses import Response

from editor import words
from editor.credential_settings import CredentialSettings
from editor.data_settings import DOWNLOAD, DataSettings
from editor.elements import web_page
from editor.frame import THEMES, box, frame, icon
from editor.key_settings import KeySettings
from editor.mail_settings import MailSettings
from editor.operator_settings import OperatorSettings, OwnAccount
from editor.session import operator_here, service_here
from editor.users_frame import styles
from editor.widgets import Refused, card, link_button
from runtime import limits
from runtime.http.access import actor_of
from runtime.http.answers import refusal_of
from runtime.http.data import backup_of

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service


def register(app: App) -> None:
    """Add the page and the download of a backup to the application."""

    @pages.get(DOWNLOAD, include_in_schema=False)
    def download(request: Request) -> Response:
        try:
            return backup_of(app.service.of(actor_of(request)))
        except Refused as refusal:
            return refusal_of(refusal)

    @web_page("/settings", title="Settings · Pulsewire")
    async def settings_page() -> None:
        service, me = service_here(app), operator_here()
        with frame("Settings", active="settings", layout="narrow"):
            styles()
            with _section("Your account", "How you sign in to this editor.", anchor="account"):
                OwnAccount(service, me).build()
            with _section("Appearance", "How Pulsewire looks in this browser."):
                _appearance()
            if me.may("owner"):
                with _section("Operators", "The people who use this editor, and what they may do.", anchor="operators"):
                    await OperatorSettings(service, me).build()
                with _section("Mail server", "Flows send email through it.", anchor="mail"):
                    await MailSettings(service).build()
                with _section("Credentials", "Logins that flows and webhooks name.", anchor="credentials"):
                    await CredentialSettings(service).build()
                with _section("API keys", "For programs that call the HTTP API.", anchor="keys"):
                    await KeySettings(service).build()
                with _section("Data", "How long runs are kept, and a copy of everything.", anchor="data"):
                    await DataSettings(service).build()
            with _section("About", "This installation and its limits."):
                await _about(service, app.http.version)


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


async def _about(service: Service, version: str) -> None:
    folder = []
    if operator_here().may("owner"):
        path = service.settings.data_dir
        folder = [("Data folder", f"{path.resolve()} · {words.size(await to_thread(_folder_size, path))}")]
    with box("pw-about"):
        for name, value in (
            ("Version", version),
            *folder,
            ("Address", service.settings.public_url),
        ):
            ui.label(name)
            ui.label(value).classes("pw-num")
    with box("pw-limits"):
        for title, value in (
            ("Payload of an event", words.size(limits.PAYLOAD_BYTES)),
            ("Body of a webhook", words.size(limits.WEBHOOK_BYTES)),
            ("Flow document", words.size(limits.DOCUMENT_BYTES)),
            ("Nodes in a flow", f"{limits.FLOW_NODES:,}"),
            ("Output of a step", words.size(limits.OUTPUT_BYTES)),
            ("HTTP response", words.size(limits.HTTP_RESPONSE_BYTES)),
            ("Open runs", f"{limits.QUEUE_RUNS:,}"),
            ("Items of a loop", f"{limits.LOOP_ITEMS:,}"),
            ("Longest delay", f"{limits.DELAY_S // 86_400} days"),
        ):
            with box("pw-limit"):
                ui.label(value).classes("pw-limit-value")
                ui.label(title).classes("pw-hint")
    with box("pw-section-foot"):
        link_button("API reference", "/api/docs", icon="menu_book")
        link_button("Flow format", "/api/schema/flow.json", icon="data_object", kind="ghost")


def _folder_size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
