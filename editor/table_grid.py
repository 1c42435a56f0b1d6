"""The grid of a data table: pages of rows for the component in ``static/table_grid.js``, and edits back."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nicegui import events
from nicegui.element import Element

from backend.datahub import Table
from backend.errors import NotFound
from editor.cells import for_browser, typed, where_of
from editor.session import may_edit
from editor.widgets import Refused, reasons

if TYPE_CHECKING:
    from runtime.service import Service

KEPT_ANSWERS = 50
MAX_LIMIT = 200


class TableGrid(Element, component="../static/table_grid.js"):
    """Shows one table; *on_selection* is told the ids of the selected rows, *on_open* the id of a row to open."""

    def __init__(
        self,
        service: Service,
        table: Table,
        *,
        on_selection: Callable[[list[str]], Any],
        on_open: Callable[[str], Any],
        on_add: Callable[[], Any],
        on_clear_search: Callable[[], Any],
    ) -> None:
        super().__init__()
        self._service = service
        self._table_id = table.id
        self._types: Mapping[str, str] = {}
        self._on_clear_search = on_clear_search
        self._answers: list[dict[str, Any]] = []
        self._props["answers"] = []
        self._props["page"] = None
        self._props["search"] = ""
        self._props["storage"] = f"pulsewire_widths_{table.id}"
        self.show(table)
        self.on("load", self._load)
        self.on("edit", self._edit)
        self.on("selection", lambda event: on_selection([str(each) for each in event.args["ids"]]))
        self.on("open", lambda event: on_open(str(event.args["id"])))
        self.on("add", lambda: on_add())

    def show(self, table: Table) -> None:
        """Take over changed settings of the table."""
        own = (("id", "uuid"), ("created_at", "datetime"), ("updated_at", "datetime"))
        self._types = {column.name: column.type for column in table.columns} | dict(own)
        self._props["label"] = f"Rows of {table.name}"
        columns = [{**column.as_json(), "own": not may_edit()} for column in table.columns]
        columns += [{"name": name, "type": kind, "own": True} for name, kind in own]
        if columns != self._props.get("columns"):
            self._props["columns"] = columns
        self.update()

    def search(self, text: str) -> None:
        """Show only rows that contain *text*."""
        self._props["search"] = text
        self.update()

    def refresh(self) -> None:
        """Read again what is seen."""
        self.run_method("refresh")

    def show_last(self) -> None:
        """Scroll to the row added last."""
        self.run_method("showLast")

    def unselect(self) -> None:
        self.run_method("unselect")

    async def _load(self, event: events.GenericEventArguments) -> None:
        asked = event.args
        if asked.get("clear"):
            self._on_clear_search()
            return
        try:
            page = await to_thread(
                self._service.tables.rows,
                self._table_id,
                limit=min(int(asked["limit"]), MAX_LIMIT),
                offset=int(asked["offset"]),
                sort=asked["sort"],
                filter=where_of(asked["filters"], self._types),
                search=self._props["search"] or None,
            )
            rows, total = [for_browser(row) for row in page.rows], page.total
        except Refused:
            rows, total = [], 0
        self._props["page"] = {"token": asked["token"], "rows": rows, "total": total}
        self.update()

    async def _edit(self, event: events.GenericEventArguments) -> None:
        asked = event.args
        answer = {"seq": asked["seq"], "id": asked["id"], "column": asked["column"]}
        try:
            value = typed(self._types.get(asked["column"], "text"), asked["value"])
            row = await to_thread(
                self._service.tables.update_row, self._table_id, asked["id"], {asked["column"]: value}
            )
            answer["row"] = for_browser(row)
        except ValueError as error:
            answer["error"] = str(error)
        except NotFound:
            answer["error"] = "This row was deleted in the meantime."
        except Refused as refusal:
            answer["error"] = " ".join(reasons(refusal))
        self._answers = [*self._answers, answer][-KEPT_ANSWERS:]
        self._props["answers"] = self._answers
        self.update()
