"""Start when a login succeeded.

A sign-up and a failed attempt are no login.

Out     ``{"userId": str, "email": str, "emailVerified": bool, "roles": [str]}``
Units   none
Effect  none
Errors  none of its own
Source  event ``auth.user_loggedIn``, reported once per login in its transaction
"""

from nodes.spec import Listen, trigger
from nodes.user_event import SAMPLE, UserEventParams, UserEventPayload


@trigger(
    type="auth.user_loggedIn",
    title="User logged in",
    category="User triggers",
    icon="login",
    payload=UserEventPayload,
    sample=SAMPLE,
)
def on_user_logged_in(params: UserEventParams) -> Listen:
    return Listen("auth.user_loggedIn")
