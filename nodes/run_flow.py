"""Run another flow, and go on with what it returns.

The other flow has to be published with a *Manual start*, whose inputs *Input* has to fit; it returns what its *Return
output* gave. This run waits in the database until the other one has ended, and holds no worker meanwhile.

Out     ``{"run": int, "output": object | null}``; ``output`` is null when the flow returns nothing
Units   none
Effect  none of its own; the other flow's steps have theirs
Errors  ``run_flow.not_found``, ``run_flow.not_live``, ``input.…`` when the input does not fit, ``run_flow.failed`` and
        ``run_flow.cancelled`` when the other run did not succeed, ``run_flow.loop`` when flows call each other in a
        circle
Source  none
"""

from pydantic import Field

from nodes.spec import CallFlow, Context, Example, Json, Output, Params, Report, action, ui


class RunFlowParams(Params):
    flow: str = Field(
        title="Flow",
        description="The flow to run.",
        min_length=1,
        max_length=100,
        json_schema_extra=ui("flow", placeholder="send-invoice"),
    )
    input: dict[str, Json] = Field(
        {},
        title="Input",
        description="What the other flow reads as $param.",
        json_schema_extra=ui("pairs", placeholder="order_id"),
    )


class RunFlowOutput(Output):
    run: int | None = Field(description="Number of the other flow's run.")
    output: Json = Field(description="What it returned.")


@action(
    title="Run flow",
    category="Logic",
    icon="account_tree",
    output=RunFlowOutput,
    reports=lambda params: (Report(None, {"flow": params.get("flow")}),),
    summary="{flow}",
    examples=[
        Example(
            "with an input",
            params={"flow": "send-invoice", "input": {"order_id": 1001}},
            output={"run": None, "output": None},
        ),
        Example("no flow", params={"flow": ""}, error="param.invalid"),
    ],
)
def run_flow(params: RunFlowParams, ctx: Context) -> CallFlow:
    return CallFlow(params.flow, params.input)
