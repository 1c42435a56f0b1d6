"""Start when a run of a flow has failed.

It does not start for failed runs of its own flow, nor for tests. ``$param.error`` says what went wrong and at which
node, ``$param.run`` is the number under which the run can be looked at and retried.

Out     ``{"flow": str, "flow_name": str, "run": int, "version": int | null, "trigger": str, "event": str | null,
        "error": {"message": str, "code": str | null, "node": str | null}}``
Units   none
Effect  none
Errors  none of its own
Source  event ``flow.run_failed``, reported in the transaction that ends the run
"""

from pydantic import Field

from nodes.spec import Listen, Output, Params, trigger, ui


class OnRunFailedParams(Params):
    flow: str = Field(
        "",
        title="Flow",
        description="Only runs of this flow; empty: of every flow.",
        max_length=100,
        json_schema_extra=ui("flow", placeholder="every flow", is_literal=True),
    )


class RunError(Output):
    message: str | None = Field(description="What went wrong, in words.")
    code: str | None = Field(description="The error's code.")
    node: str | None = Field(description="The node that failed; null when it was the run as a whole.")


class OnRunFailedPayload(Output):
    flow: str = Field(description="Id of the flow.")
    flow_name: str = Field(description="Its name.")
    run: int = Field(description="Number of the run.")
    version: int | None = Field(description="The flow's version.")
    trigger: str = Field(description="The node at which it started.")
    event: str | None = Field(description="Name of the event that started it.")
    error: RunError = Field(description="Why it failed.")


@trigger(
    title="Run failed",
    icon="report",
    payload=OnRunFailedPayload,
    sample={
        "flow": "warn-on-emptied-table",
        "flow_name": "Warn on emptied table",
        "run": 42,
        "version": 3,
        "trigger": "table_emptied",
        "event": "api.dataTable_emptied",
        "error": {"message": "Warn: the mail server refuses the address.", "code": "mail.refused", "node": "warn"},
    },
    summary="{flow}",
)
def on_run_failed(params: OnRunFailedParams) -> Listen:
    return Listen("flow.run_failed", match={"flow": params.flow} if params.flow else {})
