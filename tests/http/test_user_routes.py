from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from backend.errors import Fault
from backend.events import (
    EmailVerificationRequested,
    Event,
    PasswordResetRequested,
    UserBlocked,
    UserDeleted,
    UserRolesChanged,
)
from backend.operator_values import Role
from backend.passwords import Busy
from runtime.http.answers import refusal_of
from runtime.service import Service

PASSWORD = "nine lives 9"
ANNA = {"email": "anna@example.com", "first_name": "Anna", "last_name": "Berg", "roles": ["Customer"]}


@pytest.fixture
async def anna(client: httpx.AsyncClient, fired: list[Event]) -> str:
    await client.post("/api/roles", json={"name": "Customer"})
    made = await client.post("/api/users", json=ANNA)
    fired.clear()
    return f"/api/users/{made.json()['id']}"


def codes(response: httpx.Response) -> list[tuple[str, str | None]]:
    return [(problem["code"], problem.get("param")) for problem in response.json()["problems"]]


async def test_user_has_the_published_shape(client: httpx.AsyncClient, anna: str):
    user = (await client.get(anna)).json()

    assert user == ANNA | {
        "id": str(UUID(user["id"])),
        "email_verified": False,
        "blocked": False,
        "created_at": user["created_at"],
        "updated_at": user["created_at"],
        "last_login_at": None,
    }
    assert user["created_at"].endswith("Z")
    assert (await client.get("/api/users/ANNA%40example.com")).json() == user
    assert (await client.get("/api/users")).json() == {"items": [user], "total": 1, "next": None}


async def test_new_user_may_come_with_everything(client: httpx.AsyncClient, anna: str, service: Service):
    made = await client.post(
        "/api/users",
        json={"email": "ben@example.com", "password": PASSWORD, "roles": ["customer"], "email_verified": True},
    )

    assert made.status_code == 201
    assert (made.json()["roles"], made.json()["email_verified"]) == (["Customer"], True)
    assert PASSWORD not in made.text
    assert "argon2" not in made.text
    assert service.users.get("ben@example.com").has_password


async def test_every_call_reports_its_events_and_no_others(
    client: httpx.AsyncClient, anna: str, fired: list[Event], service: Service
):
    answers = [
        await client.get(anna),
        await client.patch(anna, json={"first_name": "A.", "email": "a.berg@example.com", "email_verified": False}),
        await client.post(f"{anna}/password", json={"password": PASSWORD}),
        await client.post(f"{anna}/send-verification"),
        await client.post(f"{anna}/send-reset"),
        await client.put(f"{anna}/roles", json={"roles": []}),
        await client.put(f"{anna}/roles", json={"roles": []}),
        await client.patch(anna, json={"email_verified": True}),
        await client.post(f"{anna}/block"),
        await client.post(f"{anna}/block"),
        await client.post(f"{anna}/unblock"),
        await client.post("/api/roles", json={"name": "Admin"}),
        await client.delete("/api/roles/Admin"),
        await client.delete(anna),
    ]

    assert [answer.status_code for answer in answers] == [
        *(200, 200, 200, 202, 202, 200, 200, 200, 200, 200, 200, 201, 204, 204)
    ]
    assert [type(event) for event in fired] == [
        EmailVerificationRequested,
        PasswordResetRequested,
        UserRolesChanged,
        UserBlocked,
        UserDeleted,
    ]
    assert service.users.list().total == 0


async def test_answers_never_have_a_token(client: httpx.AsyncClient, anna: str, fired: list[Event]):
    sent = [await client.post(f"{anna}/{call}") for call in ("send-verification", "send-reset")]

    tokens = [event.token for event in fired if isinstance(event, EmailVerificationRequested | PasswordResetRequested)]
    assert len(tokens) == 2
    for answer in [*sent, await client.get(anna), await client.get("/api/users")]:
        assert not any(token in answer.text for token in tokens)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["ben", "anna"]),
        ("?sort=email", ["anna", "ben"]),
        ("?search=BERG", ["anna"]),
        ("?search=%25", []),
        ("?role=Customer", ["anna"]),
        ("?blocked=true", ["ben"]),
        ("?blocked=false&verified=false", ["anna"]),
        ("?verified=true", []),
    ],
)
async def test_list_is_searched_and_filtered(client: httpx.AsyncClient, anna: str, query: str, expected: list[str]):
    await client.post("/api/users", json={"email": "ben@example.com"})
    await client.post("/api/users/ben@example.com/block")

    found = (await client.get(f"/api/users{query}")).json()

    assert [user["email"].partition("@")[0] for user in found["items"]] == expected
    assert found["total"] == len(expected)


