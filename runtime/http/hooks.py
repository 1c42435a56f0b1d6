"""``/hooks/…``: requests that start flows. As busy as an address can be, so plain ASGI without a framework in between.

Who calls is checked before anything is stored. What a flow answers is shown by browsers in a sandbox, because it is
of the same origin as the editor.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from runtime import limits
from runtime.engine_api import Accepted, RunResponse
from runtime.errors import Forbidden, NotFound, Problem, Unauthorized, Unavailable
from runtime.http import bodies
from runtime.http.answers import Json, refusal, refusal_of
from runtime.http.guard import FOREIGN, FOREIGN_ORIGIN
from runtime.http.hook_requests import admit, challenge, event_in, headers_of
from runtime.service import Service
from runtime.webhook_view import Hook
from runtime.webhooks import ANY

PREFIX = "/hooks/"
PATH = "/hooks/{path:path}"
RETRY_S = 0.2  # while the engine starts again, with the run that is waited for
SANDBOX = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts; frame-ancestors 'none'"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
ANY_PAGE = "*"
UNKNOWN = Problem("webhook.not_found", "No webhook stands at this address. Publish the flow that has it.")
BUSY = Problem("webhook.busy", "Too much is being received at once. Send the request again later.")


class Hooks:
    """Answers once the event and its run are committed, or with what the flow says."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._view = service.webhooks
        self._held_bytes = 0  # of bodies that are being received or handed over
        self._callers = 0  # who wait for a flow's answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        held = _Held(self, receive)
        try:
            answer = await self._answer(scope, held)
        except Exception as error:  # this route has no framework around it that would answer
            answer = refusal_of(error)
        finally:
            held.let_go()
        answer.headers["Content-Security-Policy"] = SANDBOX
        await answer(scope, receive, send)

    def hold(self, size: int) -> None:
        """Count what is in memory, or no longer; raises Unavailable when that is too much."""
        if size > 0 and self._held_bytes + size > limits.WEBHOOKS_HELD_BYTES:
            raise Unavailable(BUSY)
        self._held_bytes += size

    async def _answer(self, scope: Scope, receive: _Held) -> Response:
        path, method = scope["path"][len(PREFIX) :], scope["method"]
        headers = headers_of(scope)
        hook, hooks = await self._view.for_method(path, method)
        if not hooks:
            raise NotFound(UNKNOWN)
        if method == "OPTIONS":
            return _options(hooks, headers, is_foreign=FOREIGN in scope)
        if hook is None or method not in METHODS:
            problem = Problem("method.not_allowed", "This webhook does not take this method.")
            return refusal(405, [problem], {"Allow": _allowed(hooks)})
        if FOREIGN not in scope:
            return await self._taken(hook, scope, headers, receive)
        origin = _invited(hook, headers)
        if origin is None:
            raise Forbidden(FOREIGN_ORIGIN)
        try:
            answer = await self._taken(hook, scope, headers, receive)
        except Exception as error:
            answer = refusal_of(error)
        answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Vary"] = "Origin"
        return answer

    async def _taken(self, hook: Hook, scope: Scope, headers: Mapping[str, str], receive: _Held) -> Response:
        if hook.is_answered_by_flow and self._callers >= limits.WEBHOOK_CALLERS:
            raise Unavailable(BUSY)
        try:
            accepted = await self._accepted(hook, scope, headers, receive)
        except Unauthorized as error:
            return refusal(error.status, error.problems, {"WWW-Authenticate": challenge(hook)})
        if not accepted.runs and not accepted.duplicate and await self._view.is_gone(hook):
            raise NotFound(UNKNOWN)
        if hook.is_answered_by_flow and accepted.runs:
            receive.let_go()
            return await self._of_flow(accepted.runs[0], receive)
        return _at_once(hook, accepted)

    async def _accepted(self, hook: Hook, scope: Scope, headers: Mapping[str, str], receive: _Held) -> Accepted:
        """Check who calls, and store the event."""
        is_signing = hook.login is not None and hook.login.is_signing
        if not is_signing:
            admit(hook, headers, b"", time.time())
        raw = await bodies.read(receive, Headers(scope=scope), limits.WEBHOOK_BYTES)
        if is_signing:
            admit(hook, headers, raw, time.time())
        event = await event_in(hook, scope, headers, raw)
        cause = self._service.causes.read(headers)
        (accepted,) = await self._service.engine.accept([event if cause is None else cause.of(event)])
        return accepted

    async def _of_flow(self, run: int, receive: Receive) -> Response:
        """Wait for the flow's answer as long as the caller does."""
        self._callers += 1
        waiting = asyncio.ensure_future(self._response(run))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((waiting, leaving), return_when=asyncio.FIRST_COMPLETED)
            return _told(waiting.result()) if waiting.done() else Response(status_code=499)
        finally:
            self._callers -= 1
            for task in (waiting, leaving):
                task.cancel()

    async def _response(self, run: int) -> RunResponse:
        until = time.monotonic() + limits.RESPONSE_WAIT_S
        while (left_s := until - time.monotonic()) > 0:
            try:
                return await self._service.engine.wait_response(run, left_s)
            except Unavailable:  # the run is stored, and goes on with the engine
                await asyncio.sleep(min(RETRY_S, left_s))
        return RunResponse(run)


