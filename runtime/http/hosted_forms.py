"""What comes from the forms of the hosted pages, and how a refusal is told to the person who filled one in."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request

from backend import errors as backend
from backend.passwords import Busy
from backend.throttle import Throttled
from runtime.errors import BadRequest, Problem
from runtime.http import bodies
from runtime.http.hosted_views import NO_FIELDS

FORM_BYTES = 50_000
FORM_FIELDS = 20
MINUTE_S = 60
BUSY_S = 5
BUSY = "Many people are here just now. Nothing was changed; try again in a few seconds."


@dataclass(frozen=True)
class Told:
    """A refusal for people: what stands beside each field, and what above them all."""

    status: int
    errors: dict[str, str]
    notice: str
    retry_after_s: int | None = None

    @property
    def sentence(self) -> str:
        """All of it, for a page without a form."""
        return " ".join(filter(None, [self.notice, *self.errors.values()]))

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}


async def fields_of(request: Request) -> dict[str, str]:
    """Return the fields of a form, the first of each name; raises TooLarge or BadRequest."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await bodies.read(request.receive, request.headers, FORM_BYTES)
    try:
        if kind != "application/x-www-form-urlencoded":
            raise ValueError(kind)
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS)
    except ValueError as error:  # also for bytes that are no UTF-8
        raise BadRequest(Problem("form.invalid", "This is not what the form sends.")) from error
    return dict(reversed(pairs))


def told(error: backend.BackendError) -> Told:
    """Return how *error* is told; what belongs to no field stands above the form."""
    match error:
        case Throttled():
            message = f"There were too many tries. Wait {waiting(error.retry_after_s)}, then try again."
            return Told(429, {}, message, error.retry_after_s)
        case Busy() | backend.StorageBusy() | backend.StorageFull():
            return Told(503, {}, BUSY, BUSY_S)
    errors: dict[str, str] = {}
    above: list[str] = []
    for fault in error.faults:
        if fault.field in NO_FIELDS:
            errors[fault.field] = f"{errors.get(fault.field, '')} {fault.message}".strip()
        else:
            above.append(fault.message)
    return Told(422, errors, " ".join(above))


def waiting(seconds: int) -> str:
    """Return a time to wait in words, rounded up."""
    if seconds < MINUTE_S:
        return "a second" if seconds <= 1 else f"{seconds} seconds"
    minutes = -(-seconds // MINUTE_S)
    return "a minute" if minutes == 1 else f"{minutes} minutes"
