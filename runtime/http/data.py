"""``/api/settings/retention``: how long runs are kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from runtime.http.access import OWNER, Caller
from runtime.http.answers import Json
from runtime.http.bodies import ApiRoute
from runtime.http.examples import answers
from runtime.retention_rules import Rules
from runtime.service import Service

DEFAULTS = Rules()


class RetentionRules(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    keep_days: float | None = Field(DEFAULTS.keep_days, description="Days since a run ended; null sets no limit.")
    keep_runs: int | None = Field(DEFAULTS.keep_runs, description="Runs of one flow, the latest; null sets no limit.")
    keep_mb: float | None = Field(
        DEFAULTS.keep_mb, description="About as many runs of one flow as take so many million bytes; null: no limit."
    )


def data_routes(_service: Service) -> APIRouter:
    """Return the routes of what is kept."""
    router = APIRouter(prefix="/api", tags=["Data"], route_class=ApiRoute)

    @router.get(
        "/settings/retention",
        dependencies=[OWNER],
        summary="Read how long runs are kept",
        responses=answers(DEFAULTS.as_json()),
    )
    def read_rules(caller: Caller) -> Response:
        return Json(caller.retention.read().as_json())

    @router.put(
        "/settings/retention",
        dependencies=[OWNER],
        summary="Set how long runs are kept",
        description="Of flows that set nothing themselves. Runs beyond a limit are removed within seconds, for good.",
        responses=answers(DEFAULTS.as_json(), refusals=(422,)),
    )
    def set_rules(caller: Caller, rules: Annotated[RetentionRules, Body(examples=[DEFAULTS.as_json()])]) -> Response:
        return Json(caller.retention.save(Rules(**rules.model_dump())).as_json())

    return router
