"""Start when a data table was deleted.

Out     ``{"ID": str, "Name": str, "Description": str}``, the table as it was before
Units   none
Effect  none
Errors  none of its own
Source  event ``api.dataTable_deleted``, reported once per change in the transaction of the change
"""

from nodes.spec import Listen, trigger
from nodes.table_event import SAMPLE, TableEventParams, TableEventPayload, listen_to


@trigger(
    type="api.dataTable_deleted",
    title="Table deleted",
    category="Table triggers",
    icon="delete",
    payload=TableEventPayload,
    sample=SAMPLE,
    summary="{table}",
)
def on_table_deleted(params: TableEventParams) -> Listen:
    return listen_to("api.dataTable_deleted", params.table)
