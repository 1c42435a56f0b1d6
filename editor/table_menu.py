"""The settings menu of a data table."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nicegui import ui

from backend.datahub import Table
from editor import words
from editor.session import may_edit
from editor.table_dialogs import change_columns, describe_table, import_csv
from editor.widgets import Refused, confirm, icon_button, menu_item, tell, toast

if TYPE_CHECKING:
    from runtime.service import Service


def table_menu(
    service: Service,
    table: Table,
    *,
    changed: Callable[[Table | None], Awaitable[None]],
    gone: Callable[[], Awaitable[None]],
    on_menu: Callable[[bool], None] = lambda is_open: None,
) -> None:
    """Draw the menu's button. *changed* is told the new settings, or None when only rows changed."""

    async def rows_changed() -> None:
        await changed(None)

    async def clear() -> None:
        now = await to_thread(service.tables.count, table.id)
        text = (
            f"All {words.count(now, 'row')} will be deleted for good; the table and its columns stay. "
            "Flows that start at “Table emptied” will run."
        )
        if await confirm(f"Clear “{table.name}”?", text, action="Clear table"):
            try:
                count = await to_thread(service.tables.clear, table.id)
            except Refused as refusal:
                tell(refusal)
            else:
                toast(f"“{table.name}” cleared: {words.count(count, 'row')} deleted")
                await changed(None)

    async def delete() -> None:
        text = (
            "The table, its columns and every row in it are deleted for good. Flows that read or write it will fail "
            "at that step."
        )
        if await confirm(f"Delete table “{table.name}”?", text, action="Delete table", typed=table.name):
            try:
                await to_thread(service.tables.delete, table.id)
            except Refused as refusal:
                tell(refusal)
            else:
                toast(f"“{table.name}” deleted")
                await gone()

    with icon_button("more_horiz", f"Settings of {table.name}", has_tip=False):
        with ui.menu().props("auto-close anchor='bottom right' self='top right'") as menu:
            if may_edit():
                menu_item("Name and description", "edit", lambda: describe_table(service, table, changed))
                menu_item("Columns", "view_column", lambda: change_columns(service, table, changed))
                ui.separator()
                menu_item("Import CSV", "upload", lambda: import_csv(service, table, rows_changed))
            menu_item("Export CSV", "download", lambda: ui.download.from_url(f"/tables/{table.id}/export.csv"))
            if may_edit():
                ui.separator()
                menu_item("Clear table", "delete_sweep", clear, is_danger=True)
                menu_item("Delete table", "delete", delete, is_danger=True)
        menu.on_value_change(lambda event: on_menu(bool(event.value)))
