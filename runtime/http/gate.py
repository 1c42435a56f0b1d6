"""Behind the guard, in front of everything else: pages and their socket are for operators who are signed in.

What is not listed here as open needs an operator. The API and ``/auth`` have doors of their own: keys and sessions of
end users. A key opens no page, and an operator's cookie no route of the API.
"""

from __future__ import annotations

import re
from asyncio import to_thread
from collections.abc import Callable
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import BackendError
from backend.operator_values import Visit
from runtime.actors import Actor
from runtime.errors import Forbidden, Problem, SignedOut
from runtime.http.access import ACTOR
from runtime.http.answers import refusal_of
from runtime.http.guard import SOCKET_PATH
from runtime.http.operator_cookie import cookie_in, give, is_secure
from runtime.http.sign_in import SIGN_IN, safe_next
from runtime.service import Service
from storage.errors import StorageError

OPEN = frozenset(
    {
        "/healthz",
        "/readyz",
        "/metrics",  # asks for a key itself
        "/favicon.ico",
        # operators on their way in
        SIGN_IN,
        "/sign-out",
        "/set-up",
        "/invitation",
        # end users
        "/login",
        "/signup",
        "/verify-email",
        "/forgot-password",
        "/set-new-password",
        "/logout",
        "/account",
    }
)
OPEN_BELOW = ("/api/", "/approve/", "/auth/", "/hooks/", "/hosted/", "/static/")
PAGE_FILES = re.compile(r"/_nicegui/[0-9.]+/(?:static|libraries|components|resources|dynamic_resources|esm)/")
OF_CLIENT = re.compile(r"/_nicegui/client/([^/]+)/")
POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1
SIGNED_OUT = Problem("session.missing", "Sign in to the editor first.")
FOREIGN = Problem("client.foreign", "This page was opened by somebody else. Load it again.")

OwnerOfPage = Callable[[str], str | None]
"""Returns the digest of the sign-in that loaded a page, by the id that its socket has; None for an unknown page."""


def is_open(path: str) -> bool:
    """Return whether the address answers people whom nobody knows."""
    return path in OPEN or path == "/api" or path.startswith(OPEN_BELOW) or PAGE_FILES.match(path) is not None


class Gate:
    """ASGI middleware. Puts the operator into the scope, where ``service_of`` and the pages find them."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            visit = await self._visit(scope)
        except (BackendError, StorageError) as error:
            await _refuse(error, scope, receive, send)
            return
        if visit is None:
            await _send_to_sign_in(scope, receive, send)
        elif not _owns_page(scope, visit):
            await _refuse(Forbidden(FOREIGN), scope, receive, send)
        else:
            await self._pass(visit, scope, receive, send)

    async def _visit(self, scope: Scope) -> Visit | None:
        cookie = cookie_in(scope)
        return None if cookie is None else await to_thread(self._service.operator_sessions.visit_by, cookie)

    async def _pass(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        if _is_navigation(scope) and await to_thread(self._service.operator_sessions.touch, visit.digest):
            send = self._with_cookie(scope, send)
        await self._app({**scope, ACTOR: Actor.visitor(visit)}, receive, send)

    def _with_cookie(self, scope: Scope, send: Send) -> Send:
        given = Response()
        give(given, cookie_in(scope) or "", is_secure=is_secure(scope, self._service.settings))

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", given.headers["set-cookie"])
            await send(message)

        return send_with_cookie


def _owns_page(scope: Scope, visit: Visit) -> bool:
    """Return whether the page that the request names, if it names one, was loaded in the same sign-in."""
    client = _client_id(scope)
    owner_of: OwnerOfPage | None = getattr(scope["app"].state, "owner_of_page", None)
    owner = owner_of(client) if client is not None and owner_of is not None else None
    return owner is None or owner == visit.digest


def _client_id(scope: Scope) -> str | None:
    if (named := OF_CLIENT.match(scope["path"])) is not None:
        return named[1]
    if scope["path"].startswith(SOCKET_PATH):
        return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("client_id", ())), None)
    return None


async def _send_to_sign_in(scope: Scope, receive: Receive, send: Send) -> None:
    if not _is_navigation(scope):
        await _refuse(SignedOut(SIGNED_OUT), scope, receive, send)
        return
    query = scope["query_string"].decode("latin-1")
    wanted = safe_next(quote(scope["path"]) + (f"?{query}" if query else ""))
    target = SIGN_IN if wanted == "/" else f"{SIGN_IN}?next={quote(wanted, safe='/')}"
    await RedirectResponse(target, 303, {"Cache-Control": "no-store"})(scope, receive, send)


def _is_navigation(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    headers = Headers(scope=scope)
    mode = headers.get("sec-fetch-mode")
    return mode == "navigate" if mode is not None else "text/html" in headers.get("accept", "")


async def _refuse(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "session.missing"})
    else:
        await refusal_of(error)(scope, receive, send)
