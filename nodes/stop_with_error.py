"""End the run with a message.

The run counts as failed.

Out     nothing; the step never succeeds
Units   none
Effect  none
Errors  ``flow.stopped``, always
Source  none
"""

from typing import NoReturn

from pydantic import Field

from nodes.spec import Context, Example, NodeError, Output, Params, action, ui


class StopWithErrorParams(Params):
    message: str = Field(
        title="Message",
        description="What the run page says about it.",
        min_length=1,
        max_length=2000,
        json_schema_extra=ui("text", placeholder="The order {{ $param.id }} has no customer"),
    )


@action(
    title="Stop with error",
    category="Logic",
    icon="block",
    ports=(),
    output=Output,
    summary="{message}",
    examples=[Example("says why", params={"message": "The order has no customer"}, error="flow.stopped")],
)
def stop_with_error(params: StopWithErrorParams, ctx: Context) -> NoReturn:
    raise NodeError(params.message, code="flow.stopped")
