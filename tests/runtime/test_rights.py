"""Who may do what, asked of the service itself: no page and no route takes part."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from backend.errors import BackendError
from backend.operator_values import ROLES, Role
from runtime import conditions
from runtime import service as services
from runtime.actors import REMEMBERED_S, Actor, Standing
from runtime.engine_api import EngineApi
from runtime.errors import Conflict, Forbidden, Invalid, SignedOut, Unauthorized
from runtime.outbox import NewEvent
from runtime.rights import RIGHTS
from runtime.service import Service

PASSWORD = "correct horse 7"
CLOSED = {"database", "sessions", "sign_in", "webhooks", "causes"}  # nothing in them is for doors


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


# -- flows that act with an owner's rights


@pytest.fixture
def owners_flow(document: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """A flow that blocks the user whom the event names."""
    nodes = [
        {"id": "start", "type": "manual", "name": "Start", "params": {}},
        {"id": "block", "type": "block_user", "name": "Block", "params": {"by": "id", "value": "{{ $param.user }}"}},
    ]
    edges = [{"source": "start", "target": "block", "key": "out"}]
    return document("owners", nodes=nodes, edges=edges, samples=[], layout={"start": [0, 0], "block": [280, 0]})


async def test_editor_draws_but_neither_publishes_nor_tests_nor_runs_what_acts_with_an_owners_rights(
    service: Service, owners_flow: dict[str, Any]
):
    editor, owner = service.of(actor("editor")), service.of(actor("owner"))
    editor.flows.create(owners_flow)
    refused = []

    async def refuse(call: Callable[[], Any]) -> None:
        with pytest.raises(Forbidden) as refusal:
            await finished(call)
        refused.append(refusal.value.problems[0].code)

    await refuse(lambda: editor.flows.publish("owners"))
    await refuse(lambda: editor.runs.test("owners", payload={"user": "x"}))
    await refuse(lambda: editor.runs.start_test("owners", payload={"user": "x"}))
    await refuse(lambda: editor.runs.test(owners_flow, payload={"user": "x"}))
    owner.flows.publish("owners")
    await refuse(lambda: editor.runs.start("owners", payload={"user": "x"}))
    owner.flows.pause("owners")
    await refuse(lambda: editor.flows.resume("owners"))
    owner.flows.resume("owners")
    run = await owner.runs.start("owners", payload={"user": "x"})
    await service.engine.wait(run.id, 10)
    await refuse(lambda: editor.runs.retry(run.id))
    await refuse(lambda: editor.runs.retry(run.id, payload={"user": "y"}))

    assert set(refused) == {"right.owners_nodes"}
    assert [each.id for each in service.runs.list().items] == [run.id]
    assert "“Greet” acts with an owner's rights: “Block”" in refusal_of(editor, "owners")


async def finished(call: Callable[[], Any]) -> None:
    called = call()
    if inspect.iscoroutine(called):
        await called


@pytest.mark.parametrize("event", ["auth.password_reset", "auth.email_verificationRequested"])
def test_token_is_not_handed_to_a_flow_that_waits_for_its_event_by_name(
    service: Service, document: Callable[..., dict[str, Any]], event: str
):
    nodes = [{"id": "start", "type": "event", "name": "Listen", "params": {"event": event}}]
    flow = document("listener", nodes=nodes, edges=[], samples=[], layout={"start": [0, 0]})
    service.flows.create(flow)

    assert "“Listen”" in refusal_of(service.of(actor("editor")), "listener")
    assert service.of(actor("owner")).flows.publish("listener").state == "published"


def test_events_without_a_token_are_waited_for_by_editors(service: Service, document: Callable[..., dict[str, Any]]):
    nodes = [{"id": "start", "type": "event", "name": "Listen", "params": {"event": "auth.user_signedUp"}}]
    service.flows.create(document("listener", nodes=nodes, edges=[], samples=[], layout={"start": [0, 0]}))

    assert service.of(actor("editor")).flows.publish("listener").state == "published"


def refusal_of(editor: Service, flow_id: str) -> str:
    with pytest.raises(Forbidden) as refusal:
        editor.flows.publish(flow_id)
    return str(refusal.value)


def test_draft_that_changed_since_it_was_looked_at_is_not_published(
    service: Service, document: Callable[..., dict[str, Any]], owners_flow: dict[str, Any]
):
    flow = service.flows.create(document())
    seen: dict[str, Any] = {"flow_id": flow.id}
    conditions.may_publish(service, actor("editor"), seen)

    service.flows.save(flow.id, owners_flow | {"graph": flow.draft["graph"]})

    with pytest.raises(Conflict, match="changed"):
        service.flows.publish(**seen)


@pytest.mark.parametrize("role", ["editor", "owner"])
def test_draft_that_changed_since_one_read_it_is_not_published(
    service: Service, document: Callable[..., dict[str, Any]], role: Role
):
    flow = service.flows.create(document())
    service.flows.save(flow.id, document(samples=[]))

    with pytest.raises(Conflict, match="changed"):
        service.of(actor(role)).flows.publish(flow.id, if_match=flow.revision)


def test_what_is_tested_is_what_was_looked_at(service: Service, document: Callable[..., dict[str, Any]]):
    flow = service.flows.create(document())
    seen: dict[str, Any] = {"flow": flow.id}

    conditions.may_test(service, actor("editor"), seen)

    assert seen["flow"] == flow.draft


@pytest.mark.parametrize(
    "odd", [None, [], {}, {"nodes": None}, {"nodes": {"a": 1}}, {"nodes": [None, 7]}, {"nodes": [{}]}]
)
def test_odd_document_is_nobodys_way_around(service: Service, odd: Any):
    found = conditions.owners_nodes(service.types, odd)

    assert bool(found) is (odd == {"nodes": [{}]}), "a node of no known type may do anything"


# -- events, mail, roles


@pytest.mark.parametrize("name", ["auth.user_signedUp", "api.dataTable_emptied", "flow.run_failed"])
async def test_events_of_the_platform_are_made_up_by_owners_only(service: Service, name: str):
    with pytest.raises(Forbidden):
        await service.of(actor("editor")).emit([NewEvent("shop.order_paid", {}), NewEvent(name, {})])
    with pytest.raises(Forbidden):
        await service.of(actor("viewer")).emit([NewEvent("shop.order_paid", {})])

    (accepted,) = await service.of(actor("editor")).emit([NewEvent("shop.order_paid", {})])
    await service.of(actor("owner")).emit([NewEvent(name, {})])

    assert not accepted.duplicate


def test_mail_that_carries_a_live_link_is_for_owners(service: Service):
    for number, has_secret in enumerate((False, True)):
        service.mailbox.keep(
            b"Subject: a\r\n\r\nb",
            message_id=str(number),
            sender="a@example.com",
            recipients=["b@example.com"],
            subject="a",
            idempotency_key=str(number),
            has_secret=has_secret,
        )
    editor, owner = service.of(actor("editor")).mailbox, service.of(actor("owner")).mailbox
    plain, secret = sorted(each.id for each in owner.list())

    assert [each.id for each in editor.list()] == [plain]
    assert (editor.unread_count(), owner.unread_count()) == (1, 2)
    assert editor.get(plain).id == plain
    assert owner.get(secret).has_secret
    for call in (editor.get, editor.mark_read):
        with pytest.raises(Forbidden, match="works like a password"):
            call(secret)


def test_nobody_gives_a_role_above_their_own():
    for mine in ROLES:
        for given in (*ROLES, "superuser"):
            granted = {"role": given}
            if given in ROLES[: ROLES.index(mine) + 1] or given == "superuser":
                conditions.may_grant(None, actor(mine), granted)  # type: ignore[arg-type]
                continue
            with pytest.raises(Forbidden):
                conditions.may_grant(None, actor(mine), granted)  # type: ignore[arg-type]


async def test_own_password_and_name_are_ones_own(service: Service):
    eve = await signed_in(service, "eve@example.com", "viewer")
    adam = await signed_in(service, "adam@example.com", "owner")

    service.of(eve).operators.rename(eve.id, "Eve")
    await service.of(eve).operator_sign_in.change_password(eve.id, PASSWORD, "another horse 8", keep=eve.session)
    for other in (adam.id, "adam@example.com"):
        with pytest.raises(Forbidden):
            service.of(eve).operators.rename(other, "x")
    with pytest.raises(Forbidden):
        service.of(actor("owner")).operators.rename(eve.id, "x")

    assert service.operators.get(eve.id).name == "Eve"
    assert service.of(eve).flows.list() == []


# -- the audit log


async def test_what_is_done_is_written_down_by_whom_to_what(service: Service, document: Callable[..., dict[str, Any]]):
    adam = await signed_in(service, "adam@example.com", "owner")
    mine = service.of(adam)
    info, text = mine.keys.create("ci")
    table = mine.tables.create("orders")
    for _ in range(3):
        mine.tables.insert(table.id, [{}])
    mine.tables.delete(table.id)
    mine.flows.create(document())
    mine.flows.publish("greet")
    link = mine.operators.invite("eve@example.com", "viewer")
    mine.operators.set_role(link.operator.id, "editor")
    mine.keys.delete(info.id)
    await mine.runs.test("greet", payload={"total": 1})
    mine.flows.list()

    entries = service.audit.list().items[::-1]

    assert {(each.actor_kind, each.actor_id, each.actor) for each in entries} == {("operator", adam.id, adam.name)}
    assert [(each.action, each.target, each.details) for each in entries] == [
        ("key.create", "ci", None),
        ("table.create", "orders", None),
        ("rows.add", "orders", None),
        ("table.delete", "orders", None),
        ("flow.create", "greet", None),
        ("flow.publish", "greet", None),
        ("operator.invite", "eve@example.com", {"role": "viewer"}),
        ("operator.set_role", "eve@example.com", {"role": "editor"}),
        ("key.delete", "ci", None),
        ("flow.test", "greet", None),
    ]
    assert not any(secret in repr(entries) for secret in (text, link.token))


def test_what_was_refused_is_not_written_down(service: Service):
    with pytest.raises(Forbidden):
        service.of(actor("viewer")).flows.create(name="a")
    with pytest.raises(BackendError):
        service.of(actor("owner")).keys.create("")
    with pytest.raises(Invalid):
        service.of(actor("owner")).flows.create({"format": "none"})

    assert service.audit.list().items == []


async def test_commands_and_keys_are_named_in_the_log(service: Service):
    info, _ = service.keys.create("ci")

    service.of(Actor.command()).flows.create(name="a")
    service.of(Actor.key(info.id, "ci", "owner")).flows.create(name="b")

    assert [(each.actor_kind, each.actor, each.target) for each in service.audit.list().items] == [
        ("key", "ci", "b"),
        ("command", "Command line", "a"),
    ]
