"""The pages, mounted on the HTTP application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import app as pages
from nicegui import run, ui

from editor import (
    audit_page,
    error_pages,
    flow_page,
    flows_page,
    hosted_pages,
    mailbox_page,
    roles_page,
    run_page,
    runs_page,
    settings_page,
    socket_guard,
    table_page,
    tables_page,
    theme,
    users_page,
)

if TYPE_CHECKING:
    from runtime.app import App

RECONNECT_S = 60
KEPT_S = 31_536_000  # a year: the addresses of static files change with their content
VIEWPORT = "width=device-width, initial-scale=1, viewport-fit=cover"
PAGES = (
    flows_page,
    flow_page,
    runs_page,
    run_page,
    tables_page,
    table_page,
    roles_page,
    hosted_pages,
    users_page,  # after what is below /users, which is no user's id
    mailbox_page,
    settings_page,
    audit_page,
)


def add_pages(app: App) -> None:
    """Mount every page and the static files on ``app.http``; call once, after its own routes are there."""
    # no page computes in another process: the pool's helper process would cost 10 MB, and complain when it outlives us
    run.setup = _without_processes
    pages.state.pulsewire = app.service
    theme.install()
    error_pages.register()
    for page in PAGES:
        page.register(app)
    pages.add_static_files("/static", theme.STATIC, max_cache_age=KEPT_S)
    ui.run_with(
        app.http,
        title="Pulsewire",
        favicon=theme.STATIC / "favicon.svg",
        viewport=VIEWPORT,
        dark=None,
        tailwind=False,
        reconnect_timeout=RECONNECT_S,
        show_welcome_message=False,
    )
    socket_guard.install(app)


def _without_processes() -> None:
    """Take the place of ``nicegui.run.setup``, which makes a pool of processes."""
