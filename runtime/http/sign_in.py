"""How operators get into the editor: set-up, invitation, sign-in and sign-out. Plain forms that need no script."""

from __future__ import annotations

import hmac
import logging
import re
from asyncio import to_thread
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from backend.errors import BackendError
from backend.operator_links import LinkView
from backend.operator_sign_in import SignedIn
from backend.operator_values import Visit
from runtime.actors import Actor
from runtime.errors import RuntimeFault
from runtime.http.client_address import client_address
from runtime.http.form_token import FIELD, FormTokens
from runtime.http.hosted_forms import fields_of, told
from runtime.http.operator_cookie import cookie_in, give, is_secure, sign_out_token, take_away
from runtime.http.operator_views import HEADERS, NO_FIELDS, Views
from runtime.service import Service
from storage.errors import StorageError

log = logging.getLogger(__name__)
Answer = Callable[[Request], Awaitable[Response]]
SIGN_IN = "/sign-in"
HOME = "/"
OUTDATED = "This form was open for long, or your browser keeps no cookies. Nothing was changed; send it again."
NEXT_CHARS = 500


def sign_in_routes(service: Service) -> list[Route]:
    """Return the routes that are open to people who are not signed in."""
    door = _Door(service)
    pages: list[tuple[str, str, Answer]] = [
        ("GET", SIGN_IN, door.sign_in_form),
        ("POST", SIGN_IN, door.sign_in),
        ("GET", "/set-up", door.link_form),
        ("POST", "/set-up", door.accept),
        ("GET", "/invitation", door.link_form),
        ("POST", "/invitation", door.accept),
        ("POST", "/sign-out", door.sign_out),
    ]
    return [Route(path, door.answering(answer), methods=[method]) for method, path, answer in pages]


def safe_next(text: str) -> str:
    """Return where to go after signing in: *text* if it is a page of ours, else the first page."""
    if not re.fullmatch(r"/[!-~]*", text) or len(text) > NEXT_CHARS or text[1:2] in ("/", "\\") or "\\" in text:
        return HOME
    parts = urlsplit(text)
    is_ours = not parts.scheme and not parts.netloc and not parts.path.startswith("//")
    return text if is_ours and parts.path not in (SIGN_IN, "/sign-out", "/set-up", "/invitation") else HOME


