"""``/api/expressions``: what expressions come to."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from runtime.http import examples
from runtime.http.access import ACTOR, EDITOR, Caller
from runtime.http.answers import Json
from runtime.http.bodies import ApiRoute
from runtime.http.examples import answers
from runtime.service import Service


class EvaluateRequest(BaseModel):
    """What to evaluate, and the values of its names."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Any = Field(description="A text with expressions, or any JSON that holds such texts.")
    param: dict[str, Any] = Field({}, description="The payload: $param.")
    action: dict[str, Any] = Field({}, description="Outputs of earlier nodes by their id: $action.")
    var: dict[str, Any] = Field({}, description="Variables: $var.")
    item: Any = Field(None, description="$item; leave it out for what does not stand in a loop.")
    index: int | None = Field(None, description="$index.")


def expression_routes(_service: Service) -> APIRouter:
    """Return the routes of expressions."""
    router = APIRouter(prefix="/api/expressions", tags=["Expressions"], route_class=ApiRoute)

    @router.post(
        "/evaluate",
        dependencies=[EDITOR],
        summary="Evaluate on trial",
        description=(
            "Answers what the text comes to with the given values, as it would in a run: {“value”}. Where it comes to "
            "nothing, {“problems”} say why, each with its “position” in the text, and its “path” where “text” is not "
            "one text. Nothing is stored. “$env” holds what flows may read of the server's environment, and “$now” is "
            "the time of the request. An evaluation may take one second."
        ),
        responses=answers(examples.EVALUATED, refusals=(400, 413)),
    )
    async def evaluate(
        caller: Caller, request: Request, asked: Annotated[EvaluateRequest, Body(examples=[examples.EVALUATE])]
    ) -> Response:
        given = {name: getattr(asked, name) for name in ("item", "index") if name in asked.model_fields_set}
        found = await caller.previews.preview(
            asked.text, param=asked.param, action=asked.action, var=asked.var, caller=request.scope[ACTOR].id, **given
        )
        return Json(found.as_json())

    return router
