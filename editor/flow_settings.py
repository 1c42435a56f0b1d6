"""The dialog of a flow's settings: how many runs at once and how often, for how long, and how long they are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from nicegui import ui

from editor.answers import Ask
from editor.draft import Draft
from editor.fields import FieldView, FormContext
from editor.frame import box
from editor.param_form import UNSET, ParamField
from editor.widgets import button, choice, dialog, field, text_input
from runtime.settings_checks import problems_of_settings

Json: TypeAlias = Any
UNITS = {1: "seconds", 60: "minutes", 3_600: "hours", 86_400: "days"}
PER_KEY = "runs_at_once_per_key"


@dataclass(frozen=True)
class Entry:
    """One setting as the dialog asks for it."""

    name: str
    title: str
    hint: str
    has_units: bool = False  # seconds, minutes, hours or days
    needs: str | None = None  # without this one it means nothing


RATE = Entry("rate_runs", "Runs", "How many may begin.")
SPAN = Entry("rate_s", "Within", "In any span of this length.", has_units=True, needs="rate_runs")
KEY = Entry(
    "key",
    "Key",
    "Runs with the same key begin one after the other, in their order. It is an expression of the event's payload.",
)
GROUPS = (
    (
        "At once",
        "Runs that have no place wait in the order in which they came; none is lost. "
        "A run keeps its place from its start to its end, also while it waits for something.",
        (
            Entry("runs_at_once", "Runs at once", "Leave it empty for no limit."),
            KEY,
            Entry(PER_KEY, "Runs at once with the same key", "1 keeps them strictly in order.", needs="key"),
        ),
    ),
    ("Rate", "More runs wait until they may begin. It counts starts, however long the runs take.", (RATE, SPAN)),
    (
        "Time",
        "A run that takes longer fails. The time that it waits counts.",
        (Entry("timeout_s", "Longest time of a run", "Leave it empty for no limit.", has_units=True),),
    ),
    (
        "Keep",
        "Ended runs that are older, or more than this, are removed. What is empty here is as the settings of this "
        "Pulsewire say.",
        (
            Entry("keep_days", "Days", "Since the run ended."),
            Entry("keep_runs", "Runs", "The latest ones."),
            Entry("keep_mb", "Megabytes", "Of the runs together."),
        ),
    ),
)


def edit_settings(
    draft: Draft, save_all: Callable[[], Any], *, ask: Ask | None = None, closed: Callable[[], None]
) -> None:
    """Open the dialog; what is saved is one change of the draft, which can be undone.

    *ask* answers what the key comes to, *closed* is called when the dialog is gone.
    """
    Dialog(draft, save_all, ask, closed).open()


def summary(settings: dict[str, Json] | None) -> list[str]:
    """Return what limits a flow, in words, for its panel."""
    given = settings or {}
    found = []
    if at_once := given.get("runs_at_once"):
        found.append(f"{_runs(at_once)} at once")
    if key := given.get("key"):
        each = key.strip().removeprefix("{{").removesuffix("}}").strip()
        found.append(f"{_runs(given.get(PER_KEY, 1))} at once for each {each}")
    if rate := given.get("rate_runs"):
        found.append(f"{_runs(rate)} within {_time(given.get('rate_s', 60))}")
    if timeout_s := given.get("timeout_s"):
        found.append(f"A run takes {_time(timeout_s)} at most")
    kept = [f"{given[name]:,} {unit}" for name, unit in KEPT.items() if given.get(name) is not None]
    if kept:
        found.append(f"Keeps {', '.join(kept)}")
    return found


KEPT = {"keep_days": "days", "keep_runs": "runs", "keep_mb": "MB"}


class Dialog:
    """One open dialog."""

    def __init__(self, draft: Draft, save_all: Callable[[], Any], ask: Ask | None, closed: Callable[[], None]) -> None:
        self._draft = draft
        self._save_all = save_all
        self._closed = closed
        self._form = FormContext(save=self._keyed, tables=dict, dress_code=lambda _code: None, ask=ask)
        self._given: dict[str, Json] = draft.document["graph"].get("settings") or {}
        self._inputs: dict[str, ui.input] = {}
        self._units: dict[str, ui.select] = {}
        self._key: Json = self._given.get("key", UNSET)

    def open(self) -> None:
        """Draw it and show it."""
        with dialog("Limits and retention", width=540) as (window, foot):
            for title, text, entries in GROUPS:
                with box("fl-group", "section"):
                    ui.label(title).classes("fl-title")
                    ui.label(text).classes("pw-hint")
                    with box("fl-column" if KEY in entries else "fl-fields"):
                        for entry in entries:
                            if entry is KEY:
                                self._key_field = FieldView(_as_param(KEY), self._form, self._given)
                            else:
                                self._entry(entry)
            with foot:
                button("Cancel", window.close, kind="ghost")
                button("Save", lambda: self._save(window), kind="primary")
        self._follow_needs()
        window.props("allow-focus-outside aria-modal=false")  # the picker of values is beside it
        window.on("hide", self._close)
        window.open()

    def _close(self) -> None:
        self._key_field.close()
        self._closed()

    def _keyed(self, _name: str, value: Json) -> None:
        self._key = value
        self._key_field.set_problems(())
        self._follow_needs()

    def _entry(self, entry: Entry) -> None:
        with field(entry.title, hint=entry.hint), box("fl-amount" if entry.has_units else ""):
            value, unit = _shown(self._given.get(entry.name), entry)
            made = text_input(value).props("inputmode=decimal")
            made.props["aria-label"] = entry.title
            if entry.has_units:
                self._units[entry.name] = choice(UNITS, unit)
                self._units[entry.name].props["aria-label"] = f"Unit of “{entry.title}”"
        made.on_value_change(self._follow_needs)
        self._inputs[entry.name] = made

    def _follow_needs(self) -> None:
        for entry in _entries():
            if entry.needs is not None and entry.name in self._inputs:
                is_needed = self._is_filled(entry.needs)
                self._inputs[entry.name].set_enabled(is_needed)
                if entry.name in self._units:
                    self._units[entry.name].set_enabled(is_needed)

    def _is_filled(self, name: str) -> bool:
        if name == KEY.name:
            return self._key is not UNSET
        return name in self._inputs and bool((self._inputs[name].value or "").strip())

    async def _save(self, window: ui.dialog) -> None:
        self._key_field.flush()
        settings, faults = self._read()
        found = [] if faults else [each for each in problems_of_settings(settings) if each.severity == "error"]
        faults |= {each.param: each.message for each in found if each.param}
        for name, made in self._inputs.items():
            made.error = faults.get(name)
        self._key_field.set_problems([each for each in found if each.param == KEY.name])
        self._key_field.mark([each for each in found if each.param == KEY.name])
        if faults:
            return
        window.close()
        if settings != self._given:
            await self._save_all()
            await self._draft.edit([{"op": "patch_flow", "set": {"settings": settings or None}}])

    def _read(self) -> tuple[dict[str, Json], dict[str, str | None]]:
        """Return what was filled in, and what cannot be read."""
        settings: dict[str, Json] = {}
        faults: dict[str, str | None] = {}
        if self._key is not UNSET:
            settings[KEY.name] = self._key
        for entry in _entries():
            text = (self._inputs[entry.name].value or "").strip()
            if not text or (entry.needs is not None and not self._is_filled(entry.needs)):
                continue
            try:
                number = _number(text)
            except ValueError:
                faults[entry.name] = "It must be a number."
                continue
            unit = self._units[entry.name].value if entry.has_units else 1
            settings[entry.name] = number if unit == 1 else _whole(number * unit)
        return settings, faults


def _entries() -> list[Entry]:
    return [entry for _title, _text, entries in GROUPS for entry in entries if entry is not KEY]


def _as_param(entry: Entry) -> ParamField:
    """Return a setting that is an expression as a form shows it."""
    return ParamField(
        name=entry.name,
        title=entry.title,
        description=entry.hint,
        widget="expression",
        is_required=False,
        is_advanced=False,
        is_literal=False,
        default=None,
        placeholder="$param.customer_id",
        choices=(),
        minimum=None,
        maximum=None,
        is_integer=False,
    )


def _shown(value: Json, entry: Entry) -> tuple[str, int]:
    """Return the text of a value, and its unit."""
    if value is None:
        return "", 60 if entry.has_units else 1
    count, unit = _split(value) if entry.has_units else (value, 1)
    return str(count), unit


def _split(seconds: float) -> tuple[Json, int]:
    """Return a length of time as a whole number of its largest unit, or in seconds."""
    unit = next((unit for unit in reversed(UNITS) if seconds and seconds % unit == 0), 1)
    return _whole(seconds / unit), unit


def _time(seconds: float) -> str:
    count, unit = _split(seconds)
    return f"{count} {UNITS[unit].removesuffix('s') if count == 1 else UNITS[unit]}"


def _number(text: str) -> Json:
    return int(text) if text.lstrip("+-").isdecimal() else float(text)


def _whole(number: float) -> Json:
    return int(number) if number == int(number) else number


def _runs(count: int) -> str:
    return f"{count:,} run{'s' * (count != 1)}"
