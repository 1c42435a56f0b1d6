"""Start when a row was added.

In a data table, that is: in the grid, by the API, from a CSV file or by a flow. One run for every row.

Out     ``{"ID": str, "Name": str, "row": object, "before": object | null}``;
        the table's id and name, the row, and null because there was none before
Units   dates and times in rows are ISO 8601 text, times in UTC
Effect  none
Errors  none of its own; while the flow is published, adding more than 1,000 rows at once is refused
Source  event ``api.dataTable_rowCreated``, reported once per row in the transaction of the change
"""

from nodes.row_event import ROW, TABLE, NewRowPayload
from nodes.spec import Listen, trigger
from nodes.table_event import TableEventParams, listen_to


@trigger(
    type="api.dataTable_rowCreated",
    title="Row created",
    category="Table triggers",
    icon="playlist_add",
    payload=NewRowPayload,
    sample={**TABLE, "row": ROW, "before": None},
    summary="{table}",
)
def on_row_created(params: TableEventParams) -> Listen:
    return listen_to("api.dataTable_rowCreated", params.table)
