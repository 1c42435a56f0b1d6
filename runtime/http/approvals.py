"""The page that an approval's link opens: what is asked, and the two answers. Opening it decides nothing.

Whoever has the link may decide; an operator who is signed in does so in their name.
"""

from __future__ import annotations

import logging
from asyncio import to_thread
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from backend.errors import BackendError
from backend.throttle import RequestThrottle
from runtime.actors import Actor
from runtime.errors import Conflict, RuntimeFault
from runtime.http.client_address import client_address
from runtime.http.form_token import FormTokens
from runtime.http.hosted_forms import fields_of, told
from runtime.http.operator_cookie import cookie_in
from runtime.http.operator_views import HEADERS, Views
from runtime.limits import COMMENT_CHARS
from runtime.service import Service
from runtime.waits import Approval
from storage.errors import StorageError

log = logging.getLogger(__name__)
BY_LINK = "link"
ANSWERS = {"approve": True, "reject": False}
OUTDATED = "This form was open for long, or your browser keeps no cookies. Nothing was decided; send it again."
Answer = Callable[[Request], Awaitable[Response]]


def approval_routes(service: Service) -> list[Route]:
    """Return the routes of approval links; they are open to everybody who has one."""
    door = _Door(service)
    return [
        Route("/approve/{token}", door.answering(door.show), methods=["GET"]),
        Route("/approve/{token}", door.answering(door.decide), methods=["POST"]),
    ]


class _Door:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._views = Views()
        self._forms = FormTokens(is_https=service.settings.public_url.startswith("https:"))
        self._tries = RequestThrottle()

    def answering(self, answer: Answer) -> Answer:
        """Return what answers a request by *answer*, or tells on a page what keeps it from that."""

        async def respond(request: Request) -> Response:
            try:
                return await answer(request)
            except BackendError as error:
                found = told(error)
                page = self._views.told(request, found.status, "That did not work", found.sentence)
                page.headers.update(found.headers)
                return page
            except RuntimeFault as error:
                return self._views.told(request, error.status, "That did not work", str(error))
            except StorageError as error:
                return self._views.told(request, 503, "That did not work", str(error))

        return respond

    async def show(self, request: Request) -> Response:
        """Show what is asked, or what became of it."""
        return self._page(request, await self._asked(request), await self._who(request))

    async def decide(self, request: Request) -> Response:
        """Approve or reject, and show what was decided."""
        fields, asked, who = await fields_of(request), await self._asked(request), await self._who(request)
        if asked is None or asked.state != "open":
            return self._page(request, asked, who)
        approved, comment = ANSWERS.get(fields.get("answer", "")), fields.get("comment", "").strip()
        if not self._forms.is_sent(request, fields):
            return self._page(request, asked, who, 403, comment=comment, notice=OUTDATED)
        if approved is None:
            return self._page(request, asked, who, 422, comment=comment, notice="Choose “Approve” or “Reject”.")
        if len(comment) > COMMENT_CHARS:
            notice = f"The comment is too long: at most {COMMENT_CHARS:,} characters are allowed."
            return self._page(request, asked, who, 422, comment=comment, notice=notice)
        token = request.path_params["token"]
        try:
            await self._service.runs.decide_by_link(token, approved, comment, by=who.name if who else BY_LINK)
        except Conflict:  # somebody else was quicker; the page says so
            return self._page(request, await self._asked(request), who, 409)
        await self._note(who, asked, approved)
        return RedirectResponse(request.url.path, 303, headers=HEADERS)

    async def _note(self, who: Actor | None, asked: Approval, approved: bool) -> None:
        """Write down what an operator decided; the run says what others did."""
        if who is None:
            return
        details = {"node": asked.node, "approved": approved}
        try:
            await to_thread(
                self._service.audit.add, who.kind, who.id, who.name, "run.decide", str(asked.run_id), details
            )
        except (BackendError, StorageError) as error:
            log.error("run.decide by %s is missing in the audit log: %s", who.name, error)

    async def _asked(self, request: Request) -> Approval | None:
        """Return what the link asks; raises Throttled for who has tried too many that ask nothing."""
        address = client_address(request.scope, self._service.settings)
        self._tries.token(address)
        asked = await to_thread(self._service.runs.approval, request.path_params["token"])
        if asked is not None:
            self._tries.token_was_not_wrong(address)
        return asked

    async def _who(self, request: Request) -> Actor | None:
        cookie = cookie_in(request.scope)
        visit = None if cookie is None else await to_thread(self._service.operator_sessions.visit_by, cookie)
        return None if visit is None else Actor.visitor(visit)

    def _page(
        self, request: Request, asked: Approval | None, who: Actor | None, status: int = 200, **shown: str
    ) -> Response:
        if asked is None:
            message = "Perhaps a part of the link is missing, or what it belonged to was removed."
            return self._views.told(request, 404, "Nothing is asked here", message, symbol="closed", tone="")
        if asked.state != "open":
            return self._settled(request, asked, status)
        token = self._forms.of(request)
        response = self._views.form(
            request,
            "approval",
            status,
            form_token=token,
            asked=asked,
            since=_ago(asked.asked_at),
            until=_moment(asked.until),
            who=who.name if who else "",
            most=COMMENT_CHARS,
            comment=shown.get("comment", ""),
            notice=shown.get("notice", ""),
        )
        self._forms.keep(response, token)
        return response

    def _settled(self, request: Request, asked: Approval, status: int) -> Response:
        decided = asked.decided or {}
        if asked.state == "decided":
            is_yes = bool(decided.get("approved"))
            by = decided.get("by")
            whose = "with this link" if by == BY_LINK else f"by {by}"
            at = _moment(datetime.fromisoformat(str(decided["decided_at"])))
            comment = str(decided.get("comment") or "")
            return self._views.told(
                request,
                status,
                "Approved" if is_yes else "Rejected",
                f"“{asked.title}” of {asked.flow_name} was {'approved' if is_yes else 'rejected'} {whose} on {at}."
                + (f" “{comment}”" if comment else ""),
                symbol="done" if is_yes else "problem",
                tone="done" if is_yes else "stop",
            )
        if asked.state == "expired":
            message = f"“{asked.title}” of {asked.flow_name} could be decided until {_moment(asked.until)}."
            return self._views.told(request, status, "It is too late", message, symbol="clock", tone="")
        message = f"{asked.flow_name} no longer waits for “{asked.title}”: its run has ended or was cancelled."
        return self._views.told(request, status, "No answer is needed", message, symbol="closed", tone="")


def _ago(moment: datetime) -> str:
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {word}{'s' if number > 1 else ''} ago"
    return "just now"


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%d %b %Y, %H:%M} UTC".lstrip("0")