async def test_list_is_read_page_by_page(client: httpx.AsyncClient):
    for index in range(5):
        await client.post("/api/users", json={"email": f"user{index}@example.com"})
    seen, offset = [], 0

    while offset is not None:
        page = (await client.get(f"/api/users?sort=email&limit=2&offset={offset}")).json()
        seen += [user["email"] for user in page["items"]]
        offset = page["next"]

    assert seen == [f"user{index}@example.com" for index in range(5)]


@pytest.mark.parametrize("field", ["id", "roles", "password", "blocked", "password_hash", "created_at", "folded_email"])
async def test_change_takes_profile_fields_alone(client: httpx.AsyncClient, anna: str, field: str):
    before = (await client.get(anna)).json()

    answer = await client.patch(anna, json={"first_name": "Eve", field: True})

    assert (answer.status_code, codes(answer)) == (422, [("body.unknown_field", field)])
    assert (await client.get(anna)).json() == before


@pytest.mark.parametrize("field", ["id", "blocked", "password_hash", "is_verified", "emailVerified", "created_at"])
async def test_new_user_takes_no_fields_of_the_server(client: httpx.AsyncClient, field: str):
    answer = await client.post("/api/users", json={"email": "eve@example.com", field: True})

    assert (answer.status_code, codes(answer)) == (422, [("body.unknown_field", field)])
    assert (await client.get("/api/users")).json()["total"] == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("body.missing", "email")]),
        ({"email": None}, [("body.invalid", "email")]),
        ({"email": "anna"}, [("user.email_invalid", "email")]),
        ({"email": "a@example.com", "roles": ["Nobody"]}, [("user.role_unknown", "roles")]),
        ({"email": "a@example.com", "roles": "Customer"}, [("body.invalid", "roles")]),
        (
            {"email": "a@example.com", "password": "short"},
            [("password.too_short", "password"), ("password.no_digit", "password")],
        ),
        ({"email": "a@example.com", "password": "a1" * 2_049}, [("password.too_long", "password")]),
        ({"email": "a@example.com", "email_verified": "yes"}, [("body.invalid", "email_verified")]),
        (
            {"email": "a\0@example.com", "first_name": "\0"},
            [("user.email_invalid", "email"), ("user.name_invalid", "first_name")],
        ),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_bad_input_is_told_with_its_field(
    client: httpx.AsyncClient, anna: str, body: Any, expected: list[tuple[str, str]]
):
    answer = await client.post("/api/users", json=body)

    assert (answer.status_code, codes(answer)) == (422, expected)
    assert (await client.get("/api/users")).json()["total"] == 1


async def test_half_an_emoji_is_refused(client: httpx.AsyncClient):
    for field in ("email", "first_name", "password"):
        body = b'{"email": "eve@example.com", "%s": "\\ud800"}' % field.encode()
        answer = await client.post("/api/users", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), field

    assert (await client.get("/api/users")).json()["total"] == 0


@pytest.mark.parametrize("email", ["ANNA@example.com", "ａnna@example.com"])
async def test_address_in_use_is_a_conflict(client: httpx.AsyncClient, anna: str, email: str):
    await client.post("/api/users", json={"email": "ben@example.com"})

    created = await client.post("/api/users", json={"email": email})
    changed = await client.patch("/api/users/ben@example.com", json={"email": email})

    for answer in (created, changed):
        assert (answer.status_code, codes(answer)) == (409, [("user.email_taken", "email")])


