"""Wait until a person approves or rejects.

The person opens a link, reads title and message, and decides; whoever has the link may. With addresses in *To* it is
mailed to them. Editors can also decide on the run's page. The run holds no worker while it waits.

Out     ``{"approved": bool, "by": str, "comment": str, "decided_at": str}``, at *approved* or *rejected*; nothing at
        *timeout*
Units   ``timeout_s`` in seconds, up to 366 days
Effect  send: one message to every address in ``to``, if there are any
Errors  ``mail.…`` for an address that cannot be sent to, or a server that refuses or is away
Source  none
"""

from datetime import timedelta
from typing import Annotated, TypeAlias

from pydantic import Field

from nodes.spec import AwaitApproval, Context, Email, Example, Json, Output, Params, Plan, Port, action, ui

MAX_ADDRESSES = 100
MAX_SECONDS = 366 * 86_400  # NOTE: runtime/limits.py DELAY_S

Address: TypeAlias = Annotated[str, Field(min_length=1, max_length=320)]


class WaitForApprovalParams(Params):
    title: str = Field(
        title="Title",
        description="What is to be decided, in one line.",
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        json_schema_extra=ui("text", placeholder="Refund order {{ $param.order }}?"),
    )
    message: str = Field(
        "",
        title="Message",
        description="What a person needs to know to decide.",
        max_length=20_000,
        json_schema_extra=ui("multiline", placeholder="{{ $param.customer }} asks for {{ $param.total }} €."),
    )
    to: Address | Annotated[list[Address], Field(max_length=MAX_ADDRESSES)] = Field(
        [],
        title="To",
        description="Who gets the link by email: one address, or a list of them.",
        json_schema_extra=ui("list", placeholder="boss@example.com"),
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


class WaitForApprovalOutput(Output):
    approved: bool = Field(description="Whether it was approved.")
    by: str = Field(description="Who decided: an operator, or “link”.")
    comment: str = Field(description="What they wrote, or nothing.")
    decided_at: str | None = Field(description="When, ISO 8601 in UTC.")


def plan(params: WaitForApprovalParams, ctx: Context) -> Plan:
    effect: dict[str, Json] = {"kind": "approval", "title": params.title, "message": params.message}
    if _addresses(params):
        effect["email"] = ctx.mail.preview(_email(params, "https://…/approve/…"))
    return Plan(effect, WaitForApprovalOutput(approved=True, by="simulated", comment="", decided_at=None))


@action(
    title="Wait for approval",
    category="Logic",
    icon="how_to_reg",
    effect="send",
    plan=plan,
    ports=(
        Port("approved", "Approved"),
        Port("rejected", "Rejected"),
        Port("timeout", "Time-out", has_output=False, needs="timeout_s"),
    ),
    output=WaitForApprovalOutput,
    summary="{title}",
    examples=[
        Example(
            "decided on the run's page",
            params={"title": "Refund order 1001?"},
            output={"approved": True, "by": "simulated", "comment": "", "decided_at": None},
            port="approved",
        ),
        Example("nothing to decide", params={"title": ""}, error="param.invalid"),
        Example("two lines", params={"title": "one\ntwo"}, error="param.invalid"),
    ],
)
async def wait_for_approval(params: WaitForApprovalParams, ctx: Context) -> AwaitApproval:
    if _addresses(params):
        await ctx.mail.send(_email(params, ctx.approval_link), idempotency_key=ctx.idempotency_key)
    until = None if params.timeout_s is None else ctx.time + timedelta(seconds=params.timeout_s)
    return AwaitApproval(params.title, params.message, until)


def _addresses(params: WaitForApprovalParams) -> list[str]:
    return [params.to] if isinstance(params.to, str) else params.to


def _email(params: WaitForApprovalParams, link: str) -> Email:
    text = f"{params.message}\n\nDecide here: {link}\n".lstrip()
    return Email(to=_addresses(params), subject=params.title, text=text)
