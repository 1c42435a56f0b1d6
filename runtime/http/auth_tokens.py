"""How the tokens of a signed-in user travel: in cookies, in headers or in the body.

Names of cookies and headers are those that SuperTokens' web clients know (front-end driver interface 1.16 to 4.2). A
client keeps ``front-token``, which says who is signed in until when and is no secret, and knows by it when to refresh.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response

from backend.sessions import SessionView, Tokens
from runtime.http.answers import Json

Mode = Literal["cookie", "header", "body"]
Part = Literal["access", "refresh"]

REFRESH_PATH = "/auth/session/refresh"
COOKIES: dict[Part, str] = {"access": "sAccessToken", "refresh": "sRefreshToken"}
HEADERS: dict[Part, str] = {"access": "st-access-token", "refresh": "st-refresh-token"}
CLIENT_COOKIES = ("sFrontToken", "sAntiCsrf", "st-last-access-token-update")  # written by the client in its browser
FRONT_TOKEN_BYTES = 3_500  # the client keeps it in a cookie, and browsers drop one of more than 4,096


class NoSession(Exception):
    """The call needs a session; *message* is what the client goes by: it refreshes, and then asks again."""

    def __init__(self, message: Literal["unauthorised", "try refresh token"]) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class Presented:
    """A token as it came: *mode* says how."""

    token: str
    mode: Mode


def wanted_mode(request: Request) -> Mode:
    """Return how the client wants its tokens; cookies unless it says otherwise."""
    if request.headers.get("fg-auth-mode", "").lower() == "body":
        return "body"
    return "header" if request.headers.get("st-auth-mode", "").lower() == "header" else "cookie"


def presented(request: Request, part: Part) -> Presented | None:
    """Return the token that came with the request; one in the Authorization header goes before a cookie."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return Presented(token.strip(), "body" if wanted_mode(request) == "body" else "header")
    cookie = request.cookies.get(COOKIES[part])
    return Presented(cookie, "cookie") if cookie else None


class TokenCarrier:
    """Puts tokens on answers, and takes them off again."""

    def __init__(self, public_url: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        address = urlsplit(public_url)
        self._is_secure = address.scheme == "https"
        self._root = address.path.rstrip("/")
        self._clock = clock

    def signed_in(self, request: Request, answer: dict[str, Any], tokens: Tokens, mode: Mode) -> Json:
        """Return *answer* with *tokens*, as *mode* wants them."""
        if mode == "body":
            expires_at = tokens.session.expires_at.isoformat().replace("+00:00", "Z")
            given = {"accessToken": tokens.access, "refreshToken": tokens.refresh, "accessTokenExpiresAt": expires_at}
            return Json(answer | given)
        response = self.with_claims(Json(answer), tokens.session)
        if mode == "header":
            response.headers[HEADERS["access"]] = tokens.access
            response.headers[HEADERS["refresh"]] = tokens.refresh
            return response
        self._set_cookies(request, response, tokens)
        if tokens.csrf is not None:
            response.headers["anti-csrf"] = tokens.csrf
        return response

    def signed_out(self, request: Request, response: Response, mode: Mode) -> Response:
        """Make the client forget what it has; it had come as *mode*."""
        response.headers["front-token"] = "remove"
        if mode == "cookie":
            self._clear_cookies(request, response)
        elif mode == "header":
            for name in HEADERS.values():
                response.headers[name] = ""
        return response

    def signed_in_page(self, request: Request, response: Response, tokens: Tokens, *, with_client: bool) -> Response:
        """Sign in the browser that sent a form; *with_client*: an app on this host goes on from here.

        Its client then finds the cookies that it would have written itself, and so takes the session over.
        """
        max_age_s = self._set_cookies(request, response, tokens)
        if with_client:
            now = self._clock()
            values = (front_token(tokens.session, now), tokens.csrf or "", str(_ms(now)))
            for name, value in zip(CLIENT_COOKIES, values, strict=True):
                self._set_client_cookie(response, name, value, max_age_s)
        return response

    def signed_out_page(self, request: Request, response: Response) -> Response:
        """Take away everything that ``signed_in_page`` has put on."""
        self._clear_cookies(request, response)
        for name in CLIENT_COOKIES:
            self._set_client_cookie(response, name, "", 0)
        return response

    def with_claims(self, response: Json, session: SessionView) -> Json:
        """Tell the client who is signed in, as of now."""
        response.headers["front-token"] = front_token(session, self._clock())
        return response

    def _set_cookies(self, request: Request, response: Response, tokens: Tokens) -> int:
        """Set the cookies and return for how many seconds the browser keeps them.

        Both live as long as the refresh token: an access token that came late is told apart from none.
        """
        max_age_s = int((tokens.refresh_expires_at - self._clock()).total_seconds())
        self._write_cookies(request, response, tokens.access, tokens.refresh, max_age_s)
        return max_age_s

    def _clear_cookies(self, request: Request, response: Response) -> None:
        self._write_cookies(request, response, "", "", 0)

    def _set_client_cookie(self, response: Response, name: str, value: str, max_age_s: int) -> None:
        # by hand: set_cookie would put quotes around base64, which the client does not take off
        secure = "; Secure" if self._is_secure else ""
        response.headers.append("Set-Cookie", f"{name}={value}; Max-Age={max_age_s}; Path=/; SameSite=lax{secure}")

    def _write_cookies(self, request: Request, response: Response, access: str, refresh: str, max_age_s: int) -> None:
        # only an origin that the settings name gets here from another site, and its cookies need https
        is_cross_site = request.headers.get("sec-fetch-site") == "cross-site"
        same_site: Literal["lax", "none"] = "none" if is_cross_site and self._is_secure else "lax"
        paths = {COOKIES["access"]: "/", COOKIES["refresh"]: REFRESH_PATH}
        for name, value in ((COOKIES["access"], access), (COOKIES["refresh"], refresh)):
            response.set_cookie(
                name,
                value,
                max_age=max_age_s,
                path=self._root + paths[name],
                secure=self._is_secure,
                httponly=True,
                samesite=same_site,
            )


def front_token(session: SessionView, now: datetime) -> str:
    """Return what the client may know of *session*: user, end of the access token, and claims as of *now*."""
    now_ms, ends_ms = _ms(now), _ms(session.expires_at)
    claims: dict[str, Any] = {
        "iat": now_ms // 1000,
        "exp": ends_ms // 1000,
        "sub": session.user_id,
        "tId": "public",
        "rsub": session.user_id,
        "sessionHandle": session.handle,
        "st-ev": {"v": session.is_verified, "t": now_ms},
    }
    roles = {"st-role": {"v": list(session.roles), "t": now_ms}}
    token = _encoded({"uid": session.user_id, "ate": ends_ms, "up": claims | roles})
    if len(token) <= FRONT_TOKEN_BYTES:
        return token
    return _encoded({"uid": session.user_id, "ate": ends_ms, "up": claims})  # GET /auth/user has all roles


def _encoded(value: dict[str, Any]) -> str:
    return base64.b64encode(orjson.dumps(value)).decode()


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
