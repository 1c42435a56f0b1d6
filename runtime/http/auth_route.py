"""What the routes of ``/auth`` have in common: no API key, small bodies, no caches, a session where one is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from backend.errors import BackendError
from backend.sessions import Sessions, SessionView
from runtime.http.answers import Json, refusal_of
from runtime.http.auth_shapes import field_error
from runtime.http.auth_tokens import NoSession, presented
from runtime.http.bodies import JsonRequest
from runtime.http.guard import SAFE_METHODS

BODY_BYTES = 65_536  # a password of 4,096 bytes, each written as an escape, fits


class AuthRoute(APIRoute):
    """A route for people who are users of the backend, or want to be."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        has_body = self.body_field is not None

        async def handle_unkept(request: Request) -> Response:
            try:
                if has_body:
                    request = JsonRequest(request.scope, request.receive)
                    await request.load(BODY_BYTES)
                response = await handle(request)
            except Exception as error:  # answered here, inside the guard that sets the headers
                response = _answer_to(error)
            response.headers["Cache-Control"] = "no-store"
            return response

        return handle_unkept


class SessionDoor:
    """Finds the session that a request carries."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def require(self, request: Request) -> SessionView:
        """Return the session; raises NoSession, also for a change by cookie without the anti-CSRF token."""
        given = presented(request, "access")
        if given is None:
            raise NoSession("unauthorised")
        session = await asyncio.to_thread(self._sessions.check, given.token)  # it may note a first use
        if session is None:
            raise NoSession("try refresh token")
        if given.mode == "cookie" and request.method not in SAFE_METHODS:
            token = request.headers.get("anti-csrf")
            if not (session.needs_csrf and session.accepts_csrf(token)):
                raise NoSession("try refresh token")
        return session

    async def find(self, request: Request) -> SessionView | None:
        """Return the session, or None; only good for telling the user what they may know anyway."""
        given = presented(request, "access")
        return await asyncio.to_thread(self._sessions.check, given.token) if given else None


def no_session(message: str) -> Json:
    """Return the answer by which a client knows that it has to refresh, or to sign in."""
    return Json({"message": message}, 401, {"WWW-Authenticate": "Bearer"})


def _answer_to(error: Exception) -> Response:
    if isinstance(error, NoSession):
        return no_session(error.message)
    if isinstance(error, BackendError) and all(fault.field for fault in error.faults):
        return field_error(error)
    return refusal_of(error)
