"""Forms that only our own pages can send: a cookie that scripts cannot read, and the same text in a hidden field.

It comes on top of the guard's look at the origin. A page of another site can neither read the cookie nor write the
field; on HTTPS the cookie's name keeps other hosts of the same domain from setting it.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

FIELD = "form_token"
COOKIE = "pulsewire_form"
BYTES = 32
SHAPE = re.compile(r"[A-Za-z0-9_-]{43}")


class FormTokens:
    """Gives and checks the tokens of forms; *is_https*: people reach this server by HTTPS."""

    def __init__(self, *, is_https: bool) -> None:
        self._is_https = is_https
        self._cookie = f"__Host-{COOKIE}" if is_https else COOKIE

    def of(self, request: Request) -> str:
        """Return the token for the forms of the answer: the browser's own, so that other tabs go on working."""
        return self._kept(request) or secrets.token_urlsafe(BYTES)

    def is_sent(self, request: Request, fields: Mapping[str, str]) -> bool:
        """Tell whether a form came from a page that this server gave to this browser."""
        kept = self._kept(request)
        return kept is not None and hmac.compare_digest(kept.encode(), fields.get(FIELD, "").encode())

    def keep(self, response: Response, token: str) -> None:
        """Let the browser keep *token* until it is closed."""
        response.set_cookie(self._cookie, token, path="/", secure=self._is_https, httponly=True, samesite="lax")

    def renew(self, response: Response) -> None:
        """Give the browser another token: what was known before a sign-in is worth nothing after it."""
        self.keep(response, secrets.token_urlsafe(BYTES))

    def _kept(self, request: Request) -> str | None:
        text = request.cookies.get(self._cookie, "")
        return text if SHAPE.fullmatch(text) else None
