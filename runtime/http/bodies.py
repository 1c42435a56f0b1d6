"""Reading request bodies: bounded in size and time while they arrive, JSON the strict way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from backend.operator_values import Role
from runtime import strictjson
from runtime.errors import BadRequest, Invalid, Problem, TooLarge
from runtime.http.access import ACTOR, role_needed
from runtime.http.answers import refusal_of
from runtime.limits import DOCUMENT_BYTES, PAYLOAD_DEPTH

BODY_BYTES = DOCUMENT_BYTES + 10_000  # a flow document and what a request puts around it
BODY_S = 30  # for the whole body to arrive
ENVELOPE_DEPTH = 16  # what a request may put around a payload


class ApiRoute(APIRoute):
    """A route that needs an API key of the role it declares, asked for before anything of the body is read."""

    @property
    def role(self) -> Role:
        """Who may call it; raises TypeError for a route that does not say."""
        role = role_needed(self.dependencies)
        if role is None:
            raise TypeError(f"{self.path} declares no role")
        return role

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        has_body, role = self.body_field is not None, self.role

        async def handle_with_key(request: Request) -> Response:
            try:
                actor = await request.app.state.access.require(request.headers.get("authorization"))
                actor.require(role)
                request.scope[ACTOR] = actor
                if has_body:
                    request = JsonRequest(request.scope, request.receive)
                    await request.load()
                return await handle(request)
            except Exception as error:  # answered here, inside the guard that sets the headers
                return refusal_of(error)

        return handle_with_key


class JsonRequest(Request):
    """A request whose body was read within the bounds and is JSON, or empty."""

    async def load(self, limit: int = BODY_BYTES) -> None:
        self._body = await read(self.receive, self.headers, limit)
        if self._body:
            require_json(self.headers)
            self._json = parse(self._body)


async def read(receive: Receive, headers: Headers, limit: int) -> bytes:
    """Return a whole body; TooLarge as soon as it is known to be, BadRequest when it does not arrive in time."""
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise TooLarge(_too_large(limit))
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise BadRequest(Problem("body.incomplete", "The connection closed before the body was complete."))
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise TooLarge(_too_large(limit))
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError as error:
        raise BadRequest(Problem("body.too_slow", f"The body did not arrive within {BODY_S} seconds.")) from error


def require_json(headers: Headers) -> None:
    """BadRequest unless the request says that it carries JSON."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise BadRequest(
            Problem("body.not_json", "Send JSON, and say so with the header “Content-Type: application/json”.")
        )


def parse(raw: bytes) -> Any:
    """Return the JSON value in *raw*. Raises BadRequest (not JSON, saying where) or Invalid."""
    value, fault = strictjson.read(raw, depth=PAYLOAD_DEPTH + ENVELOPE_DEPTH)
    if fault is None:
        return value
    kind = BadRequest if fault.code == "json_invalid" else Invalid
    raise kind(Problem(f"json.{fault.code.removeprefix('json_')}", f"The body {fault.message}."))


def _too_large(limit: int) -> Problem:
    return Problem("body.too_large", f"The body is larger than {limit:,} bytes, which is the most that is read here.")
