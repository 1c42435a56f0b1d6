"""Give a user these roles, and no others.

The event ``auth.user_rolesChanged`` is reported if the user had other roles before.

Out     ``{"user": object}``, the user with the new roles, as in *Get user*
Units   none
Effect  write: one user, in the transaction that records the step, so exactly once
Errors  ``user.not_found``, ``user.role_unknown``, ``user.too_many_roles``
Source  none
"""

from pydantic import Field

from nodes.spec import Context, Example, Plan, Report, action, ui
from nodes.users import ADA, PickedUser, Roles, UserOutput, done, picked, planned


class SetUserRolesParams(PickedUser):
    roles: Roles = Field(
        title="Roles",
        description="All the roles the user has afterwards, by name. The expression [] takes every role away.",
        json_schema_extra=ui("list", placeholder="customer"),
    )


def plan(params: SetUserRolesParams, ctx: Context) -> Plan:
    user = picked(params, ctx)
    values = ctx.users.check({"roles": params.roles}, user_id=user["id"])
    return planned("set_roles", {**user, **values}, roles=values["roles"])


@action(
    title="Set user roles",
    category="Users",
    icon="badge",
    effect="write",
    plan=plan,
    reports=(Report("auth.user_rolesChanged"),),
    summary="{value}: {roles}",
    right="owner",
    examples=[
        Example(
            "another role",
            params={"value": "ada@example.com", "roles": ["editor"]},
            output={"user": ADA | {"roles": ["editor"]}},
        ),
        Example(
            "none any more", params={"value": "ada@example.com", "roles": []}, output={"user": ADA | {"roles": []}}
        ),
        Example(
            "a role that does not exist",
            params={"value": "ada@example.com", "roles": ["boss"]},
            error="user.role_unknown",
        ),
        Example("the roles are left out", params={"value": "ada@example.com"}, error="param.invalid"),
    ],
)
def set_user_roles(params: SetUserRolesParams, ctx: Context) -> UserOutput:
    return done(ctx.users.set_roles(picked(params, ctx)["id"], params.roles))
