"""Read one user.

Out     ``{"user": object}`` with ``id``, ``email``, ``first_name``, ``last_name``, ``roles``, ``email_verified``,
        ``blocked``, ``created_at``, ``updated_at``, ``last_login_at``
Units   times are ISO 8601 text in UTC
Effect  read
Errors  ``user.not_found``
Source  none
"""

from nodes.spec import Context, Example, action
from nodes.users import ADA, PickedUser, UserOutput, done, picked


class GetUserParams(PickedUser):
    pass


@action(
    title="Get user",
    category="Users",
    icon="person_search",
    effect="read",
    summary="{value}",
    right="owner",
    examples=[
        Example("by email", params={"value": "Ada@example.com"}, output={"user": ADA}),
        Example("by id", params={"by": "id", "value": ADA["id"]}, output={"user": ADA}),
        Example("nobody has it", params={"value": "bob@example.com"}, error="user.not_found"),
    ],
)
def get_user(params: GetUserParams, ctx: Context) -> UserOutput:
    return done(picked(params, ctx))
