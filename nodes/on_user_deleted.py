"""Start when a user was deleted.

Out     ``{"userId": str, "email": str, "emailVerified": bool, "roles": [str]}``, the user as it was before
Units   none
Effect  none
Errors  none of its own
Source  event ``auth.user_deleted``, reported once per change in the transaction of the change
"""

from nodes.spec import Listen, trigger
from nodes.user_event import SAMPLE, UserEventParams, UserEventPayload


@trigger(
    type="auth.user_deleted",
    title="User deleted",
    category="User triggers",
    icon="person_remove",
    payload=UserEventPayload,
    sample=SAMPLE,
)
def on_user_deleted(params: UserEventParams) -> Listen:
    return Listen("auth.user_deleted")
