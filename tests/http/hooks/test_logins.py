"""Who may call a webhook, and what remains of the login that was checked."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from backend.logins import Login
from backend.signatures import TOLERANCE_S, standard_key, standard_signature
from runtime.masking import MASK
from runtime.run_views import RunView
from runtime.service import Service
from tests.canary import leaks, stored
from tests.http.hooks.flows import put

Publish = Callable[..., None]
Ended = Callable[[int], Awaitable[RunView]]
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"total": 120}'
LOGINS: dict[str, tuple[dict[str, Any], str]] = {
    "basic": ({"user": "anna"}, "hJ5!kq0zRtYw81-Xv"),
    "bearer": ({}, "tok-3bd1f0a2c9e84d7a"),
    "header": ({"header": "X-Shop-Key"}, "9f31c07be2ad4465"),
    "hmac": ({"header": "X-Hub-Signature-256", "prefix": "sha256="}, "b6c1d9e07f3a4821"),
    "standard_webhooks": ({}, WHSEC),
}


def headers_of(
    service: Service, body: bytes = BODY, message: str = "msg_1", now_s: float | None = None
) -> dict[str, str]:
    """Return what a caller who knows the login of the credential “Shop” sends."""
    login = service.credentials.login("Shop")
    assert login is not None
    return login.headers(body, message, time.time() if now_s is None else now_s) | {"Content-Type": "application/json"}


@pytest.fixture(params=LOGINS)
def kind(request: pytest.FixtureRequest, service: Service, publish: Publish) -> str:
    """A webhook that asks for a login of this kind."""
    kind: str = request.param
    settings, secret = LOGINS[kind]
    service.credentials.create("Shop", kind, secret, settings)
    publish("orders", put(all="{{ $param }}"), auth="shop", method="ANY")
    return kind


async def test_who_knows_the_login_gets_in_and_nobody_else(
    anonymous: httpx.AsyncClient, service: Service, ended: Ended, kind: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    right = headers_of(service)
    wrong = [{name: value for name, value in right.items() if name == "Content-Type"}]
    wrong += [right | {name: value[:-1]} for name, value in right.items() if name not in ("Content-Type", "Webhook-Id")]
    once = ("Content-Type", "Webhook-Signature")  # of several signatures, one has to be right
    wrong += [right | {name: f"{value}, {value}"} for name, value in right.items() if name not in once]

    refused = [await anonymous.post("/hooks/orders", content=BODY, headers=headers) for headers in wrong]
    answer = await anonymous.post("/hooks/orders", content=BODY, headers=right)
    run = await ended(answer.json()["runs"][0])

    assert {each.status_code for each in refused} == {401}
    assert len({each.text for each in refused}) == 1, "nothing tells one refusal from another"
    assert {each.headers["WWW-Authenticate"].partition(" ")[0] for each in refused} == {
        "Basic" if kind == "basic" else "Bearer"
    }
    assert answer.status_code == 202
    assert [each.id for each in service.runs.list().items] == [run.id], "what was refused is not stored"
    assert run.payload["body"] == {"total": 120}
    proofs = [name for name in right if name.lower() in Login("", kind, LOGINS[kind][0], "").header_names]  # type: ignore[arg-type]
    assert [run.payload["headers"][name.lower()] for name in proofs] == [MASK] * len(proofs) != []
    for secret in (LOGINS[kind][1], *(right[name] for name in proofs)):
        assert leaks(secret, *(each.text for each in (answer, *refused))) == []
        assert leaks(secret, *stored(service.settings.data_dir)) == []
        assert leaks(secret, *(str(vars(record)) for record in caplog.records if record.name != "httpx")) == []


async def test_signature_is_of_the_body_as_it_came(anonymous: httpx.AsyncClient, service: Service, kind: str):
    headers = headers_of(service)

    again = await anonymous.post("/hooks/orders", content=b'{"total":120}', headers=headers)

    assert again.status_code == (401 if kind in ("hmac", "standard_webhooks") else 202)


async def test_login_is_asked_for_before_the_body_is_read(anonymous: httpx.AsyncClient, kind: str):
    answer = await anonymous.post("/hooks/orders", content=b"{" * 1_000, headers={"Content-Type": "application/json"})

    assert answer.status_code == 401


async def test_deleted_login_admits_nobody(anonymous: httpx.AsyncClient, service: Service, kind: str):
    headers = headers_of(service)
    service.credentials.delete("Shop")

    answers = [await anonymous.post("/hooks/orders", content=BODY, headers=given) for given in (headers, {})]

    assert [answer.status_code for answer in answers] == [401, 401]


async def test_changed_login_counts_at_once(anonymous: httpx.AsyncClient, service: Service, kind: str):
    old = headers_of(service)
    before = await anonymous.post("/hooks/orders", content=BODY, headers=old)
    service.credentials.update("Shop", secret=WHSEC[:-1] + "A" if kind == "standard_webhooks" else "changed-7")
    new = headers_of(service)

    after = [await anonymous.post("/hooks/orders", content=BODY, headers=headers) for headers in (old, new)]

    assert [each.status_code for each in (before, *after)] == [202, 401, 202]


@pytest.fixture
def signed(service: Service, publish: Publish) -> None:
    service.credentials.create("Shop", "standard_webhooks", WHSEC)
    publish("orders", auth="Shop")


@pytest.mark.usefixtures("signed")
async def test_standard_webhook_is_taken_within_its_time_only(anonymous: httpx.AsyncClient, service: Service):
    now = time.time()
    late = {0: 202, -TOLERANCE_S + 20: 202, TOLERANCE_S - 20: 202, -TOLERANCE_S - 20: 401, TOLERANCE_S + 20: 401}

    answers = {
        shift: await anonymous.post(
            "/hooks/orders", content=BODY, headers=headers_of(service, message=f"msg{shift}", now_s=now + shift)
        )
        for shift in late
    }

    assert {shift: answer.status_code for shift, answer in answers.items()} == late


@pytest.mark.usefixtures("signed")
async def test_sender_may_be_changing_its_key(anonymous: httpx.AsyncClient, service: Service):
    headers = headers_of(service)
    other = standard_signature(standard_key(WHSEC[:-1] + "A"), "msg_1", int(headers["Webhook-Timestamp"]), BODY)

    both = await anonymous.post(
        "/hooks/orders",
        content=BODY,
        headers=headers | {"Webhook-Signature": f"{other} {headers['Webhook-Signature']}"},
    )
    one = await anonymous.post("/hooks/orders", content=BODY, headers=headers | {"Webhook-Signature": other})

    assert (both.status_code, one.status_code) == (202, 401)


# -- ids


@pytest.mark.usefixtures("signed")
async def test_replayed_message_is_one_event(anonymous: httpx.AsyncClient, service: Service):
    now = time.time()
    attempts = [headers_of(service, now_s=now + shift) for shift in (-1, 0, 1)]  # signed anew each time

    answers = [await anonymous.post("/hooks/orders", content=BODY, headers=headers) for headers in attempts]

    first = {"id": "hooks/orders#msg_1", "duplicate": False, "runs": [1]}
    assert [answer.json() for answer in answers] == [first, first | {"duplicate": True}, first | {"duplicate": True}]
    assert len(service.runs.list().items) == 1


@pytest.mark.usefixtures("signed")
async def test_id_that_was_signed_comes_before_one_that_was_not(anonymous: httpx.AsyncClient, service: Service):
    headers = headers_of(service)

    answers = [
        await anonymous.post("/hooks/orders", content=BODY, headers=headers | {"Idempotency-Key": key}) for key in "ab"
    ]

    assert [answer.json()["duplicate"] for answer in answers] == [False, True]


@pytest.mark.parametrize("header", ["Idempotency-Key", "Webhook-Id"])
async def test_same_id_is_one_event_and_with_other_content_refused(
    anonymous: httpx.AsyncClient, publish: Publish, service: Service, header: str
):
    publish("orders")
    publish("other")

    async def post(path: str, body: Any) -> httpx.Response:
        return await anonymous.post(f"/hooks/{path}", json=body, headers={header: "k-1", "X-Attempt": str(id(body))})

    first, again, other = [await post("orders", body) for body in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2})]
    elsewhere = await post("other?attempt=1", {"a": 2})

    assert (first.status_code, first.json()["duplicate"]) == (202, False)
    assert again.json() == first.json() | {"duplicate": True}
    assert (other.status_code, other.json()["problems"][0]["code"]) == (422, "event.id_reused")
    assert (elsewhere.status_code, elsewhere.json()["duplicate"]) == (202, False)
    assert len(service.runs.list().items) == 2


async def test_hundred_equal_posts_at_once_are_one_event_and_one_run(
    anonymous: httpx.AsyncClient, publish: Publish, service: Service
):
    publish("orders")

    answers = await asyncio.gather(
        *(
            anonymous.post("/hooks/orders", json={"total": 1}, headers={"Idempotency-Key": "order-1"})
            for _ in range(100)
        )
    )

    assert {answer.status_code for answer in answers} == {202}
    assert sum(not answer.json()["duplicate"] for answer in answers) == 1
    assert {tuple(answer.json()["runs"]) for answer in answers} == {(1,)}
    assert len(service.runs.list().items) == 1


async def test_odd_ids_are_refused(anonymous: httpx.AsyncClient, publish: Publish):
    publish("orders")
    ids = {"x" * 255: 202, "x" * 256: 400, "": 202, "a b": 202, "a\tb": 400, "\xad": 400}

    answers = {
        key: await anonymous.post("/hooks/orders", json={}, headers={"Idempotency-Key": key.encode("latin-1")})
        for key in ids
    }

    assert {key: answer.status_code for key, answer in answers.items()} == ids


# -- what nobody checked


async def test_login_that_nobody_asked_for_reaches_the_flow_and_no_record(
    anonymous: httpx.AsyncClient, service: Service, publish: Publish, ended: Ended
):
    publish("orders", put(is_right="{{ $param.headers.authorization[7:13] == 's3cret' }}"))
    sent = {
        "Authorization": "Bearer s3cret-9f31c07be2ad",
        "Cookie": "session=c00kie-55aa77cc99",
        "X-Hub-Signature-256": "sha256=5191aa77de02",
        "X-Gitlab-Token": "t0ken-7781ab90cd",
        "X-Api-Key": "k3y-bb12de90af",
        "Proxy-Authorization": f"Basic {base64.b64encode(b'a:pr0xy-cc91ab').decode()}",
    }

    answer = await anonymous.post(
        "/hooks/orders?api_key=qu3ry-771ad0fe&page=2", json={"password": "b0dy-66ff01"}, headers=sent
    )
    run = await ended(answer.json()["runs"][0])

    assert run.steps[1].output == {"is_right": True}
    assert {run.payload["headers"][name.lower()] for name in sent} == {MASK}
    assert (run.payload["query"], run.payload["body"]) == ({"api_key": MASK, "page": "2"}, {"password": MASK})
    for secret in (*sent.values(), "qu3ry-771ad0fe", "b0dy-66ff01"):
        assert leaks(secret, *stored(service.settings.data_dir)) == []


async def test_nobody_hands_in_a_request_by_another_door(client: httpx.AsyncClient, publish: Publish, service: Service):
    publish("orders")

    answer = await client.post("/api/events", json={"name": "webhook.orders", "payload": {"body": {}}})

    assert (answer.status_code, answer.json()["problems"][0]["code"]) == (403, "event.reserved")
    assert service.runs.list().items == []
