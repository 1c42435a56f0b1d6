"""``/api/mailbox``, ``/api/settings/smtp`` and ``/api/keys``."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from backend.preferences import SmtpInput
from runtime.http import examples
from runtime.http.access import EDITOR, OWNER, Caller
from runtime.http.answers import Json
from runtime.http.bodies import ApiRoute
from runtime.http.examples import answers, listed
from runtime.limits import LARGEST_NUMBER
from runtime.service import Service

Number = Annotated[int, Path(ge=1, lt=2**63)]


class Smtp(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    host: str
    port: int = 587
    tls: str = "starttls"
    sender: str = ""
    username: str | None = None
    password: str | None = None


class SmtpTest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    to: str


class NewKey(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    role: Literal["owner", "editor", "viewer"] = "owner"


def settings_routes(_service: Service) -> APIRouter:
    """Return the routes of the built-in mailbox, the mail server and the API keys."""
    router = APIRouter(prefix="/api", tags=["Mail and keys"], route_class=ApiRoute)
    _mail(router)
    _keys(router)
    return router


def _mail(router: APIRouter) -> None:
    @router.get(
        "/mailbox",
        dependencies=[EDITOR],
        summary="List the messages kept here",
        responses=answers(listed(examples.MESSAGE)),
    )
    def list_messages(
        caller: Caller,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        after: Annotated[
            int | None, Query(ge=1, le=LARGEST_NUMBER, description="The “next” of the answer before.")
        ] = None,
    ) -> Response:
        found = caller.mailbox.list(limit, after)
        items = [message.as_json() for message in found]
        return Json({"items": items, "next": found[-1].id if len(found) == limit else None})

    @router.get(
        "/mailbox/{message}",
        dependencies=[EDITOR],
        summary="Read a message",
        responses=answers(examples.MAIL, refusals=(404,)),
    )
    def read_message(caller: Caller, message: Number) -> Response:
        return Json(caller.mailbox.get(message).as_json())

    @router.get(
        "/settings/smtp", dependencies=[OWNER], summary="Read the mail server", responses=answers(examples.SMTP)
    )
    def read_smtp(caller: Caller) -> Response:
        return Json(caller.preferences.smtp_view())

    @router.put("/settings/smtp", dependencies=[OWNER], summary="Set the mail server", responses=answers(examples.SMTP))
    def set_smtp(caller: Caller, smtp: Annotated[Smtp, Body(examples=[examples.SMTP_INPUT])]) -> Response:
        caller.preferences.set_smtp(SmtpInput(**smtp.model_dump()))
        return Json(caller.preferences.smtp_view())

    @router.delete(
        "/settings/smtp",
        dependencies=[OWNER],
        status_code=204,
        summary="Forget the mail server",
        responses=answers(None, 204),
    )
    def forget_smtp(caller: Caller) -> Response:
        caller.preferences.clear_smtp()
        return Response(status_code=204)

    @router.post(
        "/settings/smtp/test", dependencies=[OWNER], summary="Send a test mail", responses=answers({"sent": True})
    )
    async def test_smtp(
        caller: Caller, test: Annotated[SmtpTest, Body(examples=[{"to": "you@example.com"}])]
    ) -> Response:
        await caller.preferences.test_smtp(test.to)
        return Json({"sent": True})


def _keys(router: APIRouter) -> None:
    @router.get("/keys", dependencies=[OWNER], summary="List API keys", responses=answers(listed(examples.KEY)))
    def list_keys(caller: Caller) -> Response:
        return Json({"items": [key.as_json() for key in caller.keys.list()], "next": None})

    @router.post(
        "/keys",
        dependencies=[OWNER],
        status_code=201,
        summary="Create an API key",
        description="“key” is shown this once.",
        responses=answers(examples.KEY | {"key": "pw_…"}, 201),
    )
    def create_key(
        caller: Caller, key: Annotated[NewKey, Body(examples=[{"name": "ci", "role": "editor"}])]
    ) -> Response:
        info, text = caller.keys.create(key.name, key.role)
        return Json(info.as_json() | {"key": text}, 201)

    @router.delete(
        "/keys/{key}",
        dependencies=[OWNER],
        status_code=204,
        summary="Delete an API key",
        responses=answers(None, 204, refusals=(404,)),
    )
    def delete_key(caller: Caller, key: Number) -> Response:
        caller.keys.delete(key)
        return Response(status_code=204)
