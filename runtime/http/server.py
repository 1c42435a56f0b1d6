"""The HTTP application: every route of the API, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from backend.errors import BackendError
from runtime.errors import RuntimeFault
from runtime.http import events, hooks
from runtime.http.access import Access
from runtime.http.answers import on_error, refusal_of
from runtime.http.approvals import approval_routes
from runtime.http.auth import auth_routes
from runtime.http.auth_mail import auth_mail_routes
from runtime.http.credentials import credential_routes
from runtime.http.data import data_routes
from runtime.http.expressions import expression_routes
from runtime.http.flows import flow_routes
from runtime.http.gate import Gate
from runtime.http.guard import Guard
from runtime.http.hosted import hosted_routes
from runtime.http.linger import Linger
from runtime.http.reference import reference_routes
from runtime.http.runs import run_routes
from runtime.http.settings import settings_routes
from runtime.http.sign_in import sign_in_routes
from runtime.http.system import system_routes
from runtime.http.tables import table_routes
from runtime.http.users import user_routes
from runtime.service import Service
from runtime.version import version
from storage.errors import StorageError

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build_http(service: Service, lifespan: Lifespan) -> FastAPI:
    """Return the application; pages are mounted behind its routes by whoever serves them."""
    app = FastAPI(
        title="Pulsewire",
        version=version(),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.service = service
    app.state.access = access = Access(service.keys)
    app.router.routes.append(Route(hooks.PATH, hooks.Hooks(service)))
    app.router.routes.append(Route(events.PATH, events.AcceptEvents(service, access), methods=["POST"]))
    for routes in (
        *(flow_routes, run_routes, table_routes, user_routes, settings_routes, credential_routes, data_routes),
        *(expression_routes, system_routes, auth_routes, auth_mail_routes),
    ):
        app.router.routes.extend(routes(service).routes)  # side by side: including would nest them
    app.router.routes.extend(hosted_routes(service))
    app.router.routes.extend(sign_in_routes(service))
    app.router.routes.extend(approval_routes(service))
    app.router.routes.extend(reference_routes(app).routes)
    for path in ("/api", "/api/{rest:path}"):
        app.router.routes.append(Route(path, _nowhere, methods=METHODS))
    for error in (RuntimeFault, BackendError, StorageError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(error, on_error)
    app.add_middleware(Gate, service=service)
    app.add_middleware(Guard, settings=service.settings, origins=lambda: service.hosted.read().web_origins)
    app.add_middleware(Linger)
    return app


async def _nowhere(request: Request) -> Response:
    """Answer what no route takes: 405 where another method would do, else 404."""
    await request.app.state.access.require(request.headers.get("authorization"))
    allowed: set[str] = set()
    for route in request.app.router.routes:
        if isinstance(route, Route | APIRoute) and route.matches(request.scope)[0] is Match.PARTIAL:
            allowed |= set(route.methods or ())
    if allowed:
        return refusal_of(HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))}))
    return refusal_of(HTTPException(404))
