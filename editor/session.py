"""Who looks at the page: the operator, and the service as they may use it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from nicegui import Client, ui

from backend.operator_values import Role
from runtime.actors import Actor
from runtime.errors import Problem, SignedOut
from runtime.http.access import ACTOR

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service


def operator_of(client: Client) -> Actor | None:
    """Return the operator who loaded a page, with the role they had then."""
    actor = client.request.scope.get(ACTOR)
    return actor if isinstance(actor, Actor) else None


def operator_here() -> Actor:
    """Return the operator who loaded the page that is being built, with the role they had then."""
    actor = operator_of(ui.context.client)
    if actor is None:
        raise SignedOut(Problem("session.ended", "You are signed out. Sign in again."))
    return actor


def may_edit() -> bool:
    """Return whether the operator who loaded the page may change flows, tables and runs; viewers read."""
    return operator_here().may("editor")


def service_here(app: App) -> Service:
    """Return the service as the operator who loaded the page may use it, as long as they are signed in."""
    return app.service.of(operator_here())


def with_role(role: Role) -> bool:
    """Return whether the operator has this role; if not, draw a whole page that says that they need it."""
    if operator_here().may(role):
        return True
    from editor.error_pages import not_for_you  # here because the frame of that page asks who looks at it

    not_for_you(role)
    return False


def leave(client: Client) -> None:
    """Send a page whose sign-in ended to the sign-in form, which leads back to it."""
    client.open(f"/sign-in?next={quote(client.request.url.path)}")
