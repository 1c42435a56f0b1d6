"""The process dies at every named place, and what was accepted is done nevertheless."""

from __future__ import annotations

import ast
import asyncio
import os
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from storage.database import VERSIONS
from tests.faults.bare import LARGE, PAID, ROOT, Bare, Senders

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
PACKAGES = ("storage", "backend", "runtime", "editor", "nodes")
COMMITS = {"storage/database.py", "storage/journal_writer.py"}  # the only modules that commit
EFFECTS = {"runtime/outbound.py", "backend/smtp.py"}  # the only doors to the outside
FILES = {"storage/backup.py"}  # puts whole files in place
ROUNDS = int(os.environ.get("PULSEWIRE_FAULT_POINTS", "0"))  # how often a place is passed before it is the end; 0: few
FEW = (1, 2, 3, 5, 8, 13)
KILLED = -9


@cache
def all_calls() -> list[tuple[str, ast.Call]]:
    """Return every call in the product, each with its file."""
    return [
        (path.relative_to(ROOT).as_posix(), node)
        for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """Return every call of a function or method of this name."""
    return [
        (file, call)
        for file, call in all_calls()
        if name in (getattr(call.func, "id", ""), getattr(call.func, "attr", ""))
    ]


def point_of(call: ast.Call) -> str:
    (argument,) = call.args
    assert isinstance(argument, ast.Constant), "the name of a crash point is written where it is"
    return str(argument.value)


POINTS = sorted(point_of(call) for _file, call in calls("crash_here"))
OF_THE_ENGINE = [point for point in POINTS if point.partition(".")[0] in ("journal", "http", "smtp")]
TIMES = range(1, ROUNDS + 1) if ROUNDS else FEW


def test_each_place_has_a_name_of_its_own_and_a_counterpart() -> None:
    pairs = Counter(point.replace(".before_", ".after_") for point in POINTS)

    assert len(POINTS) == len(set(POINTS))
    assert set(pairs.values()) == {2}, pairs


def test_every_module_that_commits_or_reaches_outside_has_places_to_die() -> None:
    commits = {file for file, call in calls("commit") + calls("begin") if not call.args}

    assert commits == COMMITS
    assert {file for file, _call in calls("crash_here")} == COMMITS | EFFECTS | FILES


@pytest.mark.parametrize("point", OF_THE_ENGINE)
async def test_an_engine_that_dies_there_has_lost_nothing_and_does_nothing_twice(
    bare: Bare, point: str, faults_told
) -> None:
    reached = 0
    async with Senders(bare.directory, 0) as senders:
        for time in TIMES:
            pid = await asyncio.to_thread(bare.start, crash=f"{point}:{time}")
            numbers = range(100 * time, 100 * time + max(4, time))
            sending = [asyncio.create_task(senders.send(number, name)) for number in numbers for name in (PAID, LARGE)]
            reached += await asyncio.to_thread(bare.wait, pid) == KILLED
            bare.blame_nobody()
            pid = await asyncio.to_thread(bare.start)
            await asyncio.wait_for(asyncio.gather(*sending), 20)
            await asyncio.to_thread(bare.has_ended_all)
            bare.check(senders.accepted, senders.large)
            await asyncio.to_thread(bare.kill, pid)
    faults_told(f"{point}: died {reached} times, 0 lost, 0 stuck, 0 rows doubled")
    assert reached == len(TIMES)


@pytest.mark.parametrize("time", [1, 2, 3])
@pytest.mark.parametrize("point", ["database.before_commit", "database.after_commit"])
def test_a_change_of_the_web_process_and_its_event_are_there_both_or_neither(bare: Bare, point: str, time: int) -> None:
    status = bare.wait(bare.start("write", rows=[1, 2, 3], crash=f"{point}:{time}"))
    kept = list(range(1, time + 1 if point == "database.after_commit" else time))
    events = bare.select("SELECT json_extract(payload, '$.row.n') FROM event WHERE name LIKE '%rowCreated' ORDER BY 1")
    bare.start()
    bare.has_ended_all()

    assert status == KILLED
    assert bare.rows("direct") == kept
    assert [n for (n,) in events] == kept
    assert bare.select("SELECT flow_id, status FROM run") == [("direct", "succeeded")] * len(kept)


@pytest.mark.parametrize("point", ["database.before_commit", "database.after_commit"])
async def test_an_engine_that_dies_as_it_takes_over_blames_a_run_once(bare: Bare, point: str) -> None:
    async with Senders(bare.directory, 0) as senders:
        pid = await asyncio.to_thread(bare.start, crash="http.before_call")
        await senders.send(1)
        await asyncio.to_thread(bare.wait, pid)
        dying = await asyncio.to_thread(bare.start, crash=point)
        status = await asyncio.to_thread(bare.wait, dying)
        await asyncio.to_thread(bare.start)
        await senders.ready()
    await asyncio.to_thread(bare.has_ended_all)

    assert status == KILLED
    assert bare.select("SELECT crashes FROM run WHERE flow_id = 'orders'") == [(1,)]
    bare.check({1})


@pytest.mark.parametrize("point", ["migration.before_commit", "migration.after_commit"])
def test_a_migration_that_dies_has_happened_or_not(bare: Bare, point: str) -> None:
    (bare.directory / "pulsewire.db").unlink()
    status = bare.wait(bare.start("migrate", crash=point))
    tables = bare.select("SELECT count(*) FROM sqlite_master WHERE name = 'run'")
    again = bare.wait(bare.start("migrate"))

    assert (status, again) == (KILLED, 0)
    assert tables == [(int(point == "migration.after_commit"),)]
    head = max(path.name[:4] for path in Path(VERSIONS).glob("[0-9]*_*.py"))
    assert bare.select("SELECT version_num FROM alembic_version") == [(head,)]


def test_every_place_is_one_of_those_that_are_tested() -> None:
    assert {point.partition(".")[0] for point in POINTS} == {
        "journal",
        "http",
        "smtp",
        "database",
        "migration",
        "backup",
    }
