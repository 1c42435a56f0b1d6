"""Start by hand.

No event starts it: a person does with *Start by hand* in the menu of the published flow, a program with
``POST /api/flows/{id}/run`` or ``pulsewire flow run``, or another flow with *Run flow*. *Inputs* says what it has to be
given; with none, it takes any object.

Out     the payload that was given, an object; empty when none was
Units   none
Effect  none
Errors  ``input.missing``, ``input.wrong_type`` and ``input.unknown`` for what does not fit the inputs: nothing starts
Source  a person's request; no event starts it
"""

from typing import Literal, TypeAlias

from pydantic import Field

from nodes.spec import FreeOutput, Listen, Params, trigger, ui

Kind: TypeAlias = Literal[
    "text",
    "text?",
    "integer",
    "integer?",
    "number",
    "number?",
    "boolean",
    "boolean?",
    "object",
    "object?",
    "list",
    "list?",
    "any",
    "any?",
]


class ManualParams(Params):
    inputs: dict[str, Kind] = Field(
        {},
        title="Inputs",
        description="Names and kinds: text, integer, number, boolean, object, list or any; “?” behind one is optional.",
        max_length=50,
        json_schema_extra=ui("pairs", placeholder="order_id", is_literal=True, gives="payload"),
    )


@trigger(
    title="Manual start",
    icon="touch_app",
    payload=FreeOutput,
    sample={},
)
def manual(params: ManualParams) -> Listen:
    return Listen(None)
