"""Users and rows that a flow changes: the events of it start other flows, and a loop ends by itself."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import select

from backend.errors import NotFound
from backend.roles import Roles
from runtime import limits
from runtime.engine_api import TestRequest
from runtime.masking import MASK
from storage.tables import EventRow, RunRow
from tests.canary import leaks, stored
from tests.runtime.conftest import Rig

ADA = "ada@example.com"
LISTEN = {"id": "call", "type": "call", "params": {"text": "{{ $param.email }}"}}


@pytest.fixture(autouse=True)
def people(rig: Rig) -> None:
    roles = Roles(rig.database, rig.platform.reporter, lambda: None)
    roles.create("customer")
    roles.create("staff")
    rig.platform.users.create(ADA, first_name="Ada")


def node(type_name: str, **params: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a flow of one node."""
    return [{"id": "do", "type": type_name, "params": params}], ["start>do"]


def event_names(rig: Rig) -> list[str]:
    with rig.database.read() as session:
        return list(session.exec(select(EventRow.name).where(EventRow.name != "go").order_by(EventRow.created_at)))


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("christopher2024", None),  # people make passwords of their names
        ("christopher@example.com1", None),
        ("hristopher 1", "secret.not_storable"),
    ],
)
async def test_password_made_of_the_name_is_taken_and_one_that_stands_in_a_field_is_not(
    rig: Rig, password: str, code: str | None
) -> None:
    name = "Dr. Christopher 1st"
    rig.flow(*node("create_user", email="christopher@example.com", first_name=name, password=password))

    run, _steps = await rig.done()

    assert (run.error or {}).get("code") == code


CHANGES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("create_user", {"email": "grace@example.com", "password": "quiet 1 morning"}, []),
    ("update_user", {"value": ADA, "first_name": "Augusta", "password": "quiet 1 morning"}, []),
    ("get_user", {"value": ADA}, []),
    ("find_users", {}, []),
    ("set_user_roles", {"value": ADA, "roles": ["staff"]}, ["auth.user_rolesChanged"]),
    ("block_user", {"value": ADA}, ["auth.user_blocked"]),
    ("unblock_user", {"value": ADA}, []),
    ("delete_user", {"value": ADA}, ["auth.user_deleted"]),
    ("send_verification", {"value": ADA}, ["auth.email_verificationRequested"]),
    ("send_password_reset", {"value": ADA}, ["auth.password_reset"]),
]


@pytest.mark.parametrize(("type_name", "params", "names"), CHANGES, ids=[change[0] for change in CHANGES])
async def test_node_reports_what_the_backend_reports(
    rig: Rig, type_name: str, params: dict[str, Any], names: list[str]
) -> None:
    rig.flow(*node(type_name, **params))

    run, steps = await rig.done()

    assert run.status == "succeeded", run.error
    assert event_names(rig) == names
    assert "quiet 1 morning" not in str(steps["do"].input)


@pytest.mark.parametrize(("type_name", "params", "names"), CHANGES, ids=[change[0] for change in CHANGES])
async def test_simulated_node_changes_and_reports_nothing(
    rig: Rig, type_name: str, params: dict[str, Any], names: list[str]
) -> None:
    nodes, edges = node(type_name, **params)
    before = rig.platform.users.list()

    run_id = await rig.engine.start_test(TestRequest("f", rig.document(nodes, edges), "start", {}))
    run = await rig.run(run_id)

    assert run.status == "succeeded", run.error
    assert rig.platform.users.list() == before
    assert event_names(rig) == []


async def test_flow_that_changes_a_user_starts_the_flows_that_wait_for_it(rig: Rig) -> None:
    rig.flow(*node("block_user", value="{{ $param.email }}"))
    rig.flow([LISTEN], ["start>call"], flow_id="listens", event="auth.user_blocked")

    first, _steps = await rig.done({"email": ADA})
    second = await rig.run(2)

    assert second.status == "succeeded"
    assert rig.calls.seen[0][0] == ADA
    with rig.database.read() as session:
        event = session.exec(select(EventRow).where(EventRow.name == "auth.user_blocked")).one()
    assert (event.parent_run, event.depth, event.path) == (first.id, 1, ["f"])


