"""Do the same for every item of a list.

What hangs on the port *each*, and on nothing else, is the loop's body. It runs once for each item, which it reads as
``$item``, its number from 0 as ``$index``. What the body's last step gave is the item's output. After the last item the
flow goes on at *done*, with the outputs in the order of the items.

Out     ``{"outputs": [one for each item, null where it failed], "count": int, "failed": int, "errors": [{"index": int,
        "message": str, "code": str}]}``; ``outputs`` is null when all together come to more than 10 MB
Units   none
Effect  none
Errors  the error of the first item that fails, unless failed items are passed over
Source  none
"""

from typing import Literal

from pydantic import Field

from nodes.spec import Context, EachItem, Example, Json, Output, Params, Port, action, ui

MAX_ITEMS = 100_000  # NOTE: runtime/limits.py LOOP_ITEMS
MAX_PARALLEL = 50  # NOTE: runtime/limits.py LOOP_PARALLEL


class ForEachParams(Params):
    items: list[Json] = Field(
        title="Items",
        description="The list to go through.",
        max_length=MAX_ITEMS,
        json_schema_extra=ui("expression", placeholder="{{ $action.find.rows }}", gives="item"),
    )
    parallel: int = Field(
        1,
        title="At the same time",
        description="How many items are worked on at once; with 1, one after the other.",
        strict=True,
        ge=1,
        le=MAX_PARALLEL,
        json_schema_extra=ui("number"),
    )
    on_item_error: Literal["stop", "continue"] = Field(
        "stop",
        title="When an item fails",
        description="“stop”: the loop fails. “continue”: the item is listed under “errors”, and the others go on.",
        json_schema_extra=ui("select"),
    )


class ItemError(Output):
    index: int = Field(description="Number of the item, from 0.")
    message: str = Field(description="What went wrong.")
    code: str | None = Field(description="The error's code.")


class ForEachOutput(Output):
    outputs: list[Json] | None = Field(description="What the body's last step gave, for each item.")
    count: int = Field(description="How many items there were.")
    failed: int = Field(description="How many of them failed.")
    errors: list[ItemError] = Field(description="The items that failed, at most 1,000 of them.")


@action(
    title="For each",
    category="Logic",
    icon="repeat",
    ports=(Port("each", "Each item"), Port("done", "Done")),
    output=ForEachOutput,
    body_port="each",
    summary="{items}",
    examples=[
        Example(
            "an empty body",
            params={"items": [1, 2]},
            output={"outputs": [None, None], "count": 2, "failed": 0, "errors": []},
            port="done",
        ),
        Example(
            "nothing to do",
            params={"items": []},
            output={"outputs": [], "count": 0, "failed": 0, "errors": []},
            port="done",
        ),
        Example("text is no list", params={"items": "a, b"}, error="param.invalid"),
        Example("too many at once", params={"items": [], "parallel": 51}, error="param.invalid"),
    ],
)
def for_each(params: ForEachParams, ctx: Context) -> EachItem:
    return EachItem(params.items, params.parallel, params.on_item_error == "continue")
