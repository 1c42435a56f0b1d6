"""Start when a user asks for a new password, or has set one.

The event has two phases. *Requested*: the flow sends ``$param.link``, or the token in a message of its own; either
works for one hour, until a newer one is requested, and both are masked wherever the run is shown. *Completed*: the
user has set a new password with the token; a password set on the Users page, by the API or by a flow is no reset.

Out     ``{"userId": str, "email": str, "emailVerified": bool, "roles": [str]}``, and when requested
        ``{"token": str, "link": str | null}``; ``link`` is null while the hosted pages are off
Units   none
Effect  none
Errors  ``$param.token`` and ``$param.link`` cannot be used once they have expired, nor in a retried run
Source  event ``auth.password_reset``, reported once per request and once per reset, each in its transaction
"""

from typing import Literal

from pydantic import Field

from nodes.spec import Listen, Preset, trigger, ui
from nodes.user_event import SAMPLE, TOKEN, UserEventParams, UserEventPayload, link

REQUESTED = SAMPLE | {"token": TOKEN, "link": link("set-new-password")}


class PasswordResetParams(UserEventParams):
    phase: Literal["requested", "completed"] = Field(
        "requested",
        title="Phase",
        description="“requested”: a user asks for a new password. “completed”: the user has set it.",
        json_schema_extra=ui("select", is_literal=True),
    )


class PasswordResetPayload(UserEventPayload):
    token: str | None = Field(
        None, title="Token", description="Allows to set a new password once, within one hour; not when completed."
    )
    link: str | None = Field(
        None, title="Link", description="The hosted page with the token; null while the pages are off."
    )


@trigger(
    type="auth.password_reset",
    title="Password reset",
    category="User triggers",
    icon="lock_reset",
    payload=PasswordResetPayload,
    sample=REQUESTED,
    right="owner",
    presets=[
        Preset(
            "Password reset requested",
            params={"phase": "requested"},
            hint="A user asks for a new password",
        ),
        Preset(
            "Password reset",
            params={"phase": "completed"},
            sample=SAMPLE,
            hint="A user has set a new password",
        ),
    ],
)
def on_password_reset(params: PasswordResetParams) -> Listen:
    return Listen("auth.password_reset", match={"phase": params.phase})
