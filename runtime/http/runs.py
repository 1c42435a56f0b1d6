"""``/api/runs``: what flows did."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from runtime.bulk_retries import Failed
from runtime.http import examples
from runtime.http.access import EDITOR, VIEWER, Caller, actor_of
from runtime.http.answers import Json
from runtime.http.bodies import ApiRoute
from runtime.http.examples import answers, listed
from runtime.limits import LARGEST_NUMBER, RETRIES
from runtime.payloads import check_value
from runtime.service import Service

RunId = Annotated[int, Path(ge=1)]
Version = Literal["then", "now"]
STRICT = ConfigDict(extra="forbid", strict=True)


class RetryRequest(BaseModel):
    model_config = STRICT

    from_: str | None = Field(None, alias="from")
    from_failed: bool = False
    payload: dict[str, Any] | None = None
    version: Version = "then"


class FailedRuns(BaseModel):
    model_config = ConfigDict(extra="forbid")

    flow: str | None = None
    code: str | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    dead: bool = False


class RetriesRequest(BaseModel):
    model_config = STRICT

    ids: Annotated[list[int], Field(max_length=RETRIES)] | None = None
    failed: FailedRuns | None = None
    from_failed: bool = False
    version: Version = "then"


class CancelRequest(BaseModel):
    model_config = STRICT

    flow: str


class DecideRequest(BaseModel):
    model_config = STRICT

    approved: bool
    comment: str = ""
    iteration: str = ""


class ResolveRequest(BaseModel):
    model_config = STRICT

    action: Literal["send_again", "mark_done"]
    output: dict[str, Any] | None = None
    iteration: str = ""


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
        dead: Annotated[
            bool | None,
            Query(description="Only runs given up because they stopped one engine after another."),
        ] = None,
    ) -> Response:
        page = caller.runs.list(flow, status, after, limit, test, dead)
        return Json({"items": [run.as_json() for run in page.items], "next": page.next})

    @router.get(
        "/{run_id}", dependencies=[VIEWER], summary="Read a run", responses=answers(examples.RUN, refusals=(404,))
    )
    def read_run(request: Request, caller: Caller, run_id: RunId) -> Response:
        run = caller.runs.get(run_id)
        if run.has_open_approvals and actor_of(request).may("editor"):  # a link decides, whoever opens it
            run = run.with_links(caller.runs.approval_links(run_id))
        return Json(run.as_json())

    @router.post(
        "/{run_id}/cancel",
        dependencies=[EDITOR],
        summary="Cancel a run",
        responses=answers(examples.RUN, refusals=(404, 409)),
    )
    async def cancel_run(caller: Caller, run_id: RunId) -> Response:
        return Json((await caller.runs.cancel(run_id)).as_json())

    @router.post(
        "/cancel",
        dependencies=[EDITOR],
        summary="Cancel the runs of a flow",
        description=(
            "Stops every run of the flow that has not ended, tests aside, the newest first. "
            f"At most {RETRIES:,} at once: “left” says how many more there are. Pause the flow, so that none begins."
        ),
        responses=answers(examples.CANCELLED),
    )
    async def cancel_runs(
        caller: Caller, request: Annotated[CancelRequest, Body(examples=[{"flow": examples.FLOW_ID}])]
    ) -> Response:
        return Json((await caller.runs.cancel_many(request.flow)).as_json())

    @router.get(
        "/{run_id}/items/{loop}",
        dependencies=[VIEWER],
        summary="List the items of a loop",
        responses=answers(listed(examples.ITEM) | {"total": 1, "counts": {"succeeded": 1}}, refusals=(404,)),
    )
    def list_items(
        caller: Caller,
        run_id: RunId,
        loop: str,
        within: Annotated[str, Query(description="The item around a loop that is inside another.")] = "",
        status: str | None = None,
        after: Annotated[int, Query(ge=0, le=LARGEST_NUMBER, description="The “next” of the answer before.")] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> Response:
        page = caller.runs.items(run_id, loop, within=within, status=status, offset=after, limit=limit)
        end = after + limit
        shape = {"items": [item.as_json() for item in page.items], "next": end if end < page.total else None}
        return Json(shape | {"total": page.total, "counts": dict(page.counts)})

    @router.get(
        "/{run_id}/item/{iteration}",
        dependencies=[VIEWER],
        summary="Read the steps of an item",
        responses=answers({"steps": examples.RUN["steps"]}, refusals=(404,)),
    )
    def read_item(caller: Caller, run_id: RunId, iteration: str) -> Response:
        return Json({"steps": [step.as_json() for step in caller.runs.item(run_id, iteration)]})

    @router.post(
        "/retry",
        dependencies=[EDITOR],
        summary="Run many again",
        description=(
            "Takes the numbers of runs in “ids”, or “failed”, which describes them: “flow”, “code” of the error, and "
            "when they were accepted, from “since” on and before “until”; runs that were retried already are left out, "
            "and dead letters unless they are meant: “dead”. "
            f"At most {RETRIES:,} at once: “left” says how many more there are."
        ),
        responses=answers(examples.RETRIED),
    )
    async def retry_runs(
        caller: Caller,
        request: Annotated[
            RetriesRequest, Body(examples=[{"failed": {"flow": examples.FLOW_ID}, "from_failed": True}])
        ],
    ) -> Response:
        failed = None if request.failed is None else Failed(**request.failed.model_dump())
        done = await caller.runs.retry_many(
            request.ids, failed, from_failed=request.from_failed, version=request.version
        )
        return Json(done.as_json())

    @router.post(
        "/{run_id}/retry",
        dependencies=[EDITOR],
        status_code=201,
        summary="Run again",
        description=(
            "Answers a new run with the same data, or with “payload”. With “from” it begins at that node, with "
            "“from_failed” where the old one got stuck; what the old one did before is kept. “version” is that of "
            "“then”, or the live one of “now”."
        ),
        responses=answers(examples.RUN, 201, refusals=(404, 409)),
    )
    async def retry_run(
        caller: Caller, run_id: RunId, request: Annotated[RetryRequest | None, Body(examples=[{"from": "warn"}])] = None
    ) -> Response:
        asked = request or RetryRequest()
        payload = None if asked.payload is None else check_value(asked.payload)
        run = await caller.runs.retry(
            run_id, asked.from_, payload, from_failed=asked.from_failed, version=asked.version
        )
        return Json(run.as_json(), 201)

    @router.post(
        "/{run_id}/steps/{node}/resolve",
        dependencies=[EDITOR],
        summary="Settle a step of unknown outcome",
        description=(
            "Of a step that was under way when Pulsewire stopped nobody knows whether it took place. “send_again” "
            "calls it again, with the same idempotency key; “mark_done” goes on as if it had succeeded, with “output”. "
            "“iteration” is the item of a loop, such as “3”."
        ),
        responses=answers(examples.RUN, refusals=(404, 409)),
    )
    async def resolve_step(
        caller: Caller,
        run_id: RunId,
        node: str,
        request: Annotated[ResolveRequest, Body(examples=[{"action": "send_again"}])],
    ) -> Response:
        output = None if request.output is None else check_value(request.output)
        run = await caller.runs.resolve(run_id, node, request.action, output=output, iteration=request.iteration)
        return Json(run.as_json())

    @router.post(
        "/{run_id}/steps/{node}/decide",
        dependencies=[EDITOR],
        summary="Approve or reject",
        description="Decides what a step waits for, in the name of the key. “iteration” is the item of a loop.",
        responses=answers(examples.RUN, refusals=(404, 409)),
    )
    async def decide_step(
        caller: Caller,
        run_id: RunId,
        node: str,
        request: Annotated[DecideRequest, Body(examples=[{"approved": True, "comment": "Looks right."}])],
    ) -> Response:
        run = await caller.runs.decide(run_id, node, request.approved, request.comment, iteration=request.iteration)
        return Json(run.as_json())

    return router
