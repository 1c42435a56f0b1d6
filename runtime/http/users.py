"""``/api/users``, ``/api/roles`` and ``/api/hosted-pages``: end users and what they see."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from backend.user_pages import PAGE_USERS, SEARCH_CHARS
from runtime.http import examples
from runtime.http.access import OWNER, Caller
from runtime.http.answers import Json
from runtime.http.bodies import ApiRoute
from runtime.http.examples import answers, listed
from runtime.limits import LARGEST_NUMBER
from runtime.service import Service

BY = "A user is named by id or address."


class Taken(BaseModel):
    """A body; what it does not declare is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NewUser(Taken):
    email: str
    password: str | None = None
    first_name: str = ""
    last_name: str = ""
    roles: list[str] = []
    email_verified: bool = False


class UserChange(Taken):
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    email_verified: bool | None = None


class NewPassword(Taken):
    password: str


class UserRoles(Taken):
    roles: list[str]


class NewRole(Taken):
    name: str
    description: str = ""


class RoleChange(Taken):
    name: str | None = None
    description: str | None = None


class HostedChange(Taken):
    is_on: bool | None = None
    allow_sign_up: bool | None = None
    callback_url: str | None = None
    name: str | None = None
    logo: str | None = None
    colour: str | None = None
    web_origins: list[str] | None = None


def user_routes(_service: Service) -> APIRouter:
    """Return the routes of end users, their roles and the hosted pages."""
    router = APIRouter(prefix="/api", tags=["Users"], route_class=ApiRoute)
    _accounts(router)
    _actions(router)
    _roles(router)
    _hosted(router)
    return router


def _accounts(router: APIRouter) -> None:
    @router.get(
        "/users", dependencies=[OWNER], summary="List users", responses=answers(examples.USERS, refusals=(404,))
    )
    def list_users(
        service: Caller,
        search: Annotated[str | None, Query(max_length=SEARCH_CHARS, description="In address and names.")] = None,
        role: Annotated[str | None, Query(description="Its id or name.")] = None,
        verified: bool | None = None,
        blocked: bool | None = None,
        sort: Annotated[
            str,
            Query(description="`email`, `first_name`, `last_name`, or a time, with “-” in front for the last first."),
        ] = "-created_at",
        limit: Annotated[int, Query(ge=1, le=PAGE_USERS)] = 50,
        offset: Annotated[int, Query(ge=0, le=LARGEST_NUMBER, description="The “next” of the answer before.")] = 0,
    ) -> Response:
        page = service.users.list(
            search=search, role=role, verified=verified, blocked=blocked, sort=sort, limit=limit, offset=offset
        )
        after = offset + len(page.users)
        return Json(
            {
                "items": [user.as_json() for user in page.users],
                "total": page.total,
                "next": after if page.users and after < page.total else None,
            }
        )

    @router.post(
        "/users",
        dependencies=[OWNER],
        status_code=201,
        summary="Create a user",
        description="This is no sign-up: it starts no flow and sends no mail. Without a password the user cannot sign "
        "in until one is set.",
        responses=answers(examples.USER, 201, refusals=(409,)),
    )
    def create_user(service: Caller, user: Annotated[NewUser, Body(examples=[examples.NEW_USER])]) -> Response:
        made = service.users.create(
            user.email,
            password=user.password,
            first_name=user.first_name,
            last_name=user.last_name,
            roles=user.roles,
            is_verified=user.email_verified,
        )
        return Json(made.as_json(), 201)

    @router.get(
        "/users/{user}",
        dependencies=[OWNER],
        summary="Read a user",
        description=BY,
        responses=answers(examples.USER, refusals=(404,)),
    )
    def read_user(service: Caller, user: str) -> Response:
        return Json(service.users.get(user).as_json())

    @router.patch(
        "/users/{user}",
        dependencies=[OWNER],
        summary="Change a user",
        description="What is left out stays. Another address is not verified unless “email_verified” says so. Roles, "
        "password and blocking have calls of their own.",
        responses=answers(examples.USER, refusals=(404, 409)),
    )
    def change_user(
        service: Caller, user: str, change: Annotated[UserChange, Body(examples=[{"first_name": "Anna"}])]
    ) -> Response:
        changed = service.users.update(
            user,
            email=change.email,
            first_name=change.first_name,
            last_name=change.last_name,
            is_verified=change.email_verified,
        )
        return Json(changed.as_json())

    @router.delete(
        "/users/{user}",
        dependencies=[OWNER],
        status_code=204,
        summary="Delete a user",
        description="With sessions and tokens. Starts flows on `auth.user_deleted`.",
        responses=answers(None, 204, refusals=(404,)),
    )
    def delete_user(service: Caller, user: str) -> Response:
        service.users.delete(user)
        return Response(status_code=204)


