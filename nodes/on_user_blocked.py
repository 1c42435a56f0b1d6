"""Start when a user was blocked.

A blocked user cannot sign in. Unblocking reports no event.

Out     ``{"userId": str, "email": str, "emailVerified": bool, "roles": [str]}``
Units   none
Effect  none
Errors  none of its own
Source  event ``auth.user_blocked``, reported once per change in the transaction of the change
"""

from nodes.spec import Listen, trigger
from nodes.user_event import SAMPLE, UserEventParams, UserEventPayload


@trigger(
    type="auth.user_blocked",
    title="User blocked",
    category="User triggers",
    icon="person_off",
    payload=UserEventPayload,
    sample=SAMPLE,
)
def on_user_blocked(params: UserEventParams) -> Listen:
    return Listen("auth.user_blocked")
