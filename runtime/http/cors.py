"""Front-ends on other origins: those named in the settings of the hosted pages may call ``/auth``, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX = "/auth/"
METHODS = "GET, POST"
REQUEST_HEADERS = "content-type, authorization, rid, fdi-version, anti-csrf, st-auth-mode, fg-auth-mode"
EXPOSED_HEADERS = "front-token, anti-csrf, st-access-token, st-refresh-token, retry-after"
REMEMBERED_S = 600  # how long a browser need not ask again whether it may ask

Origins = Callable[[], Collection[str]]
"""Returns the origins that may call, in lower case, such as ``https://shop.example.com``."""


def guest(scope: Scope, origin: str | None, origins: Origins) -> str | None:
    """Return *origin* when a page there may make this call, else None."""
    if origin is None or scope["type"] != "http" or not scope["path"].startswith(PREFIX):
        return None
    return origin if origin in origins() else None


async def serve(app: ASGIApp, origin: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Let *app* answer a page at *origin*, in a way that its browser passes on; a preflight is answered here."""
    send = _with_allowance(send, origin)
    names = {name for name, _ in scope["headers"]}
    if scope["method"] == "OPTIONS" and b"access-control-request-method" in names:
        await _preflight()(scope, receive, send)
    else:
        await app(scope, receive, send)


def _preflight() -> Response:
    allowed = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": REQUEST_HEADERS,
        "Access-Control-Max-Age": str(REMEMBERED_S),
    }
    return Response(status_code=204, headers=allowed)


def _with_allowance(send: Send, origin: str) -> Send:
    allowance = [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", EXPOSED_HEADERS.encode()),
        (b"vary", b"Origin"),
    ]

    async def send_with_allowance(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *allowance]
        await send(message)

    return send_with_allowance
