"""The smallest parts of pages: a plain element, and an icon."""

from __future__ import annotations

from nicegui import ui
from nicegui.element import Element


def icon(name: str) -> ui.icon:
    """Draw a Material Symbols icon by its plain name, such as ``table``."""
    return ui.icon(f"sym_r_{name}").props("aria-hidden=true")


def box(classes: str = "", tag: str = "div") -> Element:
    """Return a plain element with these classes."""
    element = ui.element(tag)
    if classes:
        element.classes(classes)
    return element
