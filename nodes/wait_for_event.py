"""Wait until an event is reported.

Only events that come after the step has begun to wait count. *Match* names fields of the event's payload and the values
they must have; *Condition* is an expression over the flow's own names, in which the event's payload is ``$item``. The
first event that meets both lets the run go on at *out*. With a time-out it goes on at *timeout* if none has come.

Out     ``{"event_id": str, "name": str, "payload": object}``; nothing at *timeout*
Units   ``timeout_s`` in seconds, up to 366 days
Effect  none
Errors  none of its own; an event for which the condition cannot be evaluated is passed over
Source  any event: the backend's, those of ``POST /api/events``, those of *Emit event*
"""

from datetime import timedelta

from pydantic import Field

from nodes.spec import AwaitEvent, Context, Example, Json, Output, Params, Port, action, ui

MAX_SECONDS = 366 * 86_400  # NOTE: runtime/limits.py DELAY_S


class WaitForEventParams(Params):
    event: str = Field(
        title="Event",
        description="Name of the event, exactly as it is reported.",
        min_length=1,
        max_length=200,
        json_schema_extra=ui("text", placeholder="shop.order_paid"),
    )
    match: dict[str, Json] = Field(
        {},
        title="Match",
        description="Fields of the event's payload and the values they must have.",
        json_schema_extra=ui("pairs", placeholder="order_id"),
    )
    condition: str = Field(
        "",
        title="Condition",
        description="An expression that must be true; the event's payload is $item.",
        max_length=4096,
        json_schema_extra=ui("expression", placeholder="{{ $item.total > $param.total }}", is_late=True),
    )
    timeout_s: float | None = Field(
        None,
        title="Time-out",
        description="Seconds after which the flow goes on at “timeout”; empty: it waits without end.",
        strict=True,
        gt=0,
        le=MAX_SECONDS,
        json_schema_extra=ui("number", placeholder="86400"),
    )


class WaitForEventOutput(Output):
    event_id: str = Field(description="The event's id.")
    name: str = Field(description="The event's name.")
    payload: dict[str, Json] = Field(description="What the event carries.")


@action(
    title="Wait for event",
    category="Logic",
    icon="hourglass_top",
    ports=(Port("out", "Came"), Port("timeout", "Time-out", has_output=False, needs="timeout_s")),
    output=WaitForEventOutput,
    summary="{event}",
    examples=[
        Example(
            "the payment of one order",
            params={"event": "shop.order_paid", "match": {"order_id": 1001}},
            output={"event_id": "simulated", "name": "shop.order_paid", "payload": {"order_id": 1001}},
        ),
        Example("no name", params={"event": ""}, error="param.invalid"),
        Example("no time", params={"event": "a.b", "timeout_s": 0}, error="param.invalid"),
    ],
)
def wait_for_event(params: WaitForEventParams, ctx: Context) -> AwaitEvent:
    until = None if params.timeout_s is None else ctx.time + timedelta(seconds=params.timeout_s)
    return AwaitEvent(params.event, params.match, params.condition.strip() or None, until)