async def test_mail_that_would_be_of_no_use_is_a_conflict(client: httpx.AsyncClient, anna: str, fired: list[Event]):
    await client.patch(anna, json={"email_verified": True})
    verified = await client.post(f"{anna}/send-verification")
    await client.post(f"{anna}/block")
    fired.clear()
    blocked = await client.post(f"{anna}/send-reset")

    assert (verified.status_code, codes(verified)) == (409, [("user.is_verified", None)])
    assert (blocked.status_code, codes(blocked)) == (409, [("user.is_blocked", None)])
    assert fired == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("POST", "/block", None),
        ("POST", "/unblock", None),
        ("POST", "/password", {"password": PASSWORD}),
        ("PUT", "/roles", {"roles": []}),
        ("POST", "/send-verification", None),
        ("POST", "/send-reset", None),
    ],
)
async def test_unknown_user_is_not_found(client: httpx.AsyncClient, method: str, path: str, body: Any):
    for user in ("1", "nobody@example.com", "%00", "%ED%A0%80", "x" * 5_000, "..%5C.."):
        answer = await client.request(method, f"/api/users/{user}{path}", json=body)

        assert (answer.status_code, codes(answer)) == (404, [("user.not_found", None)]), user


async def test_roles_are_made_changed_and_deleted(client: httpx.AsyncClient, anna: str, fired: list[Event]):
    (role,) = (await client.get("/api/roles")).json()["items"]
    assert role == {"id": role["id"], "name": "Customer", "description": "", "user_count": 1}

    changed = await client.patch("/api/roles/Customer", json={"name": "Client", "description": "Buys."})
    taken = await client.post("/api/roles", json={"name": "CLIENT"})
    odd = await client.post("/api/roles", json={"name": "", "id": "1"})
    gone = await client.delete(f"/api/roles/{role['id']}")

    assert changed.json() == role | {"name": "Client", "description": "Buys."}
    assert (taken.status_code, codes(taken)) == (409, [("role.name_taken", "name")])
    assert (odd.status_code, codes(odd)) == (422, [("body.unknown_field", "id")])
    assert gone.status_code == 204
    assert [type(event) for event in fired] == [UserRolesChanged]
    assert (await client.get("/api/roles/Client")).status_code == 404
    assert (await client.get(anna)).json()["roles"] == []


async def test_hosted_pages_are_set_up_in_parts(client: httpx.AsyncClient):
    first = (await client.get("/api/hosted-pages")).json()
    assert (first["is_on"], first["allow_sign_up"], first["web_origins"]) == (True, True, [])

    await client.put("/api/hosted-pages", json={"name": "Example", "web_origins": ["https://App.example.com/"]})
    await client.put("/api/hosted-pages", json={"is_on": False})

    expected = first | {"name": "Example", "web_origins": ["https://app.example.com"], "is_on": False}
    assert (await client.get("/api/hosted-pages")).json() == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"callback_url": "javascript:alert(1)"}, [("hosted.callback_invalid", "callback_url")]),
        (
            {"colour": "red", "web_origins": ["*"]},
            [("hosted.colour_invalid", "colour"), ("hosted.origin_invalid", "web_origins[0]")],
        ),
        ({"is_on": 1}, [("body.invalid", "is_on")]),
        ({"base_url": "https://evil.example"}, [("body.unknown_field", "base_url")]),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_wrong_settings_are_refused(client: httpx.AsyncClient, body: Any, expected: list[tuple[str, str]]):
    before = (await client.get("/api/hosted-pages")).json()

    answer = await client.put("/api/hosted-pages", json=body)

    assert (answer.status_code, codes(answer)) == (422, expected)
    assert (await client.get("/api/hosted-pages")).json() == before


async def test_only_owners_manage_users(anonymous: httpx.AsyncClient, service: Service, anna: str):
    roles: list[Role] = ["viewer", "editor"]
    for role in roles:
        anonymous.headers["Authorization"] = f"Bearer {service.keys.create(role, role)[1]}"
        asked = [
            await anonymous.get("/api/users"),
            await anonymous.get(anna),
            await anonymous.post("/api/users", json={"email": "eve@example.com"}),
            await anonymous.post(f"{anna}/password", json={"password": PASSWORD}),
            await anonymous.put(f"{anna}/roles", json={"roles": ["Customer"]}),
            await anonymous.delete(anna),
            await anonymous.get("/api/roles"),
            await anonymous.post("/api/roles", json={"name": "Admin"}),
            await anonymous.put("/api/hosted-pages", json={"is_on": False}),
        ]
        assert [answer.status_code for answer in asked] == [403] * len(asked)

    assert service.users.list().total == 1
    assert service.hosted.read().is_on


def test_who_comes_while_too_many_sign_in_is_asked_to_come_back():
    answer = refusal_of(Busy(Fault("auth.busy", "Too many people are signing in.")))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert b"auth.busy" in answer.body
