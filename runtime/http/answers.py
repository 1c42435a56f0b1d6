"""Answers of the HTTP API: JSON, and every refusal as ``{"problems": […]}``."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from backend import errors as backend
from backend.passwords import Busy
from backend.throttle import Throttled
from runtime import wording
from runtime.errors import Problem, RuntimeFault
from storage import errors as storage

RETRY_AFTER_S = "1"
logger = logging.getLogger(__name__)

_BACKEND_STATUS: dict[type[backend.BackendError], int] = {
    backend.NotFound: 404,
    backend.Conflict: 409,
    backend.StorageFull: 503,
    backend.StorageBusy: 503,
    Busy: 503,
}
_HTTP_PROBLEMS = {
    404: Problem("route.not_found", "There is nothing at this address. The addresses are listed at /api/docs."),
    405: Problem("method.not_allowed", "This address does not take this method. See /api/docs."),
}


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def refusal(status: int, problems: Iterable[Problem], headers: dict[str, str] | None = None) -> Json:
    """Return the answer for a request that was refused."""
    found = dict(headers or {})
    if status in (429, 503):
        found.setdefault("Retry-After", RETRY_AFTER_S)
    if status == 401:
        found.setdefault("WWW-Authenticate", "Bearer")
    return Json({"problems": [problem.as_json() for problem in problems]}, status, found)


def refusal_of(error: Exception) -> Json:
    """Return the answer that tells *error*; what nobody expected is logged and told by a reference only."""
    match error:
        case RuntimeFault():
            return refusal(error.status, error.problems)
        case Throttled():
            return refusal(429, map(_of_fault, error.faults), {"Retry-After": str(error.retry_after_s)})
        case backend.BackendError():
            return refusal(_BACKEND_STATUS.get(type(error), 422), map(_of_fault, error.faults))
        case storage.StorageFull():
            return refusal(503, [Problem("storage.full", str(error))])
        case storage.StorageBusy():
            return refusal(503, [Problem("storage.busy", str(error))])
        case RequestValidationError():
            return refusal(422, map(_of_validation, error.errors()))
        case HTTPException():
            problem = _HTTP_PROBLEMS.get(error.status_code, Problem("request.refused", f"{error.detail}."))
            return refusal(error.status_code, [problem], dict(error.headers or {}))
    reference = uuid4().hex[:12]
    logger.error("unexpected error %s", reference, exc_info=error)
    message = f"Something unexpected happened. The server's log has the details under {reference}."
    return refusal(500, [Problem("internal", message)])


async def on_error(_request: Request, error: Exception) -> Response:
    """FastAPI's hook for errors."""
    return refusal_of(error)


def _of_fault(fault: backend.Fault) -> Problem:
    return Problem(fault.code, fault.message, param=fault.field)


def _of_validation(error: ErrorDetails) -> Problem:
    source = str(error["loc"][0])
    place = wording.shown(wording.place(error["loc"][1:]) or source)
    where = {"body": "", "query": "The query parameter ", "path": "The part of the address "}.get(source, "")
    if error["type"] == "missing":
        return Problem(f"{source}.missing", f"{where}“{place}” is missing.", param=place)
    if error["type"] == "extra_forbidden":
        return Problem(f"{source}.unknown_field", f"“{place}” is not known here. Remove it.", param=place)
    return Problem(f"{source}.invalid", f"{where}“{place}” {wording.ending(error)}.", param=place)
