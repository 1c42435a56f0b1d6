"""What is shown for an address that does not exist and for a page that failed."""

from __future__ import annotations

import logging

from fastapi import Request, Response
from fastapi.exception_handlers import http_exception_handler
from nicegui import Client, ui
from nicegui import app as pages
from starlette.exceptions import HTTPException

from editor.frame import frame
from editor.widgets import empty_state, link_button
from runtime.errors import Forbidden, SignedOut

log = logging.getLogger(__name__)

MACHINE_PATHS = ("/api/", "/auth/", "/hooks/", "/static/", "/_nicegui")


def register() -> None:
    """Answer unknown addresses and failing pages in the design of the others."""

    @pages.exception_handler(404)
    async def missing(request: Request, exception: HTTPException) -> Response:
        if request.url.path.startswith(MACHINE_PATHS):
            return await http_exception_handler(request, exception)
        with Client(ui.page(""), request=request) as client:
            not_found("page", "The address may be mistyped, or what it showed was deleted.")
        return client.build_response(request, 404)

    pages.on_page_exception(failed)


def not_found(thing: str, advice: str, *, back: str = "/", back_title: str = "All flows", active: str = "") -> None:
    """Draw a whole page that says that *thing* does not exist."""
    title = f"There is no such {thing}"
    with frame("Not found", active=active, heading=False), empty_state("search_off", title, advice):
        link_button(back_title, back, icon="arrow_back")


def not_for_you(role: str) -> None:
    """Draw a whole page that says that it takes the role *role*."""
    ui.context.client.status_code = 403
    with (
        frame("Not for your role", active="", heading=False),
        empty_state(
            "lock", "This page is not for your role", f"It needs the role “{role}”. An owner can give it to you."
        ),
    ):
        link_button("All flows", "/", icon="arrow_back")


def failed(exception: Exception) -> None:
    """Draw a whole page that says that showing it failed."""
    if isinstance(exception, SignedOut):
        ui.navigate.to("/sign-in")
        return
    if isinstance(exception, Forbidden):
        not_for_you("editor")
        return
    log.error("page failed", exc_info=exception)
    with (
        frame("Something went wrong", active="", heading=False),
        empty_state(
            "error",
            "This page could not be shown",
            "Nothing was changed. Load it again; if it stays like this, the server's log says why.",
        ),
    ):
        ui.button("Load again", color=None, on_click=ui.navigate.reload).props("unelevated").classes(
            "pw-btn pw-btn--primary"
        )
        link_button("All flows", "/")
