"""``pulsewire run …`` while no server runs: what is retried or settled starts with the next one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from storage.database import Database
from storage.tables import Flow, FlowVersion, RunRow, StepRow

Run = Callable[..., Result]
ERROR = {"message": "Large?: no number", "code": "expression.type", "node": "large"}


@pytest.fixture
def failed(database: Database, document: Callable[..., dict[str, Any]]) -> list[int]:
    """Two failed runs of a published flow, one of today and one of last week."""
    now = datetime.now(UTC)
    with database.write() as session:
        session.add(Flow(id="greet", name="Greet", state="published", draft=document(), published_version=1))
        session.add(FlowVersion(flow_id="greet", version=1, document=document()))
        runs = [
            RunRow(flow_id="greet", version=1, trigger="start", payload={}, status="failed", error=ERROR, created_at=at)
            for at in (now, now - timedelta(days=7))
        ]
        for each in runs:
            each.ended_at = each.created_at
            session.add(each)
        session.flush()
        return [each.id for each in runs if each.id is not None]


def test_runs_are_retried_by_number(run: Run, failed: list[int]):
    assert run("run", "retry", failed[0]).stdout == "3\n"
    assert run("run", "retry", *failed, "--now").stdout == "4\n5\n"
    assert run("run", "retry", failed[0], "--from", "large", "--from-failed").stdout == "6\n"
    assert run("run", "retry", failed[0], 99, status=1).stderr == "run 99: There is no run 99. [run.not_found]\n"


def test_retry_of_one_run_does_as_it_is_told_for_programs_too(
    run: Run, failed: list[int], database: Database, tmp_path: Path
):
    (tmp_path / "payload.json").write_text('{"total": 7}')

    told = json.loads(run("run", "retry", failed[0], "--payload", tmp_path / "payload.json", "--json").stdout)

    assert told == {"count": 1, "started": [{"run": 1, "retry": 3}], "refused": [], "left": 0}
    with database.read() as session:
        assert session.get_one(RunRow, 3).payload == {"total": 7}


def test_failed_runs_are_retried_by_what_they_are(run: Run, failed: list[int]):
    recent = json.loads(run("run", "retry", "--failed", "--since", "2d", "--json").stdout)
    others = json.loads(run("run", "retry", "--failed", "--flow", "greet", "--code", ERROR["code"], "--json").stdout)
    none = json.loads(run("run", "retry", "--failed", "--json").stdout)

    assert [each["run"] for each in recent["started"]] == failed[:1]
    assert [each["run"] for each in others["started"]] == failed[1:]
    assert none == {"count": 0, "started": [], "refused": [], "left": 0}


@pytest.mark.parametrize(
    "words",
    [(), ("1", "--failed"), ("--flow", "greet"), ("1", "2", "--from", "large"), ("--failed", "--since", "soon")],
    ids=" ".join,
)
def test_retry_that_is_not_clear_is_told(run: Run, failed: list[int], words: tuple[str, ...]):
    assert run("run", "retry", *words, status=2).stderr.count("\n") == 1


def test_step_of_unknown_outcome_is_settled(run: Run, failed: list[int], database: Database):
    with database.write() as session:
        session.add(RunRow(id=9, flow_id="greet", version=1, trigger="start", payload={}, status="waiting"))
        session.add(StepRow(run_id=9, node="greet", status="unknown"))

    run("run", "resolve", 9, "greet", status=2)
    run("run", "resolve", 9, "greet", "--mark-done")
    again = run("run", "resolve", 9, "greet", "--send-again", status=1)

    assert json.loads(run("run", "show", 9, "--json").stdout)["steps"][0]["status"] == "succeeded"
    assert "step.outcome_known" in again.stderr
