"""API keys in the settings."""

from __future__ import annotations

from asyncio import to_thread
from typing import TYPE_CHECKING

from nicegui import ui

from backend.keys import ApiKeyInfo
from editor import words
from editor.frame import box, icon
from editor.operator_settings import ROLES, role_choice
from editor.user_dialogs import place_faults
from editor.widgets import (
    Refused,
    button,
    chip,
    confirm,
    copies,
    dialog,
    field,
    icon_button,
    link_button,
    tell,
    text_input,
    toast,
)

if TYPE_CHECKING:
    from runtime.service import Service


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
                with box("pw-member-name"):
                    ui.label(key.name).classes("pw-row-title pw-clip")
                    chip(ROLES[key.role])
                used = f"last used {words.ago(key.last_used_at)}" if key.last_used_at else "never used"
                ui.label(f"{key.prefix}… · made {words.ago(key.created_at)} · {used}").classes("pw-row-sub pw-clip")
            icon_button("delete", f"Revoke {key.name}", lambda: self._revoke(key), has_tip=False)

    async def _revoke(self, key: ApiKeyInfo) -> None:
        text = "Programs that use it are refused from now on. This cannot be undone."
        if await confirm(f"Revoke “{key.name}”?", text, action="Revoke key"):
            try:
                await to_thread(self._service.keys.delete, key.id)
            except Refused as refusal:
                tell(refusal)
            else:
                toast(f"“{key.name}” revoked")
            await self._draw()

    def _create(self) -> None:
        with dialog("New API key", width=440) as (window, foot):
            with field("Name", hint="Who or what uses it, such as “Shop website”."):
                name = text_input().props("autofocus maxlength=100")
            role = role_choice()
            problems = box("pw-place")

            async def create() -> None:
                try:
                    _, text = await to_thread(self._service.keys.create, name.value or "", role.value)
                except Refused as refusal:
                    place_faults(refusal, {"name": name}, problems)
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
            copies(copy, shown)
        with foot:
            button("Done", window.close, kind="primary")
    window.open()
