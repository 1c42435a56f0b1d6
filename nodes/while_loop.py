"""Repeat as long as something holds.

What hangs on the port *each*, and on nothing else, is the loop's body. Before every round the condition is evaluated:
``$index`` is the number of rounds done, ``$item`` what the last step of the round before gave (null at first), and
``$action`` has the outputs of that round. When it does not hold, the flow goes on at *done*.

Out     ``{"outputs": [one for each round], "rounds": int}``; ``outputs`` is null when all together come to more than
        10 MB
Units   none
Effect  none
Errors  ``loop.bound_reached`` when the condition still holds after the largest number of rounds; ``param.invalid``
        when it is not exactly true or false; the error of a round that fails
Source  none
"""

from pydantic import Field

from nodes.spec import AnotherRound, Context, Example, Json, Output, Params, Port, action, ui

MAX_ROUNDS = 10_000  # NOTE: runtime/limits.py LOOP_ROUNDS


class WhileLoopParams(Params):
    while_: bool = Field(
        alias="while",
        title="While",
        description="An expression that is true as long as another round is wanted.",
        strict=True,
        json_schema_extra=ui("expression", placeholder="{{ $index == 0 or $item.next is not none }}"),
    )
    max_rounds: int = Field(
        100,
        title="At most",
        description="Rounds after which the loop fails if the condition still holds.",
        strict=True,
        ge=1,
        le=MAX_ROUNDS,
        json_schema_extra=ui("number"),
    )


class WhileLoopOutput(Output):
    outputs: list[Json] | None = Field(description="What the body's last step gave, for each round.")
    rounds: int = Field(description="How many rounds there were.")


@action(
    title="While",
    category="Logic",
    icon="restart_alt",
    ports=(Port("each", "Each round"), Port("done", "Done")),
    output=WhileLoopOutput,
    body_port="each",
    is_asked_each_round=True,
    summary="{while}",
    examples=[
        Example("no round", params={"while": False}, output={"outputs": [], "rounds": 0}, port="done"),
        Example("text is no answer", params={"while": "yes"}, error="param.invalid"),
        Example("too many rounds", params={"while": False, "max_rounds": 10_001}, error="param.invalid"),
    ],
)
def while_loop(params: WhileLoopParams, ctx: Context) -> AnotherRound:
    return AnotherRound(params.while_, params.max_rounds)
