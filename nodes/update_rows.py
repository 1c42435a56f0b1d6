"""Change rows of a data table.

A choice that fits every row is refused unless *All rows* is on, so that an expression that came out empty
does not rewrite the table.

Out     ``{"count": int}``, the number of rows changed
Units   rows
Effect  write: the rows that fit, in the transaction that records the step, so exactly once
Errors  ``rows.where_empty``, ``table.not_found``, ``filter.invalid``, ``row.…`` for a value that does not fit
Source  none
"""

from pydantic import Field

from nodes.rows import TableName, of_row, require_choice
from nodes.spec import Context, Example, Json, Output, Params, Plan, action, ui


class UpdateRowsParams(Params):
    table: TableName
    where: dict[str, Json] = Field(
        {},
        title="Where",
        description="Which rows to change.",
        json_schema_extra=ui("conditions", placeholder='{"status": "open"}'),
    )
    values: dict[str, Json] = Field(
        title="Values",
        description="The new value of each column to change.",
        min_length=1,
        json_schema_extra=ui("columns", placeholder='{"status": "done"}'),
    )
    all_rows: bool = Field(
        False,
        title="All rows",
        description="Change every row when “Where” is empty.",
        strict=True,
        json_schema_extra=ui("switch", is_advanced=True, is_literal=True),
    )


class UpdateRowsOutput(Output):
    count: int = Field(description="How many rows were changed.")


def plan(params: UpdateRowsParams, ctx: Context) -> Plan:
    require_choice(params.where, is_all=params.all_rows)
    values = ctx.tables.check(params.table, params.values, partial=True)
    count = ctx.tables.count(params.table, params.where)
    effect = {"kind": "rows", "action": "update", "table": params.table, "where": params.where, "values": values}
    return Plan(effect | {"count": count}, UpdateRowsOutput(count=count))


@action(
    title="Update rows",
    category="Data",
    icon="edit",
    effect="write",
    plan=plan,
    reports=of_row("api.dataTable_rowUpdated"),
    summary="in {table}",
    examples=[
        Example(
            "the rows that fit",
            params={"table": "orders", "where": {"customer": "Ada"}, "values": {"total": 0}},
            output={"count": 1},
        ),
        Example(
            "every row, on purpose",
            params={"table": "orders", "values": {"total": 0}, "all_rows": True},
            output={"count": 2},
        ),
        Example(
            "every row, by accident",
            params={"table": "orders", "where": {}, "values": {"total": 0}},
            error="rows.where_empty",
        ),
    ],
)
def update_rows(params: UpdateRowsParams, ctx: Context) -> UpdateRowsOutput:
    require_choice(params.where, is_all=params.all_rows)
    return UpdateRowsOutput(count=ctx.tables.update(params.table, params.where, params.values))
