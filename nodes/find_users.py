"""Read the users that fit.

Out     ``{"users": [object], "count": int}``, the newest first; a user looks as in *Get user*, ``count`` is the number
        of users returned
Units   times are ISO 8601 text in UTC
Effect  read
Errors  ``role.not_found``, ``search.invalid``
Source  none
"""

from pydantic import Field, StrictBool

from nodes.spec import Context, Example, Output, Params, action, ui
from nodes.users import ADA, NAME_CHARS, User

SEARCH_CHARS = 200
MAX_USERS = 1000


class FindUsersParams(Params):
    search: str = Field(
        "",
        title="Search",
        description="Part of the address or of the name, in upper or lower case; empty means everybody.",
        max_length=SEARCH_CHARS,
        json_schema_extra=ui("text", placeholder="example.com"),
    )
    role: str = Field(
        "",
        title="Role",
        description="Only users with the role of this name.",
        max_length=NAME_CHARS,
        json_schema_extra=ui("text", placeholder="customer"),
    )
    email_verified: StrictBool | None = Field(
        None,
        title="Email verified",
        description="Only users who have, or have not, verified their address.",
        json_schema_extra=ui("select", placeholder="Does not matter"),
    )
    blocked: StrictBool | None = Field(
        None,
        title="Blocked",
        description="Only users who are, or are not, blocked.",
        json_schema_extra=ui("select", placeholder="Does not matter"),
    )
    limit: int = Field(
        100,
        title="Limit",
        description="Users to return at most.",
        strict=True,
        ge=1,
        le=MAX_USERS,
        json_schema_extra=ui("number"),
    )


class FindUsersOutput(Output):
    users: list[User] = Field(description="The users.")
    count: int = Field(description="How many users were returned.")


@action(
    title="Find users",
    category="Users",
    icon="group",
    effect="read",
    summary="{search}",
    right="owner",
    examples=[
        Example("by a part of the name", params={"search": "lovelace"}, output={"users": [ADA], "count": 1}),
        Example(
            "customers who have not verified their address",
            params={"role": "customer", "email_verified": False},
            output={"users": [ADA], "count": 1},
        ),
        Example("nobody fits", params={"search": "nobody"}, output={"users": [], "count": 0}),
        Example("a role that does not exist", params={"role": "boss"}, error="role.not_found"),
    ],
)
def find_users(params: FindUsersParams, ctx: Context) -> FindUsersOutput:
    found = ctx.users.find(
        search=params.search,
        role=params.role or None,
        email_verified=params.email_verified,
        blocked=params.blocked,
        limit=params.limit,
    )
    return FindUsersOutput(users=[User.model_validate(user) for user in found], count=len(found))
