"""``pulsewire approvals …`` while no server runs: what is decided goes on with the next one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from storage.database import Database
from storage.tables import RunRow, WaitRow

Run = Callable[..., Result]


@pytest.fixture
def asked(database: Database) -> None:
    """Two runs that wait for an approval, one of them in a loop, one that waits for something else, and one over."""
    match: dict[str, Any] = {"title": "Refund?", "message": "12 €", "until": None}
    with database.write() as session:
        for run_id, status in ((7, "waiting"), (8, "waiting"), (9, "waiting"), (10, "cancelled")):
            flow = "refunds" if run_id == 7 else "others"
            session.add(RunRow(id=run_id, flow_id=flow, version=1, trigger="start", payload={}, status=status))
        session.add(WaitRow(run_id=7, node="ask", kind="approval", match=match, token_digest="a"))
        session.add(WaitRow(run_id=8, node="ask", iteration="3", kind="approval", match=match, token_digest="b"))
        session.add(WaitRow(run_id=9, node="paid", kind="event", event="paid", match={}))
        session.add(WaitRow(run_id=10, node="ask", kind="approval", match=match, token_digest="c"))


def listed(run: Run, *arguments: str) -> list[tuple[int, str, str]]:
    found = json.loads(run("approvals", "list", "--json", *arguments).stdout)
    return [(each["run"], each["node"], each["iteration"]) for each in found]


@pytest.mark.usefixtures("asked")
def test_what_waits_for_an_approval_is_listed(run: Run):
    table = run("approvals", "list").stdout.splitlines()

    assert listed(run) == [(7, "ask", ""), (8, "ask", "3")]
    assert listed(run, "--flow", "refunds") == [(7, "ask", "")]
    assert [line.split()[0] for line in table] == ["RUN", "7", "8"]
    links = [each["link"] for each in json.loads(run("approvals", "list", "--json").stdout)]
    assert len({*links}) == 2
    assert all("/approve/" in link for link in links)


@pytest.mark.usefixtures("asked")
def test_approvals_are_decided_once(run: Run, database: Database):
    run("approvals", "approve", 7, "ask", "--comment", "Fine.")
    run("approvals", "reject", 8, "ask", "--item", "3")
    again = run("approvals", "reject", 7, "ask", status=1)
    nowhere = run("approvals", "approve", 9, "paid", status=1)

    assert listed(run) == []
    with database.read() as session:
        first, second = (session.get_one(WaitRow, number).resolution or {} for number in (1, 2))
    assert (first["port"], first["output"]["comment"]) == ("approved", "Fine.")
    assert second["port"] == "rejected"
    assert "approval.decided" in again.stderr
    assert "approval.not_found" in nowhere.stderr
