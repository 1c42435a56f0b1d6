"""What the sign-in pages of operators look like, and the headers of every answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

STATIC = Path(__file__).resolve().parents[2] / "static"
ASSETS = {
    "icon": "favicon.svg",
    "forms": "hosted/hosted.css",
    "css": "operators/operators.css",
    "js": "hosted/hosted.js",
}
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
NO_FIELDS = dict.fromkeys(("email", "name", "password"), "")


class Views:
    """Draws the pages, in the theme that the person chose in the editor."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader([STATIC / "operators", STATIC / "hosted"]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["assets"] = {name: _address(path) for name, path in ASSETS.items()}

    def form(
        self,
        request: Request,
        name: str,
        status: int = 200,
        *,
        values: Mapping[str, str] = NO_FIELDS,
        errors: Mapping[str, str] = NO_FIELDS,
        notice: str = "",
        **more: Any,
    ) -> Response:
        """Return the form *name*, with *values* in its fields and *errors* beside them."""
        shown = {"values": NO_FIELDS | dict(values), "errors": NO_FIELDS | dict(errors), "notice": notice}
        return self._page(request, name, status, is_wrong=bool(notice or any(errors.values())), **shown, **more)

    def told(
        self,
        request: Request,
        status: int,
        title: str,
        message: str,
        *,
        symbol: str = "problem",
        tone: str = "stop",
        command: str = "",
        back: str = "",
        back_title: str = "",
    ) -> Response:
        """Return a page that says something and has no form."""
        said = {"title": title, "message": message, "symbol": symbol, "tone": tone, "command": command}
        return self._page(request, "told", status, is_wrong=False, back=back, back_title=back_title, **said)

    def _page(self, request: Request, name: str, status: int, **values: Any) -> Response:
        chosen = request.cookies.get("pulsewire_theme")
        theme = chosen if chosen in ("light", "dark") else ""
        content = self._templates.get_template(f"{name}.html").render(theme=theme, **values)
        return HTMLResponse(content, status, headers=HEADERS)


def _address(path: str) -> str:
    return f"/static/{path}?v={hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]}"
