"""Start when a data table was cleared.

*Clear table* does that, and the API; deleting rows, even all of them, does not.

Out     ``{"ID": str, "Name": str, "Description": str}``, the table that lost its rows
Units   none
Effect  none
Errors  none of its own
Source  event ``api.dataTable_emptied``, reported once per change in the transaction of the change
"""

from nodes.spec import Listen, trigger
from nodes.table_event import SAMPLE, TableEventParams, TableEventPayload, listen_to


@trigger(
    type="api.dataTable_emptied",
    title="Table emptied",
    category="Table triggers",
    icon="delete_sweep",
    payload=TableEventPayload,
    sample=SAMPLE,
    summary="{table}",
)
def on_table_emptied(params: TableEventParams) -> Listen:
    return listen_to("api.dataTable_emptied", params.table)
