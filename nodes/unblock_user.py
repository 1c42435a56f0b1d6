"""Let a blocked user sign in again.

It reports no event; a user who is not blocked stays as it is.

Out     ``{"user": object}``, the user as in *Get user*
Units   none
Effect  write: one user, in the transaction that records the step, so exactly once
Errors  ``user.not_found``
Source  none
"""

from nodes.spec import Context, Example, Plan, action
from nodes.users import ADA, PickedUser, UserOutput, done, picked, planned


class UnblockUserParams(PickedUser):
    pass


def plan(params: UnblockUserParams, ctx: Context) -> Plan:
    return planned("unblock", {**picked(params, ctx), "blocked": False})


@action(
    title="Unblock user",
    category="Users",
    icon="how_to_reg",
    effect="write",
    plan=plan,
    summary="{value}",
    right="owner",
    examples=[
        Example("by id", params={"by": "id", "value": ADA["id"]}, output={"user": ADA}),
        Example("nobody has it", params={"value": "bob@example.com"}, error="user.not_found"),
    ],
)
def unblock_user(params: UnblockUserParams, ctx: Context) -> UserOutput:
    return done(ctx.users.unblock(picked(params, ctx)["id"]))
