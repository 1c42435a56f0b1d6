"""The list of data tables."""

from __future__ import annotations

from asyncio import to_thread
from typing import TYPE_CHECKING

from nicegui import ui

from backend.datahub import Table
from editor import words
from editor.elements import web_page
from editor.frame import box, frame, icon
from editor.session import may_edit, service_here
from editor.table_dialogs import create_table
from editor.table_menu import table_menu
from editor.widgets import button, empty_state, row_link

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

REFRESH_S = 5.0
NAMED_COLUMNS = 6


def register(app: App) -> None:
    """Add the page to the application."""

    @web_page("/tables", title="Tables · Pulsewire")
    async def tables_page() -> None:
        service = service_here(app)

        def actions() -> None:
            button("New table", lambda: create_table(service), kind="primary", icon="add")

        with frame("Tables", active="tables", actions=actions if may_edit() else None):
            await TableList(service).build()


class TableList:
    """The rows of the page; drawn again when what they show has changed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._tables: list[Table] = []
        self._open_menus = 0

    async def build(self) -> None:
        """Draw the page's content and keep it current."""
        self._place = box("pw-list-place")
        self._tables = await to_thread(self._service.tables.list)
        self._draw()
        ui.timer(REFRESH_S, self.refresh, immediate=False)

    async def refresh(self) -> None:
        """Read the tables again, unless a menu is open."""
        tables = await to_thread(self._service.tables.list)
        if tables != self._tables and not self._open_menus:
            self._tables = tables
            self._draw()

    async def _changed(self, _table: Table | None = None) -> None:
        self._open_menus = 0
        await self.refresh()

    def _note_menu(self, is_open: bool) -> None:
        self._open_menus = max(0, self._open_menus + (1 if is_open else -1))

    def _draw(self) -> None:
        self._open_menus = 0
        self._place.clear()
        with self._place:
            if not self._tables:
                with empty_state(
                    "table",
                    "No tables yet",
                    "A table keeps rows for your flows: orders, customers, what a form sent. Creating, changing, "
                    "clearing and deleting one is an event that a flow can start at.",
                ):
                    if may_edit():
                        button("New table", lambda: create_table(self._service), kind="primary", icon="add")
                return
            with box("pw-card pw-list", "ul"):
                for table in self._tables:
                    self._row(table)

    def _row(self, table: Table) -> None:
        with box("pw-row pw-table-row", "li"):
            row_link(f"/tables/{table.id}", f"Open {table.name}")
            with box("pw-tile pw-tile--teal"):
                icon("table")
            with box():
                ui.label(table.name).classes("pw-row-title pw-clip")
                ui.label(table.description or _columns(table)).classes("pw-row-sub pw-clip")
            ui.label(words.count(table.row_count or 0, "row")).classes("pw-row-sub pw-num pw-table-count")
            changed = ui.label(f"Changed {words.ago(table.updated_at)}").classes("pw-row-sub pw-not-phone")
            changed.props["title"] = words.exact(table.updated_at)
            with box("pw-row-tools"):
                table_menu(self._service, table, changed=self._changed, gone=self._changed, on_menu=self._note_menu)


def _columns(table: Table) -> str:
    names = [column.name for column in table.columns]
    more = f" and {len(names) - NAMED_COLUMNS} more" if len(names) > NAMED_COLUMNS else ""
    return ", ".join(names[:NAMED_COLUMNS]) + more if names else "No columns yet"
