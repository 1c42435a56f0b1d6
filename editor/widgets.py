"""Small pieces that pages are made of: buttons, fields, dialogs, notices, chips, empty states."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from nicegui import ui
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from backend.errors import BackendError
from editor.frame import box, icon
from runtime.errors import RuntimeFault
from runtime.service import StorageError

Kind = Literal["plain", "primary", "danger", "ghost"]
Tone = Literal["ok", "fail", "warn", "info"]
Handler = Callable[..., Any]

TOASTS: dict[Tone, str] = {
    "ok": "sym_r_check_circle",
    "fail": "sym_r_error",
    "warn": "sym_r_warning",
    "info": "sym_r_info",
}
STATE_TONES = {
    "draft": "plain",
    "published": "ok",
    "paused": "warn",
    "queued": "plain",
    "running": "run",
    "waiting": "warn",
    "succeeded": "ok",
    "failed": "fail",
    "cancelled": "plain",
}
STATE_ICONS = {
    "queued": "schedule",
    "running": "progress_activity",
    "waiting": "hourglass_empty",
    "succeeded": "check_circle",
    "failed": "error",
    "cancelled": "block",
}
NOT_COPIED = "This browser lets no page copy. Select the text and copy it yourself."
Refused = (RuntimeFault, BackendError, StorageError)


def button(title: str, on_click: Handler | None = None, *, kind: Kind = "plain", icon: str | None = None) -> ui.button:
    """Return a button with words."""
    made = ui.button(title, on_click=on_click, icon=f"sym_r_{icon}" if icon else None, color=None)
    return made.props("unelevated no-caps").classes("pw-btn" + (f" pw-btn--{kind}" if kind != "plain" else ""))


def icon_button(
    symbol: str, title: str, on_click: Handler | None = None, *, is_small: bool = False, has_tip: bool = True
) -> ui.button:
    """Return a button with an icon; *title* is its name for screen readers and its tooltip."""
    made = ui.button(on_click=on_click, icon=f"sym_r_{symbol}", color=None).props("unelevated no-caps")
    made.props["aria-label"] = title
    made.classes("pw-icon-btn" + (" pw-icon-btn--small" if is_small else ""))
    if has_tip:
        with made:
            ui.tooltip(title).props("delay=350")
    return made


def link_button(title: str, target: str, *, icon: str | None = None, kind: Kind = "plain") -> ui.button:
    """Return a link that looks like a button."""
    made = button(title, kind=kind, icon=icon)
    made.props["href"] = target
    return made


def menu_item(title: str, symbol: str, on_click: Handler, *, is_danger: bool = False) -> ui.menu_item:
    """Add a line to the menu being built."""
    with ui.menu_item(on_click=on_click).classes("pw-danger" if is_danger else "") as item:
        icon(symbol)
        ui.label(title)
    return item


def chip(text: str, tone: str = "plain", *, symbol: str | None = None) -> Element:
    """Draw a small rounded word; *tone* is ``plain``, ``ok``, ``run``, ``warn``, ``fail`` or ``accent``."""
    with box(f"pw-chip pw-chip--{tone}", "span") as made:
        if symbol:
            icon(symbol).classes("pw-spin" if symbol == "progress_activity" else "")
        ui.label(text)
    return made


def status_chip(status: str) -> Element:
    """Draw the status of a run, or the state of a flow, in its colour."""
    return chip(status.capitalize(), STATE_TONES.get(status, "plain"), symbol=STATE_ICONS.get(status))


def row_link(target: str, said: str) -> ui.link:
    """Make the whole row of a list lead to *target*; *said* is its name for those who do not see it."""
    link = ui.link(target=target).classes(replace="pw-row-link")
    link.props["aria-label"] = said
    return link


@contextmanager
def card(classes: str = "") -> Iterator[Element]:
    """Draw a surface with a line around it."""
    with box(f"pw-card {classes}".strip(), "section") as made:
        yield made


@contextmanager
def empty_state(symbol: str | None, title: str, text: str) -> Iterator[Element]:
    """Draw what is shown where there is nothing yet; the block adds the buttons that change that."""
    with box("pw-empty"):
        if symbol:
            with box("pw-empty-icon"):
                icon(symbol)
        ui.label(title).classes("pw-empty-title")
        ui.label(text).classes("pw-empty-text")
        with box("pw-empty-actions") as actions:
            yield actions


@contextmanager
def field(title: str, *, hint: str | None = None, is_optional: bool = False) -> Iterator[Element]:
    """Draw a label above the control that the block adds, and a hint below it."""
    with box("pw-field", "label") as made:
        with box("pw-label", "span"):
            ui.label(title).style("display: inline")
            if is_optional:
                ui.label("optional").classes("pw-optional").style("display: inline")
        yield made
        if hint:
            ui.label(hint).classes("pw-hint")


def text_input(value: str = "", *, placeholder: str | None = None, **more: Any) -> ui.input:
    """Return a single-line field in the common look."""
    return ui.input(value=value, placeholder=placeholder, **more).props(
        "outlined dense hide-bottom-space autocomplete=off"
    )


def choice(options: Any, value: Any = None, **more: Any) -> ui.select:
    """Return a drop-down in the common look."""
    made = ui.select(options, value=value, **more)
    return made.props(
        "outlined dense hide-bottom-space options-dense dropdown-icon=sym_r_expand_more menu-self='top left'"
    )


def segments(options: Any, value: Any, on_change: Handler) -> ui.toggle:
    """Return a row of words of which one is chosen."""
    made = ui.toggle(options, value=value, on_change=on_change).classes("pw-segments")
    return made.props("unelevated no-caps toggle-color=plain toggle-text-color=plain")


@contextmanager
def dialog(title: str, *, width: int = 480) -> Iterator[tuple[ui.dialog, Element]]:
    """Build a dialog and yield it with the element for its buttons; the block fills the body. Open it yourself."""
    with ui.dialog() as made, ui.card().classes("pw-dialog").style(f"--pw-dialog-width: {width}px"):
        made.props["aria-label"] = title
        with box("pw-dialog-head"):
            with box(tag="h2"):
                ui.label(title)
            icon_button("close", "Close", made.close, is_small=True)
        body = box("pw-dialog-body")
        foot = box("pw-dialog-foot")
        with body:
            yield made, foot
    made.on("hide", made.delete)


async def confirm(title: str, text: str, *, action: str, is_danger: bool = True, typed: str | None = None) -> bool:
    """Ask and return whether the person agreed; with *typed*, only after this name was typed."""
    with dialog(title, width=440) as (made, foot):
        ui.label(text).classes("pw-soft")
        name: ui.input | None = None
        if typed is not None:
            with field(f"Type “{typed}” to confirm"):
                name = text_input().props("autofocus")
        with foot:
            button("Cancel", lambda: made.submit(False), kind="ghost")
            agree = button(action, lambda: made.submit(True), kind="danger" if is_danger else "primary")
        if name is not None:
            agree.set_enabled(False)
            name.on_value_change(lambda event: agree.set_enabled((event.value or "").strip() == (typed or "").strip()))
            name.on("keydown.enter", lambda: made.submit(True) if agree.enabled else None)
        else:
            agree.props("autofocus")
    return bool(await made)


def copies(pressed: Element, what: ui.label | str, *, told: str = "Copied") -> None:
    """Let *pressed* put a text, or the one of a label, on the clipboard, and say *told* when it is there."""
    text = json.dumps(what) if isinstance(what, str) else f"document.getElementById('{what.html_id}').textContent"

    def tell_of_it(event: GenericEventArguments) -> None:
        if event.args:
            toast(told)
        else:
            toast(NOT_COPIED, "fail")

    pressed.on("click", tell_of_it, js_handler=f"async () => emit(await pulsewireCopy({text}))")


def toast(text: str, tone: Tone = "ok") -> None:
    """Show a short notice below."""
    ui.notify(
        text,
        position="bottom",
        icon=TOASTS[tone],
        classes=f"pw-toast pw-toast--{tone}",
        timeout=8000 if tone == "fail" else 3500,
        close_button="Close" if tone == "fail" else False,
        progress=False,
    )


def reasons(refusal: Exception) -> list[str]:
    """Return what a refused request says, one sentence each."""
    if isinstance(refusal, RuntimeFault):
        return [problem.message for problem in refusal.problems]
    if isinstance(refusal, BackendError):
        return [fault.message for fault in refusal.faults]
    return [str(refusal)]


def tell(refusal: Exception) -> None:
    """Show why a request was refused."""
    toast("\n".join(reasons(refusal)[:4]) or "That was refused.", "fail")


def problem_list(messages: list[str]) -> None:
    """Draw every problem found, one line each."""
    with box("pw-problems", "ul").props("role=alert"):
        for message in messages:
            with box(tag="li"):
                icon("error")
                ui.label(message)
