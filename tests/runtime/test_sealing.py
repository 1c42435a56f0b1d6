"""Tokens in events: the flow can use them while they live, and nobody reads them where the run is recorded."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select

from backend import one_time_tokens
from backend.events import EmailVerificationRequested, PasswordReset, PasswordResetRequested
from backend.secrets import SecretBox
from nodes.spec import NodeError, TemporaryError
from runtime.engine_api import TestRequest
from runtime.flows import Flows
from runtime.masking import MASK
from runtime.runs import Runs
from runtime.sealing import BLANK, Seals
from storage.tables import EventRow, OneTimeToken, StepRow, UserRow
from tests.canary import leaks, stored
from tests.runtime.conftest import Rig

VERIFY = "auth.email_verificationRequested"
TOKEN = "dK3x-Qp9_ZtR7mWv2LbNc8HsYfA1eGuJoT4iXnP6kEw"
LINK = f"https://flows.example.com/verify-email?token={TOKEN}"
USER = UUID("0b6f3f9e-54a1-4f5a-9d0c-6a3f2f8f2a11")
FIELDS: dict[str, Any] = {"userId": USER, "email": "ada@example.com", "emailVerified": False, "roles": []}
ASKED = EmailVerificationRequested(**FIELDS, token=TOKEN, link=LINK)

TEXT = {"id": "text", "type": "set_fields", "params": {"fields": {"text": "Click {{ $param.link }}"}}}
CALL = {"id": "call", "type": "call", "params": {"text": "{{ $action.text.text }}"}}
TWO = ([TEXT, CALL], ["start>text", "text>call"])


async def ask(rig: Rig, event: Any = ASKED) -> int:
    """Report an event as the backend does, and return the run that it starts."""
    with rig.database.write() as session:
        (run_id,) = rig.platform.reporter.write(session, event)
    await rig.engine.wake()
    return run_id


async def asked_and_held(rig: Rig) -> int:
    """Start a run and hold it in its ``call``, which has been given the link."""
    rig.flow(*TWO, event=VERIFY)
    rig.calls.hold(f"Click {LINK}")
    run_id = await ask(rig)
    await asyncio.wait_for(rig.calls.arrived[f"Click {LINK}"].wait(), 5)
    return run_id


def sealed(rig: Rig) -> list[str | None]:
    """Return what is locked, of events and steps."""
    with rig.database.read() as session:
        return [*session.exec(select(EventRow.sealed)), *session.exec(select(StepRow.sealed))]


def runs(rig: Rig) -> Runs:
    return Runs(rig.database, Flows(rig.database, rig.types), rig.engine, rig.types, clock=rig.clock)


async def retried(rig: Rig, run_id: int, **how: Any) -> tuple[Any, dict[str, StepRow]]:
    again = await runs(rig).retry(run_id, **how)
    run = await rig.run(again.id)
    return run, rig.steps(again.id)


async def test_flow_uses_the_link_and_the_record_has_it_masked(rig: Rig) -> None:
    rig.flow(*TWO, event=VERIFY)

    run = await rig.run(await ask(rig))
    steps = rig.steps(run.id)
    view = runs(rig).get(run.id)

    assert rig.calls.seen[0][0] == f"Click {LINK}"
    assert run.status == "succeeded"
    assert steps["start"].output["token"] == MASK
    assert steps["text"].output == {"text": f"Click https://flows.example.com/verify-email?token={MASK}"}
    assert steps["call"].input["text"].endswith(f"token={MASK}")
    assert view.payload["link"] == f"https://flows.example.com/verify-email?token={MASK}"
    assert view.payload["email"] == "ada@example.com"
    assert leaks(TOKEN, *stored(rig.database.path.parent), str(view.as_json())) == []


async def test_masked_output_is_whole_again_after_a_restart(rig: Rig) -> None:
    run_id = await asked_and_held(rig)

    await rig.restart()
    rig.calls.release(f"Click {LINK}")
    run = await rig.run(run_id)

    assert run.status == "succeeded"
    assert [text for text, _key in rig.calls.seen] == [f"Click {LINK}"] * 2
    assert rig.steps(run_id)["call"].output == {"text": f"Click https://flows.example.com/verify-email?token={MASK}"}
    assert leaks(TOKEN, *stored(rig.database.path.parent)) == []


async def test_trigger_brings_the_link_again_after_a_restart(rig: Rig) -> None:
    call = {"id": "call", "type": "call", "params": {"text": "{{ $action.start.link }}"}}
    rig.flow([call], ["start>call"], event=VERIFY)
    rig.calls.hold(LINK)
    run_id = await ask(rig)
    await asyncio.wait_for(rig.calls.arrived[LINK].wait(), 5)

    await rig.restart()
    rig.calls.release(LINK)

    assert (await rig.run(run_id)).status == "succeeded"
    assert [text for text, _key in rig.calls.seen] == [LINK, LINK]


@pytest.mark.parametrize(
    ("late_s", "status"), [(-1, "succeeded"), (0, "failed"), (1, "failed")], ids=["before", "at", "after"]
)
@pytest.mark.parametrize(
    "event",
    [ASKED, PasswordResetRequested(**FIELDS, token=TOKEN, link=LINK)],
    ids=["verification, 24 h", "reset, 1 h"],
)
async def test_token_of_an_open_run_lives_as_long_as_it_says(rig: Rig, event: Any, late_s: int, status: str) -> None:
    rig.flow(*TWO, event=event.name)
    rig.calls.hold(f"Click {LINK}")
    run_id = await ask(rig, event)
    await asyncio.wait_for(rig.calls.arrived[f"Click {LINK}"].wait(), 5)

    rig.clock.moment += event.lives + timedelta(seconds=late_s)
    await rig.restart()
    rig.calls.release(f"Click {LINK}")
    run = await rig.run(run_id)

    assert run.status == status
    assert (run.error or {}).get("code") == (None if status == "succeeded" else "secret.expired")
    assert len(rig.calls.seen) == (2 if status == "succeeded" else 1)


async def test_clock_that_is_set_back_revives_nothing(rig: Rig) -> None:
    run_id = await asked_and_held(rig)

    rig.clock.advance(hours=24)
    await rig.engine.sweep()
    rig.clock.advance(hours=-24)
    await rig.restart()
    rig.calls.release(f"Click {LINK}")
    run = await rig.run(run_id)

    assert run.error is not None
    assert run.error["code"] == "secret.expired"


async def test_retry_says_that_the_token_has_expired(rig: Rig) -> None:
    rig.flow([CALL | {"params": {"text": "{{ $param.token }}"}}], ["start>call"], event=VERIFY)
    first = await rig.run(await ask(rig))

    run, steps = await retried(rig, first.id)

    assert run.status == "failed"
    assert steps["call"].error == {
        "message": "“token” has expired: it worked like a password, for a short time. Ask for a new one.",
        "code": "secret.expired",
        "step": "call",
    }
    assert len(rig.calls.seen) == 1
    assert steps["start"].output["token"] == MASK


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("{{ $param.link | default('none') }}", "none"),
        ("{{ 'gone' if $param.token is undefined else 'there' }}", "gone"),
        ("{{ $param.email }}", "ada@example.com"),
    ],
    ids=["default", "is undefined", "not secret"],
)
async def test_retry_goes_on_without_the_token_where_the_flow_says_so(rig: Rig, expression: str, text: str) -> None:
    rig.flow([CALL | {"params": {"text": expression}}], ["start>call"], event=VERIFY)
    first = await rig.run(await ask(rig))

    run, _steps = await retried(rig, first.id)

    assert run.status == "succeeded"
    assert rig.calls.seen[1][0] == text


@pytest.mark.parametrize(
    "expression",
    [
        "{{ $param.token }}",
        "to {{ $param.link }}",
        "{{ $param.token | upper }}",
        "{{ $param['token'] }}",
        "{{ $param.token[0:5] }}",
        "{{ $param.token.x }}",
        "{{ $param | tojson }}",
        "{{ $action.start.token }}",
        "{{ $param.token == 'x' }}",
        "{{ 'a' if $param.token else 'b' }}",
    ],
)
async def test_every_use_of_an_expired_token_fails(rig: Rig, expression: str) -> None:
    rig.flow([CALL | {"params": {"text": expression}}], ["start>call"], event=VERIFY)
    first = await rig.run(await ask(rig))

    run, _steps = await retried(rig, first.id)

    assert (run.status, run.error["code"]) == ("failed", "secret.expired")


async def test_retry_from_a_step_does_not_revive_what_earlier_steps_made_of_it(rig: Rig) -> None:
    rig.flow(*TWO, event=VERIFY)
    first = await rig.run(await ask(rig))

    run, steps = await retried(rig, first.id, from_="call")

    assert (run.status, run.error["code"]) == ("failed", "secret.expired")
    assert "“text” has expired" in steps["call"].error["message"]
    assert len(rig.calls.seen) == 1


async def test_test_with_a_masked_payload_says_that_it_has_expired(rig: Rig) -> None:
    document = rig.document([CALL | {"params": {"text": "{{ $param.token }}"}}], ["start>call"], event=VERIFY)

    run_id = await rig.engine.start_test(TestRequest("f", document, "start", {"token": MASK}))
    run = await rig.run(run_id)

    assert run.error is not None
    assert run.error["code"] == "secret.expired"


async def test_dots_in_an_ordinary_event_are_text(rig: Rig) -> None:
    rig.flow([CALL | {"params": {"text": "{{ $param.note }}"}}], ["start>call"])

    run, _steps = await rig.done({"note": MASK})

    assert run.status == "succeeded"
    assert rig.calls.seen[0][0] == MASK


async def test_locked_values_are_blanked_when_the_run_has_ended(rig: Rig) -> None:
    run_id = await asked_and_held(rig)
    await rig.engine.sweep()
    while_open = sealed(rig)

    rig.calls.release(f"Click {LINK}")
    await rig.run(run_id)
    await rig.engine.sweep()

    assert len([text for text in while_open if text]) == 2  # the event, and the step that made the text
    assert [text for text in sealed(rig) if text] == []


async def test_locked_values_are_blanked_when_they_expire(rig: Rig) -> None:
    await asked_and_held(rig)
    rig.clock.advance(hours=23, minutes=59, seconds=59)
    await rig.engine.sweep()
    before = [text for text in sealed(rig) if text]

    rig.clock.advance(seconds=1)
    await rig.engine.sweep()

    assert len(before) == 2
    assert [text for text in sealed(rig) if text] == []


async def test_engine_blanks_what_is_left_when_it_starts(rig: Rig) -> None:
    await asked_and_held(rig)
    rig.clock.advance(hours=24)

    await rig.restart()
    await rig.engine.sweep()  # behind the one of the start, in the order of the journal

    assert [text for text in sealed(rig) if text] == []


async def test_event_that_starts_nothing_keeps_nothing(rig: Rig) -> None:
    with rig.database.write() as session:
        assert rig.platform.reporter.write(session, ASKED) == []

    with rig.database.read() as session:
        row = session.exec(select(EventRow)).one()
    assert (row.sealed, row.payload["token"]) == (BLANK, MASK)


async def test_another_secret_key_means_expired(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    run_id = await asked_and_held(rig)

    rig.seals = Seals(SecretBox("the key of another machine"))
    await rig.restart()
    rig.calls.release(f"Click {LINK}")
    run = await rig.run(run_id)

    assert run.error is not None
    assert run.error["code"] == "secret.expired"
    assert f"run {run_id}: the secret key does not open what was locked" in caplog.text


async def test_retries_of_a_step_use_the_token_and_record_it_masked(rig: Rig) -> None:
    rig.flow(
        [CALL | {"params": {"text": "{{ $param.link }}"}, "retry": {"attempts": 2, "delay_s": 1}}],
        ["start>call"],
        event=VERIFY,
    )
    rig.calls.fail(LINK, TemporaryError(f"the server does not like {LINK}"))
    run_id = await ask(rig)
    await rig.run(run_id, until=lambda _run: rig.steps(run_id).get("call", StepRow(status="")).status == "waiting")
    waiting = rig.steps(run_id)["call"].error

    rig.clock.advance(seconds=2)
    await rig.restart()
    run = await rig.run(run_id)

    assert waiting["message"] == f"the server does not like https://flows.example.com/verify-email?token={MASK}"
    assert run.status == "succeeded"
    assert [text for text, _key in rig.calls.seen] == [LINK, LINK]


async def test_error_that_tells_the_token_is_recorded_masked(rig: Rig) -> None:
    stop = {"id": "stop", "type": "stop_with_error", "params": {"message": "no {{ $param.token | reverse }}"}}
    rig.flow([stop], ["start>stop"], event=VERIFY)

    run = await rig.run(await ask(rig))

    assert run.error == {"message": f"Stop: no {MASK}", "code": "flow.stopped", "node": "stop"}
    assert leaks(TOKEN, *stored(rig.database.path.parent)) == []


async def test_error_port_gives_the_next_step_the_message_in_clear(rig: Rig) -> None:
    nodes = [
        {"id": "call", "type": "call", "params": {"text": "{{ $param.link }}"}, "on_error": "port"},
        {"id": "tell", "type": "call", "params": {"text": "{{ $action.call.message }}"}},
    ]
    rig.flow(nodes, ["start>call", "call.error>tell"], event=VERIFY)
    rig.calls.fail(LINK, NodeError(f"bad {TOKEN}"))

    run = await rig.run(await ask(rig))

    assert run.status == "succeeded"
    assert rig.calls.seen[1][0] == f"bad {TOKEN}"
    assert leaks(TOKEN, *stored(rig.database.path.parent)) == []


def pass_on_to_a_second_flow(rig: Rig) -> None:
    params = {"name": "mail.wanted", "payload": {"url": "{{ $param.link }}"}}
    emit = {"id": "emit", "type": "emit_event", "params": params}
    rig.flow([emit], ["start>emit"], flow_id="asks", event=VERIFY)
    rig.flow([CALL | {"params": {"text": "{{ $param.url }}"}}], ["start>call"], flow_id="sends", event="mail.wanted")


async def test_event_that_a_flow_emits_with_the_token_is_locked_too(rig: Rig) -> None:
    pass_on_to_a_second_flow(rig)

    await rig.run(await ask(rig))
    second = await rig.run(2)
    (again, _steps) = await retried(rig, second.id)

    assert second.status == "succeeded"
    assert [text for text, _key in rig.calls.seen] == [LINK]
    assert (again.status, again.error["code"]) == ("failed", "secret.expired")
    assert leaks(TOKEN, *stored(rig.database.path.parent)) == []


async def test_emitted_token_expires_when_the_first_one_does(rig: Rig) -> None:
    pass_on_to_a_second_flow(rig)
    rig.calls.hold(LINK)
    await ask(rig)
    await asyncio.wait_for(rig.calls.arrived[LINK].wait(), 5)

    rig.clock.advance(hours=24)
    await rig.restart()
    rig.calls.release(LINK)

    assert ((await rig.run(2)).error or {})["code"] == "secret.expired"


@pytest.mark.parametrize(
    ("node", "params"),
    [
        ("insert_row", {"table": "notes", "values": {"text": "{{ $param.token }}"}}),
        ("insert_row", {"table": "notes", "values": {"text": "a {{ $param.link | urlencode | upper }} b"}}),
        ("update_rows", {"table": "notes", "where": {"text": "x"}, "values": {"text": "{{ $param.token[3:20] }}"}}),
    ],
    ids=["insert", "insert encoded", "update a part"],
)
async def test_token_is_not_stored_in_a_data_table(rig: Rig, node: str, params: dict[str, Any]) -> None:
    rig.table("notes", "text")
    rig.tables.insert("notes", [{"text": "x"}])
    rig.flow([{"id": "keep", "type": node, "params": params}], ["start>keep"], event=VERIFY)

    run = await rig.run(await ask(rig))

    assert (run.status, run.error["code"]) == ("failed", "secret.not_storable")
    assert [row["text"] for row in rig.tables.rows("notes").rows] == ["x"]
    assert leaks(TOKEN, *stored(rig.database.path.parent)) == []


async def test_phases_of_a_password_reset_start_their_own_triggers(rig: Rig) -> None:
    for phase in ("requested", "completed"):
        call = {"id": "call", "type": "call", "params": {"text": phase}}
        rig.flow([call], ["start>call"], flow_id=phase, event="auth.password_reset", match={"phase": phase})

    await rig.run(await ask(rig, PasswordResetRequested(**FIELDS, token=TOKEN, link=None)))
    await rig.run(await ask(rig, PasswordReset(**FIELDS)))

    assert [text for text, _key in rig.calls.seen] == ["requested", "completed"]


async def test_sweep_takes_many_in_short_turns_and_opens_each_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.seal_sweep.BATCH", 2)
    rig.flow(*TWO, event=VERIFY)
    rig.calls.hold(f"Click {LINK}")
    for _ in range(5):
        await ask(rig)
        await asyncio.wait_for(rig.calls.arrived[f"Click {LINK}"].wait(), 5)
        rig.calls.arrived.clear()
    opened, open_one = list[str](), Seals.open

    def seen(seals: Seals, locked: str) -> Any:
        opened.append(locked)
        return open_one(seals, locked)

    monkeypatch.setattr(Seals, "open", seen)
    for _ in range(3):
        await rig.engine.sweep()
    while_open = [text for text in sealed(rig) if text]
    rig.clock.advance(hours=24)
    await rig.engine.sweep()

    assert len(while_open) == 10
    assert len(opened) == len(set(opened)) > 0
    assert [text for text in sealed(rig) if text] == []


async def test_what_ended_runs_leave_is_blanked_without_opening_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.seal_sweep.BATCH", 2)
    rig.flow(*TWO, event=VERIFY)
    for _ in range(5):
        await rig.run(await ask(rig))
    monkeypatch.setattr(Seals, "open", None)

    await rig.engine.sweep()

    assert [text for text in sealed(rig) if text] == []


async def test_sweep_forgets_one_time_tokens_that_have_expired(rig: Rig) -> None:
    with rig.database.write() as session:
        row = UserRow(id=str(USER), email="ada@example.com", folded_email="ada@example.com")
        session.add(row)
        session.flush()
        one_time_tokens.issue(session, row, "reset", rig.clock())
    left = list[int]()

    for minutes in (59, 1):
        rig.clock.advance(minutes=minutes)
        await rig.engine.sweep()
        with rig.database.read() as session:
            left.append(len(session.exec(select(OneTimeToken)).all()))

    assert left == [1, 0]
