"""Start when a row was deleted.

One run for every row of a data table. *Clear table* and deleting the table are events of their own and start nothing
here.

Out     ``{"ID": str, "Name": str, "row": object, "before": object | null}``;
        the table's id and name, and twice the row as it was
Units   dates and times in rows are ISO 8601 text, times in UTC
Effect  none
Errors  none of its own; while the flow is published, deleting more than 1,000 rows at once is refused
Source  event ``api.dataTable_rowDeleted``, reported once per row in the transaction of the change
"""

from nodes.row_event import ROW, TABLE, OldRowPayload
from nodes.spec import Listen, trigger
from nodes.table_event import TableEventParams, listen_to


@trigger(
    type="api.dataTable_rowDeleted",
    title="Row deleted",
    category="Table triggers",
    icon="playlist_remove",
    payload=OldRowPayload,
    sample={**TABLE, "row": ROW, "before": ROW},
    summary="{table}",
)
def on_row_deleted(params: TableEventParams) -> Listen:
    return listen_to("api.dataTable_rowDeleted", params.table)
