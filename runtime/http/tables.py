"""``/api/tables``: the Datahub."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from backend.datahub import columns_from
from runtime.errors import Invalid, Problem
from runtime.flow_ids import slug
from runtime.http import bodies, examples
from runtime.http.access import EDITOR, VIEWER, Caller
from runtime.http.answers import Json
from runtime.http.bodies import ApiRoute
from runtime.http.examples import answers, listed
from runtime.service import Service

Row: TypeAlias = dict[str, Any]
CSV_BYTES = 50_000_000
ROWS_AT_ONCE = 1_000


class Csv(StreamingResponse):
    media_type = "text/csv"


class NewTable(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    description: str = ""
    columns: list[Any] = []


class TableChange(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str | None = None
    description: str | None = None
    columns: list[Any] | None = None


CSV = "number,note\r\n1001,paid\r\n"
NEW_TABLE = {"name": "orders", "columns": examples.TABLE["columns"]}
COLUMNS = [{"name": "order_number", "was": "number", "type": "integer"}, {"name": "paid", "type": "boolean"}]


def table_routes(_service: Service) -> APIRouter:
    """Return the routes of data tables and their rows; a table is named by its id or its name."""
    router = APIRouter(prefix="/api/tables", tags=["Tables"], route_class=ApiRoute)

    @router.get("", dependencies=[VIEWER], summary="List tables", responses=answers(listed(examples.TABLE)))
    def list_tables(caller: Caller) -> Response:
        return Json({"items": [table.as_json() for table in caller.tables.list()], "next": None})

    @router.post(
        "",
        dependencies=[EDITOR],
        status_code=201,
        summary="Create a table",
        responses=answers(examples.TABLE, 201, refusals=(409,)),
    )
    def create_table(caller: Caller, table: Annotated[NewTable, Body(examples=[NEW_TABLE])]) -> Response:
        made = caller.tables.create(table.name, columns_from(table.columns), table.description)
        return Json(made.as_json(), 201)

    @router.get(
        "/{table}", dependencies=[VIEWER], summary="Read a table", responses=answers(examples.TABLE, refusals=(404,))
    )
    def read_table(caller: Caller, table: str) -> Response:
        return Json(caller.tables.get(table).as_json())

    @router.patch(
        "/{table}",
        dependencies=[EDITOR],
        summary="Change a table",
        description="“columns” is the whole new list; a column's former name is its “was”.",
        responses=answers(examples.TABLE, refusals=(404, 409)),
    )
    def change_table(
        caller: Caller,
        table: str,
        change: Annotated[TableChange, Body(examples=[{"name": "orders", "columns": COLUMNS}])],
    ) -> Response:
        columns = None if change.columns is None else columns_from(change.columns)
        return Json(
            caller.tables.update(table, name=change.name, description=change.description, columns=columns).as_json()
        )

    @router.delete(
        "/{table}",
        dependencies=[EDITOR],
        status_code=204,
        summary="Delete a table",
        responses=answers(None, 204, refusals=(404,)),
    )
    def delete_table(caller: Caller, table: str) -> Response:
        caller.tables.delete(table)
        return Response(status_code=204)

    @router.post(
        "/{table}/clear",
        dependencies=[EDITOR],
        summary="Clear a table",
        responses=answers({"deleted": 12}, refusals=(404,)),
    )
    def clear_table(caller: Caller, table: str) -> Response:
        return Json({"deleted": caller.tables.clear(table)})

    @router.get(
        "/{table}/rows",
        dependencies=[VIEWER],
        summary="List rows",
        responses=answers({"rows": [examples.ROW], "total": 1}, refusals=(404,)),
    )
    def list_rows(
        caller: Caller,
        table: str,
        limit: Annotated[int, Query(ge=1, le=ROWS_AT_ONCE)] = 50,
        offset: Annotated[int, Query(ge=0)] = 0,
        sort: Annotated[str, Query(description="A column, with “-” in front for the largest first.")] = "-created_at",
        filter: Annotated[str | None, Query(description="JSON.", examples=['{"number": {"gt": 1000}}'])] = None,
        search: Annotated[str | None, Query(max_length=200)] = None,
    ) -> Response:
        where = None if filter is None else _filter(filter)
        page = caller.tables.rows(table, limit=limit, offset=offset, sort=sort, filter=where, search=search)
        return Json({"rows": page.rows, "total": page.total})

    @router.post(
        "/{table}/rows",
        dependencies=[EDITOR],
        status_code=201,
        summary="Add rows",
        description="The body is a row, a list of rows, or “{"
        '"rows": […]}”. All are added or none; one answers itself, several answer a list.',
        responses=answers(examples.ROW, 201, refusals=(404, 409)),
    )
    def add_rows(
        caller: Caller, table: str, body: Annotated[Any, Body(examples=[{"number": 1001, "note": "paid"}])]
    ) -> Response:
        rows = _rows_in(body, {column.name for column in caller.tables.get(table).columns})
        added = caller.tables.insert(table, [rows] if isinstance(rows, dict) else rows)
        return Json(added[0] if isinstance(rows, dict) else {"rows": added, "total": len(added)}, 201)

    @router.get(
        "/{table}/rows/{row_id}",
        dependencies=[VIEWER],
        summary="Read a row",
        responses=answers(examples.ROW, refusals=(404,)),
    )
    def read_row(caller: Caller, table: str, row_id: str) -> Response:
        return Json(caller.tables.row(table, row_id))

    @router.patch(
        "/{table}/rows/{row_id}",
        dependencies=[EDITOR],
        summary="Change a row",
        responses=answers(examples.ROW, refusals=(404, 409)),
    )
    def change_row(
        caller: Caller, table: str, row_id: str, body: Annotated[Any, Body(examples=[{"note": "sent"}])]
    ) -> Response:
        values = _rows_in(body, {column.name for column in caller.tables.get(table).columns})
        if not isinstance(values, dict):
            raise Invalid(Problem("row.invalid", "A change of one row is a JSON object."))
        return Json(caller.tables.update_row(table, row_id, values))

    @router.delete(
        "/{table}/rows/{row_id}",
        dependencies=[EDITOR],
        status_code=204,
        summary="Delete a row",
        responses=answers(None, 204, refusals=(404,)),
    )
    def delete_row(caller: Caller, table: str, row_id: str) -> Response:
        caller.tables.row(table, row_id)
        caller.tables.delete_rows_by_id(table, [row_id])
        return Response(status_code=204)

    @router.get(
        "/{table}/export.csv",
        dependencies=[VIEWER],
        summary="Export rows as CSV",
        response_class=Csv,
        responses=answers(None, refusals=(404,)) | {200: {"content": {"text/csv": {"example": CSV}}}},
    )
    def export_rows(caller: Caller, table: str) -> Response:
        name = slug(caller.tables.get(table).name)
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return Csv(caller.tables.export_csv(table), headers=headers)

    @router.post(
        "/{table}/import.csv",
        dependencies=[EDITOR],
        summary="Import rows from CSV",
        responses=answers({"added": 120}, refusals=(404, 413)),
        openapi_extra={"requestBody": {"content": {"text/csv": {"example": CSV}}, "required": True}},
    )
    async def import_rows(caller: Caller, table: str, request: Request) -> Response:
        raw = await bodies.read(request.receive, request.headers, CSV_BYTES)
        return Json({"added": await run_in_threadpool(caller.tables.import_csv, table, [_text(raw)])})

    return router


def _filter(text: str) -> Any:
    try:
        return bodies.parse(text.encode(errors="surrogatepass"))
    except Exception as error:
        raise Invalid(
            Problem("filter.invalid", '“filter” is a JSON object such as {"number": {"gt": 1000}}.', param="filter")
        ) from error


def _rows_in(body: Any, columns: set[str]) -> Row | list[Row]:
    """Return the row or rows of a body, also when they are wrapped as ``values`` or ``rows``."""
    if isinstance(body, dict) and len(body) == 1:
        ((key, inner),) = body.items()
        is_wrapped = (key == "rows" and isinstance(inner, list)) or (key == "values" and isinstance(inner, dict))
        if is_wrapped and key not in columns:
            body = inner
    rows: list[Row] = body if isinstance(body, list) else [body]
    if len(rows) > ROWS_AT_ONCE:
        raise Invalid(Problem("row.too_many", f"At most {ROWS_AT_ONCE:,} rows are added at once. Use CSV for more."))
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise Invalid(Problem("row.invalid", "A row is a JSON object of column names and values."))
    return rows if isinstance(body, list) else rows[0]


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(Problem("csv.invalid", "The file is not UTF-8 text.")) from error
