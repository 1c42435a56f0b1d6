"""The controls of the side panel's forms: each shows one JSON value and says when a person changed it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from nicegui import ui

from editor.frame import box, icon
from editor.param_form import UNSET, ParamField, is_expression, shown, typed
from editor.widgets import choice, icon_button

Json: TypeAlias = Any
Changed: TypeAlias = Callable[[Json], None]
FIELD_PROPS = "outlined dense hide-bottom-space autocomplete=off spellcheck=false"
OPERATORS = {
    "eq": "is",
    "ne": "is not",
    "lt": "<",
    "lte": "≤",
    "gt": ">",
    "gte": "≥",
    "contains": "contains",
    "starts_with": "starts with",
    "in": "is one of",
    "is_null": "is empty",
}


class Control(ABC):
    """One control. ``element`` is where text is inserted; ``fault`` says why what is typed cannot be saved."""

    element: ui.element | None = None
    fault: str | None = None

    def __init__(self, field: ParamField, changed: Changed) -> None:
        self.field = field
        self.changed = changed

    @abstractmethod
    def build(self, value: Json) -> None:
        """Draw the control in the current place."""

    @abstractmethod
    def show(self, value: Json) -> None:
        """Show a value that came from elsewhere."""

    def name(self, element: ui.element, title: str | None = None) -> None:
        """Tell screen readers and tests what *element* is called."""
        element.props["aria-label"] = title or self.field.title


class TextControl(Control):
    """A line, or several."""

    def build(self, value: Json) -> None:
        is_long = self.field.widget in ("multiline", "expression")
        make = ui.textarea if is_long else ui.input
        made = make(value=self._text(value), placeholder=self.field.placeholder or None, on_change=self._typed)
        made.props(f"{FIELD_PROPS} debounce=200" + (" autogrow rows=1" if is_long else ""))
        if self.field.widget == "multiline":
            made.classes("fe-tall")
        if self.field.widget == "expression":
            made.classes("pw-mono")
        self.name(made)
        self.element = self._input = made

    def show(self, value: Json) -> None:
        if self._value(self._input.value or "") != value:
            self._input.set_value(self._text(value))

    def _typed(self, event: Any) -> None:
        self.changed(self._value(event.value or ""))

    def _text(self, value: Json) -> str:
        if value is None or value is UNSET:
            return ""
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def _value(self, text: str) -> Json:
        return text or UNSET


class ExpressionControl(TextControl):
    """An expression; the braces around it may be left out."""

    def _text(self, value: Json) -> str:
        text = super()._text(value)
        return text.strip()[2:-2].strip() if is_expression(text) and text.count("{{") == 1 else text

    def _value(self, text: str) -> Json:
        text = text.strip()
        return UNSET if not text else text if "{{" in text else f"{{{{ {text} }}}}"


class CodeControl(Control):
    """HTML or JSON with line numbers and colours."""

    def build(self, value: Json) -> None:
        language = "HTML" if self.field.widget == "html" else "JSON"
        self._code = ui.codemirror(self._text(value), language=language, line_wrapping=True, on_change=self._typed)  # type: ignore[arg-type]
        self._code.classes("fe-code")
        self.name(self._code)
        self.element = self._code

    def show(self, value: Json) -> None:
        if self._read(self._code.value or "") != value:
            self._code.set_value(self._text(value))

    def _typed(self, event: Any) -> None:
        value = self._read(event.value or "")
        self.changed(value)

    def _text(self, value: Json) -> str:
        if value is None or value is UNSET:
            return ""
        if self.field.widget == "html" and isinstance(value, str):
            return value
        return json.dumps(value, ensure_ascii=False, indent=2)

    def _read(self, text: str) -> Json:
        self.fault = None
        if not text.strip():
            return UNSET
        if self.field.widget == "html":
            return text
        try:
            return json.loads(text)
        except ValueError as error:
            self.fault = f"This is no JSON yet: {error}. It is saved as soon as it is."
            return None


class NumberControl(Control):
    def build(self, value: Json) -> None:
        default = self.field.default
        made = ui.number(
            value=self._number(value),
            min=self.field.minimum,
            max=self.field.maximum,
            step=1 if self.field.is_integer else None,
            placeholder="" if default is None else str(default),
            on_change=self._typed,
        )
        self.name(made.props(f"{FIELD_PROPS} debounce=200"))
        self._input = made

    def show(self, value: Json) -> None:
        self._input.set_value(self._number(value))

    def _typed(self, event: Any) -> None:
        number = event.value
        if number is not None and (self.field.is_integer or float(number).is_integer()):
            number = int(number)
        self.changed(UNSET if number is None else number)

    @staticmethod
    def _number(value: Json) -> float | None:
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None


class SwitchControl(Control):
    def build(self, value: Json) -> None:
        self._switch = ui.switch(value=self._bool(value), on_change=lambda event: self.changed(bool(event.value)))
        self.name(self._switch)

    def show(self, value: Json) -> None:
        self._switch.set_value(self._bool(value))

    def _bool(self, value: Json) -> bool:
        return bool(self.field.default if value is UNSET else value)


class SelectControl(Control):
    """One of the declared choices, or one of the tables."""

    def __init__(self, field: ParamField, changed: Changed, options: Sequence[str] | None = None) -> None:
        super().__init__(field, changed)
        self._options = list(field.choices if options is None else options)

    def build(self, value: Json) -> None:
        current = self._current(value)
        options = [*self._options, *([current] if current not in self._options and current is not None else [])]
        is_table = self.field.widget == "table"
        self._select = choice(options, value=current, on_change=self._chosen)
        if is_table or not self.field.is_required:
            self._select.props("clearable clear-icon=sym_r_close")
        placeholder = self.field.placeholder if not is_table or not self.field.is_required else "Choose a table"
        if current is None and placeholder:
            self._select.props["placeholder"] = placeholder
            self._select.props("use-input hide-selected fill-input input-debounce=0")
        self.name(self._select)
        if is_table and not self._options:
            with ui.link(target="/tables").classes("fe-hint-link"):
                ui.label("There are no tables yet. Create one.")

    def show(self, value: Json) -> None:
        current = self._current(value)
        if current is not None and current not in self._select.options:
            self._select.set_options([*self._select.options, current])
        self._select.set_value(current)

    def _chosen(self, event: Any) -> None:
        self.changed(UNSET if event.value is None else event.value)

    def _current(self, value: Json) -> Json:
        if value is UNSET or value == "":
            return self.field.default or None
        return value


class RowsControl(Control):
    """A list of small rows with a button to add one; the base of lists, pairs and conditions."""

    add_title = "Add"

    def build(self, value: Json) -> None:
        self._rows = self.rows_of(value)
        self._box = box("fe-rows")
        self._draw()

    def show(self, value: Json) -> None:
        if self.value_of(self._rows) != value:
            self._rows = self.rows_of(value)
            self._draw()

    @abstractmethod
    def rows_of(self, value: Json) -> list[list[Json]]: ...
    @abstractmethod
    def value_of(self, rows: list[list[Json]]) -> Json: ...
    @abstractmethod
    def row(self, index: int, row: list[Json]) -> None: ...

    def new_row(self) -> list[Json]:
        return [""]

    def set(self, index: int, place: int, value: Json, *, is_redrawn: bool = False) -> None:
        """Put a part of a row and report the whole value."""
        self._rows[index][place] = value
        self.changed(self.value_of(self._rows))
        if is_redrawn:
            self._draw()

    def cell(self, index: int, place: int, title: str, placeholder: str = "") -> ui.input:
        """Draw a text cell of a row."""
        made = ui.input(
            value=str(self._rows[index][place]),
            placeholder=placeholder or None,
            on_change=lambda event: self.set(index, place, event.value or ""),
        )
        self.name(made.props(f"{FIELD_PROPS} debounce=200"), f"{self.field.title}: {title} {index + 1}")
        made.on("focus", lambda: self._focus(made))
        return made

    def _focus(self, element: ui.element) -> None:
        self.element = element

    def _draw(self) -> None:
        self._box.clear()
        with self._box:
            for index, row in enumerate(self._rows):
                with box("fe-row"):
                    self.row(index, row)
                    icon_button("close", f"Remove {index + 1}", lambda i=index: self._remove(i), is_small=True)
            with box("fe-add", "button").props("type=button") as add:
                icon("add")
                ui.label(self.add_title)
            add.on("click", self._add)

    def _add(self) -> None:
        self._rows.append(self.new_row())
        self._draw()

    def _remove(self, index: int) -> None:
        del self._rows[index]
        self.changed(self.value_of(self._rows))
        self._draw()


class ListControl(RowsControl):
    add_title = "Add an entry"

    def rows_of(self, value: Json) -> list[list[Json]]:
        values = value if isinstance(value, list) else [] if value in (UNSET, "", None) else [value]
        return [[shown(item)] for item in values]

    def value_of(self, rows: list[list[Json]]) -> Json:
        return [row[0] for row in rows if row[0] != ""] or UNSET

    def row(self, index: int, row: list[Json]) -> None:
        self.cell(index, 0, "entry", self.field.placeholder)


class PairsControl(RowsControl):
    add_title = "Add a field"

    def rows_of(self, value: Json) -> list[list[Json]]:
        return [[key, shown(item)] for key, item in value.items()] if isinstance(value, dict) else []

    def value_of(self, rows: list[list[Json]]) -> Json:
        return {row[0]: typed(row[1]) for row in rows if row[0] != ""} or UNSET

    def new_row(self) -> list[Json]:
        return ["", ""]

    def row(self, index: int, row: list[Json]) -> None:
        self.cell(index, 0, "name", "name")
        self.cell(index, 1, "value", "value")


class ColumnsControl(PairsControl):
    """A value for columns of a table; *columns* gives name and type of those of the chosen one."""

    add_title = "Add a column"

    def __init__(self, field: ParamField, changed: Changed, columns: Mapping[str, str]) -> None:
        super().__init__(field, changed)
        self._columns = columns

    def rows_of(self, value: Json) -> list[list[Json]]:
        if not isinstance(value, dict):
            return []
        return [
            [key, item if self._is_text(key) and isinstance(item, str) else shown(item)] for key, item in value.items()
        ]

    def value_of(self, rows: list[list[Json]]) -> Json:
        return {row[0]: row[1] if self._is_text(row[0]) else typed(row[1]) for row in rows if row[0] != ""} or UNSET

    def row(self, index: int, row: list[Json]) -> None:
        if self._columns:
            self._column(index, row)
        else:
            self.cell(index, 0, "column", "column")
        self.cell(index, 1, "value", self._columns.get(row[0], "value"))

    def new_row(self) -> list[Json]:
        used = {row[0] for row in self._rows}
        return [next((name for name in self._columns if name not in used), ""), ""]

    def _column(self, index: int, row: list[Json]) -> None:
        options = list(dict.fromkeys([*self._columns, *([row[0]] if row[0] else [])]))
        made = choice(options, value=row[0] or None, on_change=lambda event: self.set(index, 0, event.value or ""))
        self.name(made, f"{self.field.title}: column {index + 1}")

    def _is_text(self, column: str) -> bool:
        return self._columns.get(column, "") in ("text", "uuid", "date", "datetime")


class ConditionsControl(ColumnsControl):
    """Column, comparison and value; several must all hold. Deeper conditions are edited as JSON instead."""

    add_title = "Add a condition"

    @staticmethod
    def fits(value: Json) -> bool:
        """Return whether rows can say what *value* says."""
        if value is UNSET or value is None:
            return True
        if not isinstance(value, dict) or "or" in value or "and" in value:
            return False
        return all(not isinstance(v, dict) or (len(v) == 1 and next(iter(v)) in OPERATORS) for v in value.values())

    def rows_of(self, value: Json) -> list[list[Json]]:
        rows: list[list[Json]] = []
        for column, test in value.items() if isinstance(value, dict) else ():
            operator, wanted = next(iter(test.items())) if isinstance(test, dict) else ("eq", test)
            rows.append(
                [column, operator, wanted if self._is_text(column) and isinstance(wanted, str) else shown(wanted)]
            )
        return rows

    def value_of(self, rows: list[list[Json]]) -> Json:
        found: dict[str, Json] = {}
        for column, operator, text in rows:
            if not column:
                continue
            wanted = (
                True if operator == "is_null" else text if self._is_text(column) and operator != "in" else typed(text)
            )
            found[column] = wanted if operator == "eq" else {operator: wanted}
        return found or UNSET

    def new_row(self) -> list[Json]:
        column, value = super().new_row()
        return [column, "eq", value]

    def row(self, index: int, row: list[Json]) -> None:
        with box("fe-condition"):
            if self._columns:
                self._column(index, row)
            else:
                self.cell(index, 0, "column", "column")
            made = choice(
                OPERATORS, value=row[1], on_change=lambda event: self.set(index, 1, event.value, is_redrawn=True)
            )
            self.name(made, f"{self.field.title}: comparison {index + 1}")
            if row[1] != "is_null":
                self.cell(index, 2, "value", '["a", "b"]' if row[1] == "in" else "value")
