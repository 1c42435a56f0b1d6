"""Start when a user is to verify the address.

After every sign-up, that is, and whenever it is requested. The flow sends ``$param.link``, or the token in a message
of its own; either works for 24 hours, until a newer one is requested. Both are masked wherever the run is shown.

Out     ``{"userId": str, "email": str, "emailVerified": bool, "roles": [str], "token": str, "link": str | null}``;
        ``link`` is null while the hosted pages are off
Units   none
Effect  none
Errors  ``$param.token`` and ``$param.link`` cannot be used once they have expired, nor in a retried run
Source  event ``auth.email_verificationRequested``, reported once per request in its transaction
"""

from pydantic import Field

from nodes.spec import Listen, trigger
from nodes.user_event import SAMPLE, TOKEN, UserEventParams, UserEventPayload, link


class EmailVerificationRequestedPayload(UserEventPayload):
    token: str = Field(title="Token", description="Verifies the address; works once, for 24 hours.")
    link: str | None = Field(title="Link", description="The hosted page with the token; null while the pages are off.")


@trigger(
    type="auth.email_verificationRequested",
    title="Email verification requested",
    category="User triggers",
    icon="mark_email_unread",
    payload=EmailVerificationRequestedPayload,
    sample=SAMPLE | {"emailVerified": False, "roles": [], "token": TOKEN, "link": link("verify-email")},
    right="owner",
)
def on_email_verification_requested(params: UserEventParams) -> Listen:
    return Listen("auth.email_verificationRequested")
