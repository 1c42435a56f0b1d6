"""``/api/flows``: flows as documents."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Header, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from runtime.errors import Invalid, Problem
from runtime.flow_views import FlowView
from runtime.http import examples
from runtime.http.access import EDITOR, VIEWER, Caller
from runtime.http.answers import Json
from runtime.http.bodies import ApiRoute
from runtime.http.examples import answers, listed
from runtime.limits import LARGEST_NUMBER
from runtime.payloads import check_value
from runtime.service import Service
from runtime.trials import Extent

NO_REVISION = -1
FlowDocument = Annotated[Any, Body(examples=[examples.DOCUMENT], description="A flow document.")]


class TestRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    trigger: str | None = None
    payload: dict[str, Any] | None = None
    sample: str | None = None
    effects: Literal["simulate", "real"] = "simulate"
    until: str | None = None
    only: str | None = None
    from_: str | None = Field(None, alias="from")
    run: Annotated[int, Field(ge=1, le=LARGEST_NUMBER)] | None = None


class StartRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    trigger: str | None = None
    payload: dict[str, Any] | None = None


class RenameRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: str


class ResumeRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    queue: Literal["run", "discard"] = "run"


def flow_routes(_service: Service) -> APIRouter:
    """Return the routes of flows."""
    router = APIRouter(prefix="/api/flows", tags=["Flows"], route_class=ApiRoute)

    @router.get("", dependencies=[VIEWER], summary="List flows", responses=answers(listed(examples.FLOW_LINE)))
    def list_flows(
        caller: Caller,
        state: Literal["draft", "published", "paused"] | None = None,
        search: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        after: Annotated[int, Query(ge=0, description="The “next” of the answer before.")] = 0,
    ) -> Response:
        found = caller.flows.list(state, search)
        end = after + limit
        items = [flow.as_json() for flow in found[after:end]]
        return Json({"items": items, "next": end if end < len(found) else None})

    @router.post(
        "",
        dependencies=[EDITOR],
        status_code=201,
        summary="Create a flow",
        responses=answers(examples.FLOW, 201, refusals=(409,)),
    )
    def create_flow(caller: Caller, document: FlowDocument) -> Response:
        return _told(caller.flows.create(_object(document)), 201)

    @router.post(
        "/import",
        dependencies=[EDITOR],
        status_code=201,
        summary="Import a flow",
        responses=answers(examples.FLOW, 201),
    )
    def import_flow(caller: Caller, document: FlowDocument) -> Response:
        return _told(caller.flows.import_(_object(document)), 201)

    @router.get(
        "/{flow_id}", dependencies=[VIEWER], summary="Read a flow", responses=answers(examples.FLOW, refusals=(404,))
    )
    def read_flow(caller: Caller, flow_id: str) -> Response:
        return _told(caller.flows.get(flow_id))

    @router.put(
        "/{flow_id}",
        dependencies=[EDITOR],
        summary="Replace the draft",
        responses=answers(examples.FLOW, refusals=(404, 409)),
    )
    def save_flow(
        caller: Caller,
        flow_id: str,
        document: FlowDocument,
        if_match: Annotated[str | None, Header(description="The ETag of what was read.")] = None,
    ) -> Response:
        return _told(caller.flows.save(flow_id, document, if_match=_revision(if_match)))

    @router.post(
        "/{flow_id}/nodes/{node_id}/rename",
        dependencies=[EDITOR],
        summary="Rename a node",
        description="Gives a node of the draft another id, in its edges and samples and in every expression.",
        responses=answers(examples.FLOW, refusals=(404,)),
    )
    def rename_node(
        caller: Caller, flow_id: str, node_id: str, request: Annotated[RenameRequest, Body(examples=[{"id": "notify"}])]
    ) -> Response:
        return _told(caller.flows.rename_node(flow_id, node_id, request.id))

    @router.delete(
        "/{flow_id}",
        dependencies=[EDITOR],
        status_code=204,
        summary="Delete a flow",
        responses=answers(None, 204, refusals=(404,)),
    )
    def delete_flow(caller: Caller, flow_id: str) -> Response:
        caller.flows.delete(flow_id)
        return Response(status_code=204)

    @router.post(
        "/{flow_id}/publish",
        dependencies=[EDITOR],
        summary="Publish",
        responses=answers(examples.FLOW, refusals=(404,)),
    )
    def publish_flow(caller: Caller, flow_id: str) -> Response:
        return _told(caller.flows.publish(flow_id))

    @router.post(
        "/{flow_id}/unpublish",
        dependencies=[EDITOR],
        summary="Unpublish",
        responses=answers(examples.FLOW, refusals=(404,)),
    )
    def unpublish_flow(caller: Caller, flow_id: str) -> Response:
        return _told(caller.flows.unpublish(flow_id))

    @router.post(
        "/{flow_id}/pause",
        dependencies=[EDITOR],
        summary="Pause",
        description="Events are heard, and the runs that they start wait until the flow is resumed.",
        responses=answers(examples.FLOW, refusals=(404, 409)),
    )
    def pause_flow(caller: Caller, flow_id: str) -> Response:
        return _told(caller.flows.pause(flow_id))

    @router.post(
        "/{flow_id}/resume",
        dependencies=[EDITOR],
        summary="Resume",
        description="“queue” says what becomes of the runs that wait: they “run”, which is the default, or are "
        "cancelled (“discard”).",
        responses=answers(examples.FLOW, refusals=(404, 409)),
    )
    def resume_flow(
        caller: Caller, flow_id: str, request: Annotated[ResumeRequest | None, Body(examples=[{"queue": "run"}])] = None
    ) -> Response:
        return _told(caller.flows.resume(flow_id, (request or ResumeRequest()).queue))

    @router.delete(
        "/{flow_id}/notice",
        dependencies=[EDITOR],
        summary="Dismiss the notice",
        description="Forgets what the platform noticed about a live flow, such as a chain of runs that it stopped. "
        "A flow that it paused says why until it is resumed.",
        responses=answers(examples.FLOW, refusals=(404,)),
    )
    def dismiss_notice(caller: Caller, flow_id: str) -> Response:
        return _told(caller.flows.dismiss_notice(flow_id))

    @router.get(
        "/{flow_id}/export",
        dependencies=[VIEWER],
        summary="Export a flow",
        responses=answers(examples.DOCUMENT, refusals=(404,)),
    )
    def export_flow(caller: Caller, flow_id: str) -> Response:
        headers = {"Content-Disposition": f'attachment; filename="{flow_id}.json"'}
        return Response(caller.flows.export(flow_id), media_type="application/json", headers=headers)

    @router.post(
        "/{flow_id}/test",
        dependencies=[EDITOR],
        summary="Test the draft",
        description=(
            "Runs the draft, or a part of it: “until” a node with all that leads to it; “only” one node, or “from” one "
            "on, with the outputs that an earlier run has of what comes before: “run”, or the latest test of the flow. "
            "Pinned outputs are taken in place of calls. A node inside a loop is run for every item with “until”; "
            "“from” begins at the loop around it; “only” is refused. Effects are simulated unless they are “real”."
        ),
        responses=answers(examples.RUN, refusals=(404, 503)),
    )
    async def run_test(
        caller: Caller,
        flow_id: str,
        request: Annotated[
            TestRequest | None, Body(examples=[{"payload": examples.PAYLOAD, "effects": "simulate"}])
        ] = None,
    ) -> Response:
        asked = request or TestRequest()
        payload = None if asked.payload is None else check_value(asked.payload)
        extent = Extent(asked.until, asked.only, asked.from_, asked.run)
        run = await caller.runs.test(flow_id, asked.trigger, payload, asked.sample, asked.effects, extent=extent)
        return Json(run.as_json())

    @router.post(
        "/{flow_id}/run",
        dependencies=[EDITOR],
        status_code=201,
        summary="Start by hand",
        description="Starts the live version at its manual trigger, for real, and answers the queued run.",
        responses=answers(examples.RUN, 201, refusals=(404, 409)),
    )
    async def start_run(
        caller: Caller,
        flow_id: str,
        request: Annotated[StartRequest | None, Body(examples=[{"payload": {"note": "by hand"}}])] = None,
    ) -> Response:
        asked = request or StartRequest()
        payload = None if asked.payload is None else check_value(asked.payload)
        return Json((await caller.runs.start(flow_id, asked.trigger, payload)).as_json(), 201)

    return router


def _object(document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise Invalid(Problem("document.not_an_object", "A flow document is a JSON object."))
    return document


def _told(flow: FlowView, status: int = 200) -> Json:
    return Json(flow.as_json(), status, {"ETag": f'"{flow.revision}"'})


def _revision(if_match: str | None) -> int | None:
    """Return the revision that a request says it read; None where it does not mind, NO_REVISION for a foreign tag."""
    if if_match is None or if_match.strip() == "*":
        return None
    written = re.fullmatch(r'(?:W/)?"([^"]*)"|([0-9]+)', if_match.strip())
    if written is None:
        raise Invalid(
            Problem(
                "header.invalid",
                'If-Match takes the ETag that reading the flow answered, such as "4".',
                param="If-Match",
            )
        )
    tag = written[1] or written[2] or ""
    return int(tag) if tag.isascii() and tag.isdecimal() else NO_REVISION
