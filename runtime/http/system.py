"""Addresses that anyone may read: is it alive, is it ready, how busy is it, what is its flow format."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import PlainTextResponse, Response

from runtime.document import json_schema
from runtime.engine_api import EngineStatus
from runtime.errors import Problem, Unavailable
from runtime.http.access import VIEWER
from runtime.http.answers import Json, refusal
from runtime.http.bodies import ApiRoute
from runtime.http.examples import answers
from runtime.metrics import Metrics
from runtime.service import Service
from storage.errors import StorageError

_STARTING = {"problems": [{"code": "engine.starting", "message": "The engine is starting."}]}
_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"description": "Not yet, and why.", "content": {"application/json": {"example": _STARTING}}}
}
ANSWER_S = 2  # after which a part that says nothing counts as down


def system_routes(service: Service) -> APIRouter:
    """Return the routes that need no key, and the metrics, for which any key will do."""
    router = APIRouter(tags=["System"])
    metrics = Metrics(service.database)

    @router.head("/healthz", include_in_schema=False)  # what many load balancers ask with
    @router.get("/healthz", summary="Is the web process alive?", responses=_said({"status": "alive"}))
    async def healthz() -> Response:
        return Json({"status": "alive"})

    @router.head("/readyz", include_in_schema=False)
    @router.get("/readyz", summary="Can events be accepted and run?", responses=_said({"status": "ready"}) | _NOT_READY)
    async def readyz() -> Response:
        problems = [
            each for each in (await _database_problem(service), _engine_problem(await _status(service))) if each
        ]
        return refusal(503, problems) if problems else Json({"status": "ready"})

    async def read_metrics() -> Response:
        content = await asyncio.to_thread(metrics.text, await _status(service))
        return Response(content, media_type="text/plain; version=0.0.4")

    router.add_api_route(
        "/metrics",
        read_metrics,
        dependencies=[VIEWER],
        summary="Metrics for Prometheus",
        response_class=PlainTextResponse,
        responses=answers(None) | _said("pulsewire_engine_up 1", "text/plain"),
        route_class_override=ApiRoute,
    )

    @router.get("/api/schema/flow.json", summary="JSON Schema of the flow format", responses=_said({"type": "object"}))
    async def flow_schema() -> Response:
        return Json(_schema())

    return router


@cache
def _schema() -> dict[str, Any]:
    return json_schema()


async def _status(service: Service) -> EngineStatus | None:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await service.engine.status()
    except (Unavailable, TimeoutError):
        return None


def _engine_problem(status: EngineStatus | None) -> Problem | None:
    if status is None:
        return Problem("engine.down", "The engine does not answer. It is restarted by itself; if not, see its log.")
    if status.storage_full:
        return Problem("storage.full", "The disk is full. Free some space; work goes on by itself then.")
    return None if status.ready else Problem("engine.starting", "The engine is starting.")


async def _database_problem(service: Service) -> Problem | None:
    def ask() -> None:
        with service.database.read() as session:
            session.connection().execute(text("SELECT 1 FROM flow LIMIT 1"))

    try:
        async with asyncio.timeout(ANSWER_S):
            await asyncio.to_thread(ask)
    except (SQLAlchemyError, StorageError, TimeoutError):
        return Problem("database.down", "The database does not answer. `pulsewire doctor` says more.")
    return None


def _said(example: object, media_type: str = "application/json") -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "Done.", "content": {media_type: {"example": example}}}}
