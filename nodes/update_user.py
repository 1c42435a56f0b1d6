"""Change a user.

What is left out stays as it is. Another address is not verified, unless *Email verified* says so, and links that went
to the old one stop working. A new password ends every session of the user; it is masked in the record of this step and
of those after it, and in an event where its field is called ``password``. None of it reports an event.

Out     ``{"user": object}``, the user after the change, as in *Get user*
Units   none
Effect  write: one user, in the transaction that records the step, so exactly once
Errors  ``user.not_found``, ``user.email_taken``, ``user.email_invalid``, ``user.name_invalid``, and ``password.…``
        for a password that is too short, too common, or without a lower-case letter or a digit
Source  none
"""

from pydantic import Field, StrictBool

from nodes.spec import Context, Example, Json, Plan, action, ui
from nodes.users import ADA, EMAIL_CHARS, NAME_CHARS, PickedUser, UserOutput, done, given, picked, planned

PASSWORD_CHARS = 4096


class UpdateUserParams(PickedUser):
    email: str = Field(
        "",
        title="New email",
        description="The address from now on, which no other user has.",
        max_length=EMAIL_CHARS,
        json_schema_extra=ui("text", placeholder="Stays as it is"),
    )
    first_name: str = Field(
        "",
        title="First name",
        description="The first name from now on.",
        max_length=NAME_CHARS,
        json_schema_extra=ui("text", placeholder="Stays as it is"),
    )
    last_name: str = Field(
        "",
        title="Last name",
        description="The last name from now on.",
        max_length=NAME_CHARS,
        json_schema_extra=ui("text", placeholder="Stays as it is"),
    )
    email_verified: StrictBool | None = Field(
        None,
        title="Email verified",
        description="Whether the address counts as verified from now on.",
        json_schema_extra=ui("select", placeholder="Stays as it is"),
    )
    password: str = Field(
        "",
        title="New password",
        description="At least 8 characters with a lower-case letter and a digit; masked from this step on.",
        max_length=PASSWORD_CHARS,
        json_schema_extra=ui("password", placeholder="Stays as it is", is_advanced=True, is_secret=True),
    )


async def before(params: UpdateUserParams, ctx: Context) -> object:
    return await ctx.passwords.hash(params.password) if params.password else None


def plan(params: UpdateUserParams, ctx: Context) -> Plan:
    user = picked(params, ctx)
    values = ctx.users.check(_values(params), user_id=user["id"])
    is_moved = str(values.get("email", user["email"])).casefold() != str(user["email"]).casefold()
    after = {**user, **({"email_verified": False} if is_moved else {}), **values}
    shown = values | ({"password": "a new one"} if params.password else {})
    return planned("update", after, values=shown)


@action(
    title="Update user",
    category="Users",
    icon="manage_accounts",
    effect="write",
    plan=plan,
    before=before,
    summary="{value}",
    right="owner",
    examples=[
        Example(
            "the address is verified",
            params={"by": "id", "value": ADA["id"], "email_verified": True},
            output={"user": ADA | {"email_verified": True}},
        ),
        Example(
            "another name",
            params={"value": "ada@example.com", "last_name": "King"},
            output={"user": ADA | {"last_name": "King"}},
        ),
        Example(
            "somebody has the address",
            params={"value": "ada@example.com", "email": "alan@example.com"},
            error="user.email_taken",
        ),
        Example("nobody has it", params={"by": "id", "value": "7", "first_name": "Bob"}, error="user.not_found"),
        Example(
            "text is not yes or no", params={"value": "a@example.com", "email_verified": "yes"}, error="param.invalid"
        ),
    ],
)
def update_user(params: UpdateUserParams, ctx: Context) -> UserOutput:
    return done(ctx.users.update(picked(params, ctx)["id"], _values(params), password=ctx.prepared))


def _values(params: UpdateUserParams) -> dict[str, Json]:
    values = given(params, ("email", "first_name", "last_name", "email_verified"))
    return {name: value for name, value in values.items() if value is not None}
