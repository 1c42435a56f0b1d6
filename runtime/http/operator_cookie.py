"""The cookie that an operator is signed in by, and the token of the form that signs them out."""

from __future__ import annotations

import hmac
from http.cookies import CookieError

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from backend.operator_sessions import LIVES
from runtime.settings import Settings

COOKIE = "pulsewire_operator"


def cookie_in(scope: Scope) -> str | None:
    """Return the value of the cookie that came with a request, or None."""
    try:
        return HTTPConnection(scope).cookies.get(COOKIE)
    except (CookieError, ValueError):
        return None


def give(response: Response, value: str, *, is_secure: bool) -> None:
    """Let the browser keep the cookie for two weeks; scripts cannot read it."""
    lives_s = int(LIVES.total_seconds())
    response.set_cookie(COOKIE, value, max_age=lives_s, path="/", secure=is_secure, httponly=True, samesite="lax")


def take_away(response: Response, *, is_secure: bool) -> None:
    """Let the browser forget the cookie."""
    response.delete_cookie(COOKIE, path="/", secure=is_secure, httponly=True, samesite="lax")


def is_secure(scope: Scope, settings: Settings) -> bool:
    """Return whether the cookie may travel by HTTPS alone."""
    return scope.get("scheme") in ("https", "wss") or settings.public_url.startswith("https:")


def sign_out_token(session: str) -> str:
    """Return what the sign-out form of a sign-in carries; nobody else can know it."""
    return hmac.digest(session.encode(), b"sign-out", "sha256").hex()
