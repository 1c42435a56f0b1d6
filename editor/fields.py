"""One field of the side panel: label, control, switch to an expression, button of the picker, and its problems."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from nicegui import ui
from nicegui.element import Element

from editor.answers import ASK_AFTER_S, Answers, Ask
from editor.catalog import CALM, tone
from editor.controls import (
    Control,
    CredentialControl,
    FlowControl,
    NumberControl,
    SelectControl,
    SwitchControl,
    Writer,
    ZoneControl,
)
from editor.frame import box, icon
from editor.param_form import UNSET, ParamField, is_expression
from editor.problem_list import within
from editor.repairs import Repairs
from editor.row_controls import ColumnsControl, ConditionsControl, ListControl, PairsControl
from editor.text_controls import CodeControl, ExpressionControl, TextControl, WrittenControl
from runtime import expressions
from runtime.errors import Problem

Json: TypeAlias = Any
SAVE_AFTER_S = 0.15
NEARLY = "expression.field_not_seen"  # a hint that says what the value would say too
MOST_TOLD = 4  # problems under a field
TONES = {"error": "bad", "gap": "gap", "warning": "doubtful"}


class FormContext:
    """What fields need from the page around them."""

    def __init__(
        self,
        *,
        save: Callable[[str, Json], None],
        tables: Callable[[], Mapping[str, Mapping[str, str]]],
        dress_code: Callable[[ui.codemirror], None],
        credentials: Callable[[], Mapping[str, str]] = dict,
        base_url: str = "",
        flows: Callable[[bool], Mapping[str, str]] = lambda _all: {},
        ask: Ask | None = None,
        repairs: Repairs | None = None,
    ) -> None:
        self.save = save
        self.tables = tables  # table name -> column name -> type
        self.dress_code = dress_code
        self.base_url = base_url  # how people reach this server
        self.credentials = credentials  # name of a stored login -> its kind
        self.repairs = repairs  # None for those who only read
        self.flows = flows  # id -> name of other flows: of all, or of those that can be called
        self.ask = ask  # for the value of a text with expressions


class FieldView:
    """A field of a form. Its value is saved shortly after the last key."""

    def __init__(self, field: ParamField, context: FormContext, params: Mapping[str, Json]) -> None:
        self.field = field
        self._context = context
        self._params = dict(params)
        self._value: Json = params.get(field.name, UNSET)
        self._is_expression = self._is_written_as_expression(self._value)
        self._timer: asyncio.TimerHandle | None = None
        self._is_wrong = False
        self._fx: Element | None = None
        self._answers = self._asking()
        with box("fe-field") as self._box:
            self._box.props["data-param"], self._box.props["data-title"] = field.name, field.title
            with box("fe-label"):
                with box("fe-label-text"):
                    ui.label(field.title)
                    if field.is_required:
                        with box("fe-required", "span").props('aria-label="required"'):
                            ui.label("*")
                self._tools()
            self._place = box("fe-control")
            self._problems = box("fe-told").props("role=alert")
            if field.description:
                ui.label(field.description).classes("fe-hint")
        self._told: tuple[Problem, ...] = ()
        self._draw()

    def update(self, params: Mapping[str, Json]) -> None:
        """Show what the document holds now, unless the person is ahead of it."""
        table_before = self._params.get("table")
        self._params = dict(params)
        value = params.get(self.field.name, UNSET)
        if self._timer is not None:
            return
        if value != self._value:
            self._value = value
            if self._is_written_as_expression(value) != self._is_expression:
                self._is_expression = self._is_written_as_expression(value)
                self._draw()
            else:
                self._control.show(value)
                self._look()
        elif self.field.widget in ("columns", "conditions") and params.get("table") != table_before:
            self._draw()

    def set_problems(self, problems: Sequence[Problem]) -> None:
        """Show what is wrong with the field, below it; one that is only still empty is shown calmly."""
        fault = self._control.fault
        found = (Problem("control.fault", fault),) if fault else tuple(problems)
        if not fault and (doubt := self._control.doubt):
            found += (Problem("control.doubt", doubt, severity="warning"),)
        self._is_wrong = any(problem.severity == "error" or problem.code == NEARLY for problem in found)
        if self._is_wrong and self._answers is not None:
            self._answers.hush()
        if found == self._told:
            return
        self._told = found
        self._problems.clear()
        with self._problems:
            told = {(each.message, each.suggestion and each.position): each for each in reversed(found)}
            for problem in [*reversed(told.values())][:MOST_TOLD]:
                with box(f"fe-problem fe-problem--{tone([problem])}"):
                    ui.label(within(self.field.title, problem.message))
                    if self._context.repairs is not None:
                        self._context.repairs.offer(problem)
        self._box.classes(replace=f"fe-field fe-field--{TONES[tone(found)]}" if found else "fe-field")

    def mark(self, problems: Sequence[Problem]) -> None:
        """Underline what *problems* of the stored value are about."""
        if self._timer is None:  # else what is typed is not what was checked
            self._underline(problems)

    def flush(self) -> None:
        """Save at once what waits to be saved."""
        if self._timer is not None:
            self._timer.cancel()
            self._save()

    def ask_again(self) -> None:
        """Show the values of the expressions anew, because what they are computed from has changed."""
        if self._answers is not None:
            self._answers.renew()

    def close(self) -> None:
        """Ask for no more values; the field is about to go."""
        if self._answers is not None:
            self._answers.stop()

    def insert(self, text: str) -> None:
        """Put a value such as ``$param.email`` into the field; one of another kind is switched to an expression."""
        if not self._control.insert(text) and not self.field.is_textual and not self._is_expression:
            self._toggle()
            self._control.insert(text)

    def _asking(self) -> Answers | None:
        """Return what asks for values, if there can be any that everybody may see."""
        if self._context.ask is None or self.field.is_literal or self.field.widget == "password":
            return None
        return Answers(self._context.ask, lambda: self._control.places(), lambda: self._is_wrong)

    def _is_written_as_expression(self, value: Json) -> bool:
        return not self.field.is_textual and not self.field.is_literal and is_expression(value)

    def _draw(self) -> None:
        if self._fx is not None:
            self._fx.props["aria-pressed"] = "true" if self._is_expression else "false"
            self._fx.update()
        self._place.clear()
        with self._place:
            self._control = self._make()
            self._control.build(self._value)
        self._look()

    def _look(self, after_s: float = 0.0) -> None:
        """Underline what is plainly wrong with the expressions, and ask for their values."""
        self._underline(())
        if self._answers is not None:
            self._answers.renew(after_s)

    def _underline(self, problems: Sequence[Problem]) -> None:
        """Draw lines under what *problems* are about, or else under what no check is needed to see."""
        plain = () if self._value is UNSET or problems else expressions.problems_of(self._value)
        found = [(each.path, each.position, each.length, each.severity != "error") for each in problems]
        found += [(each.path, each.position, None, each.code in CALM) for each in plain]
        marks: dict[Writer, list[Json]] = {place.writer: [] for place in self._control.places()}
        for path, position, length, is_calm in found:
            place = None if position is None else self._control.locate(path, position)
            if place is not None:
                marks[place[0]].append({"position": place[1], "length": length, "isWarning": is_calm})
        for writer, found_here in marks.items():
            writer.set_problems(found_here)

    def _make(self) -> Control:
        field, changed = self.field, self._changed
        if self._is_expression:
            return ExpressionControl(replace(field, widget="expression", placeholder="$param.…"), changed)
        match field.widget:
            case "expression":
                return ExpressionControl(replace(field, placeholder=field.placeholder.strip("{} ")), changed)
            case "html" | "json":
                return CodeControl(field, changed, self._context.dress_code)
            case "number":
                return NumberControl(field, changed)
            case "switch":
                return SwitchControl(field, changed)
            case "select":
                return SelectControl(field, changed)
            case "table":
                return SelectControl(field, changed, list(self._context.tables()))
            case "credential":
                return CredentialControl(field, changed, list(self._context.credentials()))
            case "flow":
                return FlowControl(field, changed, self._context.flows(self.field.is_literal))
            case "timezone":
                return ZoneControl(field, changed)
            case "list":
                return ListControl(field, changed)
            case "pairs":
                return PairsControl(field, changed)
            case "columns":
                return ColumnsControl(field, changed, self._columns())
            case "conditions" if ConditionsControl.fits(self._value):
                return ConditionsControl(field, changed, self._columns())
            case "conditions":
                return CodeControl(field, changed, self._context.dress_code)
            case _:
                return TextControl(field, changed) if field.is_literal else WrittenControl(field, changed)

    def _columns(self) -> Mapping[str, str]:
        return self._context.tables().get(str(self._params.get("table", "")), {})

    def _tools(self) -> None:
        with box("fe-tools"):
            if not self.field.is_literal and not self.field.is_textual:
                with box("fe-fx", "button").props("type=button") as toggle:
                    ui.label("fx")
                    ui.tooltip("Write an expression").props("delay=400")
                toggle.props["aria-label"] = f"{self.field.title}: expression"
                toggle.on("click", self._toggle)
                self._fx = toggle
            if not self.field.is_literal:
                self._insert_button()

    def _insert_button(self) -> None:
        """Draw what opens the picker of values; static/value_picker.js hears of it."""
        with box("fe-insert", "button").props("type=button aria-haspopup=dialog") as button:
            icon("data_object")
        button.props["title"] = "Insert a value from the trigger or an earlier node"
        button.props["aria-label"] = f"{self.field.title}: insert a value"

    def _toggle(self) -> None:
        self._is_expression = not self._is_expression
        self._changed(UNSET)
        self._draw()
        if self._is_expression:
            self._control.places()[0].writer.run_method("focus")

    def _changed(self, value: Json) -> None:
        if self._control.fault:
            self.set_problems(())
            return
        if value == self._value:
            return
        self._value = value
        self._look(ASK_AFTER_S)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(SAVE_AFTER_S, self._save)

    def _save(self) -> None:
        self._timer = None
        self._context.save(self.field.name, self._value)
