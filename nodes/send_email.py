"""Send an email.

It leaves through the SMTP server in the settings; without one, the built-in mailbox keeps it.
After a crash in mid-sending it is sent again with the same Message-ID; the mailbox keeps it once.

Out     ``{"message_id": str, "via": "smtp" | "mailbox"}``
Units   none
Effect  send: one message to every address in ``to``, ``cc`` and ``bcc``
Errors  ``mail.…`` for an address or header that cannot be sent, or a server that refuses or is away
Source  RFC 5322: addresses and headers; each entry is exactly one address, commas do not separate
"""

from typing import Annotated, TypeAlias

from pydantic import Field

from nodes.spec import Context, Email, Example, Output, Params, Plan, action, ui

MAX_ADDRESSES = 100

Address: TypeAlias = Annotated[str, Field(min_length=1, max_length=320)]
Addresses: TypeAlias = Annotated[list[Address], Field(max_length=MAX_ADDRESSES)]


class SendEmailParams(Params):
    to: Address | Annotated[list[Address], Field(min_length=1, max_length=MAX_ADDRESSES)] = Field(
        title="To",
        description="One address, or a list of them.",
        json_schema_extra=ui("text", placeholder="ops@example.com"),
    )
    cc: Address | Addresses = Field(
        [],
        title="Cc",
        description="Gets a copy; everyone sees these addresses.",
        json_schema_extra=ui("list", placeholder="team@example.com", is_advanced=True),
    )
    bcc: Address | Addresses = Field(
        [],
        title="Bcc",
        description="Gets a copy; nobody else sees these addresses.",
        json_schema_extra=ui("list", placeholder="archive@example.com", is_advanced=True),
    )
    reply_to: str = Field(
        "",
        title="Reply to",
        description="Where answers go, when not to the sender.",
        max_length=320,
        json_schema_extra=ui("text", placeholder="support@example.com", is_advanced=True),
    )
    subject: str = Field(
        title="Subject",
        description="One line.",
        max_length=998,  # RFC 5322 2.1.1
        json_schema_extra=ui("text", placeholder="{{ $param.Name }} was emptied"),
    )
    text: str = Field(
        "",
        title="Text",
        description="The message as plain text.",
        json_schema_extra=ui("multiline", placeholder="The table {{ $param.Name }} was emptied."),
    )
    html: str = Field(
        "",
        title="HTML",
        description="The message as HTML; mail programs show it in place of the text.",
        json_schema_extra=ui("html", is_advanced=True),
    )


class SendEmailOutput(Output):
    message_id: str = Field(description="The Message-ID header.")
    via: str = Field(description="“smtp”, or “mailbox” when no server is set.")


def plan(params: SendEmailParams, ctx: Context) -> Plan:
    message = ctx.mail.preview(_email(params))
    output = SendEmailOutput(message_id="<simulated@localhost>", via=str(message.get("via", "mailbox")))
    return Plan({"kind": "email", **message}, output)


@action(
    title="Send email",
    category="Communication",
    icon="mail",
    effect="send",
    plan=plan,
    summary="to {to}",
    examples=[
        Example(
            "to one address",
            params={"to": "ops@example.com", "subject": "orders was emptied", "text": "Look into it."},
            output={"message_id": "<simulated@localhost>", "via": "mailbox"},
        ),
        Example(
            "to several, as HTML",
            params={"to": ["a@example.com", "b@example.com"], "subject": "Hello", "html": "<p>Hello</p>"},
            output={"message_id": "<simulated@localhost>", "via": "mailbox"},
        ),
        Example("nobody to send to", params={"to": [], "subject": "Hello"}, error="param.invalid"),
        Example(
            "an object is no text", params={"to": "a@example.com", "subject": {"path": "/"}}, error="param.invalid"
        ),
    ],
)
async def send_email(params: SendEmailParams, ctx: Context) -> SendEmailOutput:
    sent = await ctx.mail.send(_email(params), idempotency_key=ctx.idempotency_key)
    return SendEmailOutput(message_id=sent.message_id, via=sent.via)


def _email(params: SendEmailParams) -> Email:
    return Email(
        to=_listed(params.to),
        cc=_listed(params.cc),
        bcc=_listed(params.bcc),
        reply_to=params.reply_to or None,
        subject=params.subject,
        text=params.text if params.text or not params.html else None,
        html=params.html or None,
    )


def _listed(addresses: str | list[str]) -> list[str]:
    return [addresses] if isinstance(addresses, str) else addresses
