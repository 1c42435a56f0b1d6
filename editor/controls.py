"""The controls of the side panel's forms: each shows one JSON value and says when a person changed it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from zoneinfo import available_timezones

from nicegui import ui

from backend.credential_values import NO_LOGIN
from editor.expression_field import ExpressionField, ExpressionInk
from editor.param_form import UNSET, ParamField
from editor.widgets import choice

Json: TypeAlias = Any
Changed: TypeAlias = Callable[[Json], None]
Writer: TypeAlias = ExpressionField | ExpressionInk
REGIONS = (  # of the zones that are not mere other names
    *("Africa/", "America/", "Antarctica/", "Arctic/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/"),
    "Pacific/",
)
YES_OR_NO = {True: "Yes", False: "No"}
FIELD_PROPS = "outlined dense hide-bottom-space autocomplete=off spellcheck=false"


@dataclass(frozen=True)
class Place:
    """A text of a control that may hold expressions: the way to it in the control's value, and what it is there."""

    writer: Writer
    path: tuple[str | int, ...]
    value: Json
    shift: int = 0  # characters of the value that stand before the text shown


class Control(ABC):
    """One control. ``fault`` says why what is typed cannot be saved."""

    fault: str | None = None

    @property
    def doubt(self) -> str | None:
        """What is typed is saved; this says why it may be something else than was meant."""
        return None

    def __init__(self, field: ParamField, changed: Changed) -> None:
        self.field = field
        self.changed = changed

    @abstractmethod
    def build(self, value: Json) -> None:
        """Draw the control in the current place."""

    @abstractmethod
    def show(self, value: Json) -> None:
        """Show a value that came from elsewhere."""

    def places(self) -> list[Place]:
        """Return the texts that may hold expressions as they are now."""
        return []

    def locate(self, path: tuple[str | int, ...], position: int) -> tuple[Writer, int] | None:
        """Return where a character of the text that *path* leads to is shown, if it is."""
        for place in self.places():
            if place.path == path and isinstance(place.value, str):
                return place.writer, position - place.shift
        return None

    def insert(self, text: str) -> bool:
        """Put a value or any text where the caret was last; false if there is no place for it."""
        places = self.places()
        if places:
            places[-1].writer.insert(text)
        return bool(places)

    def name(self, element: ui.element, title: str | None = None) -> None:
        """Tell screen readers and tests what *element* is called."""
        element.props["aria-label"] = title or self.field.title


class NumberControl(Control):
    def build(self, value: Json) -> None:
        default = self.field.default
        made = ui.number(
            value=self._number(value),
            min=self.field.minimum,
            max=self.field.maximum,
            step=1 if self.field.is_integer else None,
            placeholder=self._example if default is None else str(default),
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

    @property
    def _example(self) -> str | None:
        """What may be typed, told apart from what holds while nothing is."""
        return f"such as {self.field.placeholder}" if self.field.placeholder else None

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
        thing = {"table": "a table", "flow": "a flow"}.get(self.field.widget)
        self._select = choice(self._labels(options), value=current, on_change=self._chosen)
        if is_table or (not self.field.is_required and self.field.default in (None, "")):
            self._select.props("clearable clear-icon=sym_r_close")
        placeholder = f"Choose {thing}" if thing and self.field.is_required else self.field.placeholder
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
            self._select.set_options(self._labels([*self._select.options, current]))
        self._select.set_value(current)

    def _chosen(self, event: Any) -> None:
        self.changed(UNSET if event.value is None else event.value)

    def _labels(self, options: Sequence[Json]) -> dict[Json, str]:
        return _worded(options)

    def _current(self, value: Json) -> Json:
        if value is UNSET or value == "":
            return self.field.default or None
        return value


class CredentialControl(SelectControl):
    """One of the stored logins, or none."""

    def __init__(self, field: ParamField, changed: Changed, names: Sequence[str]) -> None:
        super().__init__(field, changed, [*([field.default] if field.default else ()), *names])
        self._has_names = bool(names)

    def build(self, value: Json) -> None:
        super().build(value)
        if not self._has_names:
            with ui.link(target="/settings#credentials").classes("fe-hint-link"):
                ui.label("No login is stored yet. Owners do so in the settings.")


class FlowControl(SelectControl):
    """One of the flows, by its name; flows store the id."""

    def __init__(self, field: ParamField, changed: Changed, names: Mapping[str, str]) -> None:
        super().__init__(field, changed, list(names))
        self._names = names

    def build(self, value: Json) -> None:
        super().build(value)
        if not self._names:
            ui.label("No other flow can be chosen yet.").classes("fe-hint")

    def _labels(self, options: Sequence[Json]) -> dict[Json, str]:
        return {option: self._names.get(option, str(option)) for option in options}


class ZoneControl(Control):
    """One of the time zones, found by a part of its name."""

    def build(self, value: Json) -> None:
        zones = sorted(zone for zone in available_timezones() if zone.startswith(REGIONS))
        current = self._current(value)
        options = ["UTC", *zones]
        self._select = choice(
            options if current in options else [current, *options],
            value=current,
            with_input=True,
            on_change=lambda event: self.changed(UNSET if event.value is None else event.value),
        )
        self.name(self._select.props("hide-selected fill-input input-debounce=0"))

    def show(self, value: Json) -> None:
        current = self._current(value)
        if current not in self._select.options:
            self._select.set_options([current, *self._select.options])
        self._select.set_value(current)

    def _current(self, value: Json) -> str:
        return str(self.field.default if value is UNSET else value)


def _worded(options: Sequence[Json]) -> dict[Json, str]:
    words = {True: "Yes", False: "No", NO_LOGIN: "No login"}
    return {option: words.get(option, str(option)) for option in options}