class _Held:
    """Receives for one request, and counts what it holds."""

    def __init__(self, hooks: Hooks, receive: Receive) -> None:
        self._hooks = hooks
        self._receive = receive
        self._size = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        size = len(message.get("body", b""))
        self._hooks.hold(size)
        self._size += size
        return message

    def let_go(self) -> None:
        """Count what was received no longer."""
        self._hooks.hold(-self._size)
        self._size = 0


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _at_once(hook: Hook, accepted: Accepted) -> Response:
    if hook.status in (204, 205):
        return Response(status_code=hook.status)
    return Json({"id": accepted.id, "duplicate": accepted.duplicate, "runs": accepted.runs}, hook.status)


def _told(response: RunResponse) -> Response:
    """Return a run's answer as the caller gets it; of a run that failed, its number alone."""
    answer = response.answer
    if answer is not None:
        return _written(answer)
    if response.status == "succeeded":
        return Json({"run": response.run, "status": response.status})
    if response.has_ended:
        problem = Problem("webhook.run_failed", "The flow did not answer. Its run says why.")
        return _of_run(500, response.run, problem)
    message = f"The flow did not answer within {limits.RESPONSE_WAIT_S} seconds. Its run goes on."
    return _of_run(504, response.run, Problem("webhook.no_answer", message))


def _of_run(status: int, run: int, problem: Problem) -> Response:
    return Json({"run": run, "problems": [problem.as_json()]}, status)


def _written(answer: Mapping[str, Any]) -> Response:
    kind, body = answer["kind"], answer["body"]
    content = b"" if kind == "empty" else orjson.dumps(body) if kind == "json" else str(body).encode()
    response = Response(content, answer["status"])
    for name, value in answer["headers"].items():
        response.headers[name] = value
    return response


def _allowed(hooks: Mapping[str, Hook]) -> str:
    return ", ".join(sorted({*(METHODS if ANY in hooks else hooks), "OPTIONS"}))


def _options(hooks: Mapping[str, Hook], headers: Mapping[str, str], *, is_foreign: bool) -> Response:
    """Answer what may be done here; it starts nothing. Pages of other sites are told only where they are invited."""
    answer = Response(status_code=204, headers={"Allow": _allowed(hooks)})
    wanted = headers.get("access-control-request-method")
    hook = None if wanted is None else hooks.get(wanted) or hooks.get(ANY)
    origin = None if hook is None or not is_foreign else _invited(hook, headers)
    if origin is not None:
        answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Access-Control-Allow-Methods"] = wanted or ""
        answer.headers["Access-Control-Allow-Headers"] = headers.get("access-control-request-headers", "")
        answer.headers["Access-Control-Max-Age"] = "600"
        answer.headers["Vary"] = "Origin"
    return answer


def _invited(hook: Hook, headers: Mapping[str, str]) -> str | None:
    """Return the origin that may read the answer, as its browser is told; None where the page may not call."""
    origin = headers.get("origin", "").lower()
    if ANY_PAGE in hook.origins:
        return ANY_PAGE
    return origin if origin in hook.origins else None
