"""Have a user verify the address.

It makes a new link and reports ``auth.email_verificationRequested``; a flow that starts on that event sends the mail,
such as *Send verification email*. Links that were sent before stop working.

Out     ``{"user": object}``, the user as in *Get user*; the link is in the event alone
Units   none
Effect  write: one event, in the transaction that records the step, so exactly once
Errors  ``user.not_found``, ``user.is_verified`` when there is nothing left to verify, ``user.is_blocked``
Source  none
"""

from nodes.spec import Context, Example, NodeError, Plan, Report, action
from nodes.users import ADA, PickedUser, UserOutput, done, picked, planned, refuse_blocked


class SendVerificationParams(PickedUser):
    pass


def plan(params: SendVerificationParams, ctx: Context) -> Plan:
    user = picked(params, ctx)
    if user["email_verified"]:
        raise NodeError("The address of this user is verified already.", code="user.is_verified")
    refuse_blocked(user)
    return planned("send_verification", user)


@action(
    title="Send verification",
    category="Users",
    icon="mark_email_unread",
    effect="write",
    plan=plan,
    reports=(Report("auth.email_verificationRequested"),),
    summary="to {value}",
    right="owner",
    examples=[
        Example("by email", params={"value": "ada@example.com"}, output={"user": ADA}),
        Example("the address is verified", params={"value": "alan@example.com"}, error="user.is_verified"),
        Example("nobody has it", params={"value": "bob@example.com"}, error="user.not_found"),
    ],
)
def send_verification(params: SendVerificationParams, ctx: Context) -> UserOutput:
    return done(ctx.users.send_verification(picked(params, ctx)["id"]))
