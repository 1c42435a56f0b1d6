"""Start when a named event was reported.

Out     the event's payload, an object
Units   none
Effect  none
Errors  none of its own
Source  any event: the backend's, those of ``POST /api/events``, those of *Emit event*
"""

from pydantic import Field, field_validator

from nodes.spec import FreeOutput, Listen, Params, trigger, ui


class EventParams(Params):
    event: str = Field(
        title="Event",
        description="Name of the event, exactly as it is reported.",
        min_length=1,
        max_length=200,
        json_schema_extra=ui("text", placeholder="shop.order_paid", is_literal=True),
    )
    filter: str = Field(
        "",
        title="Filter",
        description="An expression over $param; the flow starts only when it is true.",
        max_length=4096,
        json_schema_extra=ui("expression", placeholder="{{ $param.total > 100 }}"),
    )

    @field_validator("event")
    @classmethod
    def _has_no_trigger_of_its_own(cls, event: str) -> str:
        if event.startswith("webhook."):
            raise ValueError("requests to a webhook start its own trigger; use the trigger “Webhook”")
        return event


@trigger(
    title="Event",
    icon="sensors",
    payload=FreeOutput,
    sample={"id": "order-1001", "total": 120},
    summary="{event}",
)
def event(params: EventParams) -> Listen:
    return Listen(params.event, where=params.filter.strip() or None)
