"""The pages for end users: signing in and up, and what the links in mails open.

Plain forms, drawn here and sent back here; what they do is done by ``backend.sign_in``, which answers known and unknown
accounts alike. Where people go afterwards comes from the settings and from nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from backend.errors import BackendError, Fault
from backend.hosted import Hosted
from backend.sign_in import SignUpClosed, TokenRefused
from backend.user_values import email_in
from runtime.errors import RuntimeFault
from runtime.http.auth_tokens import COOKIES, TokenCarrier
from runtime.http.client_address import client_address
from runtime.http.form_token import FormTokens
from runtime.http.hosted_forms import fields_of, told
from runtime.http.hosted_views import Views, callback, file, page_headers
from runtime.service import Service
from storage.errors import StorageError

KEPT = ("email", "first_name", "last_name", "token")  # fields that a form shows again; never a password
FORMS = ("login", "signup", "verify-email", "forgot-password", "set-new-password")  # templates, at the same address
EMPTY = {"email": "Enter your email address.", "password": "Enter a password."}
OUTDATED = "This form was open for long, or your browser keeps no cookies. Nothing was changed; send it again."
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Visit:
    """One request of a person, under the settings of its moment; *form_token* goes into the forms of the answer."""

    request: Request
    hosted: Hosted
    form_token: str
    address: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.request.url.path.rpartition("/")[2]

    @property
    def token(self) -> str:
        """The token of a mailed link, in the address or handed on by the form that it opened."""
        return self.fields.get("token") or self.request.query_params.get("token", "")

    @property
    def email(self) -> str:
        return self.fields.get("email", "").strip()


Answer = Callable[[Visit], Awaitable[Response]]


def hosted_routes(service: Service) -> list[Route]:
    """Return the routes of the hosted pages; they are open to everybody."""
    site = _Site(service)
    pages: dict[str, tuple[Answer | None, Answer | None]] = {
        "/login": (site.form("login"), site.sign_in),
        "/signup": (site.sign_up_form, site.sign_up),
        "/verify-email": (site.verify, site.ask_for_verification),
        "/forgot-password": (site.form("forgot-password"), site.ask_for_reset),
        "/set-new-password": (site.new_password_form, site.set_new_password),
        "/account": (site.account, None),
        "/logout": (site.account, site.sign_out),  # looking signs nobody out
    }
    routes = [
        Route(path, site.answering(answer), methods=[method])
        for path, answers in pages.items()
        for method, answer in zip(("GET", "POST"), answers, strict=True)
        if answer is not None
    ]
    return [*routes, Route("/hosted/{name}", site.file, methods=["GET"])]


class _Site:
    """Answers visits; every method but the first three takes one and returns a page."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._views = Views()
        self._forms = FormTokens(is_https=service.settings.public_url.startswith("https:"))
        self._carrier = TokenCarrier(service.settings.public_url)

    def answering(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """Return what answers a request by *answer*, or tells what keeps it from that."""

        async def respond(request: Request) -> Response:
            address = client_address(request.scope, self._service.settings)
            visit = Visit(request, Hosted(), self._forms.of(request), address)
            try:
                visit = replace(visit, hosted=self._service.hosted.read())
                return await self._answered(answer, visit)
            except BackendError as error:
                found = told(error)
                return self._problem(visit, found.status, found.sentence, found.headers)
            except RuntimeFault as error:
                return self._problem(visit, error.status, str(error))
            except StorageError as error:
                return self._problem(visit, 503, str(error))
            except Exception as error:
                reference = uuid4().hex[:12]
                logger.error("unexpected error %s", reference, exc_info=error)
                message = "Something unexpected happened. If it stays like this, tell the people who run this site"
                return self._problem(visit, 500, f"{message}: {reference}.")

        return respond

    def form(self, name: str) -> Answer:
        """Return what shows the empty form of the page *name*."""

        async def show(visit: Visit) -> Response:
            return self._page(visit, name)

        return show

    async def file(self, request: Request) -> Response:
        """Return a file that the pages load."""
        found = file(request.path_params["name"], self._service.hosted.read())
        return found or Response(status_code=404)

    async def sign_in(self, visit: Visit) -> Response:
        try:
            _require(visit, "email", "password")
            password = visit.fields["password"]
            tokens = await self._service.sign_in.sign_in(visit.email, password, address=visit.address, with_csrf=True)
        except BackendError as error:
            return self._again(visit, "login", error)
        go_on, _name = callback(visit.hosted)
        response = self._sent_on(visit, go_on or "account")
        self._forms.renew(response)
        is_here = urlsplit(go_on).hostname == urlsplit(self._service.settings.public_url).hostname
        return self._carrier.signed_in_page(visit.request, response, tokens, with_client=is_here)

    async def sign_up_form(self, visit: Visit) -> Response:
        return self._page(visit, "signup") if visit.hosted.allow_sign_up else self._closed(visit)

    async def sign_up(self, visit: Visit) -> Response:
        names = {name: visit.fields.get(name, "") for name in ("first_name", "last_name")}
        try:
            _require(visit, "email", "password")
            # without a session: one that opens nothing would tell, with the next request, that the address was known
            await self._service.sign_in.sign_up(
                visit.email, visit.fields["password"], **names, address=visit.address, with_csrf=None
            )
        except SignUpClosed:
            return self._closed(visit)
        except BackendError as error:
            return self._again(visit, "signup", error)
        return self._page(visit, "mail-sent", purpose="signup", email=visit.email)

    async def verify(self, visit: Visit) -> Response:
        """Verify the address; a mail scanner may have done it already, and shown the same."""
        if not visit.token:
            return self._page(visit, "verify-email")
        try:
            await self._service.sign_in.verify(visit.token, address=visit.address)
        except TokenRefused:
            return self._page(visit, "verify-email", 410, is_dead=True)
        move_to, name = callback(visit.hosted)
        return self._page(visit, "verified", move_to=move_to, move_to_name=name)

    async def ask_for_verification(self, visit: Visit) -> Response:
        try:
            _require_address(visit)
            await self._service.sign_in.request_verification_for(visit.email, address=visit.address)
        except BackendError as error:
            return self._again(visit, "verify-email", error)
        return self._page(visit, "mail-sent", purpose="verify", email=visit.email)

    async def ask_for_reset(self, visit: Visit) -> Response:
        try:
            _require_address(visit)
            await self._service.sign_in.request_reset(visit.email, address=visit.address)
        except BackendError as error:
            return self._again(visit, "forgot-password", error)
        return self._page(visit, "mail-sent", purpose="reset", email=visit.email)

    async def new_password_form(self, visit: Visit) -> Response:
        """Show the form for a link that works; looking does not use it up."""
        if visit.token and await self._service.sign_in.is_live(visit.token, "reset", address=visit.address):
            return self._page(visit, "set-new-password", values={"token": visit.token})
        return self._page(visit, "reset-link-dead", 410)

    async def set_new_password(self, visit: Visit) -> Response:
        try:
            _require(visit, "password")
            await self._service.sign_in.reset(visit.token, visit.fields["password"], address=visit.address)
        except TokenRefused:
            return self._page(visit, "reset-link-dead", 410)
        except BackendError as error:
            return self._again(visit, "set-new-password", error)
        return self._page(visit, "password-set")

    async def account(self, visit: Visit) -> Response:
        user = await run_in_threadpool(self._service.sessions.check, visit.request.cookies.get(COOKIES["access"]))
        if user is None:
            return self._sent_on(visit, "login")
        go_on, name = callback(visit.hosted)
        return self._page(visit, "account", user=user, go_on=go_on, go_on_name=name)

    async def sign_out(self, visit: Visit) -> Response:
        await run_in_threadpool(self._service.sessions.end_by, visit.request.cookies.get(COOKIES["access"]))
        return self._carrier.signed_out_page(visit.request, self._sent_on(visit, "login"))

    async def _answered(self, answer: Answer, visit: Visit) -> Response:
        if not visit.hosted.is_on:
            return self._page(visit, "closed", 404, is_off=True)
        if visit.request.method != "POST":
            return await answer(visit)
        fields = await fields_of(visit.request)
        if not self._forms.is_sent(visit.request, fields):
            return self._outdated(replace(visit, fields=fields))
        return await answer(replace(visit, fields=fields))

    def _page(self, visit: Visit, name: str, status: int = 200, **values: Any) -> Response:
        response = self._views.page(name, visit.hosted, status, form_token=visit.form_token, **values)
        self._forms.keep(response, visit.form_token)
        return response

    def _again(self, visit: Visit, name: str, error: BackendError, status: int | None = None) -> Response:
        """Show a form again, with what was entered and what is wrong with it."""
        found = told(error)
        kept = {key: visit.fields.get(key, "") for key in KEPT}
        shown = {"values": kept, "errors": found.errors, "notice": found.notice}
        response = self._page(visit, name, status or found.status, **shown)
        response.headers.update(found.headers)
        return response

    def _closed(self, visit: Visit) -> Response:
        return self._page(visit, "closed", 403, is_off=False)

    def _outdated(self, visit: Visit) -> Response:
        if visit.name in FORMS:
            return self._again(visit, visit.name, BackendError(Fault("form.outdated", OUTDATED)), 403)
        return self._problem(visit, 403, OUTDATED)

    def _problem(self, visit: Visit, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
        back = visit.name if visit.request.method == "POST" and visit.name in FORMS else "login"
        response = self._page(visit, "problem", status, message=message, back=back)
        response.headers.update(headers or {})
        return response

    def _sent_on(self, visit: Visit, place: str) -> Response:
        return RedirectResponse(place, 303, headers=page_headers(visit.hosted))


def _require(visit: Visit, *names: str) -> None:
    """Raise BackendError for the fields that were left empty."""
    faults = [Fault("form.empty", EMPTY[name], name) for name in names if not visit.fields.get(name)]
    if faults:
        raise BackendError(*faults)


def _require_address(visit: Visit) -> None:
    _require(visit, "email")
    faults: list[Fault] = []
    email_in(visit.email, "email", faults)
    if faults:
        raise BackendError(*faults)
