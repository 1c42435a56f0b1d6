"""The socket of the pages: it acts for pages of its own sign-in only, and only as long as that lasts.

The gate has looked at the cookie when the socket was opened. NiceGUI takes each message by the page's id that stands
in it, whoever sent it; here that id is compared with the sign-in of the socket.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from nicegui import Client, core, nicegui

from editor.session import leave, operator_of
from runtime.actors import Actor
from runtime.errors import RuntimeFault, SignedOut
from runtime.http.access import ACTOR
from runtime.service import StorageError

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

Handler = Callable[[str, Any], Any]
HANDLERS: dict[str, Handler] = {
    "handshake": nicegui._on_handshake,
    "event": nicegui._on_event,
    "javascript_response": nicegui._on_javascript_response,
    "ack": nicegui._on_ack,
    "log": nicegui._on_log,
}


def install(app: App) -> None:
    """Take the place of NiceGUI's own handlers; call once the pages are there."""
    app.http.state.owner_of_page = owner_of_page
    for name, handler in HANDLERS.items():
        core.sio.on(name, _guarded(handler, app.service))


def owner_of_page(client_id: str) -> str | None:
    """Return the digest of the sign-in that loaded a page; None for a page that does not exist."""
    client = Client.instances.get(client_id)
    if client is None:
        return None
    operator = operator_of(client)
    return "" if operator is None or operator.session is None else operator.session


def _guarded(handler: Handler, service: Service) -> Callable[[str, Any], Awaitable[Any]]:
    async def handle(sid: str, message: Any) -> Any:
        if not _is_admitted(sid, message, service):
            return False
        answer = handler(sid, message)
        return await answer if inspect.isawaitable(answer) else answer

    return handle


def _is_admitted(sid: str, message: Any, service: Service) -> bool:
    client_id = message.get("client_id") if isinstance(message, dict) else None
    client = Client.instances.get(client_id) if isinstance(client_id, str) else None
    sender = (core.sio.get_environ(sid) or {}).get("asgi.scope", {}).get(ACTOR)
    if client is None or not isinstance(sender, Actor) or owner_of_page(client.id) != sender.session:
        return False
    try:
        service.standing.now(sender)
    except SignedOut:
        leave(client)
        return False
    except (RuntimeFault, StorageError):
        return False
    return True
