"""``/api/credentials``: stored logins, whose secrets are written and never read."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from backend.credential_values import NAME_CHARS
from runtime.http import examples
from runtime.http.access import EDITOR, OWNER, Caller
from runtime.http.answers import Json
from runtime.http.bodies import ApiRoute
from runtime.http.examples import answers, listed
from runtime.service import Service

KINDS = """`basic`: setting `user`, the secret is the password. `bearer`: the secret is the token.
`header`: setting `header`, the secret is its value.
`hmac`: settings `header`, `algorithm` (`sha256`, `sha1`, `sha512`), `encoding` (`hex`, `base64`), `prefix`.
`standard_webhooks`: the secret is `whsec_…`.
`hosts` are where flows may send it; with none, it only guards webhooks."""
Named = Annotated[str, Path(max_length=NAME_CHARS, description="The credential's id or name.")]


class NewCredential(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    kind: str
    secret: str = Field(repr=False)
    settings: dict[str, Any] = {}
    hosts: list[str] = []


class CredentialChange(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    secret: str | None = Field(None, repr=False)
    settings: dict[str, Any] | None = None
    hosts: list[str] | None = None


def credential_routes(_service: Service) -> APIRouter:
    """Return the routes of the stored logins."""
    router = APIRouter(prefix="/api/credentials", tags=["Credentials"], route_class=ApiRoute)

    @router.get(
        "",
        dependencies=[EDITOR],
        summary="List credentials",
        description="Editors are told ids, names and kinds only. Nobody is told a secret.",
        responses=answers(listed(examples.CREDENTIAL)),
    )
    def list_credentials(caller: Caller) -> Response:
        return Json({"items": [each.as_json() for each in caller.credentials.list()], "next": None})

    @router.post(
        "",
        dependencies=[OWNER],
        status_code=201,
        summary="Store a credential",
        description=KINDS,
        responses=answers(examples.CREDENTIAL, 201, refusals=(409,)),
    )
    def create_credential(
        caller: Caller, credential: Annotated[NewCredential, Body(examples=[examples.NEW_CREDENTIAL])]
    ) -> Response:
        return Json(caller.credentials.create(**credential.model_dump()).as_json(), 201)

    @router.get(
        "/{credential}",
        dependencies=[OWNER],
        summary="Read a credential",
        responses=answers(examples.CREDENTIAL, refusals=(404,)),
    )
    def read_credential(caller: Caller, credential: Named) -> Response:
        return Json(caller.credentials.get(credential).as_json())

    @router.patch(
        "/{credential}",
        dependencies=[OWNER],
        summary="Change a credential",
        description="What is left out stays. A new host needs the secret again. The name stays, because flows hold it.",
        responses=answers(examples.CREDENTIAL, refusals=(404,)),
    )
    def change_credential(
        caller: Caller,
        credential: Named,
        change: Annotated[CredentialChange, Body(examples=[{"secret": "a new one"}])],
    ) -> Response:
        return Json(caller.credentials.update(credential, **change.model_dump()).as_json())

    @router.delete(
        "/{credential}",
        dependencies=[OWNER],
        status_code=204,
        summary="Delete a credential",
        description="Webhooks that ask for it admit nobody from then on, and requests that need it fail.",
        responses=answers(None, 204, refusals=(404,)),
    )
    def delete_credential(caller: Caller, credential: Named) -> Response:
        caller.credentials.delete(credential)
        return Response(status_code=204)

    return router
