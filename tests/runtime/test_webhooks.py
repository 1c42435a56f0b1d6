"""Which webhooks stand where, and what the checks say of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import select

from nodes import spec
from nodes.emit_event import EmitEventParams
from nodes.event import EventParams
from nodes.on_webhook import OnWebhookParams
from runtime.document import parse
from runtime.errors import Forbidden, Invalid, Problem
from runtime.outbox import NewEvent
from runtime.rights import Actor
from runtime.service import Service
from runtime.validation import check
from runtime.webhooks import overlap
from storage.database import Database
from storage.tables import Subscription, Webhook
from tests.http.hooks.flows import put, respond, webhook_flow

Publish = Callable[..., None]


@pytest.fixture
def publish(service: Service) -> Publish:
    def make(flow_id: str, *steps: Any, **params: Any) -> None:
        service.flows.create(webhook_flow(flow_id, *steps, **params))
        service.flows.publish(flow_id)

    return make


def stored(database: Database) -> list[tuple[str, str, str, str, int]]:
    with database.read() as session:
        rows = session.exec(select(Webhook).order_by(Webhook.path, Webhook.method)).all()
    return [(row.path, row.method, row.flow_id, row.node, row.version) for row in rows]


def heard(database: Database) -> list[tuple[str, dict[str, Any]]]:
    with database.read() as session:
        return [(row.event, row.match) for row in session.exec(select(Subscription).order_by(Subscription.event))]


def problems(document: dict[str, Any]) -> list[Problem]:
    parsed, found = parse(document)
    assert parsed is not None, found
    return check(parsed, spec.load())


def told(found: list[Problem]) -> list[tuple[str, str | None, str | None, str]]:
    return [(each.code, each.node, each.param, each.severity) for each in found]


# -- rows


def test_publishing_puts_webhooks_up_and_unpublishing_takes_them_down(service: Service, publish: Publish):
    publish("a", path="orders", method="ANY")
    publish("b", path="shop/orders")

    assert stored(service.database) == [("orders", "ANY", "a", "start", 1), ("shop/orders", "POST", "b", "start", 1)]
    assert heard(service.database) == [("webhook.orders", {}), ("webhook.shop/orders", {"method": "POST"})]

    service.flows.unpublish("a")
    service.flows.delete("b")

    assert stored(service.database) == heard(service.database) == []


def test_new_version_moves_its_webhook(service: Service, publish: Publish):
    publish("a", path="orders")
    service.flows.save("a", webhook_flow("a", path="orders", method="PUT"))
    service.flows.publish("a")

    assert stored(service.database) == [("orders", "PUT", "a", "start", 2)]


def test_disabled_webhook_stands_nowhere(service: Service):
    document = webhook_flow("a", path="orders")
    document["nodes"][0]["disabled"] = True
    service.flows.create(document)
    service.flows.publish("a")

    assert stored(service.database) == heard(service.database) == []


@pytest.mark.parametrize(
    ("first", "second", "is_taken"),
    [
        ("POST", "POST", True),
        ("POST", "ANY", True),
        ("ANY", "GET", True),
        ("ANY", "ANY", True),
        ("POST", "GET", False),
    ],
)
def test_two_live_webhooks_never_stand_at_one_address(
    service: Service, publish: Publish, first: str, second: str, is_taken: bool
):
    publish("a", path="orders", method=first)
    service.flows.create(webhook_flow("b", path="orders", method=second))

    assert overlap(("orders", first), ("orders", second)) is is_taken
    assert not overlap(("orders", first), ("other", second))
    if not is_taken:
        service.flows.publish("b")
        return
    before = stored(service.database), heard(service.database)
    with pytest.raises(Invalid) as refused:
        service.flows.publish("b")
    (problem,) = refused.value.problems
    assert told([problem]) == [("webhook.path_taken", "start", "path", "error")]
    assert "“Flow a”" in problem.message
    assert (stored(service.database), heard(service.database)) == before
    assert service.flows.get("b").state == "draft"


def test_address_is_free_again_when_the_other_flow_is_gone(service: Service, publish: Publish):
    publish("a", path="orders")
    service.flows.create(webhook_flow("b", path="orders"))
    service.flows.unpublish("a")

    service.flows.publish("b")

    with pytest.raises(Invalid, match="already leads to the flow “Flow b”"):
        service.flows.publish("a")


# -- checks


def test_two_webhooks_of_one_flow_at_one_address_are_told_while_drawing():
    document = webhook_flow("a", put(x=1), path="orders")
    second = {"id": "second", "type": "on_webhook", "name": "Second", "params": {"path": "orders", "method": "ANY"}}
    document["nodes"].append(second)
    document["edges"].append({"source": "second", "target": "put", "key": "out"})

    assert told(problems(document)) == [("webhook.path_taken", "second", "path", "error")]
    second["params"] = {"path": "orders", "method": "GET"}
    assert problems(document) == []


def test_caller_whom_nobody_answers_is_told():
    asks = {"answer": "by respond"}

    assert told(problems(webhook_flow("a", put(x=1), **asks))) == [("webhook.no_respond", "start", "answer", "warning")]
    assert problems(webhook_flow("a", put(x=1), respond(), **asks)) == []
    disabled = webhook_flow("a", respond(), **asks)
    disabled["nodes"][1]["disabled"] = True
    assert told(problems(disabled)) == [("webhook.no_respond", "start", "answer", "warning")]


def test_answer_that_nobody_waits_for_is_told():
    assert told(problems(webhook_flow("a", respond()))) == [("respond.no_webhook", "answer", None, "warning")]


def test_answer_behind_another_trigger_is_told_no_more_once_a_webhook_leads_there():
    document = webhook_flow("a", respond(), answer="by respond")
    document["nodes"].append({"id": "by_hand", "type": "manual", "name": "By hand", "params": {}})
    document["edges"].append({"source": "by_hand", "target": "answer", "key": "out"})

    assert problems(document) == []


def test_unfinished_webhook_is_told_as_such_alone():
    document = webhook_flow("a", put(x=1))
    document["nodes"][0]["params"] = {}

    assert told(problems(document)) == [("param.missing", "start", "path", "error")]


@pytest.mark.parametrize("path", ["a", "orders/new", "a-b_c.d/0", "x" * 200])
def test_path_that_has_one_spelling_is_taken(path: str):
    assert OnWebhookParams(path=path).path == path


@pytest.mark.parametrize(
    "path", ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "ä", "a b", "a?b", "a%20b", "a\n", "x" * 201]
)
def test_path_that_could_be_read_in_two_ways_is_refused(path: str):
    with pytest.raises(ValueError, match="path"):
        OnWebhookParams(path=path)


@pytest.mark.parametrize(
    "origin", ["", "shop.example.com", "https://shop.example.com/", "https://*.example.com", "null", "https://a b"]
)
def test_odd_origin_is_refused(origin: str):
    with pytest.raises(ValueError, match="origin"):
        OnWebhookParams(path="a", origins=[origin])


def test_unknown_login_stops_the_flow_from_being_published(service: Service):
    service.flows.create(webhook_flow("a", auth="Shop"))

    with pytest.raises(Invalid) as refused:
        service.flows.publish("a")
    service.credentials.create("Shop", "bearer", "tok")
    service.flows.publish("a")

    assert told(refused.value.problems) == [("param.credential_unknown", "start", "auth", "error")]


# -- the names of these events


@pytest.mark.parametrize("role", ["editor", "owner"])
async def test_request_is_made_up_by_nobody(service: Service, role: Any):
    with pytest.raises(Forbidden, match="Pulsewire itself"):
        await service.of(Actor("system", role, role, role)).emit([NewEvent("webhook.orders", {})])


def test_flow_neither_emits_nor_listens_to_requests_by_their_name():
    with pytest.raises(ValueError, match="webhook"):
        EmitEventParams(name="webhook.orders")
    with pytest.raises(ValueError, match="webhook"):
        EventParams(event="webhook.orders")
