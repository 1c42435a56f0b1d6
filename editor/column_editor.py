"""The list of a table's columns, being edited: add, rename, change the type, reorder, remove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nicegui import ui

from backend.datahub import Column, ColumnChange
from editor.frame import box
from editor.widgets import button, choice, icon_button, text_input

TYPES = {
    "text": "Text",
    "integer": "Whole number",
    "number": "Number",
    "boolean": "Yes or no",
    "date": "Date",
    "datetime": "Date and time",
    "uuid": "UUID",
    "json": "JSON",
}


@dataclass(eq=False)
class Line:
    """One column as it stands in the form; *was* is the name of the existing column it came from."""

    name: str = ""
    type: str = "text"
    required: bool = False
    unique: bool = False
    was: str | None = None
    faults: list[str] = field(default_factory=list)


class ColumnEditor:
    """Draws the form where it is made; ``changes()`` is what the person wants."""

    def __init__(self, columns: Sequence[Column] = (), *, empty_line: bool = False) -> None:
        self._lines = [Line(c.name, c.type, c.required, c.unique, c.name) for c in columns]
        self._removed: list[str] = []
        if empty_line and not self._lines:
            self._lines.append(Line())
        with box("pw-columns"):
            with box("pw-column-line pw-column-head pw-not-phone"):
                for title in ("Name", "Type", "Required", "Unique", ""):
                    ui.label(title)
            self._place = box("pw-column-lines")
            button("Add column", self._add, kind="ghost", icon="add").classes("pw-column-add")
            self._warning = ui.label("").classes("pw-hint pw-tone--warn")
        self._draw()

    def changes(self) -> list[ColumnChange]:
        """Return the columns in order; lines that were left wholly empty are passed over."""
        return [
            ColumnChange(line.name.strip(), line.type, line.required, line.unique, line.was) for line in self._filled()
        ]

    def columns(self) -> list[Column]:
        """Return the columns of a new table."""
        return [change.column() for change in self.changes()]

    def show_faults(self, faults: Sequence[tuple[str | None, str]]) -> list[str]:
        """Put faults with a field such as ``columns[2].name`` at their line and return the messages of the others."""
        filled, others = self._filled(), []
        for line in self._lines:
            line.faults = []
        for place, message in faults:
            index = (place or "").removeprefix("columns[").split("]")[0]
            if (place or "").startswith("columns[") and index.isdigit() and int(index) < len(filled):
                filled[int(index)].faults.append(message)
            else:
                others.append(message)
        self._draw()
        return others

    def _filled(self) -> list[Line]:
        return [line for line in self._lines if line.name.strip() or line.was]

    def _draw(self) -> None:
        self._place.clear()
        with self._place:
            for index, line in enumerate(self._lines):
                self._line(index, line)
            if not self._lines:
                ui.label("No columns yet. Rows will only have an id and their times.").classes("pw-hint")
        gone = ", ".join(f"“{name}”" for name in self._removed)
        self._warning.set_text(f"Saving deletes {gone} with every value in it." if gone else "")
        self._warning.set_visibility(bool(gone))

    def _line(self, index: int, line: Line) -> None:
        with box("pw-column-line"):
            name = text_input(line.name, placeholder="column_name").props("maxlength=63 spellcheck=false")
            name.props["aria-label"] = "Column name"
            name.bind_value(line, "name")
            name.on("keydown.enter", self._add)
            if line.faults:
                name.error = " ".join(line.faults)
            kind = choice(TYPES, line.type).bind_value(line, "type")
            kind.props["aria-label"] = "Type"
            for key, title in (("required", "Required"), ("unique", "Unique")):
                with box("pw-column-check"):
                    ui.checkbox(title).props("dense").bind_value(line, key)
            with box("pw-column-tools"):
                up = icon_button("arrow_upward", "Move up", lambda: self._move(index, -1), is_small=True, has_tip=False)
                up.set_enabled(index > 0)
                down = icon_button(
                    "arrow_downward", "Move down", lambda: self._move(index, 1), is_small=True, has_tip=False
                )
                down.set_enabled(index < len(self._lines) - 1)
                icon_button("close", "Remove column", lambda: self._remove(index), is_small=True, has_tip=False)

    def _add(self) -> None:
        self._lines.append(Line())
        self._draw()
        added = [each for each in self._place.descendants() if isinstance(each, ui.input)]
        if added:
            added[-1].run_method("focus")

    def _move(self, index: int, step: int) -> None:
        self._lines.insert(index + step, self._lines.pop(index))
        self._draw()

    def _remove(self, index: int) -> None:
        line = self._lines.pop(index)
        if line.was:
            self._removed.append(line.was)
        self._draw()
