"""The audit log: who did what, to what, and when."""

from __future__ import annotations

from asyncio import to_thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from nicegui import ui

from backend.audit import Entry
from editor import words
from editor.audit_words import AREAS, said, symbol
from editor.elements import web_page
from editor.frame import box, frame, icon
from editor.session import service_here, with_role
from editor.users_frame import styles
from editor.widgets import Refused, button, chip, choice, empty_state, link_button, tell

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

PAGE = 50
KINDS = {"key": "API key", "command": "Command line", "system": "Pulsewire"}
SHOWN_DETAILS = 4
DETAIL_CHARS = 60


def register(app: App) -> None:
    """Add the page to the application."""

    @web_page("/audit", title="Audit log · Pulsewire")
    async def audit_page(actor: str = "", action: str = "") -> None:
        if with_role("owner"):
            with frame("Audit log", active="settings", actions=_back):
                styles()
                await AuditLog(service_here(app), actor, action).build()


def _back() -> None:
    link_button("Settings", "/settings", icon="arrow_back", kind="ghost")


class AuditLog:
    """Filters and entries, newest first."""

    def __init__(self, service: Service, actor: str, action: str) -> None:
        self._service = service
        self._actor = actor
        self._action = action
        self._search = ""
        self._entries: list[Entry] = []
        self._next: int | None = None

    async def build(self) -> None:
        """Draw the page's content."""
        audit = self._service.audit
        people = dict(await to_thread(audit.actors))
        areas = {action.partition(".")[0] for action in await to_thread(audit.actions)}
        with box("pw-toolbar") as self._toolbar:
            search = ui.input(placeholder="Search names and targets", on_change=lambda e: self._show(search=e.value))
            search.props("outlined dense clearable hide-bottom-space debounce=250 maxlength=200").classes("pw-search")
            search.props["aria-label"] = "Search the audit log"
            with search.add_slot("prepend"):
                icon("search")
            named = {"": "Anybody", **people}
            named.setdefault(self._actor, "Somebody who is gone")
            who = choice(named, self._actor, on_change=lambda e: self._show(actor=e.value))
            who.classes("pw-filter").props["aria-label"] = "Who"
            kinds = {"": "Any action"} | {each: AREAS.get(each, each) for each in sorted(areas)}
            kinds.setdefault(self._action, self._action)
            what = choice(kinds, self._action, on_change=lambda e: self._show(action=e.value))
            what.classes("pw-filter pw-filter--small").props["aria-label"] = "Action"
        self._place = box("pw-list-place")
        await self._read()

    async def _show(self, **changed: Any) -> None:
        self._search = changed.get("search", self._search) or ""
        self._actor = changed.get("actor", self._actor) or ""
        self._action = changed.get("action", self._action) or ""
        kept = {key: value for key, value in (("actor", self._actor), ("action", self._action)) if value}
        ui.navigate.history.replace(f"/audit?{urlencode(kept)}" if kept else "/audit")
        await self._read()

    async def _page(self, before: int | None = None) -> list[Entry]:
        try:
            page = await to_thread(
                self._service.audit.list,
                actor=self._actor or None,
                action=self._action or None,
                search=self._search.strip() or None,
                before=before,
                limit=PAGE,
            )
        except Refused as refusal:
            tell(refusal)
            return []
        self._next = page.next
        return page.items

    async def _read(self) -> None:
        self._entries = await self._page()
        self._draw()

    async def _more(self) -> None:
        self._entries += await self._page(self._next)
        self._draw()

    def _draw(self) -> None:
        is_filtered = bool(self._actor or self._action or self._search)
        self._place.clear()
        self._toolbar.set_visibility(bool(self._entries) or is_filtered)
        with self._place:
            if self._entries:
                with box("pw-card pw-list", "ul"):
                    for entry in self._entries:
                        _row(entry)
                if self._next is not None:
                    with box("pw-more"):
                        button("Show older", self._more)
            elif is_filtered:
                with empty_state("search_off", "No entry fits", "Choose another person or action."):
                    link_button("Everything", "/audit")
            else:
                with empty_state(
                    "receipt_long",
                    "Nothing was done yet",
                    "What operators, API keys and the command line change is written down here: flows, tables, users, "
                    "keys and settings. Entries stay for a year.",
                ):
                    pass


def _row(entry: Entry) -> None:
    with box("pw-row pw-audit", "li"):
        with box("pw-tile"):
            icon(symbol(entry.action))
        with box("pw-audit-text"):
            with box("pw-audit-said"):
                ui.label(entry.actor).classes("pw-audit-who")
                ui.label(f" {said(entry.action)} ")
                ui.label(entry.target).classes("pw-audit-target")
            with box("pw-audit-more"):
                if entry.actor_kind in KINDS:
                    chip(KINDS[entry.actor_kind])
                for name, value in [*(entry.details or {}).items()][:SHOWN_DETAILS]:
                    ui.label(f"{name.replace('_', ' ')}: {_short(value)}").classes("pw-row-sub")
        when = ui.label(words.ago(entry.at)).classes("pw-row-sub pw-audit-when")
        when.props["title"] = words.exact(entry.at)


def _short(value: object) -> str:
    text = (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
    return text if len(text) <= DETAIL_CHARS else f"{text[:DETAIL_CHARS]}…"
