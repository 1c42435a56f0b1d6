"""Wait for some time, then go on.

The run waits in the database and holds no worker meanwhile; it goes on at its time also when Pulsewire was restarted,
and at once when its time passed while Pulsewire was down.

Out     ``{"waited_until": str}``, ISO 8601 in UTC
Units   ``seconds`` in seconds, up to 366 days
Effect  none
Errors  none of its own
Source  none
"""

from datetime import datetime, timedelta

from pydantic import Field

from nodes.spec import Context, Example, Output, Params, Sleep, action, ui

MAX_SECONDS = 366 * 86_400  # NOTE: runtime/limits.py DELAY_S


class DelayParams(Params):
    seconds: float = Field(
        title="Seconds",
        description="How long to wait: 60 is a minute, 3600 an hour, 86400 a day.",
        strict=True,
        ge=0,
        le=MAX_SECONDS,
        json_schema_extra=ui("number", placeholder="3600"),
    )


class DelayOutput(Output):
    waited_until: datetime = Field(description="When the run was to go on.")


@action(
    title="Delay",
    category="Logic",
    icon="timer",
    summary="{seconds} s",
    output=DelayOutput,
    examples=[
        Example("an hour", params={"seconds": 3600}, output={"waited_until": "2026-01-05T10:00:00Z"}),
        Example("not at all", params={"seconds": 0}, output={"waited_until": "2026-01-05T09:00:00Z"}),
        Example("backwards", params={"seconds": -1}, error="param.invalid"),
        Example("ten years", params={"seconds": 315_360_000}, error="param.invalid"),
        Example("text is no number", params={"seconds": "60"}, error="param.invalid"),
    ],
)
def delay(params: DelayParams, ctx: Context) -> Sleep:
    until = ctx.time + timedelta(seconds=params.seconds)
    return Sleep(until, DelayOutput(waited_until=until))
