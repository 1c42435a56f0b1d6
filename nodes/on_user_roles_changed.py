"""Start when a user got other roles.

Out     ``{"userId": str, "email": str, "emailVerified": bool, "roles": [str]}``, with the new roles
Units   none
Effect  none
Errors  none of its own
Source  event ``auth.user_rolesChanged``, reported once per change in the transaction of the change
"""

from nodes.spec import Listen, trigger
from nodes.user_event import SAMPLE, UserEventParams, UserEventPayload


@trigger(
    type="auth.user_rolesChanged",
    title="User roles changed",
    category="User triggers",
    icon="badge",
    payload=UserEventPayload,
    sample=SAMPLE | {"roles": ["customer", "editor"]},
)
def on_user_roles_changed(params: UserEventParams) -> Listen:
    return Listen("auth.user_rolesChanged")
