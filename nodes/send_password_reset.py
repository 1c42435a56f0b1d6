"""Let a user set a new password.

It makes a new link and reports ``auth.password_reset`` in the phase *requested*; a flow that starts on that event sends
the mail, such as *Send password reset email*. Links that were sent before stop working, the old password does not.

Out     ``{"user": object}``, the user as in *Get user*; the link is in the event alone
Units   none
Effect  write: one event, in the transaction that records the step, so exactly once
Errors  ``user.not_found``, ``user.is_blocked``
Source  none
"""

from nodes.spec import Context, Example, Plan, Report, action
from nodes.users import ADA, PickedUser, UserOutput, done, picked, planned, refuse_blocked


class SendPasswordResetParams(PickedUser):
    pass


def plan(params: SendPasswordResetParams, ctx: Context) -> Plan:
    user = picked(params, ctx)
    refuse_blocked(user)
    return planned("send_password_reset", user)


@action(
    title="Send password reset",
    category="Users",
    icon="key",
    effect="write",
    plan=plan,
    reports=(Report("auth.password_reset", {"phase": "requested"}),),
    summary="to {value}",
    right="owner",
    examples=[
        Example("by email", params={"value": "ada@example.com"}, output={"user": ADA}),
        Example("the user is blocked", params={"value": "alan@example.com"}, error="user.is_blocked"),
        Example("nobody has it", params={"value": "bob@example.com"}, error="user.not_found"),
    ],
)
def send_password_reset(params: SendPasswordResetParams, ctx: Context) -> UserOutput:
    return done(ctx.users.send_password_reset(picked(params, ctx)["id"]))
