"""Add a row to a data table.

Out     ``{"row": object}``, the row as stored, with ``id``, ``created_at`` and ``updated_at``
Units   dates and times are ISO 8601 text, times in UTC
Effect  write: one row, in the transaction that records the step, so exactly once
Errors  ``table.not_found``, ``row.…`` for a column that does not exist or a value that does not fit
Source  none
"""

from pydantic import Field

from nodes.rows import TableName, of_row
from nodes.spec import Context, Example, Json, Output, Params, Plan, action, row_of, ui

NO_ID = "00000000-0000-0000-0000-000000000000"  # RFC 9562 nil UUID: stands for the id of a row that was not stored


class InsertRowParams(Params):
    table: TableName
    values: dict[str, Json] = Field(
        title="Values",
        description="A value for each column to fill.",
        json_schema_extra=ui("columns", placeholder='{"customer": "{{ $param.customer }}"}'),
    )


class InsertRowOutput(Output):
    row: dict[str, Json] = Field(description="The row as stored.", json_schema_extra=row_of("table"))


def plan(params: InsertRowParams, ctx: Context) -> Plan:
    values = ctx.tables.check(params.table, params.values)
    moment = ctx.now.isoformat().replace("+00:00", "Z")
    row = {"id": NO_ID, "created_at": moment, "updated_at": moment} | values
    return Plan({"kind": "rows", "action": "insert", "table": params.table, "values": values}, InsertRowOutput(row=row))


@action(
    title="Insert row",
    category="Data",
    icon="add_row_below",
    effect="write",
    plan=plan,
    reports=of_row("api.dataTable_rowCreated"),
    summary="into {table}",
    examples=[
        Example(
            "a new order",
            params={"table": "orders", "values": {"customer": "Ada", "total": 120}},
            output={
                "row": {
                    "id": NO_ID,
                    "created_at": "2026-01-05T09:00:00Z",
                    "updated_at": "2026-01-05T09:00:00Z",
                    "customer": "Ada",
                    "total": 120,
                }
            },
        ),
        Example("no such table", params={"table": "nowhere", "values": {}}, error="table.not_found"),
    ],
)
def insert_row(params: InsertRowParams, ctx: Context) -> InsertRowOutput:
    return InsertRowOutput(row=ctx.tables.insert(params.table, params.values))
