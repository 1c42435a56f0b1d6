"""Say what the run returns.

A flow that called this one with *Run flow* gets it, the run's page and the API show it. Of several that are reached,
the last one counts. Nothing follows this node; other branches go on.

Out     an object with exactly the fields given
Units   none
Effect  none
Errors  none of its own
Source  none
"""

from pydantic import Field

from nodes.spec import Context, Example, FreeOutput, Json, Params, action, ui


class ReturnOutputParams(Params):
    output: dict[str, Json] = Field(
        title="Output",
        description="Names and values; a value may be an expression and keeps its type.",
        json_schema_extra=ui("pairs", placeholder="invoice_id", gives="output"),
    )


@action(
    title="Return output",
    category="Logic",
    icon="output",
    ports=(),
    is_returning=True,
    summary="{output}",
    examples=[
        Example("keeps types", params={"output": {"total": 120, "paid": True}}, output={"total": 120, "paid": True}),
        Example("text is no set of fields", params={"output": "total=120"}, error="param.invalid"),
    ],
)
def return_output(params: ReturnOutputParams, ctx: Context) -> FreeOutput:
    return FreeOutput.model_validate(params.output)
