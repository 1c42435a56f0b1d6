"""Passwords and login headers in events that come from outside."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import select

from runtime import outbox
from runtime.errors import Invalid
from runtime.masking import MASK
from runtime.outbox import NewEvent
from runtime.sealing import BLANK
from runtime.veil import LONG, veiled
from storage.tables import EventRow
from tests.canary import leaks, stored
from tests.runtime.conftest import Rig

PASSWORD = "tr0ub4dor staple"
CALL = {"id": "call", "type": "call", "params": {"text": "{{ $param.password }}"}}
EVENT = "shop.order_paid"


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ({"password": "abc"}, {"password": MASK}),
        ({"newPassword": "abc", "n": 1}, {"newPassword": MASK, "n": 1}),
        (
            {"headers": [{"Authorization": "Bearer x", "Set-Cookie": "a=b"}]},
            {"headers": [{"Authorization": MASK, "Set-Cookie": MASK}]},
        ),
        ({"password": {"passwd": "x"}}, {"password": {"passwd": MASK}}),
    ],
    ids=["plain", "camel case", "headers", "nested"],
)
def test_fields_named_like_a_login_are_masked_and_locked(
    rig: Rig, payload: dict[str, Any], shown: dict[str, Any]
) -> None:
    event = veiled(outbox.seed(NewEvent(EVENT, payload)), rig.platform.seals)

    assert event.payload == shown
    assert event.sealed is not None
    opened = rig.platform.seals.open(event.sealed)
    assert opened is not None
    assert opened.value == payload


@pytest.mark.parametrize(
    "payload",
    [
        {"password": ""},
        {"password": None},
        {"password": 7},
        {"passwords_changed": "yes"},
        {"note": "password: abc"},
        {},
    ],
)
def test_other_events_stay_as_they_are(rig: Rig, payload: dict[str, Any]) -> None:
    event = outbox.seed(NewEvent(EVENT, payload))

    assert veiled(event, rig.platform.seals) is event


@pytest.mark.parametrize("padding", [0, LONG], ids=["short", "long"])
def test_login_is_found_however_long_the_payload_is(rig: Rig, padding: int) -> None:
    payload = {"text": "x" * padding, "list": [1, [{"deep": {"Password": "abc"}}]]}

    event = veiled(outbox.seed(NewEvent(EVENT, payload)), rig.platform.seals)

    assert event.payload["list"] == [1, [{"deep": {"Password": MASK}}]]


async def test_flow_uses_the_password_and_nobody_reads_it(rig: Rig) -> None:
    rig.flow([CALL], ["start>call"], event=EVENT)

    run = await rig.run(await rig.emit({"password": PASSWORD}, EVENT))

    assert run.status == "succeeded"
    assert [text for text, _key in rig.calls.seen] == [PASSWORD]
    assert rig.steps(run.id)["call"].output == {"text": MASK}
    assert leaks(PASSWORD, *stored(rig.settings.data_dir)) == []


async def test_event_that_starts_nothing_keeps_no_password(rig: Rig) -> None:
    await rig.engine.accept([NewEvent(EVENT, {"password": PASSWORD})])

    with rig.database.read() as session:
        (row,) = session.exec(select(EventRow)).all()
    assert (row.payload, row.sealed) == ({"password": MASK}, BLANK)


async def test_same_id_is_one_event_also_with_a_password(rig: Rig) -> None:
    event = NewEvent(EVENT, {"password": PASSWORD}, "one")
    await rig.engine.accept([event])

    (again,) = await rig.engine.accept([event])

    assert again.duplicate
    with pytest.raises(Invalid, match="exists with another name or payload"):
        await rig.engine.accept([NewEvent(EVENT, {"password": "another"}, "one")])


def test_digest_of_a_password_needs_the_key(rig: Rig) -> None:
    plain = outbox.seed(NewEvent(EVENT, {"password": PASSWORD}, "one"))

    assert veiled(plain, rig.platform.seals).digest not in (None, plain.digest)
