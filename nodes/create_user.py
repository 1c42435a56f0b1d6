"""Add a user.

It is no sign-up and starts no flow; follow it with *Send verification* or *Send password reset* if the user is to get
a mail. Without a password the user signs in after setting one through a reset. With one, it is masked in the record of
this step and of those after it; in an event it is masked where its field is called ``password``.

Out     ``{"user": object}``, the user as in *Get user*
Units   none
Effect  write: one user, in the transaction that records the step, so exactly once
Errors  ``user.email_taken``, ``user.email_invalid``, ``user.name_invalid``, ``user.role_unknown``, and ``password.…``
        for a password that is too short, too common, or without a lower-case letter or a digit
Source  none
"""

from pydantic import Field

from nodes.spec import Context, Example, Params, Plan, action, ui
from nodes.users import EMAIL_CHARS, NAME_CHARS, NO_ID, Roles, UserOutput, done, given, planned

PASSWORD_CHARS = 4096


class CreateUserParams(Params):
    email: str = Field(
        title="Email",
        description="The user's address, which no other user has.",
        min_length=1,
        max_length=EMAIL_CHARS,
        json_schema_extra=ui("text", placeholder="{{ $param.email }}"),
    )
    first_name: str = Field(
        "", title="First name", description="May be empty.", max_length=NAME_CHARS, json_schema_extra=ui("text")
    )
    last_name: str = Field(
        "", title="Last name", description="May be empty.", max_length=NAME_CHARS, json_schema_extra=ui("text")
    )
    roles: Roles = Field(
        [],
        title="Roles",
        description="Names of roles that exist on the Roles page.",
        json_schema_extra=ui("list", placeholder="customer"),
    )
    email_verified: bool = Field(
        False,
        title="Email verified",
        description="Whether the address counts as verified from the beginning.",
        strict=True,
        json_schema_extra=ui("switch"),
    )
    password: str = Field(
        "",
        title="Password",
        description="At least 8 characters with a lower-case letter and a digit; masked from this step on.",
        max_length=PASSWORD_CHARS,
        json_schema_extra=ui("password", placeholder="{{ $param.password }}", is_advanced=True, is_secret=True),
    )


async def before(params: CreateUserParams, ctx: Context) -> object:
    return await ctx.passwords.hash(params.password) if params.password else None


def plan(params: CreateUserParams, ctx: Context) -> Plan:
    values = ctx.users.check(given(params, ("email", "first_name", "last_name", "roles", "email_verified")))
    moment = ctx.now.isoformat().replace("+00:00", "Z")
    new = {"first_name": "", "last_name": "", "roles": [], "email_verified": False, "blocked": False}
    times = {"created_at": moment, "updated_at": moment, "last_login_at": None}
    return planned("create", {"id": NO_ID, **new, **times, **values}, values=values)


@action(
    title="Create user",
    category="Users",
    icon="person_add",
    effect="write",
    plan=plan,
    before=before,
    summary="{email}",
    right="owner",
    examples=[
        Example(
            "with a role",
            params={"email": "grace@example.com", "first_name": "Grace", "roles": ["customer"]},
            output={
                "user": {
                    "id": NO_ID,
                    "email": "grace@example.com",
                    "first_name": "Grace",
                    "last_name": "",
                    "roles": ["customer"],
                    "email_verified": False,
                    "blocked": False,
                    "created_at": "2026-01-05T09:00:00Z",
                    "updated_at": "2026-01-05T09:00:00Z",
                    "last_login_at": None,
                }
            },
        ),
        Example("somebody has the address", params={"email": "ada@example.com"}, error="user.email_taken"),
        Example(
            "a role that does not exist",
            params={"email": "grace@example.com", "roles": ["boss"]},
            error="user.role_unknown",
        ),
    ],
)
def create_user(params: CreateUserParams, ctx: Context) -> UserOutput:
    values = given(params, ("first_name", "last_name", "roles", "email_verified"))
    return done(ctx.users.create(params.email, password=ctx.prepared, **values))
