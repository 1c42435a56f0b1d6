"""Read rows of a data table.

Out     ``{"rows": [object], "count": int}``; a row has its columns and ``id``, ``created_at``, ``updated_at``;
        ``count`` is the number of rows returned
Units   dates and times are ISO 8601 text, times in UTC
Effect  read
Errors  ``table.not_found``, ``filter.invalid``, ``sort.invalid``
Source  none
"""

from pydantic import Field

from nodes.rows import TableName
from nodes.spec import Context, Example, Json, Output, Params, action, row_of, ui

MAX_ROWS = 1000


class FindRowsParams(Params):
    table: TableName
    where: dict[str, Json] = Field(
        {},
        title="Where",
        description="Which rows; empty means all of them.",
        json_schema_extra=ui("conditions", placeholder='{"status": "open"}'),
    )
    order_by: str = Field(
        "",
        title="Order by",
        description="A column, or several with commas; “-” in front of one puts the largest or latest first.",
        max_length=600,
        json_schema_extra=ui("text", placeholder="-created_at", gives="order"),
    )
    limit: int = Field(
        100,
        title="Limit",
        description="Rows to return at most.",
        strict=True,
        ge=1,
        le=MAX_ROWS,
        json_schema_extra=ui("number"),
    )


class FindRowsOutput(Output):
    rows: list[dict[str, Json]] = Field(description="The rows.", json_schema_extra=row_of("table"))
    count: int = Field(description="How many rows were returned.")


@action(
    title="Find rows",
    category="Data",
    icon="search",
    effect="read",
    summary="in {table}",
    examples=[
        Example(
            "the rows that fit",
            params={"table": "orders", "where": {"customer": "Ada"}},
            output={
                "rows": [
                    {
                        "id": "0b6f3f9e-54a1-4f5a-9d0c-6a3f2f8f2a11",
                        "created_at": "2026-01-05T09:00:00Z",
                        "updated_at": "2026-01-05T09:00:00Z",
                        "customer": "Ada",
                        "total": 120,
                    }
                ],
                "count": 1,
            },
        ),
        Example("none fit", params={"table": "orders", "where": {"customer": "Bob"}}, output={"rows": [], "count": 0}),
        Example("a limit is a number", params={"table": "orders", "limit": "1; drop"}, error="param.invalid"),
    ],
)
def find_rows(params: FindRowsParams, ctx: Context) -> FindRowsOutput:
    rows = ctx.tables.find(params.table, params.where, order_by=params.order_by or None, limit=params.limit)
    return FindRowsOutput(rows=rows, count=len(rows))
