"""Every route of the API, as a stranger, a viewer, an editor and an owner."""

from __future__ import annotations

import re

import httpx
import pytest
from fastapi import APIRouter
from starlette.responses import Response

from backend.operator_values import ROLES, Role
from runtime.app import App
from runtime.http import events
from runtime.http.bodies import ApiRoute
from runtime.service import Service

FOR_OWNERS = (
    "/api/users",
    "/api/roles",
    "/api/hosted-pages",
    "/api/settings",
    "/api/keys",
    "/api/backup",
    "/api/credentials",
)
FOR_EDITORS_TOO = {("GET", "/api/credentials")}  # of which they are told the names
FOR_VIEWERS = ("/api/flows", "/api/runs", "/api/tables", "/metrics")


def routes_of(app: App) -> dict[tuple[str, str], Role]:
    """Return the role that each method and path declares."""
    declared = {("POST", events.PATH): events.ROLE}
    for route in app.http.routes:
        if isinstance(route, ApiRoute):
            declared |= {(method, route.path): route.role for method in route.methods or ()}
    return declared


@pytest.fixture
def keys(service: Service) -> dict[Role, str]:
    service.keys.create("the first, which the walk deletes")
    return {role: service.keys.create(role, role)[1] for role in ROLES}


async def test_each_route_takes_the_roles_that_it_declares(
    app: App, anonymous: httpx.AsyncClient, keys: dict[Role, str]
):
    declared = routes_of(app)

    for (method, path), needed in declared.items():
        address = re.sub(r"{[^}]+}", "1", path)
        stranger = await anonymous.request(method, address)
        assert stranger.status_code == 401, (method, path)
        for role in ROLES:
            body = None if method == "GET" else {}
            header = {"Authorization": f"Bearer {keys[role]}"}
            response = await anonymous.request(method, address, headers=header, json=body)
            is_allowed = ROLES.index(role) >= ROLES.index(needed)
            assert (response.status_code not in (401, 403)) == is_allowed, (method, path, role, response.text)
            assert response.status_code < 500, (method, path, role, response.text)
    assert len(declared) > 50


async def test_what_is_read_is_for_viewers_and_what_manages_people_for_owners(app: App):
    for (method, path), role in routes_of(app).items():
        if path.startswith(FOR_OWNERS) and (method, path) not in FOR_EDITORS_TOO:
            assert role == "owner", (method, path)
        elif path.startswith(FOR_VIEWERS) and method == "GET":
            assert role == "viewer", (method, path)
        else:
            assert role == "editor", (method, path)


def test_route_without_a_role_cannot_be_made():
    router = APIRouter(route_class=ApiRoute)

    async def read() -> Response:
        return Response()

    with pytest.raises(TypeError, match="/api/open declares no role"):
        router.add_api_route("/api/open", read)


async def test_role_of_a_key_is_shown_and_another_is_refused(client: httpx.AsyncClient):
    made = await client.post("/api/keys", json={"name": "reads", "role": "viewer"})
    wrong = await client.post("/api/keys", json={"name": "rules", "role": "emperor"})

    assert made.json()["role"] == "viewer"
    assert [each["role"] for each in (await client.get("/api/keys")).json()["items"]] == ["viewer", "owner"]
    assert wrong.status_code == 422


async def test_refusal_names_the_role_that_is_needed(anonymous: httpx.AsyncClient, keys: dict[Role, str]):
    response = await anonymous.delete("/api/flows/1", headers={"Authorization": f"Bearer {keys['viewer']}"})

    (problem,) = response.json()["problems"]
    assert (response.status_code, problem["code"]) == (403, "right.missing")
    assert "“editor”" in problem["message"]


async def test_editors_key_reports_no_event_of_the_backend(anonymous: httpx.AsyncClient, keys: dict[Role, str]):
    anonymous.headers["Authorization"] = f"Bearer {keys['editor']}"

    forged = await anonymous.post("/api/events", json={"name": "auth.password_reset", "payload": {"token": "x"}})
    own = await anonymous.post("/api/events", json={"name": "shop.order_paid", "payload": {}})

    assert (forged.status_code, own.status_code) == (403, 202)
