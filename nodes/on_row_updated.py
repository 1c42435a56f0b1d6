"""Start when a row was changed.

One run for every row of a data table that has other values than before; saving the same values again starts nothing.

Out     ``{"ID": str, "Name": str, "row": object, "before": object | null}``;
        the table's id and name, the row after the change, and as it was before
Units   dates and times in rows are ISO 8601 text, times in UTC
Effect  none
Errors  none of its own; while the flow is published, changing more than 1,000 rows at once is refused
Source  event ``api.dataTable_rowUpdated``, reported once per row in the transaction of the change
"""

from nodes.row_event import ROW, TABLE, OldRowPayload
from nodes.spec import Listen, trigger
from nodes.table_event import TableEventParams, listen_to


@trigger(
    type="api.dataTable_rowUpdated",
    title="Row updated",
    category="Table triggers",
    icon="edit_note",
    payload=OldRowPayload,
    sample={**TABLE, "row": ROW, "before": {**ROW, "status": "open", "updated_at": ROW["created_at"]}},
    summary="{table}",
)
def on_row_updated(params: TableEventParams) -> Listen:
    return listen_to("api.dataTable_rowUpdated", params.table)
