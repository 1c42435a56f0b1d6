"""Put values together by name.

Out     an object with exactly the fields given
Units   none
Effect  none
Errors  none of its own
Source  none
"""

from pydantic import Field

from nodes.spec import Context, Example, FreeOutput, Json, Params, action, ui


class SetFieldsParams(Params):
    fields: dict[str, Json] = Field(
        title="Fields",
        description="Names and values; a value may be an expression and keeps its type.",
        json_schema_extra=ui("pairs", placeholder="subject", gives="output"),
    )


@action(
    title="Set fields",
    category="Data",
    icon="data_object",
    summary="{fields}",
    examples=[
        Example(
            "keeps types",
            params={"fields": {"total": 120, "tags": ["new"], "note": None}},
            output={"total": 120, "tags": ["new"], "note": None},
        ),
        Example("nothing is fine", params={"fields": {}}, output={}),
        Example("text is not a set of fields", params={"fields": "total=120"}, error="param.invalid"),
    ],
)
def set_fields(params: SetFieldsParams, ctx: Context) -> FreeOutput:
    return FreeOutput.model_validate(params.fields)
