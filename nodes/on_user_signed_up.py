"""Start when a signup succeeded.

A login is no sign-up, and neither is a user that was added on the Users page, by the API or by a flow.

Out     ``{"userId": str, "email": str, "emailVerified": bool, "roles": [str]}``
Units   none
Effect  none
Errors  none of its own
Source  event ``auth.user_signedUp``, reported once per sign-up in its transaction
"""

from nodes.spec import Listen, trigger
from nodes.user_event import SAMPLE, UserEventParams, UserEventPayload


@trigger(
    type="auth.user_signedUp",
    title="User signed up",
    category="User triggers",
    icon="person_add",
    payload=UserEventPayload,
    sample=SAMPLE | {"emailVerified": False, "roles": []},
)
def on_user_signed_up(params: UserEventParams) -> Listen:
    return Listen("auth.user_signedUp")
