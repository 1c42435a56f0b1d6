"""The dialog of a flow's settings: how many runs at once and how often, for how long, and how long they are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from nicegui import ui

from editor.draft import Draft
from editor.frame import box
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
    is_text: bool = False
    has_units: bool = False  # seconds, minutes, hours or days
    needs: str | None = None  # without this one it means nothing


RATE = Entry("rate_runs", "Runs", "How many may begin.")
SPAN = Entry("rate_s", "Within", "In any span of this length.", has_units=True, needs="rate_runs")
GROUPS = (
    (
        "At once",
        "Runs that have no place wait in the order in which they came; none is lost. "
        "A run keeps its place from its start to its end, also while it waits for something.",
        (
            Entry("runs_at_once", "Runs at once", "Leave it empty for no limit."),
            Entry(
                "key",
                "Key",
                "Runs with the same key begin one after the other, in their order. "
                "It is an expression of the event's payload.",
                is_text=True,
            ),
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


def edit_settings(draft: Draft, save_all: Callable[[], Any]) -> None:
    """Open the dialog; what is saved is one change of the draft, which can be undone."""
    Dialog(draft, save_all).open()


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

    def __init__(self, draft: Draft, save_all: Callable[[], Any]) -> None:
        self._draft = draft
        self._save_all = save_all
        self._given: dict[str, Json] = draft.document["graph"].get("settings") or {}
        self._inputs: dict[str, ui.input] = {}
        self._units: dict[str, ui.select] = {}

    def open(self) -> None:
        """Draw it and show it."""
        with dialog("Limits and retention", width=540) as (window, foot):
            for title, text, entries in GROUPS:
                with box("fl-group", "section"):
                    ui.label(title).classes("fl-title")
                    ui.label(text).classes("pw-hint")
                    with box("fl-column" if any(entry.is_text for entry in entries) else "fl-fields"):
                        for entry in entries:
                            self._entry(entry)
            with foot:
                button("Cancel", window.close, kind="ghost")
                button("Save", lambda: self._save(window), kind="primary")
        self._follow_needs()
        window.open()

    def _entry(self, entry: Entry) -> None:
        with field(entry.title, hint=entry.hint), box("fl-amount" if entry.has_units else ""):
            value, unit = _shown(self._given.get(entry.name), entry)
            made = text_input(value, placeholder="{{ $param.customer_id }}" if entry.is_text else None)
            made.props["aria-label"] = entry.title
            if not entry.is_text:
                made.props("inputmode=decimal")
            if entry.has_units:
                self._units[entry.name] = choice(UNITS, unit)
                self._units[entry.name].props["aria-label"] = f"Unit of “{entry.title}”"
        made.on_value_change(self._follow_needs)
        self._inputs[entry.name] = made

    def _follow_needs(self) -> None:
        for entry in _entries():
            if entry.needs is not None and entry.needs in self._inputs and entry.name in self._inputs:
                is_needed = bool((self._inputs[entry.needs].value or "").strip())
                self._inputs[entry.name].set_enabled(is_needed)
                if entry.name in self._units:
                    self._units[entry.name].set_enabled(is_needed)

    async def _save(self, window: ui.dialog) -> None:
        settings, faults = self._read()
        for problem in [] if faults else problems_of_settings(settings):
            if problem.severity == "error" and problem.param:
                faults[problem.param] = problem.message
        for name, made in self._inputs.items():
            made.error = faults.get(name)
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
        for entry in _entries():
            text = (self._inputs[entry.name].value or "").strip()
            if not text or (entry.needs is not None and not self._inputs[entry.needs].value):
                continue
            if entry.is_text:
                settings[entry.name] = text
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
    return [entry for _title, _text, entries in GROUPS for entry in entries]


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
