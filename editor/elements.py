"""The smallest parts of pages: a plain element, and an icon."""

from __future__ import annotations

from functools import partial

from nicegui import ui
from nicegui.element import Element

BUILD_S = 30  # NiceGUI answers 500 for a page that takes longer to build; its default is 3


def icon(name: str) -> ui.icon:
    """Draw a Material Symbols icon by its plain name, such as ``table``."""
    return ui.icon(symbol(name)).props("aria-hidden=true")


def symbol(name: str) -> str:
    """Return what NiceGUI calls a Material Symbols icon."""
    return f"sym_r_{name}"


def box(classes: str = "", tag: str = "div") -> Element:
    """Return a plain element with these classes."""
    element = ui.element(tag)
    if classes:
        element.classes(classes)
    return element


web_page = partial(ui.page, response_timeout=BUILD_S)
"""``ui.page``, with patience: a page that a busy machine builds slowly is late and not an error."""
