"""The routes of what is kept, and for how long."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from runtime.service import Service
from storage.backup import draft_of

ADDRESS = "/api/settings/retention"


async def test_rules_of_retention_are_read_set_and_written_down(client: httpx.AsyncClient, service: Service):
    before = await client.get(ADDRESS)
    rules = {"keep_days": 7.5, "keep_runs": None, "keep_mb": 250}
    changed = await client.put(ADDRESS, json=rules)

    assert before.json() == {"keep_days": 30, "keep_runs": 100_000, "keep_mb": 1_000}
    assert changed.json() == (await client.get(ADDRESS)).json() == rules
    assert [entry.action for entry in service.audit.list().items] == ["settings.retention"]


async def test_a_rule_that_is_left_out_is_the_usual_one(client: httpx.AsyncClient):
    await client.put(ADDRESS, json={"keep_days": 1, "keep_runs": 5, "keep_mb": 5})

    changed = await client.put(ADDRESS, json={"keep_days": 2})

    assert changed.json() == {"keep_days": 2, "keep_runs": 100_000, "keep_mb": 1_000}


@pytest.mark.parametrize(
    ("rules", "params"),
    [
        ({"keep_days": -1, "keep_runs": -1, "keep_mb": 1e12}, ["keep_days", "keep_runs", "keep_mb"]),
        ({"keep_runs": "many"}, ["keep_runs"]),
        ({"keep_runs": 2.5}, ["keep_runs"]),
        ({"keep_forever": True}, ["keep_forever"]),
    ],
    ids=["out of bounds", "text", "half a run", "unknown"],
)
async def test_rules_that_make_no_sense_change_nothing(client: httpx.AsyncClient, rules: object, params: list[str]):
    refused = await client.put(ADDRESS, json=rules)

    assert refused.status_code == 422
    assert [problem["param"] for problem in refused.json()["problems"]] == params
    assert (await client.get(ADDRESS)).json()["keep_days"] == 30


async def test_a_downloaded_backup_is_whole_and_leaves_nothing_on_the_disk(
    client: httpx.AsyncClient, service: Service, tmp_path: Path
):
    service.flows.create(name="Kept")
    folder = service.settings.data_dir
    before = {path.name for path in folder.iterdir()}

    answer = await client.get("/api/backup")

    (tmp_path / "backup.db").write_bytes(answer.content)
    with closing(sqlite3.connect(tmp_path / "backup.db")) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert raw.execute("SELECT name FROM flow").fetchall() == [("Kept",)]
    assert answer.headers["content-length"] == str(len(answer.content))
    assert re.fullmatch(r'attachment; filename="pulsewire-\d{8}-\d{6}\.db"', answer.headers["content-disposition"])
    assert {path.name for path in folder.iterdir()} == before
    last = service.backups.last()
    assert last is not None
    assert last.size_bytes == len(answer.content)
    (entry,) = service.audit.list(action="settings.backup").items
    assert entry.target in answer.headers["content-disposition"]


async def test_one_backup_at_a_time_is_made(client: httpx.AsyncClient, service: Service):
    with draft_of(service.database.path.with_name("download")):
        refused = await client.get("/api/backup")

    assert refused.status_code == 503
    assert [problem["code"] for problem in refused.json()["problems"]] == ["storage.busy"]
    assert (await client.get("/api/backup")).status_code == 200
