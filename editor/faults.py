"""Where in the texts of a form something is wrong."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from editor.controls import Place

Json: TypeAlias = Any


class Mark(NamedTuple):
    """Characters to underline, counted in the stored text; no length: the part that begins there."""

    position: int | None
    length: int | None
    is_warning: bool


def is_at(path: tuple[str | int, ...], place: Place) -> bool:
    """Return whether a *path* in the parameter's value leads to the text of a place."""
    return path == place.path and isinstance(place.value, str)


def shown_marks(marks: list[Mark], place: Place) -> list[dict[str, Json]]:
    """Return marks as the browser draws them, counted in the text that is shown."""
    return [
        {"position": mark.position - place.shift, "length": mark.length, "isWarning": mark.is_warning}
        for mark in marks
        if mark.position is not None
    ]
