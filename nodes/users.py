"""What the nodes that work on end users share: how one is picked, how one looks, and fields of their forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from nodes.spec import Context, Json, NodeError, Output, Params, Plan, ui

EMAIL_CHARS = 320
NAME_CHARS = 100
ROLES = 100
NO_ID = "00000000-0000-0000-0000-000000000000"  # RFC 9562 nil UUID: stands for the id of a user that was not stored
ADA = {  # the user of the examples
    "id": "fa02e4bb-405d-4c20-97c8-060b756a890e",
    "email": "ada@example.com",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "roles": ["customer"],
    "email_verified": False,
    "blocked": False,
    "created_at": "2026-01-05T09:00:00Z",
    "updated_at": "2026-01-05T09:00:00Z",
    "last_login_at": None,
}

RoleName: TypeAlias = Annotated[str, Field(min_length=1, max_length=NAME_CHARS)]
Roles: TypeAlias = Annotated[list[RoleName], Field(max_length=ROLES)]


class PickedUser(Params):
    by: Literal["email", "id"] = Field(
        "email", title="Find by", description="What the user is known by.", json_schema_extra=ui("select")
    )
    value: str = Field(
        title="Email or id",
        description="The user's email address, in upper or lower case, or the user's id.",
        min_length=1,
        max_length=EMAIL_CHARS,
        json_schema_extra=ui("text", placeholder="{{ $param.email }}"),
    )


class User(Output):
    id: str = Field(description="The user's id.")
    email: str = Field(description="The address.")
    first_name: str = Field(description="The first name, which may be empty.")
    last_name: str = Field(description="The last name, which may be empty.")
    roles: list[str] = Field(description="The names of the roles.")
    email_verified: bool = Field(description="Whether the user has shown that the address is theirs.")
    blocked: bool = Field(description="Whether the user is kept from signing in.")
    created_at: str = Field(description="When the user was made, in UTC.")
    updated_at: str = Field(description="When the user was changed last, in UTC.")
    last_login_at: str | None = Field(description="When the user signed in last, in UTC; null before the first time.")


class UserOutput(Output):
    user: User = Field(description="The user.")


def picked(params: PickedUser, ctx: Context) -> dict[str, Json]:
    """Return the user that *params* name; raises NodeError that says what was looked for."""
    try:
        return ctx.users.get(params.by, params.value)
    except NodeError as error:
        if error.code != "user.not_found":
            raise
        what = "email address" if params.by == "email" else "id"
        message = f"No user has the {what} “{params.value}”. Check “Email or id”, or create the user first."
        raise NodeError(message, code=error.code, param="value") from error


def given(params: Params, names: tuple[str, ...]) -> dict[str, Json]:
    """Return those of the parameters *names* that somebody filled in; an expression may have made one empty."""
    return {name: getattr(params, name) for name in names if name in params.model_fields_set}


def refuse_blocked(user: Mapping[str, Json]) -> None:
    """Raise NodeError when *user* could not use a link, as the backend does."""
    if user["blocked"]:
        message = "This user is blocked, so the link would not work. Unblock it first."
        raise NodeError(message, code="user.is_blocked")


def done(user: Mapping[str, Json]) -> UserOutput:
    """Return the output of a node that leaves *user* as it is given."""
    return UserOutput(user=User.model_validate(user))


def planned(action: str, user: Mapping[str, Json], **more: Json) -> Plan:
    """Return what *action* would do, and the *user* as it would be afterwards; *more* is shown with it."""
    return Plan({"kind": "user", "action": action, "user": user["email"], **more}, done(user))
