"""``/api/runs``: what flows did."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from runtime.http import examples
from runtime.http.access import EDITOR, VIEWER, Caller
from runtime.http.answers import Json
from runtime.http.bodies import ApiRoute
from runtime.http.examples import answers, listed
from runtime.limits import LARGEST_NUMBER
from runtime.payloads import check_value
from runtime.service import Service

RunId = Annotated[int, Path(ge=1)]


class RetryRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    from_: str | None = Field(None, alias="from")
    payload: dict[str, Any] | None = None


def run_routes(_service: Service) -> APIRouter:
    """Return the routes of runs."""
    router = APIRouter(prefix="/api/runs", tags=["Runs"], route_class=ApiRoute)

    @router.get("", dependencies=[VIEWER], summary="List runs", responses=answers(listed(examples.RUN_LINE)))
    def list_runs(
        caller: Caller,
        flow: str | None = None,
        status: str | None = None,
        after: Annotated[
            int | None, Query(ge=1, le=LARGEST_NUMBER, description="The “next” of the answer before.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        test: Annotated[bool, Query(description="Tests of drafts instead of runs of live versions.")] = False,
    ) -> Response:
        page = caller.runs.list(flow, status, after, limit, test)
        return Json({"items": [run.as_json() for run in page.items], "next": page.next})

    @router.get(
        "/{run_id}", dependencies=[VIEWER], summary="Read a run", responses=answers(examples.RUN, refusals=(404,))
    )
    def read_run(caller: Caller, run_id: RunId) -> Response:
        return Json(caller.runs.get(run_id).as_json())

    @router.post(
        "/{run_id}/cancel",
        dependencies=[EDITOR],
        summary="Cancel a run",
        responses=answers(examples.RUN, refusals=(404, 409)),
    )
    async def cancel_run(caller: Caller, run_id: RunId) -> Response:
        return Json((await caller.runs.cancel(run_id)).as_json())

    @router.post(
        "/{run_id}/retry",
        dependencies=[EDITOR],
        status_code=201,
        summary="Run again",
        description="Answers a new run. With “from”, what the old one did before that node is kept.",
        responses=answers(examples.RUN, 201, refusals=(404, 409)),
    )
    async def retry_run(
        caller: Caller, run_id: RunId, request: Annotated[RetryRequest | None, Body(examples=[{"from": "warn"}])] = None
    ) -> Response:
        asked = request or RetryRequest()
        payload = None if asked.payload is None else check_value(asked.payload)
        return Json((await caller.runs.retry(run_id, asked.from_, payload)).as_json(), 201)

    return router