async def last_of_a_loop(rig: Rig) -> RunRow:
    """Return the run that is not started any more; each is there once the one before has ended."""
    for run_id in range(1, limits.SAME_FLOW_IN_PATH + 1):
        await rig.run(run_id)
    return rig.read(limits.SAME_FLOW_IN_PATH + 1)


async def test_flow_that_causes_its_own_user_event_is_stopped(rig: Rig) -> None:
    roles = "{{ ['staff'] if $param.roles == ['customer'] else ['customer'] }}"
    rig.flow(*node("set_user_roles", value="{{ $param.email }}", roles=roles), event="auth.user_rolesChanged")

    rig.platform.users.set_roles(ADA, ["customer"])
    await rig.engine.wake()
    last = await last_of_a_loop(rig)

    assert (last.status, last.error["code"]) == ("failed", "event.loop")
    assert len(rig.runs()) == limits.SAME_FLOW_IN_PATH + 1


async def test_flow_that_causes_its_own_row_event_is_stopped(rig: Rig) -> None:
    rig.table("notes", "text")
    rig.flow(*node("insert_row", table="notes", values={"text": "again"}), event="api.dataTable_rowCreated")

    rig.platform.tables.insert("notes", [{"text": "first"}])
    await rig.engine.wake()
    last = await last_of_a_loop(rig)

    assert (last.status, last.error["code"]) == ("failed", "event.loop")
    assert len(rig.platform.tables.rows("notes").rows) == limits.SAME_FLOW_IN_PATH + 1


async def test_flow_asks_for_a_mail_whose_link_only_the_next_flow_can_use(rig: Rig) -> None:
    rig.flow(*node("send_verification", value="{{ $param.email }}"))
    mail = [{"id": "call", "type": "call", "params": {"text": "{{ $param.token }}"}}]
    rig.flow(mail, ["start>call"], flow_id="mails", event="auth.email_verificationRequested")

    await rig.done({"email": ADA})
    second = await rig.run(2)
    token = rig.calls.seen[0][0]

    assert second.status == "succeeded"
    assert len(token) == 43
    assert rig.steps(1)["do"].output["user"]["email"] == ADA
    assert rig.steps(2)["call"].input == {"text": MASK}
    assert leaks(token, *stored(rig.database.path.parent)) == []


async def test_user_that_was_deleted_meanwhile_fails_the_step_cleanly(rig: Rig) -> None:
    ada = rig.platform.users.get(ADA)
    rig.platform.users.delete(ada.id)
    rig.flow(*node("update_user", by="id", value="{{ $param.userId }}", email_verified=True))

    run, _steps = await rig.done({"userId": ada.id})

    assert (run.status, run.error["code"]) == ("failed", "user.not_found")


@pytest.mark.parametrize(
    ("by", "value"), [("id", ADA), ("email", "{{ $param.id }}")], ids=["address as id", "id as address"]
)
async def test_user_is_looked_for_as_the_node_says(rig: Rig, by: str, value: str) -> None:
    rig.flow(*node("get_user", by=by, value=value))

    run, _steps = await rig.done({"id": rig.platform.users.get(ADA).id})

    assert (run.status, run.error["code"]) == ("failed", "user.not_found")


async def test_refused_change_leaves_no_event_and_no_user(rig: Rig) -> None:
    rig.flow(*node("create_user", email="grace@example.com", roles=["nobody"]))

    run, _steps = await rig.done()

    assert (run.status, run.error["code"]) == ("failed", "user.role_unknown")
    with pytest.raises(NotFound):
        rig.platform.users.get("grace@example.com")


@pytest.mark.parametrize(
    ("type_name", "params"),
    [
        ("create_user", {"email": "g@example.com", "first_name": "{{ $param.token }}"}),
        ("update_user", {"value": ADA, "last_name": "{{ $param.token | reverse }}"}),
    ],
    ids=["create", "update"],
)
async def test_token_is_not_stored_in_a_user(rig: Rig, type_name: str, params: dict[str, Any]) -> None:
    rig.flow(*node(type_name, **params), event="auth.email_verificationRequested")

    rig.platform.users.request_verification(ADA)
    await rig.engine.wake()
    run = await rig.run(1)

    assert (run.status, run.error["code"]) == ("failed", "secret.not_storable")
