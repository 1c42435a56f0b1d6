"""``POST /api/events``: the busiest address, so it is plain ASGI without a framework in between."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from backend.operator_values import Role
from runtime.http import bodies
from runtime.http.access import Access
from runtime.http.answers import Json, refusal_of
from runtime.http.cloudevents import events_in
from runtime.limits import DOCUMENT_BYTES
from runtime.service import Service

PATH = "/api/events"
ROLE: Role = "editor"


class AcceptEvents:
    """Answers 202 once the events and the runs they start are committed."""

    def __init__(self, service: Service, access: Access) -> None:
        self._service = service
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(Headers(scope=scope), receive)
        await answer(scope, receive, send)

    async def _answer(self, headers: Headers, receive: Receive) -> Json:
        try:
            actor = await self._access.require(headers.get("authorization"))
            actor.require(ROLE)
            raw = await bodies.read(receive, headers, DOCUMENT_BYTES)
            events, is_batch = events_in(headers, raw)
            cause = self._service.causes.read(headers)
            events = events if cause is None else [cause.of(event) for event in events]
            accepted = [
                {"id": each.id, "duplicate": each.duplicate, "runs": each.runs}
                for each in await self._service.of(actor).emit(events)
            ]
        except Exception as error:  # this route has no framework around it that would answer
            return refusal_of(error)
        return Json({"items": accepted} if is_batch else accepted[0], 202)