class _Door:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._views = Views()
        self._forms = FormTokens(is_https=service.settings.public_url.startswith("https:"))

    def answering(self, answer: Answer) -> Answer:
        """Return what answers a request by *answer*, or tells on a page what keeps it from that."""

        async def respond(request: Request) -> Response:
            try:
                return await answer(request)
            except BackendError as error:
                found = told(error)
                return self._problem(request, found.status, found.sentence, found.headers)
            except RuntimeFault as error:
                return self._problem(request, error.status, str(error))
            except StorageError as error:
                return self._problem(request, 503, str(error))

        return respond

    async def sign_in_form(self, request: Request) -> Response:
        """Show the form; who is signed in already goes on."""
        target = safe_next(request.query_params.get("next", ""))
        if await self._visit(request) is not None:
            return _to(target)
        if not await to_thread(self._service.operators.has_owner):
            return self._no_owner(request)
        return self._form(request, "sign-in", next=target)

    async def sign_in(self, request: Request) -> Response:
        """Sign in and go on to where the person wanted to be."""
        fields = await fields_of(request)
        target, values = safe_next(fields.get("next", "")), {"email": fields.get("email", "").strip()}
        if not self._forms.is_sent(request, fields):
            return self._form(request, "sign-in", 403, values=values, notice=OUTDATED, next=target)
        try:
            found = await self._service.operator_sign_in.sign_in(
                values["email"], fields.get("password", ""), address=self._address(request)
            )
        except BackendError as error:
            said = told(error)
            shown = {"values": values, "notice": said.sentence, "next": target}
            return self._form(request, "sign-in", said.status, said.headers, **shown)
        return await self._let_in(request, found, target, "operator.sign_in")

    async def link_form(self, request: Request) -> Response:
        """Show what a link is for; opening it uses nothing up, so that mail scanners may."""
        token = request.query_params.get("token", "")
        link = await self._link(request, token)
        if link is None:
            return self._dead_link(request)
        if request.url.path != _path_of(link):
            return _to(f"{_path_of(link)}?token={token}")
        return self._link_form(request, link, token)

    async def accept(self, request: Request) -> Response:
        """Use the link up and sign in."""
        fields = await fields_of(request)
        token = fields.get("token", "")
        link = await self._link(request, token)
        if link is None:
            return self._dead_link(request)
        values = {name: fields.get(name, "").strip() for name in ("email", "name")}
        if not self._forms.is_sent(request, fields):
            return self._link_form(request, link, token, 403, values=values, notice=OUTDATED)
        try:
            found = await self._service.operator_sign_in.accept(
                token, fields.get("password", ""), **values, address=self._address(request)
            )
        except BackendError as error:
            return self._refused(request, link, token, values, error)
        return await self._let_in(request, found, HOME, f"operator.{'set_up' if link.kind == 'set-up' else 'accept'}")

    async def sign_out(self, request: Request) -> Response:
        """End the sign-in of this browser."""
        visit = await self._visit(request)
        if visit is not None:
            sent = (await fields_of(request)).get(FIELD, "")
            if not hmac.compare_digest(sent.encode(), sign_out_token(visit.digest).encode()):
                return self._problem(request, 403, OUTDATED)
            await to_thread(self._service.operator_sessions.end, visit.digest)
            self._service.standing.forget()
            await self._note(Actor.visitor(visit), "operator.sign_out")
        response = _to(SIGN_IN)
        take_away(response, is_secure=is_secure(request.scope, self._service.settings))
        return response

    def _refused(
        self, request: Request, link: LinkView, token: str, values: dict[str, str], error: BackendError
    ) -> Response:
        errors = {fault.field: fault.message for fault in reversed(error.faults) if fault.field in NO_FIELDS}
        others = [fault.message for fault in error.faults if fault.field not in NO_FIELDS]
        said = told(error)
        shown = {"values": values, "errors": errors, "notice": " ".join(others)}
        return self._link_form(request, link, token, said.status, said.headers, **shown)

    async def _let_in(self, request: Request, found: SignedIn, target: str, action: str) -> Response:
        secure = is_secure(request.scope, self._service.settings)
        if (before := await self._visit(request)) is not None:
            await to_thread(self._service.operator_sessions.end, before.digest)
        await self._note(Actor.operator(found.operator), action)
        response = _to(target)
        give(response, found.cookie, is_secure=secure)
        self._forms.renew(response)
        return response

    async def _note(self, actor: Actor, action: str) -> None:
        """Write down what was done; that it cannot be written does not undo it."""
        try:
            await to_thread(self._service.audit.add, actor.kind, actor.id, actor.name, action)
        except (BackendError, StorageError) as error:
            log.error("%s by %s is missing in the audit log: %s", action, actor.name, error)

    async def _visit(self, request: Request) -> Visit | None:
        return await to_thread(self._service.operator_sessions.visit_by, cookie_in(request.scope))

    async def _link(self, request: Request, token: str) -> LinkView | None:
        return await to_thread(lambda: self._service.operator_sign_in.link(token, address=self._address(request)))

    def _address(self, request: Request) -> str:
        return client_address(request.scope, self._service.settings)

    def _link_form(self, request: Request, link: LinkView, token: str, *place: object, **shown: object) -> Response:
        name = "set-up" if link.kind == "set-up" else "invitation"
        return self._form(request, name, *place, link=link, token=token, **shown)  # type: ignore[arg-type]

    def _form(
        self, request: Request, name: str, status: int = 200, headers: dict[str, str] | None = None, **shown: object
    ) -> Response:
        token = self._forms.of(request)
        response = self._views.form(request, name, status, form_token=token, **shown)  # type: ignore[arg-type]
        response.headers.update(headers or {})
        self._forms.keep(response, token)
        return response

    def _no_owner(self, request: Request) -> Response:
        return self._views.told(
            request,
            403,
            "Pulsewire is not set up yet",
            "Open the set-up link that the server printed when it started. This prints a new one, on the same machine:",
            symbol="closed",
            tone="",
            command="pulsewire operators link",
        )

    def _dead_link(self, request: Request) -> Response:
        message = "It has expired, or was used already. Ask an owner for a new one, or sign in if you have a password."
        back = {"back": SIGN_IN, "back_title": "Go to sign-in"}
        return self._views.told(request, 400, "This link no longer works", message, symbol="clock", **back)

    def _problem(self, request: Request, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
        back = {"back": SIGN_IN, "back_title": "Go to sign-in"}
        response = self._views.told(request, status, "That did not work", message, **back)
        response.headers.update(headers or {})
        return response


def _path_of(link: LinkView) -> str:
    return "/set-up" if link.kind == "set-up" else "/invitation"


def _to(target: str) -> RedirectResponse:
    return RedirectResponse(target, 303, headers=HEADERS)
