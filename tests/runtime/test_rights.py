"""Who may do what, asked of the service itself: no page and no route takes part."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from backend.operator_values import ROLES, Role
from runtime import service as services
from runtime.actors import REMEMBERED_S, Actor, Standing
from runtime.engine_api import EngineApi
from runtime.errors import Forbidden, SignedOut, Unauthorized
from runtime.rights import RIGHTS
from runtime.service import Service

PASSWORD = "correct horse 7"
CLOSED = {"database", "sessions", "sign_in"}  # nothing in them is for doors


def actor(role: Role) -> Actor:
    return Actor("system", role, role, role)


async def signed_in(service: Service, email: str, role: Role) -> Actor:
    """Return an operator who has just accepted an invitation."""
    if not service.operators.has_owner():
        await service.operator_sign_in.accept(service.operators.set_up_link() or "", PASSWORD, email="o@example.com")
    invited = service.operators.invite(email, role)
    cookie = (await service.operator_sign_in.accept(invited.token, PASSWORD)).cookie
    visit = service.operator_sessions.visit_by(cookie)
    assert visit is not None
    return Actor.visitor(visit)


def public(part: Any) -> set[str]:
    """Return the methods of a part, without those that work in the transaction of whoever calls them."""
    return {name for name, _ in inspect.getmembers(part, callable) if not name.startswith("_") and name[-3:] != "_in"}


def test_every_method_of_every_part_has_its_right():
    hints = get_type_hints(Service, vars(services) | {"EngineApi": EngineApi})
    unlisted = {each.name for each in fields(Service)} ^ (RIGHTS.keys() | {"types"})
    for part in RIGHTS.keys() - CLOSED - {"settings"}:
        unlisted |= {f"{part}.{method}" for method in public(hints[part]) ^ RIGHTS[part].keys()}

    assert unlisted == set()


def test_methods_of_the_service_itself_lead_through_its_guarded_parts():
    assert public(Service) == {"of", "emit"}


@pytest.mark.parametrize("role", ROLES)
async def test_role_below_the_one_listed_is_refused_before_anything_happens(service: Service, role: Role):
    guarded, done = service.of(actor(role)), []
    for part, table in RIGHTS.items():
        for method, right in table.items():
            if right.is_value or (right.role is not None and actor(role).may(right.role)):
                continue
            try:
                called = getattr(getattr(guarded, part), method)(*_arguments(service, part, method))
                if inspect.iscoroutine(called):
                    await called
            except Forbidden:
                continue
            done.append(f"{part}.{method}")

    assert done == []


def _arguments(service: Service, part: str, method: str) -> list[None]:
    parameters = inspect.signature(getattr(getattr(service, part), method)).parameters.values()
    return [None for each in parameters if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]


async def test_method_that_is_not_listed_is_refused_to_owners_too(service: Service):
    with pytest.raises(Forbidden):
        service.of(Actor.command()).users.create_in  # noqa: B018 - reading it is what is refused


def test_guarding_twice_never_gives_more(service: Service):
    twice = service.of(actor("viewer")).of(actor("owner"))

    with pytest.raises(Forbidden):
        twice.flows.create(name="a")


async def test_listed_role_may(service: Service):
    service.of(actor("editor")).flows.create(name="Mine")

    assert [flow.id for flow in service.of(actor("viewer")).flows.list()] == ["mine"]
    assert service.of(actor("owner")).operators.list() == []
    assert service.of(actor("viewer")).settings.public_url == service.settings.public_url


async def test_role_is_the_one_of_this_moment(service: Service):
    editor = await signed_in(service, "e@example.com", "editor")
    guarded = service.of(editor)
    guarded.flows.create(name="a")

    service.operators.set_role(editor.id, "viewer")
    service.standing.forget()

    with pytest.raises(Forbidden):
        guarded.flows.create(name="b")


@pytest.mark.parametrize("ending", ["disable", "delete"])
async def test_operator_who_was_let_go_is_signed_out(service: Service, ending: str):
    editor = await signed_in(service, "e@example.com", "editor")
    guarded = service.of(editor)

    getattr(service.operators, ending)(editor.id)
    service.standing.forget()

    with pytest.raises(SignedOut):
        guarded.flows.list()


def test_standing_is_looked_up_again_after_half_a_second():
    now = [0.0]
    roles: list[Role | None] = ["owner"]
    standing = Standing(lambda _digest: None, lambda _key: roles[-1], now=lambda: now[0])
    key = Actor.key(1, "ci", "owner")

    seen = [standing.now(key).role]
    roles.append("viewer")
    now[0] = REMEMBERED_S - 0.01
    seen.append(standing.now(key).role)
    now[0] = REMEMBERED_S
    seen.append(standing.now(key).role)
    roles.append(None)
    now[0] = REMEMBERED_S * 2

    assert seen == ["owner", "owner", "viewer"]
    with pytest.raises(Unauthorized):
        standing.now(key)


def test_actor_without_a_sign_in_is_nobody():
    standing = Standing(lambda _digest: None, lambda _key: None)

    with pytest.raises(SignedOut):
        standing.now(Actor("operator", "1", "Anna", "owner"))