def _actions(router: APIRouter) -> None:
    @router.post(
        "/users/{user}/block",
        dependencies=[OWNER],
        summary="Block a user",
        description="Ends every session. Starts flows on `auth.user_blocked`.",
        responses=answers(examples.USER | {"blocked": True}, refusals=(404,)),
    )
    def block_user(service: Caller, user: str) -> Response:
        return Json(service.users.block(user).as_json())

    @router.post(
        "/users/{user}/unblock",
        dependencies=[OWNER],
        summary="Unblock a user",
        responses=answers(examples.USER, refusals=(404,)),
    )
    def unblock_user(service: Caller, user: str) -> Response:
        return Json(service.users.unblock(user).as_json())

    @router.post(
        "/users/{user}/password",
        dependencies=[OWNER],
        summary="Set a user's password",
        description="Ends every session and starts no flow.",
        responses=answers(examples.USER, refusals=(404,)),
    )
    def set_password(
        service: Caller, user: str, new: Annotated[NewPassword, Body(examples=[{"password": "nine lives 9"}])]
    ) -> Response:
        return Json(service.users.set_password(user, new.password).as_json())

    @router.put(
        "/users/{user}/roles",
        dependencies=[OWNER],
        summary="Set a user's roles",
        description="“roles” is the whole new list of names. If it differs, flows on `auth.user_rolesChanged` start.",
        responses=answers(examples.USER, refusals=(404,)),
    )
    def set_roles(
        service: Caller, user: str, new: Annotated[UserRoles, Body(examples=[{"roles": ["Customer"]}])]
    ) -> Response:
        return Json(service.users.set_roles(user, new.roles).as_json())

    @router.post(
        "/users/{user}/send-verification",
        dependencies=[OWNER],
        status_code=202,
        summary="Ask a user to verify the address",
        description="Starts flows on `auth.email_verificationRequested`, which send the mail.",
        responses=answers(examples.USER | {"email_verified": False}, 202, refusals=(404, 409)),
    )
    def send_verification(service: Caller, user: str) -> Response:
        return Json(service.users.request_verification(user).as_json(), 202)

    @router.post(
        "/users/{user}/send-reset",
        dependencies=[OWNER],
        status_code=202,
        summary="Let a user set a new password",
        description="Starts flows on `auth.password_reset`, which send the mail.",
        responses=answers(examples.USER, 202, refusals=(404, 409)),
    )
    def send_reset(service: Caller, user: str) -> Response:
        return Json(service.users.request_reset(user).as_json(), 202)


def _roles(router: APIRouter) -> None:
    @router.get("/roles", dependencies=[OWNER], summary="List roles", responses=answers(listed(examples.ROLE)))
    def list_roles(service: Caller) -> Response:
        return Json({"items": [role.as_json() for role in service.roles.list()], "next": None})

    @router.post(
        "/roles",
        dependencies=[OWNER],
        status_code=201,
        summary="Create a role",
        responses=answers(examples.ROLE, 201, refusals=(409,)),
    )
    def create_role(service: Caller, role: Annotated[NewRole, Body(examples=[{"name": "Customer"}])]) -> Response:
        return Json(service.roles.create(role.name, role.description).as_json(), 201)

    @router.get(
        "/roles/{role}",
        dependencies=[OWNER],
        summary="Read a role",
        description="A role is named by id or name.",
        responses=answers(examples.ROLE, refusals=(404,)),
    )
    def read_role(service: Caller, role: str) -> Response:
        return Json(service.roles.get(role).as_json())

    @router.patch(
        "/roles/{role}",
        dependencies=[OWNER],
        summary="Change a role",
        responses=answers(examples.ROLE, refusals=(404, 409)),
    )
    def change_role(
        service: Caller, role: str, change: Annotated[RoleChange, Body(examples=[{"name": "Client"}])]
    ) -> Response:
        return Json(service.roles.update(role, name=change.name, description=change.description).as_json())

    @router.delete(
        "/roles/{role}",
        dependencies=[OWNER],
        status_code=204,
        summary="Delete a role",
        description="Starts flows on `auth.user_rolesChanged` for each user who had it; refused for very many.",
        responses=answers(None, 204, refusals=(404, 409)),
    )
    def delete_role(service: Caller, role: str) -> Response:
        service.roles.delete(role)
        return Response(status_code=204)


def _hosted(router: APIRouter) -> None:
    @router.get(
        "/hosted-pages",
        dependencies=[OWNER],
        summary="Read the hosted pages' settings",
        responses=answers(examples.HOSTED),
    )
    def read_hosted(service: Caller) -> Response:
        return Json(service.hosted.read().as_json())

    @router.put(
        "/hosted-pages",
        dependencies=[OWNER],
        summary="Set up the hosted pages",
        description="What is left out stays. “logo” is a data URL of a PNG, JPEG or WebP picture, or empty.",
        responses=answers(examples.HOSTED),
    )
    def set_hosted(
        service: Caller, change: Annotated[HostedChange, Body(examples=[examples.HOSTED_CHANGE])]
    ) -> Response:
        given: dict[str, Any] = {name: value for name, value in change.model_dump().items() if value is not None}
        if "web_origins" in given:
            given["web_origins"] = tuple(given["web_origins"])
        return Json(service.hosted.save(replace(service.hosted.read(), **given)).as_json())
