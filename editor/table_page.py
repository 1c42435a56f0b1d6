"""One data table: its grid and its settings menu."""

from __future__ import annotations

import re
from asyncio import to_thread
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from nicegui import app as pages
from nicegui import ui

from backend.datahub import Table
from backend.errors import NotFound
from editor import words
from editor.elements import web_page
from editor.error_pages import not_found
from editor.frame import box, frame, icon
from editor.session import may_edit, service_here
from editor.table_dialogs import change_columns, row_form
from editor.table_grid import TableGrid
from editor.table_menu import table_menu
from editor.widgets import Refused, button, confirm, tell, toast
from runtime.http.access import actor_of

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

LOOK_EVERY_S = 3.0


def register(app: App) -> None:
    """Add the page and the download of its rows."""

    @web_page("/tables/{table_id}")
    async def table_page(table_id: str) -> None:
        service = service_here(app)
        try:
            table = await to_thread(service.tables.get, table_id)
        except NotFound:
            ui.context.client.status_code = 404
            not_found("table", "It may have been deleted.", back="/tables", back_title="All tables", active="tables")
            return
        with frame(table.name, active="tables", layout="full"):
            TablePage(service, table).build()

    @pages.get("/tables/{table_id}/export.csv", include_in_schema=False)
    def export(table_id: str, request: Request) -> Response:
        tables = app.service.of(actor_of(request)).tables
        try:
            table = tables.get(table_id)
        except NotFound:
            return Response("There is no such table.", status_code=404, media_type="text/plain")
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", table.name).strip("_") or "table"
        names = f"attachment; filename=\"{plain}.csv\"; filename*=UTF-8''{quote(table.name)}.csv"
        return StreamingResponse(
            tables.export_csv(table.id),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": names},
        )


class TablePage:
    """Heading, tools and grid of one table."""

    def __init__(self, service: Service, table: Table) -> None:
        self._service = service
        self._table = table
        self._selected: list[str] = []
        self._may_edit = may_edit()

    def build(self) -> None:
        """Draw the page's content and keep it current."""
        with box("pw-table-head", "header"):
            with box("pw-table-title"):
                with ui.link(target="/tables").classes(replace="pw-crumb"):
                    ui.label("Tables")
                icon("chevron_right")
                with box(tag="h1").classes("pw-clip"):
                    self._name = ui.label(self._table.name).classes("pw-clip")
            with box("pw-head-actions"):
                self._delete = button("Delete", self._delete_selected, icon="delete")
                self._delete.set_visibility(False)
                self._search = ui.input(placeholder="Search rows", on_change=lambda event: self._searched(event.value))
                self._search.props("outlined dense clearable hide-bottom-space debounce=250").classes("pw-search")
                self._search.props["aria-label"] = "Search rows"
                with self._search.add_slot("prepend"):
                    icon("search")
                if self._may_edit:
                    button(
                        "Columns", lambda: change_columns(self._service, self._table, self._changed), icon="view_column"
                    ).classes("pw-not-phone")
                    button("Add row", self._add_row, kind="primary", icon="add")
                self._menu = box()
        self._description = ui.label("").classes("pw-table-about")
        self._grid = TableGrid(
            self._service,
            self._table,
            on_selection=self._note_selection,
            on_open=self._open_row,
            on_add=self._add_row,
            on_clear_search=lambda: self._search.set_value(""),
        )
        self._grid.classes("pw-grow")
        self._show()
        ui.timer(LOOK_EVERY_S, self._look, immediate=False)

    def _show(self) -> None:
        self._name.set_text(self._table.name)
        ui.page_title(f"{self._table.name} · Pulsewire")
        self._description.set_text(self._table.description)
        self._description.set_visibility(bool(self._table.description))
        self._menu.clear()
        with self._menu:
            table_menu(self._service, self._table, changed=self._changed, gone=self._gone)

    async def _changed(self, table: Table | None) -> None:
        if table is None:
            self._grid.unselect()
            self._grid.refresh()
            return
        self._table = table
        self._grid.show(table)
        self._show()

    async def _gone(self) -> None:
        ui.navigate.to("/tables")

    async def _look(self) -> None:
        """Notice what others and flows did: rows are read again quietly, changed settings taken over."""
        try:
            table = await to_thread(self._service.tables.get, self._table.id)
        except NotFound:
            toast(f"“{self._table.name}” was deleted", "warn")
            ui.navigate.to("/tables")
            return
        if table.updated_at != self._table.updated_at:
            await self._changed(table)
        self._grid.refresh()

    def _searched(self, text: str | None) -> None:
        self._grid.search((text or "").strip())

    def _note_selection(self, ids: list[str]) -> None:
        self._selected = ids
        self._delete.set_text(f"Delete {words.count(len(ids), 'row')}")
        self._delete.set_visibility(bool(ids) and self._may_edit)

    async def _delete_selected(self) -> None:
        count = len(self._selected)
        if not await confirm(
            f"Delete {words.count(count, 'row')}?",
            "They cannot be brought back.",
            action=f"Delete {words.count(count, 'row')}",
        ):
            return
        try:
            deleted = await to_thread(self._service.tables.delete_rows_by_id, self._table.id, self._selected)
        except Refused as refusal:
            tell(refusal)
        else:
            toast(f"{words.count(deleted, 'row')} deleted")
        await self._changed(None)

    def _add_row(self) -> None:
        if not self._may_edit:
            toast("Your role reads tables. Ask an owner for the role “editor” to add rows.", "warn")
            return

        async def added() -> None:
            self._grid.show_last()

        row_form(self._service, self._table, None, added)

    async def _open_row(self, row_id: str) -> None:
        async def saved() -> None:
            self._grid.refresh()

        try:
            row = await to_thread(self._service.tables.row, self._table.id, row_id)
        except Refused as refusal:
            tell(refusal)
        else:
            row_form(self._service, self._table, row, saved)
