from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from sqlmodel import select

from backend.errors import BackendError, NotFound
from backend.roles import Roles
from backend.user_pages import FEW
from backend.users import Users
from storage.database import Database
from storage.tables import UserRole, UserRow

PEOPLE = [
    ("anna.berg@example.com", "Anna", "Berg", True, False),
    ("ben_ames@example.com", "Ben", "Ames", False, True),
    ("zoe@other.example", "Zoë", "MÜLLER", True, True),
    ("100%25@example.com", "", "", False, False),
]


@pytest.fixture
def people(users: Users, roles: Roles) -> Users:
    """Four users, in the order they were made; the first two are customers."""
    roles.create("Customer")
    for index, (email, first_name, last_name, is_verified, is_blocked) in enumerate(PEOPLE):
        held = ["Customer"] if index < 2 else []
        made = users.create(email, first_name=first_name, last_name=last_name, is_verified=is_verified, roles=held)
        if is_blocked:
            users.block(made.id)
    return users


def found(users: Users, **query: Any) -> list[int]:
    """Return the numbers of the users that a query finds, in its order."""
    emails = [email for email, *_ in PEOPLE]
    return [emails.index(user.email) for user in users.list(**{"sort": "email", **query}).users]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("", [3, 0, 1, 2]),
        ("  ", [3, 0, 1, 2]),
        ("ANNA", [0]),
        ("anna berg", [0]),
        ("müller", [2]),
        ("ZOË", [2]),
        ("example.com", [3, 0, 1]),
        ("%", [3]),
        ("_", [1]),
        ("%25@", [3]),
        ("ｂｅｎ", [1]),
        ("'", []),
        ("\\", []),
        ("\0", []),
        ("nobody", []),
    ],
)
def test_search_looks_in_address_and_names(people: Users, search: str, expected: list[int]):
    assert found(people, search=search) == expected
    assert people.list(search=search).total == len(expected)


def test_search_follows_a_change(people: Users):
    people.update("zoe@other.example", last_name="Okafor")

    assert found(people, search="müller") == []
    assert found(people, search="okafor") == [2]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"verified": True}, [0, 2]),
        ({"verified": False}, [3, 1]),
        ({"blocked": True}, [1, 2]),
        ({"blocked": False, "verified": True}, [0]),
        ({"role": "customer"}, [0, 1]),
        ({"role": "Customer", "blocked": True}, [1]),
        ({"role": "Customer", "search": "zoe"}, []),
    ],
    ids=str,
)
def test_filters_narrow_together(people: Users, query: dict[str, Any], expected: list[int]):
    assert found(people, **query) == expected
    assert people.list(**query).total == len(expected)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("email", [3, 0, 1, 2]),
        ("-email", [2, 1, 0, 3]),
        ("first_name", [3, 0, 1, 2]),
        ("-last_name", [2, 0, 1, 3]),
    ],
)
def test_users_are_sorted(people: Users, sort: str, expected: list[int]):
    assert found(people, sort=sort) == expected


def test_newest_come_first_where_nothing_is_asked(users: Users, clock: Any):
    for index in range(3):
        clock.now = clock.now.replace(hour=index)
        users.create(f"user{index}@example.com")

    assert [user.email for user in users.list().users] == [f"user{index}@example.com" for index in (2, 1, 0)]


def test_pages_have_every_user_once(people: Users):
    pages = [people.list(limit=1, offset=offset) for offset in range(5)]

    assert [page.total for page in pages] == [4] * 5
    assert sorted(user.email for page in pages for user in page.users) == sorted(email for email, *_ in PEOPLE)
    assert people.list(limit=0).users == []


def test_each_user_comes_with_its_roles(people: Users, roles: Roles):
    roles.create("admin")
    people.set_roles("anna.berg@example.com", ["Customer", "admin"])

    page = people.list(sort="email")

    assert [user.roles for user in page.users] == [(), ("admin", "Customer"), ("Customer",), ()]


@pytest.mark.parametrize("sort", ["email", "-email", "-created_at", "last_name"])
@pytest.mark.parametrize("search", ["user", "user4", "user499"], ids=["all", "many", "few"])
def test_many_users_are_found_as_few_are(users: Users, roles: Roles, database: Database, search: str, sort: str):
    role = roles.create("Everyone")
    moment = datetime(2024, 5, 3, tzinfo=UTC)
    numbers = range(FEW + 1)
    rows = [
        {
            "id": f"{number:032}",
            "email": f"user{number:04}",
            "folded_email": f"user{number:04}",
            "first_name": "",
            "last_name": str(number % 7),
            "search_text": f"user{number:04}",
            "is_verified": True,
            "is_blocked": number % 2 == 0,
            "created_at": moment + timedelta(seconds=number),
            "updated_at": moment,
        }
        for number in numbers
    ]
    with database.write() as session:
        session.connection().execute(insert(UserRow), rows)
        session.connection().execute(insert(UserRole), [{"user_id": row["id"], "role_id": role.id} for row in rows])
    keys: dict[str, Callable[[dict[str, Any]], Any]] = {
        "email": lambda row: (row["email"], row["id"]),
        "created_at": lambda row: (row["created_at"], row["id"]),
        "last_name": lambda row: (row["last_name"], row["first_name"], row["id"]),
    }
    wanted = [row for row in rows if search in row["search_text"] and row["is_blocked"]]
    wanted.sort(key=keys[sort.removeprefix("-")], reverse=sort.startswith("-"))

    for offset in (0, len(wanted) - 1, len(wanted)):
        page = users.list(search=search, role="Everyone", blocked=True, sort=sort, limit=3, offset=offset)
        assert page.total == len(wanted)
        assert [user.email for user in page.users] == [row["email"] for row in wanted[offset : offset + 3]]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"sort": "password_hash"}, "sort.invalid"),
        ({"sort": ""}, "sort.invalid"),
        ({"sort": "--email"}, "sort.invalid"),
        ({"limit": -1}, "page.invalid"),
        ({"limit": 1_001}, "page.invalid"),
        ({"offset": -1}, "page.invalid"),
        ({"offset": 2**63}, "page.invalid"),
        ({"search": "x" * 201}, "search.invalid"),
        ({"search": "\ud800"}, "search.invalid"),
    ],
    ids=str,
)
def test_page_that_cannot_be_is_refused(people: Users, query: dict[str, Any], code: str):
    with pytest.raises(BackendError) as caught:
        people.list(**query)

    assert [fault.code for fault in caught.value.faults] == [code]


def test_unknown_role_is_no_empty_filter(people: Users):
    with pytest.raises(NotFound, match="no such role"):
        people.list(role="Nobody")


def test_search_cannot_find_a_password(people: Users, database: Database):
    people.set_password("anna.berg@example.com", "nine lives 9")
    with database.read() as session:
        hashed = session.exec(select(UserRow.password_hash).where(UserRow.first_name == "Anna")).one()

    assert found(people, search="argon2id") == []
    assert found(people, search=str(hashed)[-20:]) == []
