"""Dialogs of data tables: create, describe, columns, import, and one row as a form."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable
from datetime import datetime
from io import StringIO
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from backend.datahub import Column, Table
from backend.datahub_schema import NAME_CHARS
from backend.errors import BackendError
from editor import cells, words
from editor.column_editor import TYPES, ColumnEditor
from editor.flow_dialogs import drop_zone
from editor.frame import box
from editor.session import may_edit
from editor.widgets import Refused, button, choice, dialog, field, problem_list, reasons, tell, text_input, toast

if TYPE_CHECKING:
    from runtime.service import Service

CSV_BYTES = 200_000_000
FORM_CHARS = 200_000  # a longer value is shown, but not edited in a form
Done = Callable[[Table], Awaitable[None]]


def create_table(service: Service) -> None:
    """Ask for name, description and columns, create the table and open it."""
    with dialog("New table", width=680) as (window, foot):
        name, description = _settings()
        with box("pw-field"):
            ui.label("Columns").classes("pw-label")
            columns = ColumnEditor(empty_line=True)
        problems = box("pw-place")

        async def create() -> None:
            try:
                table = await to_thread(
                    service.tables.create, name.value or "", columns.columns(), description.value or ""
                )
            except BackendError as refusal:
                _place_faults(refusal, name, columns, problems)
            else:
                window.close()
                ui.navigate.to(f"/tables/{table.id}")

        with foot:
            button("Cancel", window.close, kind="ghost")
            button("Create table", create, kind="primary")
    window.open()


def describe_table(service: Service, table: Table, done: Done) -> None:
    """Ask for another name and description."""
    with dialog("Name and description", width=480) as (window, foot):
        name, description = _settings(table)
        problems = box("pw-place")

        async def save() -> None:
            try:
                changed = await to_thread(
                    service.tables.update, table.id, name=name.value or "", description=description.value or ""
                )
            except BackendError as refusal:
                _place_faults(refusal, name, None, problems)
            else:
                window.close()
                await done(changed)

        with foot:
            button("Cancel", window.close, kind="ghost")
            button("Save", save, kind="primary")
    window.open()


def change_columns(service: Service, table: Table, done: Done) -> None:
    """Let the person change the columns; what does not fit the rows is refused as a whole."""
    with dialog(f"Columns of “{table.name}”", width=680) as (window, foot):
        ui.label(
            "A new type converts what is there, and is refused if a value does not fit. “id”, “created_at” and "
            "“updated_at” are kept by every table itself."
        ).classes("pw-hint")
        columns = ColumnEditor(table.columns, empty_line=True)
        problems = box("pw-place")

        async def save() -> None:
            apply.props("loading")
            try:
                changed = await to_thread(service.tables.update, table.id, columns=columns.changes())
            except BackendError as refusal:
                _place_faults(refusal, None, columns, problems)
            else:
                window.close()
                toast("Columns saved")
                await done(changed)
            finally:
                apply.props(remove="loading")

        with foot:
            button("Cancel", window.close, kind="ghost")
            apply = button("Save columns", save, kind="primary")
    window.open()


def import_csv(service: Service, table: Table, done: Callable[[], Awaitable[None]]) -> None:
    """Take a CSV file and add its rows, all or none."""
    with dialog(f"Import into “{table.name}”", width=520) as (window, foot):
        names = ", ".join(column.name for column in table.columns)
        ui.label(f"The first line names the columns: {names}. Rows are added to those that are there.").classes(
            "pw-soft"
        )
        drop = drop_zone(
            "Drop a CSV file here, or choose one", "Separated by commas, in UTF-8", ".csv,text/csv", max_bytes=CSV_BYTES
        )
        busy = box("pw-busy-line")
        with busy:
            ui.spinner(size="18px")
            ui.label("Checking and adding rows…")
        busy.set_visibility(False)
        problems = box("pw-place")

        async def uploaded(event: events.UploadEventArguments) -> None:
            busy.set_visibility(True)
            problems.clear()
            try:
                content = await event.file.read()
                added = await to_thread(_import, service, table.id, content)
            except UnicodeDecodeError:
                _say(problems, ["The file is not in UTF-8. Save it as “CSV UTF-8” and try again."])
            except Refused as refusal:
                _say(problems, reasons(refusal))
            else:
                window.close()
                toast(f"{words.count(added, 'row')} added")
                await done()
            finally:
                busy.set_visibility(False)
                drop.reset()

        drop.on_upload(uploaded)
        drop.on_rejected(lambda: toast(f"Choose one CSV file of at most {words.size(CSV_BYTES)}.", "fail"))
        with foot:
            button("Close", window.close, kind="ghost")
    window.open()


def _import(service: Service, table_id: str, content: bytes) -> int:
    return service.tables.import_csv(table_id, StringIO(content.decode("utf-8-sig"), newline=""))


def row_form(service: Service, table: Table, row: dict[str, Any] | None, done: Callable[[], Awaitable[None]]) -> None:
    """Show one row as a form, or an empty form for a new row."""
    with dialog("New row" if row is None else "Row", width=520) as (window, foot):
        controls: dict[str, Any] = {}
        for column in table.columns:
            with field(column.name, is_optional=not column.required):
                controls[column.name] = _control(column, row and row[column.name])
        if row is not None:
            with box("pw-facts"):
                for name in ("id", "created_at", "updated_at"):
                    ui.label(name)
                    value = str(row[name])
                    ui.label(value if name == "id" else words.exact(datetime.fromisoformat(value))).classes("pw-mono")
        problems = box("pw-place")

        async def save() -> None:
            _clear_errors(controls)
            values, wrong = _read(table, controls, row)
            if wrong:
                return
            try:
                if row is None:
                    await to_thread(service.tables.insert, table.id, [values])
                elif values:
                    await to_thread(service.tables.update_row, table.id, row["id"], values)
            except BackendError as refusal:
                _place_row_faults(refusal, controls, problems)
            else:
                window.close()
                await done()

        async def delete() -> None:
            assert row is not None
            try:
                await to_thread(service.tables.delete_rows_by_id, table.id, [row["id"]])
            except Refused as refusal:
                tell(refusal)
            else:
                window.close()
                toast("Row deleted")
                await done()

        with foot:
            if row is not None and may_edit():
                button("Delete row", delete, kind="ghost", icon="delete").classes("pw-push-left")
            button("Cancel" if may_edit() else "Close", window.close, kind="ghost")
            if may_edit():
                button("Add row" if row is None else "Save", save, kind="primary")
    window.open()


def _control(column: Column, value: Any) -> Any:
    text = cells.as_text(column.type, value)
    if column.type == "boolean":
        options = {True: "Yes", False: "No"} if column.required else {None: "–", True: "Yes", False: "No"}
        made: Any = choice(options, value if value in options else None)
    elif column.type in ("text", "json"):
        made = ui.textarea(value=text[:FORM_CHARS]).props(
            "outlined dense autogrow hide-bottom-space input-style='max-height: 220px; overflow: auto'"
        )
        made.classes("pw-code-area" if column.type == "json" else "")
        if len(text) > FORM_CHARS:
            made.props("readonly")
    else:
        made = text_input(text, placeholder=TYPES[column.type])
        made.props["type"] = {"date": "date", "datetime": "datetime-local"}.get(column.type, "text")
        made.props["step"] = 1 if column.type == "datetime" else None
    made.props["aria-label"] = column.name
    return made


def _read(table: Table, controls: dict[str, Any], row: dict[str, Any] | None) -> tuple[dict[str, Any], bool]:
    values, wrong = {}, False
    for column in table.columns:
        control = controls[column.name]
        if control.props.get("readonly"):
            continue
        try:
            value = cells.typed(column.type, control.value)
        except ValueError as error:
            control.error, wrong = str(error), True
            continue
        if row is None or _is_changed(column, row[column.name], control.value):
            values[column.name] = value
    return values, wrong


def _is_changed(column: Column, before: Any, entered: Any) -> bool:
    return bool(
        before != entered if column.type == "boolean" else cells.as_text(column.type, before) != (entered or "")
    )


def _clear_errors(controls: dict[str, Any]) -> None:
    for control in controls.values():
        control.error = None


def _place_row_faults(refusal: BackendError, controls: dict[str, Any], problems: Any) -> None:
    others = []
    for fault in refusal.faults:
        name = (fault.field or "").rsplit(".", 1)[-1]
        if name in controls:
            controls[name].error = fault.message
        else:
            others.append(fault.message)
    _say(problems, others)


def _settings(table: Table | None = None) -> tuple[ui.input, ui.textarea]:
    with field("Name"):
        name = text_input(table.name if table else "", placeholder="orders").props(f"maxlength={NAME_CHARS}")
        if table is None:
            name.props("autofocus")
    with field("Description", is_optional=True):
        description = ui.textarea(value=table.description if table else "").props(
            "outlined dense autogrow hide-bottom-space maxlength=2000"
        )
    return name, description


def _place_faults(refusal: BackendError, name: ui.input | None, columns: ColumnEditor | None, problems: Any) -> None:
    rest = [(fault.field, fault.message) for fault in refusal.faults]
    if name is not None:
        name.error = " ".join(message for place, message in rest if place == "name") or None
        rest = [(place, message) for place, message in rest if place != "name"]
    _say(problems, columns.show_faults(rest) if columns else [message for _, message in rest])


def _say(problems: Any, messages: list[str]) -> None:
    problems.clear()
    if messages:
        with problems:
            ui.label("Nothing was changed.").classes("pw-label")
            problem_list(messages[:100])
