"""Start when a request comes to an address of this installation.

The address is ``/hooks/`` and the path. A credential says who may call: what proves the login is checked before
anything is stored, and stands masked in the payload. The same ``Idempotency-Key`` or ``webhook-id`` twice is one event.

Out     ``{"body": …, "query": {name: str}, "headers": {name in lower case: str}, "method": str, "path": str}``; the
        body by its content type: JSON, a form's fields, text; null when there is none, and for GET and HEAD
Units   none
Effect  none
Errors  none of its own
Source  a request; RFC 9110: methods; RFC 7578: forms with files; Standard Webhooks
"""

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator

from nodes.spec import Json, Listen, Output, Params, trigger, ui

PATH = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
ORIGIN = re.compile(r"\*|https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?|https?://\[[0-9A-Fa-f:]+\](?::[0-9]{1,5})?")

Text: TypeAlias = Annotated[str, Field(max_length=300)]


class OnWebhookParams(Params):
    path: str = Field(
        title="Path",
        description="What follows /hooks/ in the address.",
        max_length=200,
        json_schema_extra=ui("text", placeholder="orders/new", is_literal=True),
    )
    method: Literal["POST", "GET", "PUT", "PATCH", "DELETE", "ANY"] = Field(
        "POST",
        title="Method",
        description="The method that starts the flow; ANY takes every one.",
        json_schema_extra=ui("select", is_literal=True),
    )
    auth: str = Field(
        "none",
        title="Login",
        description="The credential that a caller must know.",
        min_length=1,
        max_length=100,
        json_schema_extra=ui("credential", is_literal=True),
    )
    answer: Literal["at once", "by respond"] = Field(
        "at once",
        title="Answer",
        description="At once, when the event is stored; or what the flow's Respond node says.",
        json_schema_extra=ui("select", is_literal=True),
    )
    status: int = Field(
        202,
        title="Status",
        description="The status code of an answer at once.",
        strict=True,
        ge=200,
        le=299,
        json_schema_extra=ui("number", is_advanced=True, is_literal=True),
    )
    origins: list[Text] = Field(
        [],
        title="Web pages",
        description="Origins whose pages may call it from people's browsers; * stands for every page.",
        max_length=50,
        json_schema_extra=ui("list", placeholder="https://shop.example.com", is_advanced=True, is_literal=True),
    )

    @field_validator("path")
    @classmethod
    def _is_one_spelling(cls, path: str) -> str:
        if not PATH.fullmatch(path) or any(part in (".", "..") for part in path.split("/")):
            raise ValueError("letters, digits and - _ . with single slashes between them, such as orders/new")
        return path

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if not ORIGIN.fullmatch(origin):
                raise ValueError("an origin is written https://shop.example.com, without a path")
        return origins


class OnWebhookPayload(Output):
    body: Json = Field(description="What was sent, by its content type.")
    query: dict[str, str | list[str]] = Field(description="What follows “?”; a name that comes twice has a list.")
    headers: dict[str, str] = Field(description="The request's headers, names in lower case.")
    method: str = Field(description="The request's method.")
    path: str = Field(description="The path, without /hooks/.")


@trigger(
    title="Webhook",
    icon="webhook",
    payload=OnWebhookPayload,
    sample={
        "body": {"id": 1001, "total": 120},
        "query": {},
        "headers": {"content-type": "application/json"},
        "method": "POST",
        "path": "orders/new",
    },
    summary="{method} /hooks/{path}",
)
def on_webhook(params: OnWebhookParams) -> Listen:
    return Listen(None, webhook=params.model_dump())
