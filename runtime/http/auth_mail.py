"""``/auth/user``: verifying an address and setting a new password, with the token that a mail brought."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from starlette.requests import Request
from starlette.responses import Response

from backend.sessions import SessionEnded
from backend.sign_in import TokenRefused
from runtime.http import auth_examples as examples
from runtime.http.answers import Json
from runtime.http.auth_route import AuthRoute, SessionDoor
from runtime.http.auth_shapes import Form, NewPassword, Verification
from runtime.http.auth_tokens import NoSession, TokenCarrier
from runtime.http.client_address import client_address
from runtime.service import Service


def auth_mail_routes(service: Service) -> APIRouter:
    """Return the routes of e-mail verification and password reset."""
    router = APIRouter(prefix="/auth/user", tags=[examples.TAG], route_class=AuthRoute)
    sign_in = service.sign_in
    carrier, door = TokenCarrier(service.settings.public_url), SessionDoor(service.sessions)

    @router.get(
        "/email/verify",
        summary="Is the user's address verified?",
        responses=examples.said(examples.IS_VERIFIED, needs_session=True, has_body=False),
    )
    async def is_verified(request: Request) -> Response:
        session = await door.require(request)
        return carrier.with_claims(Json({"status": "OK", "isVerified": session.is_verified}), session)

    @router.post(
        "/email/verify/token",
        summary="Ask for a verification mail",
        description="Starts the flows on “Email verification requested”, which send the mail.",
        responses=examples.said(
            examples.OK, examples.ALREADY_VERIFIED, needs_session=True, has_body=False, is_throttled=True
        ),
    )
    async def request_verification(request: Request) -> Response:
        session = await door.require(request)
        try:
            is_asked = await sign_in.request_verification(session.user_id)
        except SessionEnded as error:
            raise NoSession("try refresh token") from error
        return carrier.with_claims(Json(examples.OK if is_asked else examples.ALREADY_VERIFIED), session)

    @router.post(
        "/email/verify",
        summary="Verify an address",
        responses=examples.said(examples.OK, examples.VERIFY_TOKEN_INVALID, is_throttled=True),
    )
    async def verify(
        request: Request, verification: Annotated[Verification, Body(examples=[examples.VERIFICATION])]
    ) -> Response:
        try:
            await sign_in.verify(verification.token, address=client_address(request.scope, service.settings))
        except TokenRefused:
            return Json(examples.VERIFY_TOKEN_INVALID)
        session = await door.find(request)
        return carrier.with_claims(Json(examples.OK), session) if session else Json(examples.OK)

    @router.post(
        "/password/reset/token",
        summary="Ask for a password reset mail",
        description="Starts the flows on “Password reset requested”, which send the mail. The answer is the same for "
        "an address without an account.",
        responses=examples.said(examples.OK, examples.FIELD_ERROR, is_throttled=True),
    )
    async def request_reset(request: Request, form: Annotated[Form, Body(examples=[examples.RESET])]) -> Response:
        await sign_in.request_reset(**form.values("email"), address=client_address(request.scope, service.settings))
        return Json(examples.OK)

    @router.post(
        "/password/reset",
        summary="Set a new password",
        description="Signs the user out everywhere.",
        responses=examples.said(examples.OK, examples.RESET_TOKEN_INVALID, is_throttled=True),
    )
    async def reset(request: Request, form: Annotated[NewPassword, Body(examples=[examples.NEW_PASSWORD])]) -> Response:
        entered = form.values("password")
        try:
            await sign_in.reset(form.token, **entered, address=client_address(request.scope, service.settings))
        except TokenRefused:
            return Json(examples.RESET_TOKEN_INVALID)
        return Json(examples.OK)

    return router
