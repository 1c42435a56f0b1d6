"""In front of everything: refuses foreign hosts and origins, and sets the headers that browsers obey.

A page of another site must not act here with a person's browser: neither by posting to us, nor through the socket of
the editor, nor by pointing its own name at our address (DNS rebinding). Front-ends that the settings name may call
``/auth``; see runtime/http/cors.py. Requests of pages to ``/hooks`` are marked: each webhook says which may call it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.errors import Problem
from runtime.http import cors
from runtime.http.answers import refusal
from runtime.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SOCKET_PATH = "/_nicegui_ws/"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound
DROPPED = frozenset({b"x-forwarded-prefix"})  # would move every address the pages give out
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
HOOKS = "/hooks/"  # servers call them; whether pages of other sites may is said by each
FOREIGN = "pulsewire.foreign"  # where the scope of such a request says that a page of another site makes it
FOREIGN_HOST = Problem(
    "host.refused",
    "This server does not answer for that host name. Set PULSEWIRE_BASE_URL to the address that people use.",
)
FOREIGN_ORIGIN = Problem(
    "origin.refused",
    "Pages of other sites may not call this server. Set PULSEWIRE_BASE_URL if this is its own address.",
)


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings, origins: cors.Origins = frozenset) -> None:
        base = urlsplit(settings.base_url or "")
        bound = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._app = app
        self._hosts = {bound.lower(), *LOOPBACK} | ({_without_port(base.netloc)} if base.netloc else set())
        self._has_any_host = settings.host in EVERYWHERE
        self._invited = origins
        self._own_origin = f"{base.scheme}://{base.netloc}".lower() if base.netloc else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        host, origin, site = "", None, b""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value.decode("latin-1").lower()
            elif name == b"origin":
                origin = value.decode("latin-1").lower()
            elif name == b"sec-fetch-site":
                site = value
            elif name in DROPPED:
                scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] not in DROPPED]}
        problem = None
        is_hook = scope["type"] == "http" and scope["path"].startswith(HOOKS)
        guest = cors.guest(scope, origin, self._invited)  # a page that may call, though it is of another site
        if not self._has_any_host and _without_port(host) not in self._hosts:
            problem = FOREIGN_HOST
        elif is_hook:
            if self._is_of_a_page(origin, host, site):
                scope = {**scope, FOREIGN: True}
        elif guest is None and self._is_foreign(scope, origin, host, site):
            problem = FOREIGN_ORIGIN
        if problem is not None:
            await _refuse(problem, scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        elif guest is not None:
            await cors.serve(self._app, guest, scope, receive, _with_headers(send))
        else:
            await self._app(scope, receive, _with_headers(send))

    def _is_foreign(self, scope: Scope, origin: str | None, host: str, site: bytes) -> bool:
        if not self._acts(scope):
            return False
        if origin is None:
            return site == b"cross-site"
        if origin == "null":  # what browsers send with the forms of pages that ask for no-referrer, as ours do
            return site != b"same-origin"
        return not self._is_own(origin, host)

    def _is_of_a_page(self, origin: str | None, host: str, site: bytes) -> bool:
        """Return whether a browser says that a page of another origin is behind a request, whatever its method."""
        if origin is not None and (origin != "null" or site != b"same-origin"):
            return not self._is_own(origin, host)
        return site in (b"cross-site", b"same-site")

    def _acts(self, scope: Scope) -> bool:
        is_socket = scope["type"] == "websocket" or scope["path"].startswith(SOCKET_PATH)
        return is_socket or scope["method"] not in SAFE_METHODS

    def _is_own(self, origin: str, host: str) -> bool:
        return origin == self._own_origin or origin.partition("://")[2] == host != ""


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": problem.code})
    else:
        await refusal(403, [problem])(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in given)]
        await send(message)

    return send_with_headers


def _without_port(host: str) -> str:
    """Return the name in a Host header, in lower case, an IPv6 address with its brackets."""
    host = host.lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
