"""The nodes that work on users: what really runs, because examples only plan it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import ValidationError

from nodes.spec import NodeError, load
from nodes.users import ADA

TYPES = load()
ADA_ID = ADA["id"]


@dataclass
class Users:
    """Knows Ada alone; keeps what it is asked to do in *calls*."""

    calls: list[Any] = field(default_factory=list)

    def get(self, by: str, value: str) -> dict[str, Any]:
        if value not in (ADA["email"], ADA_ID):
            raise NodeError("There is no such user. It may have been deleted.", code="user.not_found")
        return ADA

    def find(self, **wanted: Any) -> list[dict[str, Any]]:
        self.calls.append(wanted)
        return [ADA]

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> dict[str, Any]:
            self.calls.append((name, given, named))
            return ADA

        return call


@dataclass
class UserContext:
    """A step whose password is hashed to ``#`` and the password."""

    users: Users = field(default_factory=Users)
    prepared: Any = None

    @property
    def passwords(self) -> UserContext:
        return self

    async def hash(self, password: str) -> str:
        return f"#{password}"


async def run(type_name: str, params: dict[str, Any], ctx: UserContext) -> Any:
    node = TYPES[type_name]
    checked = node.params.model_validate(params)
    if node.before is not None:
        ctx.prepared = await node.before(checked, ctx)
    assert node.run is not None
    return node.run(checked, ctx).model_dump()


@pytest.fixture
def ctx() -> UserContext:
    return UserContext()


@pytest.mark.parametrize(
    ("type_name", "params", "call"),
    [
        ("create_user", {"email": "a@example.com"}, ("create", ("a@example.com",), {"password": None})),
        (
            "create_user",
            {
                "email": "a@example.com",
                "last_name": "L",
                "roles": ["r"],
                "email_verified": True,
                "password": "p4ssword",
            },
            (
                "create",
                ("a@example.com",),
                {"password": "#p4ssword", "last_name": "L", "roles": ["r"], "email_verified": True},
            ),
        ),
        ("update_user", {"email_verified": False}, ("update", (ADA_ID, {"email_verified": False}), {"password": None})),
        ("update_user", {"first_name": ""}, ("update", (ADA_ID, {"first_name": ""}), {"password": None})),
        ("update_user", {"email_verified": None}, ("update", (ADA_ID, {}), {"password": None})),
        ("update_user", {"password": "p4ssword"}, ("update", (ADA_ID, {}), {"password": "#p4ssword"})),
        ("delete_user", {}, ("delete", (ADA_ID,), {})),
        ("set_user_roles", {"roles": ["r"]}, ("set_roles", (ADA_ID, ["r"]), {})),
        ("block_user", {}, ("block", (ADA_ID,), {})),
        ("unblock_user", {}, ("unblock", (ADA_ID,), {})),
        ("send_verification", {}, ("send_verification", (ADA_ID,), {})),
        ("send_password_reset", {}, ("send_password_reset", (ADA_ID,), {})),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_user_is_changed_once_and_in_nothing_else(
    ctx: UserContext, type_name: str, params: dict[str, Any], call: Any
) -> None:
    picks = {} if type_name == "create_user" else {"value": "ada@example.com"}

    output = await run(type_name, picks | params, ctx)

    assert ctx.users.calls == [call]
    assert output == {"user": ADA}


async def test_users_that_fit_are_asked_for(ctx: UserContext) -> None:
    output = await run("find_users", {"search": "ada", "role": "customer", "blocked": False, "limit": 5}, ctx)

    assert output == {"users": [ADA], "count": 1}
    assert ctx.users.calls == [
        {"search": "ada", "role": "customer", "email_verified": None, "blocked": False, "limit": 5}
    ]


PICKING = [node.type for node in TYPES.values() if node.category == "Users" and "by" in node.params.model_fields]


@pytest.mark.parametrize("type_name", PICKING)
async def test_user_that_is_not_there_is_named(ctx: UserContext, type_name: str) -> None:
    rest = {"roles": []} if type_name == "set_user_roles" else {}

    for by, value, told in (("email", "bob@example.com", "email address"), ("id", "7", "id")):
        with pytest.raises(NodeError, match=f"No user has the {told} “{value}”") as caught:
            await run(type_name, {"by": by, "value": value, **rest}, ctx)
        assert (caught.value.code, caught.value.param) == ("user.not_found", "value")

    assert ctx.users.calls == []


@pytest.mark.parametrize("value", [1, 0, "true", "", [], {}])
@pytest.mark.parametrize("name", ["email_verified", "blocked"])
def test_yes_or_no_is_nothing_else(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        TYPES["find_users"].params.model_validate({name: value})


def test_planned_change_shows_no_password(ctx: UserContext) -> None:
    node = TYPES["update_user"]
    ctx.users.check = lambda values, user_id: values
    assert node.plan is not None

    plan = node.plan(node.params.model_validate({"value": "ada@example.com", "password": "p4ssword"}), ctx)

    assert plan.effect["values"] == {"password": "a new one"}
    assert "p4ssword" not in str(plan)


def test_another_address_is_planned_as_not_verified(ctx: UserContext) -> None:
    ctx.users.get = lambda by, value: ADA | {"email_verified": True}
    ctx.users.check = lambda values, user_id: values
    plan = TYPES["update_user"].plan
    params = TYPES["update_user"].params.model_validate
    assert plan is not None

    verified = [
        plan(params({"value": "ada@example.com", **change}), ctx).output.user.email_verified  # type: ignore[attr-defined]
        for change in (
            {"first_name": "A"},
            {"email": "ADA@example.com"},
            {"email": "a@example.com"},
            {"email": "a@example.com", "email_verified": True},
        )
    ]

    assert verified == [True, True, False, True]
