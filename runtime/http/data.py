"""``/api/settings/retention``, how long runs are kept, and ``/api/backup``, all of it in one file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from runtime.http.access import OWNER, Caller
from runtime.http.answers import Json
from runtime.http.bodies import ApiRoute
from runtime.http.examples import answers
from runtime.retention_rules import Rules
from runtime.service import Service

DEFAULTS = Rules()
SQLITE = "application/vnd.sqlite3"
PART_BYTES = 1_000_000


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

    @router.get(
        "/backup",
        dependencies=[OWNER],
        summary="Download a backup",
        description="The database at one moment, checked. The secret key is not in it; `pulsewire restore` takes it.",
        response_class=StreamingResponse,
        responses=answers(None)
        | {200: {"description": "Done.", "content": {SQLITE: {"example": "SQLite format 3 …"}}}},
    )
    def download(caller: Caller) -> Response:
        return backup_of(caller)

    return router


def backup_of(service: Service) -> Response:
    """Return a backup as an answer; raises StorageError where there is no room to make it."""
    made = service.backups.download()
    headers = {
        "Content-Length": str(made.size_bytes),
        "Content-Disposition": f'attachment; filename="{made.name}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_parts(made.file), media_type=SQLITE, headers=headers)


def _parts(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while part := file.read(PART_BYTES):
            yield part
