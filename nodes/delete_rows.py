"""Delete rows of a data table.

A choice that fits every row is refused unless *All rows* is on, so that an expression that came out empty
does not empty the table. Deleting rows here is no *Clear table* and reports no event.

Out     ``{"count": int}``, the number of rows deleted
Units   rows
Effect  write: the rows that fit, in the transaction that records the step, so exactly once
Errors  ``rows.where_empty``, ``table.not_found``, ``filter.invalid``
Source  none
"""

from pydantic import Field

from nodes.rows import TableName, of_row, require_choice
from nodes.spec import Context, Example, Json, Output, Params, Plan, action, ui


class DeleteRowsParams(Params):
    table: TableName
    where: dict[str, Json] = Field(
        {},
        title="Where",
        description="Which rows to delete.",
        json_schema_extra=ui("conditions", placeholder='{"status": "cancelled"}'),
    )
    all_rows: bool = Field(
        False,
        title="All rows",
        description="Delete every row when “Where” is empty.",
        strict=True,
        json_schema_extra=ui("switch", is_advanced=True, is_literal=True),
    )


class DeleteRowsOutput(Output):
    count: int = Field(description="How many rows were deleted.")


def plan(params: DeleteRowsParams, ctx: Context) -> Plan:
    require_choice(params.where, is_all=params.all_rows)
    count = ctx.tables.count(params.table, params.where)
    effect = {"kind": "rows", "action": "delete", "table": params.table, "where": params.where, "count": count}
    return Plan(effect, DeleteRowsOutput(count=count))


@action(
    title="Delete rows",
    category="Data",
    icon="delete",
    effect="write",
    plan=plan,
    reports=of_row("api.dataTable_rowDeleted"),
    summary="from {table}",
    examples=[
        Example("the rows that fit", params={"table": "orders", "where": {"customer": "Ada"}}, output={"count": 1}),
        Example("every row, on purpose", params={"table": "orders", "all_rows": True}, output={"count": 2}),
        Example("every row, by accident", params={"table": "orders", "where": {"and": []}}, error="rows.where_empty"),
    ],
)
def delete_rows(params: DeleteRowsParams, ctx: Context) -> DeleteRowsOutput:
    require_choice(params.where, is_all=params.all_rows)
    return DeleteRowsOutput(count=ctx.tables.delete(params.table, params.where))
