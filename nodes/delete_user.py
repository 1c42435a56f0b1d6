"""Delete a user.

The user's sessions end and every link stops working. The event ``auth.user_deleted`` is reported.

Out     ``{"user": object}``, the user as it was, as in *Get user*
Units   none
Effect  write: one user, in the transaction that records the step, so exactly once
Errors  ``user.not_found``
Source  none
"""

from nodes.spec import Context, Example, Plan, Report, action
from nodes.users import ADA, PickedUser, UserOutput, done, picked, planned


class DeleteUserParams(PickedUser):
    pass


def plan(params: DeleteUserParams, ctx: Context) -> Plan:
    return planned("delete", picked(params, ctx))


@action(
    title="Delete user",
    category="Users",
    icon="person_remove",
    effect="write",
    plan=plan,
    reports=(Report("auth.user_deleted"),),
    summary="{value}",
    right="owner",
    examples=[
        Example("by email", params={"value": "ada@example.com"}, output={"user": ADA}),
        Example("nobody has it", params={"value": "bob@example.com"}, error="user.not_found"),
    ],
)
def delete_user(params: DeleteUserParams, ctx: Context) -> UserOutput:
    return done(ctx.users.delete(picked(params, ctx)["id"]))
