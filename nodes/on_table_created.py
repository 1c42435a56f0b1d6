"""Start when a data table was created.

Out     ``{"ID": str, "Name": str, "Description": str}``, the table as it was created
Units   none
Effect  none
Errors  none of its own
Source  event ``api.dataTable_created``, reported once per change in the transaction of the change
"""

from nodes.spec import Listen, trigger
from nodes.table_event import SAMPLE, TableEventParams, TableEventPayload, listen_to


@trigger(
    type="api.dataTable_created",
    title="Table created",
    category="Table triggers",
    icon="add_box",
    payload=TableEventPayload,
    sample=SAMPLE,
    summary="{table}",
)
def on_table_created(params: TableEventParams) -> Listen:
    return listen_to("api.dataTable_created", params.table)
