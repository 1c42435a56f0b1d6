"""Start when a user verified the address.

With the link or the token, that is; setting *Email verified* on the Users page, by the API or by a flow reports no
event.

Out     ``{"userId": str, "email": str, "emailVerified": bool, "roles": [str]}``, the user after the verification
Units   none
Effect  none
Errors  none of its own
Source  event ``auth.email_verified``, reported once per change in the transaction of the change
"""

from nodes.spec import Listen, trigger
from nodes.user_event import SAMPLE, UserEventParams, UserEventPayload


@trigger(
    type="auth.email_verified",
    title="Email verified",
    category="User triggers",
    icon="verified",
    payload=UserEventPayload,
    sample=SAMPLE,
)
def on_email_verified(params: UserEventParams) -> Listen:
    return Listen("auth.email_verified")
