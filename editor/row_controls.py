"""Controls made of small rows: lists, pairs of name and value, columns of a table, conditions on them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, TypeAlias

from nicegui import ui

from editor.controls import FIELD_PROPS, Changed, Control, Place
from editor.expression_field import ExpressionField
from editor.frame import box, icon
from editor.param_form import UNSET, ParamField, shown, typed
from editor.widgets import choice, icon_button
from runtime.scanner import OPEN

Json: TypeAlias = Any
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


class RowsControl(Control):
    """A list of small rows with a button to add one; the base of lists, pairs and conditions."""

    add_title = "Add"

    def build(self, value: Json) -> None:
        self._rows = self.rows_of(value)
        self._fields: dict[tuple[int, int], ExpressionField] = {}  # by row and place in it
        self._last: ExpressionField | None = None  # had the focus last
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

    def cell(self, index: int, place: int, title: str, placeholder: str = "") -> None:
        """Draw a text cell of a row."""
        made = ui.input(
            value=str(self._rows[index][place]),
            placeholder=placeholder or None,
            on_change=lambda event: self.set(index, place, event.value or ""),
        )
        self.name(made.props(f"{FIELD_PROPS} debounce=200"), f"{self.field.title}: {title} {index + 1}")

    def written(self, index: int, place: int, title: str, placeholder: str = "") -> None:
        """Draw a text cell that may hold expressions."""
        if self.field.is_literal:
            self.cell(index, place, title, placeholder)
            return
        made = ExpressionField(
            str(self._rows[index][place]),
            label=f"{self.field.title}: {title} {index + 1}",
            placeholder=placeholder,
            on_change=lambda event: self.set(index, place, event.value or ""),
        )
        made.on("focus", lambda: self._focus(made), [])
        self._fields[index, place] = made

    def places(self) -> list[Place]:
        return [
            Place(made, self.path_of(self._rows[index]), self.meant(self._rows[index], place))
            for (index, place), made in self._fields.items()
        ]

    def path_of(self, row: list[Json]) -> tuple[str | int, ...]:
        """Return the way to the row's value in the value of the parameter."""
        return (str(row[0]),)

    def meant(self, row: list[Json], place: int) -> Json:
        """Return the value that a cell stands for."""
        return typed(row[place])

    def insert(self, text: str) -> bool:
        if self._last is not None:
            self._last.insert(text)
            return True
        return super().insert(text)

    def _focus(self, field: ExpressionField) -> None:
        self._last = field

    def _draw(self) -> None:
        self._box.clear()
        self._fields.clear()
        self._last = None
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
        added = self._box.default_slot.children[-2]  # the button to add one more is the last
        next(
            cell for cell in added.descendants() if isinstance(cell, ui.input | ui.select | ExpressionField)
        ).run_method("focus")

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
        self.written(index, 0, "entry", self.field.placeholder)

    def path_of(self, row: list[Json]) -> tuple[str | int, ...]:
        return (next(index for index, each in enumerate(self._rows) if each is row),)

    def meant(self, row: list[Json], place: int) -> Json:
        return row[place]


class PairsControl(RowsControl):
    add_title = "Add a field"

    @property
    def doubt(self) -> str | None:
        if any(OPEN in str(row[0]) for row in self._rows):
            return f"A name is taken as it stands, also with “{OPEN}” in it. Expressions go into the value."
        return None

    def rows_of(self, value: Json) -> list[list[Json]]:
        return [[key, shown(item)] for key, item in value.items()] if isinstance(value, dict) else []

    def value_of(self, rows: list[list[Json]]) -> Json:
        return {row[0]: typed(row[1]) for row in rows if row[0] != ""} or UNSET

    def new_row(self) -> list[Json]:
        return ["", ""]

    def row(self, index: int, row: list[Json]) -> None:
        self.cell(index, 0, "name", "name")
        self.written(index, 1, "value", "value")


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
        self.written(index, 1, "value", self._columns.get(row[0], "value"))

    def new_row(self) -> list[Json]:
        used = {row[0] for row in self._rows}
        return [next((name for name in self._columns if name not in used), ""), ""]

    def _column(self, index: int, row: list[Json]) -> None:
        options = list(dict.fromkeys([*self._columns, *([row[0]] if row[0] else [])]))
        made = choice(options, value=row[0] or None, on_change=lambda event: self.set(index, 0, event.value or ""))
        self.name(made, f"{self.field.title}: column {index + 1}")

    def meant(self, row: list[Json], place: int) -> Json:
        return row[place] if self._is_text(row[0]) else super().meant(row, place)

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
        tests = [test for test in value.values() if isinstance(test, dict)]
        return all(test and test.keys() <= OPERATORS.keys() and test.get("is_null", True) is True for test in tests)

    def rows_of(self, value: Json) -> list[list[Json]]:
        rows: list[list[Json]] = []
        for column, test in value.items() if isinstance(value, dict) else ():
            for operator, wanted in test.items() if isinstance(test, dict) else (("eq", test),):
                is_plain = self._is_text(column) and isinstance(wanted, str)
                rows.append([column, operator, wanted if is_plain else shown(wanted)])
        return rows

    def value_of(self, rows: list[list[Json]]) -> Json:
        tests: dict[str, dict[str, Json]] = {}
        twice: list[Json] = []
        for column, operator, text in rows:
            if not column:
                continue
            is_plain = self._is_text(column) and operator != "in"
            wanted = True if operator == "is_null" else text if is_plain else typed(text)
            if operator in tests.setdefault(column, {}):
                twice.append({column: {operator: wanted}})
            else:
                tests[column][operator] = wanted
        found: dict[str, Json] = {
            column: test["eq"] if test.keys() == {"eq"} else test for column, test in tests.items()
        }
        return {**found, "and": twice} if twice else found or UNSET

    def new_row(self) -> list[Json]:
        column, value = super().new_row()
        return [column, "eq", value]

    def path_of(self, row: list[Json]) -> tuple[str | int, ...]:
        of_column = [each for each in self._rows if each[0] == row[0]]
        return (row[0],) if len(of_column) == 1 and row[1] == "eq" else (row[0], row[1])

    def _compare(self, index: int, operator: str) -> None:
        """Put a comparison; the row is drawn anew only where it looks different, so that nothing typed is lost."""
        odd = {"is_null", "in"}
        before = self._rows[index][1]
        self.set(index, 1, operator, is_redrawn=before != operator and bool({before, operator} & odd))

    def row(self, index: int, row: list[Json]) -> None:
        with box("fe-condition"):
            if self._columns:
                self._column(index, row)
            else:
                self.cell(index, 0, "column", "column")
            made = choice(OPERATORS, value=row[1], on_change=lambda event: self._compare(index, event.value))
            self.name(made, f"{self.field.title}: comparison {index + 1}")
            if row[1] != "is_null":
                self.written(index, 2, "value", '["a", "b"]' if row[1] == "in" else "value")
