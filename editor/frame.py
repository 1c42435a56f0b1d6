"""The shell around every page: navigation, heading and place for the content."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Literal

from nicegui import app as pages
from nicegui import ui
from nicegui.element import Element

from backend.operator_values import Role
from editor import theme
from editor.elements import box as box
from editor.elements import icon as icon
from editor.operator_menu import operator_menu
from editor.session import leave, operator_of
from runtime.errors import Forbidden, SignedOut

Layout = Literal["list", "narrow", "wide", "full"]

Place = tuple[str, str, str, str, Role]  # its word, address, icon, title, and who finds it in the navigation
PLACES: tuple[Place, ...] = (
    ("flows", "/", "account_tree", "Flows", "viewer"),
    ("runs", "/runs", "history", "Runs", "viewer"),
    ("tables", "/tables", "table", "Tables", "viewer"),
    ("users", "/users", "group", "Users", "owner"),
    ("mailbox", "/mailbox", "inbox", "Mailbox", "editor"),
    ("settings", "/settings", "settings", "Settings", "viewer"),
)
TABS = 5  # that fit side by side on a phone; what is beyond goes into the last one, “More”
THEMES = (("auto", "contrast", "Follow the system"), ("light", "light_mode", "Light"), ("dark", "dark_mode", "Dark"))
UNREAD_EVERY_S = 4.0
QUIET_S = 30.0


@contextmanager
def frame(
    title: str,
    *,
    active: str,
    actions: Callable[[], object] | None = None,
    layout: Layout = "list",
    heading: bool = True,
) -> Iterator[Element]:
    """Draw the shell and yield the element that holds the page's content.

    *active* is the place in the navigation (the first word of a line in PLACES); *actions* draws what stands right of
    the heading. *layout*: ``list`` and ``narrow`` centre the content, ``wide`` lets it fill the width, ``full`` gives
    it the whole height too, with neither heading nor padding.
    """
    theme.dress()
    ui.on_exception(Unexpected())
    ui.page_title(f"{title} · Pulsewire" if title else "Pulsewire")
    counts: list[ui.label] = []
    ui.link("Skip to content", "#content").classes(replace="pw-skip")
    with box("pw-shell"):
        _navigation(active, counts)
        _top_bar()
        with box("pw-main" + (" pw-main--full" if layout == "full" else ""), "main").props("id=content tabindex=-1"):
            if heading and layout != "full":
                with box(f"pw-head pw-head--{layout}", "header"):
                    with box(tag="h1").classes("pw-clip"):
                        ui.label(title).classes("pw-clip")
                    if actions:
                        with box("pw-head-actions"):
                            actions()
            with box(f"pw-body pw-body--{layout}") as content:
                yield content
        _tabs(active, counts)
    _watch_unread(counts)


def _places() -> list[Place]:
    """Return the places that the operator who looks at the page may go to."""
    operator = operator_of(ui.context.client)
    return [place for place in PLACES if operator is not None and operator.may(place[-1])]


def _navigation(active: str, counts: list[ui.label]) -> None:
    with box("pw-nav", "nav").props('aria-label="Main"'):
        _brand()
        for key, target, symbol, title, _role in _places():
            with _place(target, key == active, "pw-link"):
                icon(symbol)
                ui.label(title).classes("pw-link-text")
                _count(key, counts)
        with box("pw-nav-end"):
            operator_menu("pw-link", is_named=True)
            _theme_switch("pw-link", is_named=True)
            with box("pw-link pw-fold", "button").props(
                'type=button aria-label="Fold or unfold the navigation"'
            ) as fold:
                icon("left_panel_close")
                ui.label("Fold").classes("pw-link-text")
            fold.on("click", js_handler="() => window.pulsewireNav.toggle()")


def _brand() -> None:
    with ui.link(target="/").classes(replace="pw-brand").props('aria-label="Pulsewire, all flows"'):
        ui.element("img").props(f'src="{theme.asset("favicon.svg")}" alt=""')
        ui.label("Pulsewire").classes("pw-link-text")


def _place(target: str, is_active: bool, classes: str) -> ui.link:
    link = ui.link(target=target).classes(replace=classes)
    return link.props("aria-current=page") if is_active else link


def _count(key: str, counts: list[ui.label]) -> None:
    if key == "mailbox":
        counts.append(ui.label("").classes("pw-count"))


def _theme_switch(classes: str, *, is_named: bool) -> None:
    with box(classes, "button").props('type=button aria-label="Change the theme"') as switch:
        for mode, symbol, title in THEMES:
            icon(symbol).classes(f"pw-theme-icon pw-theme-{mode}")
            if is_named:
                text = "System theme" if mode == "auto" else f"{title} theme"
                ui.label(text).classes(f"pw-link-text pw-theme-icon pw-theme-{mode}")
    switch.on("click", js_handler="() => window.pulsewireTheme.next()")


def _top_bar() -> None:
    with box("pw-topbar", "header"):
        _brand()
        with box("pw-topbar-actions"):
            operator_menu("pw-round", is_named=False)
            _theme_switch("pw-round", is_named=False)


def _tabs(active: str, counts: list[ui.label]) -> None:
    places = _places()
    shown, more = (places, []) if len(places) <= TABS else (places[: TABS - 1], places[TABS - 1 :])
    with box("pw-tabs", "nav").props('aria-label="Main, below"'):
        for key, target, symbol, title, _role in shown:
            with _place(target, key == active, "pw-tab"):
                icon(symbol)
                ui.label(title)
                _count(key, counts)
        if more:
            _more(more, active, counts)


def _more(places: list[Place], active: str, counts: list[ui.label]) -> None:
    with box("pw-tab", "button").props("type=button") as tab:
        if active in {key for key, *_ in places}:
            tab.props("aria-current=page")
        icon("more_horiz")
        ui.label("More")
        for key, *_ in places:
            _count(key, counts)
        with (
            ui.menu()
            .props("auto-close anchor='top right' self='bottom right' :offset='[0, 8]'")
            .classes("pw-more-menu")
        ):
            for key, target, symbol, title, _role in places:
                with ui.menu_item(on_click=lambda target=target: ui.navigate.to(target)) as item:
                    icon(symbol)
                    ui.label(title)
                    _count(key, counts)
                if key == active:
                    item.props("active")


class Unexpected:
    """Tells the person that something failed that nobody foresaw; a page that keeps failing says so now and then."""

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def __call__(self, exception: Exception) -> None:
        if isinstance(exception, SignedOut):
            leave(ui.context.client)
            return
        now = monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_S
            unforeseen = "That did not work. Try again; if it stays like this, the server's log says why."
            ui.notify(
                str(exception) if isinstance(exception, Forbidden) else unforeseen,
                icon="sym_r_error",
                classes="pw-toast pw-toast--fail",
                timeout=8000,
                close_button="Close",
            )


def _watch_unread(counts: list[ui.label]) -> None:
    operator = operator_of(ui.context.client)
    if operator is None or not operator.may("editor"):
        return
    service = pages.state.pulsewire.of(operator)

    async def refresh() -> None:
        unread = await to_thread(service.mailbox.unread_count)
        for label in counts:
            label.set_text(str(min(unread, 99)) if unread else "")

    ui.timer(UNREAD_EVERY_S, refresh, immediate=True)
