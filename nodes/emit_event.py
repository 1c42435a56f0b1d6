"""Report an event to other flows.

Out     ``{"event_id": str}``
Units   none
Effect  write: one event, in the transaction that records the step, so exactly once
Errors  ``param.invalid`` for a name beginning with ``api.``, ``auth.``, ``flow.`` or ``webhook.``: the platform's own
Source  none
"""

from pydantic import Field, field_validator

from nodes.spec import Context, Example, Json, Output, Params, Plan, Report, action, ui

RESERVED = ("api.", "auth.", "flow.", "webhook.")


class EmitEventParams(Params):
    name: str = Field(
        title="Name",
        description="Name of the event: an area, a dot, and what happened.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]*$",
        max_length=200,
        json_schema_extra=ui("text", placeholder="shop.order_paid"),
    )
    payload: dict[str, Json] = Field(
        {},
        title="Payload",
        description="What listening flows read as $param.",
        json_schema_extra=ui("pairs", placeholder="id"),
    )

    @field_validator("name")
    @classmethod
    def _is_not_reserved(cls, name: str) -> str:
        if name.startswith(RESERVED):
            raise ValueError("names beginning with api., auth., flow. and webhook. are reported by the platform only")
        return name


class EmitEventOutput(Output):
    event_id: str = Field(description="The event's id.")


def plan(params: EmitEventParams, ctx: Context) -> Plan:
    effect = {"kind": "event", "name": params.name, "payload": params.payload}
    return Plan(effect, EmitEventOutput(event_id="simulated"))


@action(
    title="Emit event",
    category="Communication",
    icon="campaign",
    effect="write",
    plan=plan,
    reports=lambda params: (Report(params.get("name") or ""),),
    summary="{name}",
    examples=[
        Example(
            "with a payload",
            params={"name": "shop.order_paid", "payload": {"id": 1001}},
            output={"event_id": "simulated"},
        ),
        Example("a name of the platform", params={"name": "api.dataTable_created"}, error="param.invalid"),
        Example("a name with spaces", params={"name": "order paid"}, error="param.invalid"),
    ],
)
def emit_event(params: EmitEventParams, ctx: Context) -> EmitEventOutput:
    return EmitEventOutput(event_id=ctx.events.emit(params.name, params.payload))
