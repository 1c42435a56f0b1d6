"""Go on at *true* or at *false*.

Out     ``{"result": bool}``, through the port of the same name
Units   none
Effect  none
Errors  ``param.invalid`` when the value is not exactly true or false: text such as "false" is no answer
Source  none
"""

from pydantic import Field

from nodes.spec import Context, Example, Output, Params, Port, Routed, action, ui


class ConditionParams(Params):
    if_: bool = Field(
        alias="if",
        title="If",
        description="An expression that is true or false.",
        strict=True,
        json_schema_extra=ui("expression", placeholder="{{ $param.Name == 'orders' }}"),
    )


class ConditionOutput(Output):
    result: bool = Field(description="What the expression gave.")


@action(
    title="Condition",
    category="Logic",
    icon="call_split",
    ports=(Port("true", "True"), Port("false", "False")),
    output=ConditionOutput,
    summary="{if}",
    examples=[
        Example("holds", params={"if": True}, output={"result": True}, port="true"),
        Example("does not hold", params={"if": False}, output={"result": False}, port="false"),
        Example("text is no answer", params={"if": "false"}, error="param.invalid"),
        Example("a number is no answer", params={"if": 1}, error="param.invalid"),
    ],
)
def condition(params: ConditionParams, ctx: Context) -> Routed:
    return Routed("true" if params.if_ else "false", ConditionOutput(result=params.if_))
