"""The frame of the pages that hold a canvas: a bar above, a panel on either side, all of the window in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from nicegui import ui
from nicegui.element import Element

from editor import theme
from editor.frame import Unexpected, box, icon
from editor.widgets import dialog, link_button


class CodeTheme:
    """Keeps every code editor of a page in the colours of the theme, which only the browser knows."""

    def __init__(self) -> None:
        self._is_dark = False
        self._editors: list[ui.codemirror] = []

    def dress(self, editor: ui.codemirror) -> None:
        """Give *editor* the colours of now and of every later theme."""
        self._editors = [known for known in self._editors if not known.is_deleted]
        self._editors.append(editor)
        editor.set_theme(self._name)

    def set_dark(self, value: bool) -> None:
        """Follow the theme."""
        self._is_dark = value
        for editor in self._editors:
            if not editor.is_deleted:
                editor.set_theme(self._name)

    @property
    def _name(self) -> Literal["vscodeDark", "vscodeLight"]:
        return "vscodeDark" if self._is_dark else "vscodeLight"


@dataclass(frozen=True)
class Workbench:
    """The places of the page."""

    top: Element
    notice: Element  # between the bar and the rest, for what people have to know
    left: Element
    center: Element
    right: Element

    def leave(self, title: str, text: str) -> None:
        """Cover the page with a notice from which only a link leads on, because what it shows is no more."""
        with dialog(title, width=440) as (window, foot):
            window.props("persistent").on("hide", js_handler="() => location.assign('/')")
            ui.label(text).classes("pw-soft")
            with foot:
                link_button("All flows", "/", kind="primary")
        window.open()

    def show_right(self) -> None:
        """Open the right panel."""
        self.right.classes(remove="fe-right--hidden", add="fe-right--open")

    def close_sheet(self) -> None:
        """On a phone, where the right panel lies over the canvas, put it away."""
        self.right.classes(remove="fe-right--open")

    def hide_right(self) -> None:
        """Close the right panel."""
        self.right.classes(add="fe-right--hidden", remove="fe-right--open")


@contextmanager
def workbench(
    *, left_title: str = "Nodes", right_title: str = "Details", is_readonly: bool = False
) -> Iterator[Workbench]:
    """Draw the frame and yield its places; *is_readonly* leaves the left one out, and fields take no input."""
    for sheet in ("flow.css", "expressions.css"):
        ui.add_head_html(f'<link rel="stylesheet" href="{theme.asset(sheet)}">')
    ui.on_exception(Unexpected())
    ui.link("Skip to the canvas", "#content").classes(replace="pw-skip")
    with box("fe fe--readonly" if is_readonly else "fe"):
        top = box("fe-top", "header")
        notice = box("fe-notice-place")
        with box("fe-body"):
            with box("fe-left", "aside") as left:
                left.props["aria-label"] = left_title
            with box("fe-center", "main").props("id=content tabindex=-1") as center:
                pass
            with box("fe-right", "aside") as right:
                right.props("tabindex=-1").props["aria-label"] = right_title
    bench = Workbench(top, notice, left, center, right)
    with center:
        _handle("fe-left-toggle", "left_panel_close", "Show or hide the left panel", ".fe-left")
        with box("fe-open-right", "button").props(
            'type=button aria-label="Show the panel" title="Show the panel"'
        ) as opener:
            icon("right_panel_open")
        opener.on("click", bench.show_right)
    yield bench


def _handle(classes: str, symbol: str, title: str, panel: str) -> None:
    with box(classes, "button").props("type=button") as handle:
        icon(symbol)
    handle.props["aria-label"] = handle.props["title"] = title
    handle.on("click", js_handler=f"() => document.querySelector('{panel}').classList.toggle('fe-left--hidden')")
