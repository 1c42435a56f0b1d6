from __future__ import annotations

import pytest
from pydantic import ValidationError

from nodes.send_email import SendEmailParams, send_email
from nodes.spec import Email


async def test_message_leaves_once_with_the_steps_key(ctx):
    params = SendEmailParams.model_validate(
        {"to": "a@example.com", "cc": ["b@example.com"], "reply_to": "c@example.com", "subject": "Hi", "text": "Hello"}
    )

    output = await send_email.run(params, ctx)

    assert output.model_dump() == {"message_id": "<41.notify@localhost>", "via": "smtp"}
    email = Email(["a@example.com"], "Hi", "Hello", None, ["b@example.com"], [], "c@example.com")
    assert ctx.calls == [(email, "41:notify")]


async def test_one_address_text_is_never_split(ctx):
    params = SendEmailParams.model_validate({"to": "a@example.com, b@example.com", "subject": "Hi"})

    await send_email.run(params, ctx)

    assert ctx.calls[0][0].to == ["a@example.com, b@example.com"], "mail refuses it, or sends to one recipient"


async def test_html_alone_has_no_empty_text(ctx):
    await send_email.run(SendEmailParams.model_validate({"to": "a@b.c", "subject": "Hi", "html": "<p>Hi</p>"}), ctx)

    assert (ctx.calls[0][0].text, ctx.calls[0][0].html) == (None, "<p>Hi</p>")


@pytest.mark.parametrize("to", ["", [], [""], ["a@b.c", 7], {"address": "a@b.c"}, ["a@b.c"] * 101, "x" * 321])
def test_recipients_that_are_no_addresses_are_refused(to):
    with pytest.raises(ValidationError):
        SendEmailParams.model_validate({"to": to, "subject": "Hi"})
