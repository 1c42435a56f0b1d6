"""``/auth``: signing up, in and out, for the web clients of SuperTokens and for anyone who can send JSON."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Body
from starlette.requests import Request
from starlette.responses import Response

from backend.sessions import CsrfMissing, SessionEnded, TokenTheft
from backend.sign_in import SignUpClosed, WrongCredentials
from runtime.http import auth_examples as examples
from runtime.http.answers import Json
from runtime.http.auth_route import AuthRoute, SessionDoor, no_session
from runtime.http.auth_shapes import Form, Refresh, profile, signed_in_user
from runtime.http.auth_tokens import Presented, TokenCarrier, presented, wanted_mode
from runtime.http.client_address import client_address
from runtime.service import Service


def auth_routes(service: Service) -> APIRouter:
    """Return the routes of sign-up, sign-in and sessions; see runtime/http/auth_mail.py for the ones with a mail."""
    router = APIRouter(prefix="/auth", tags=[examples.TAG], route_class=AuthRoute)
    sign_in, sessions = service.sign_in, service.sessions
    carrier, door = TokenCarrier(service.settings.public_url), SessionDoor(sessions)

    @router.post(
        "/signup",
        summary="Sign up",
        description=examples.TOKENS,
        responses=examples.said(examples.SIGNED_IN, examples.FIELD_ERROR, examples.SIGN_UP_CLOSED, is_throttled=True),
    )
    async def sign_up(request: Request, form: Annotated[Form, Body(examples=[examples.SIGN_UP])]) -> Response:
        entered, mode = form.values("email", "password", optional=("first_name", "last_name")), wanted_mode(request)
        address = client_address(request.scope, service.settings)
        try:
            tokens = await sign_in.sign_up(**entered, address=address, with_csrf=mode == "cookie")
        except SignUpClosed as error:
            return Json({"status": "GENERAL_ERROR", "message": str(error)})
        assert tokens is not None  # as a session was asked for
        user = signed_in_user(tokens.session, request.headers.get("fdi-version"))
        return carrier.signed_in(request, {"status": "OK", "user": user}, tokens, mode)

    @router.post(
        "/signin",
        summary="Sign in",
        description=examples.TOKENS,
        responses=examples.said(examples.SIGNED_IN, examples.WRONG_CREDENTIALS, is_throttled=True),
    )
    async def sign_user_in(request: Request, form: Annotated[Form, Body(examples=[examples.SIGN_IN])]) -> Response:
        entered, mode = form.values("email", "password"), wanted_mode(request)
        address = client_address(request.scope, service.settings)
        try:
            tokens = await sign_in.sign_in(**entered, address=address, with_csrf=mode == "cookie")
        except WrongCredentials:
            return Json(examples.WRONG_CREDENTIALS)
        user = signed_in_user(tokens.session, request.headers.get("fdi-version"))
        return carrier.signed_in(request, {"status": "OK", "user": user}, tokens, mode)

    @router.post(
        "/signout", summary="Sign out", responses=examples.said(examples.OK, needs_session=True, has_body=False)
    )
    async def sign_out(request: Request) -> Response:
        given = presented(request, "access")
        if given is not None:
            await asyncio.to_thread(sessions.end, (await door.require(request)).handle)
        return carrier.signed_out(request, Json(examples.OK), given.mode if given else wanted_mode(request))

    @router.post(
        "/session/refresh",
        summary="Exchange the refresh token",
        description=examples.REFRESH,
        responses=examples.said(examples.OK, needs_session=True, is_throttled=True),
    )
    async def refresh(
        request: Request, body: Annotated[Refresh | None, Body(examples=[examples.REFRESH_BODY])] = None
    ) -> Response:
        in_body = Presented(body.refresh_token, "body") if body and body.refresh_token else None
        given = in_body or presented(request, "refresh")
        if given is None:
            return no_session("unauthorised")
        csrf, is_cookie = request.headers.get("anti-csrf"), given.mode == "cookie"
        try:
            tokens = await asyncio.to_thread(sessions.refresh, given.token, with_csrf=is_cookie, csrf=csrf)
        except CsrfMissing:  # whoever made the browser send this must not sign its user out
            return no_session("unauthorised")
        except (SessionEnded, TokenTheft) as error:
            message = "token theft detected" if isinstance(error, TokenTheft) else "unauthorised"
            return carrier.signed_out(request, no_session(message), given.mode)
        return carrier.signed_in(request, examples.OK, tokens, given.mode)

    @router.get(
        "/session",
        summary="Read the session",
        responses=examples.said(examples.SESSION, needs_session=True, has_body=False),
    )
    async def read_session(request: Request) -> Response:
        session = await door.require(request)
        expires_at = session.expires_at.isoformat().replace("+00:00", "Z")
        found = {"handle": session.handle, "userId": session.user_id, "accessTokenExpiresAt": expires_at}
        return Json({"status": "OK", "session": found})

    @router.get(
        "/user",
        summary="Read the signed-in user",
        responses=examples.said(examples.USER, needs_session=True, has_body=False),
    )
    async def read_user(request: Request) -> Response:
        return Json({"status": "OK", "user": profile(await door.require(request))})

    @router.get(
        "/signup/email/exists",
        summary="Has an address an account? Nobody is told",
        description="Clients ask this while a person types. The answer is always no: who has an account is not public.",
        responses=examples.said(examples.EXISTS, has_body=False),
    )
    @router.get("/emailpassword/email/exists", include_in_schema=False)
    async def email_exists() -> Response:
        return Json(examples.EXISTS)

    return router
