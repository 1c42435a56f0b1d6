"""Keep a user from signing in.

The user's sessions end and every link stops working. The event ``auth.user_blocked`` is reported, unless the user was
blocked before.

Out     ``{"user": object}``, the blocked user, as in *Get user*
Units   none
Effect  write: one user, in the transaction that records the step, so exactly once
Errors  ``user.not_found``
Source  none
"""

from nodes.spec import Context, Example, Plan, Report, action
from nodes.users import ADA, PickedUser, UserOutput, done, picked, planned


class BlockUserParams(PickedUser):
    pass


def plan(params: BlockUserParams, ctx: Context) -> Plan:
    return planned("block", {**picked(params, ctx), "blocked": True})


@action(
    title="Block user",
    category="Users",
    icon="person_off",
    effect="write",
    plan=plan,
    reports=(Report("auth.user_blocked"),),
    summary="{value}",
    right="owner",
    examples=[
        Example("by email", params={"value": "ada@example.com"}, output={"user": ADA | {"blocked": True}}),
        Example("nobody has it", params={"value": "bob@example.com"}, error="user.not_found"),
    ],
)
def block_user(params: BlockUserParams, ctx: Context) -> UserOutput:
    return done(ctx.users.block(picked(params, ctx)["id"]))
