"""Start when a data table was changed.

Its name, description or columns, that is; changes of rows are events of their own.

Out     ``{"ID": str, "Name": str, "Description": str}``, the table as it is after the change
Units   none
Effect  none
Errors  none of its own
Source  event ``api.dataTable_updated``, reported once per change in the transaction of the change
"""

from nodes.spec import Listen, trigger
from nodes.table_event import SAMPLE, TableEventParams, TableEventPayload, listen_to


@trigger(
    type="api.dataTable_updated",
    title="Table updated",
    category="Table triggers",
    icon="edit_square",
    payload=TableEventPayload,
    sample=SAMPLE,
    summary="{table}",
)
def on_table_updated(params: TableEventParams) -> Listen:
    return listen_to("api.dataTable_updated", params.table)
