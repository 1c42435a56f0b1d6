"""The controls that people type text into: plain, with expressions in it, one expression alone, HTML and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from nicegui import ui

from editor.controls import FIELD_PROPS, Changed, Control, Place, Writer
from editor.expression_field import ExpressionField, ExpressionInk, Lines
from editor.json_places import place_in
from editor.param_form import UNSET, ParamField, is_expression, typed
from runtime.scanner import OPEN

Json: TypeAlias = Any


class TextControl(Control):
    """A line, or several, without expressions."""

    def build(self, value: Json) -> None:
        is_long = self.field.widget == "multiline"
        make = ui.textarea if is_long else ui.input
        made = make(value=shown_text(value), placeholder=self.field.placeholder or None, on_change=self._typed)
        made.props(f"{FIELD_PROPS} debounce=200" + (" autogrow rows=1" if is_long else ""))
        if is_long:
            made.classes("fe-tall")
        self.name(made)
        self._input = made

    def show(self, value: Json) -> None:
        if (self._input.value or UNSET) != value:
            self._input.set_value(shown_text(value))

    def _typed(self, event: Any) -> None:
        self.changed(event.value or UNSET)


class WrittenControl(Control):
    """A line, or several, with expressions in them."""

    is_bare = False
    _is_json = False  # a list or an object has stood here: JSON that is typed is one, too

    def build(self, value: Json) -> None:
        self._store(value)
        self._field = ExpressionField(
            self._text(value),
            label=self.field.title,
            on_change=self._typed,
            placeholder=self.field.placeholder,
            lines=self._lines,
            is_bare=self.is_bare,
            is_mono=self.is_bare,
            is_required=self.field.is_required,
        )

    def show(self, value: Json) -> None:
        if self._value(self._field.value or "") != value:
            self._field.set_value(self._text(value))
        self._store(value)

    def places(self) -> list[Place]:
        stored = self._stored
        shift = stored.find(self._field.value) if self.is_bare and isinstance(stored, str) else 0
        return [Place(self._field, (), stored, max(0, shift))]

    @property
    def _lines(self) -> Lines:
        return "many" if self.field.widget == "multiline" else "one"

    def _typed(self, event: Any) -> None:
        self._store(self._value(event.value or ""))
        self.changed(self._stored)

    def _store(self, value: Json) -> None:
        self._stored = value
        self._is_json |= isinstance(value, list | dict)

    def _text(self, value: Json) -> str:
        return shown_text(value)

    def _value(self, text: str) -> Json:
        if self._is_json and isinstance(read := typed(text), list | dict):
            return read
        return text or UNSET


class ExpressionControl(WrittenControl):
    """An expression; the braces around it may be left out."""

    is_bare = True

    @property
    def _lines(self) -> Lines:
        return "long"

    def _text(self, value: Json) -> str:
        text = super()._text(value)
        return text.strip()[2:-2].strip() if is_expression(text) and text.count("{{") == 1 else text

    def _value(self, text: str) -> Json:
        text = text.strip()
        return UNSET if not text else text if "{{" in text else f"{{{{ {text} }}}}"


class CodeControl(Control):
    """HTML or JSON with line numbers and colours."""

    def __init__(self, field: ParamField, changed: Changed, dress: Callable[[ui.codemirror], None]) -> None:
        super().__init__(field, changed)
        self._dress = dress

    def build(self, value: Json) -> None:
        language = "HTML" if self.field.widget == "html" else "JSON"
        self._code = ui.codemirror(self._text(value), language=language, line_wrapping=True, on_change=self._typed)  # type: ignore[arg-type]
        self._code.classes("fe-code")
        self.name(self._code)
        self._dress(self._code)
        self._ink = self._ink_of(language)

    def _ink_of(self, language: str) -> ExpressionInk | None:
        if self.field.is_literal:
            return None
        return ExpressionInk(self._code, self.field.title, is_quoted=language == "JSON")

    def show(self, value: Json) -> None:
        if self._read(self._code.value or "") != value:
            self._code.set_value(self._text(value))

    def places(self) -> list[Place]:
        return [Place(self._ink, (), self._read(self._code.value or ""))] if self._ink and not self.fault else []

    def locate(self, path: tuple[str | int, ...], position: int) -> tuple[Writer, int] | None:
        if self.field.widget == "html":
            return super().locate(path, position)
        at = place_in(self._code.value or "", path, position) if self._ink and not self.fault else None
        return None if at is None or self._ink is None else (self._ink, at)

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
        except json.JSONDecodeError as error:
            self.fault = f"This is no JSON yet: look at line {error.lineno}, column {error.colno}. {_remedy(error)}"
            return None
        except (ValueError, RecursionError):
            self.fault = "This JSON is nested too deeply, or holds a number that is too long."
            return None


def _remedy(error: json.JSONDecodeError) -> str:
    """Return what to do about text that is no JSON."""
    if OPEN in error.doc[max(0, error.pos - 1) : error.pos + len(OPEN)]:  # the second brace is what it stumbles over
        return 'An expression stands in quotes: "{{ … }}".'
    return "It is saved as soon as it is."


def shown_text(value: Json) -> str:
    """Return a parameter as the text of a field."""
    if value is None or value is UNSET:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
