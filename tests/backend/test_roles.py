from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from backend.errors import BackendError, Conflict, NotFound
from backend.events import Event, UserRolesChanged
from backend.roles import LOSERS, Role, Roles
from backend.users import Users
from storage.database import Database


def codes(caught: pytest.ExceptionInfo[BackendError]) -> list[tuple[str, str | None]]:
    return [(fault.code, fault.field) for fault in caught.value.faults]


def test_role_is_made_listed_by_name_and_counted(roles: Roles, users: Users, fired: list[Event]):
    writer = roles.create(" writer ", "May write\nposts.")
    admin = roles.create("Admin")

    users.create("anna@example.com", roles=["writer"])
    users.create("ben@example.com", roles=["writer", "Admin"])

    assert roles.list() == [Role(admin.id, "Admin", "", 1), Role(writer.id, "writer", "May write\nposts.", 2)]
    assert roles.get("WRITER") == roles.get(writer.id) == roles.list()[1]
    assert roles.get("Admin").as_json() == {"id": admin.id, "name": "Admin", "description": "", "user_count": 1}
    assert fired == []


def test_renamed_role_is_the_same_role(roles: Roles, users: Users, fired: list[Event]):
    roles.create("writer")
    users.create("anna@example.com", roles=["writer"])

    renamed = roles.update("writer", name="Author", description="Writes.")

    assert (renamed.name, renamed.description, renamed.user_count) == ("Author", "Writes.", 1)
    assert users.get("anna@example.com").roles == ("Author",)
    assert roles.update(renamed.id, name="AUTHOR").name == "AUTHOR"
    assert roles.update(renamed.id, description="").description == ""
    assert fired == []
    with pytest.raises(NotFound):
        roles.get("writer")


@pytest.mark.parametrize("name", ["writer", "WRITER", " Writer", "ｗｒｉｔｅｒ"])
def test_two_roles_never_look_the_same(roles: Roles, name: str):
    roles.create("Writer")
    other = roles.create("Other")

    for ask in (lambda: roles.create(name), lambda: roles.update(other.id, name=name)):
        with pytest.raises(Conflict) as caught:
            ask()
        assert codes(caught) == [("role.name_taken", "name")]

    assert [role.name for role in roles.list()] == ["Other", "Writer"]


def test_deleted_role_is_taken_from_each_user_and_reported(roles: Roles, users: Users, fired: list[Event]):
    for name in ("Customer", "Admin"):
        roles.create(name)
    ben = users.create("ben@example.com", roles=["Customer", "Admin"])
    anna = users.create("anna@example.com", roles=["Admin"], is_verified=True)
    users.create("carl@example.com", roles=["Customer"])

    roles.delete("admin")

    assert fired == [
        UserRolesChanged(userId=UUID(anna.id), email="anna@example.com", emailVerified=True, roles=[]),
        UserRolesChanged(userId=UUID(ben.id), email="ben@example.com", emailVerified=False, roles=["Customer"]),
    ]
    assert users.get(ben.id).roles == ("Customer",)
    assert [role.name for role in roles.list()] == ["Customer"]
    with pytest.raises(NotFound):
        roles.delete("admin")


def test_role_of_too_many_users_is_not_deleted(roles: Roles, users: Users, fired: list[Event], database: Database):
    roles.create("Customer")
    with database.write() as session:
        for index in range(LOSERS + 1):
            users.create_in(session, f"user{index}@example.com", roles=["Customer"])

    with pytest.raises(Conflict, match="1,001 users have this role") as caught:
        roles.delete("Customer")

    assert codes(caught) == [("role.in_use", None)]
    assert (roles.get("Customer").user_count, fired) == (1_001, [])
    users.set_roles("user0@example.com", [])
    fired.clear()
    roles.delete("Customer")
    assert len(fired) == 1_000


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\0", "\ud800", None, 7])
@pytest.mark.parametrize("description", ["x" * 2_001, "a\0", "\ud800", 7])
def test_every_fault_is_told(roles: Roles, name: Any, description: Any):
    kept = roles.create("Customer")

    with pytest.raises(BackendError) as created:
        roles.create(name, description)
    with pytest.raises(BackendError) as changed:
        roles.update(kept.id, name="" if name is None else name, description=description)

    expected = [("role.name_invalid", "name"), ("role.description_invalid", "description")]
    assert codes(created) == codes(changed) == expected
    assert roles.list() == [kept]


@pytest.mark.parametrize("name", ["", "\0", "\ud800", "x" * 100_000, None, 7])
def test_unknown_role_is_told(roles: Roles, name: Any):
    roles.create("Customer")

    for ask in (roles.get, roles.delete, roles.update):
        with pytest.raises(NotFound, match="no such role"):
            ask(name)  # type: ignore[operator]


@pytest.mark.parametrize(
    "name", ["My Super User Role", "<b>", "__proto__", "../..", "'; DROP TABLE role", "😀", "=1+1"]
)
def test_any_printable_name_is_only_a_name(roles: Roles, users: Users, name: str):
    roles.create(name)

    assert users.create("anna@example.com", roles=[name]).roles == (name,)


def test_user_has_not_more_roles_than_anyone_needs(roles: Roles, users: Users):
    with pytest.raises(BackendError) as caught:
        users.create("anna@example.com", roles=[f"role {index}" for index in range(101)])

    assert codes(caught) == [("user.too_many_roles", "roles")]
