"""Go on at the case that fits.

That is the first that equals the value, or *default* when none does. Text equals the case with the same
characters. A number, true, false or null equals the case that writes it in JSON: 3 and 3.0 equal the case ``3``,
and so does the text "3". Lists and objects equal no case.

Out     ``{"case": str}``, the case that was taken or ``default``; each case is a port of that name
Units   none
Effect  none
Errors  none of its own
Source  RFC 8259: how numbers, true, false and null are written
"""

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, field_validator

from nodes.spec import Context, Example, Json, Output, Params, Port, Routed, action, ui

DEFAULT = Port("default", "Default")
RESERVED = ("default", "error")
MAX_CASES = 500


class SwitchParams(Params):
    value: Json = Field(
        title="Value",
        description="What is compared with the cases.",
        json_schema_extra=ui("expression", placeholder="{{ $param.status }}"),
    )
    cases: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        title="Cases",
        description="One port for each; the first that equals the value is taken.",
        min_length=1,
        max_length=MAX_CASES,
        json_schema_extra=ui("list", placeholder="paid", is_literal=True, gives="cases"),
    )

    @field_validator("cases")
    @classmethod
    def _are_distinct_ports(cls, cases: list[str]) -> list[str]:
        for number, case in enumerate(cases):
            if case in RESERVED:
                raise ValueError(f"a case cannot be called “{case}”, because that port exists already")
            if case in cases[:number]:
                raise ValueError(f"the case “{case}” is listed twice")
        return cases


class SwitchOutput(Output):
    case: str = Field(description="The case that was taken, or “default”.")


def case_ports(params: Mapping[str, Json]) -> tuple[Port, ...]:
    """Return a port for each usable case of raw parameters, which may be unfinished, then *default*."""
    cases = params.get("cases")
    texts = [case for case in cases if isinstance(case, str)] if isinstance(cases, list) else []
    names = dict.fromkeys(case for case in texts if case and case not in RESERVED)
    return (*(Port(name, name) for name in names), DEFAULT)


@action(
    title="Switch",
    category="Logic",
    icon="alt_route",
    ports=case_ports,
    output=SwitchOutput,
    summary="on {value}",
    examples=[
        Example(
            "takes the case with the same text", {"value": "paid", "cases": ["open", "paid"]}, {"case": "paid"}, "paid"
        ),
        Example("a number equals its text", {"value": 3, "cases": ["3"]}, {"case": "3"}, "3"),
        Example("true is not 1", {"value": True, "cases": ["1", "true"]}, {"case": "true"}, "true"),
        Example("nothing equals", {"value": "lost", "cases": ["paid"]}, {"case": "default"}, "default"),
        Example("a case twice", {"value": "a", "cases": ["a", "a"]}, error="param.invalid"),
        Example("a case called default", {"value": "a", "cases": ["default"]}, error="param.invalid"),
    ],
)
def switch(params: SwitchParams, ctx: Context) -> Routed:
    case = next((case for case in params.cases if equals(params.value, case)), DEFAULT.name)
    return Routed(case, SwitchOutput(case=case))


def equals(value: Json, case: str) -> bool:
    """Return whether *value* is the text *case* or the JSON number, boolean or null that *case* writes."""
    if isinstance(value, str):
        return value == case
    if isinstance(value, list | dict):
        return False
    try:
        written = json.loads(case)
    except ValueError:
        return False
    if value is None or isinstance(value, bool):
        return written is value
    return isinstance(written, int | float) and not isinstance(written, bool) and bool(written == value)
