"""A flow whose engine dies again and again comes to the same as one whose engine lives."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree

import pytest
from hypothesis import HealthCheck, given, settings
from sqlmodel import select

from storage.tables import EventRow, StepRow
from tests.lengths import examples
from tests.runtime.semantics import strategies
from tests.runtime.semantics.agreement import differences
from tests.runtime.semantics.driving import ScriptedRig, key_of
from tests.runtime.semantics.interpreter import Key, Told
from tests.runtime.semantics.strategies import Case, Kill, Kinds

pytestmark = pytest.mark.faults

NOTHING_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
KINDS = Kinds(
    actions=(
        *("call", "call", "call", "call", "call_once", "call_once", "echo", "condition", "insert_row", "emit_event"),
        *("return_output", "for_each", "while_loop", "delay", "wait_for_event", "run_flow"),
    ),
    has_odd_nodes=False,
)


def test_a_run_comes_to_the_same_however_often_its_engine_dies(tmp_path: Path) -> None:
    numbers = itertools.count()
    template = ScriptedRig(tmp_path / "template")
    template.table("rows", "text")
    for callable_flow in strategies.CALLABLE.values():
        template.make_live(callable_flow)
    template.database.dispose()

    @given(strategies.cases(KINDS), strategies.kills())
    @settings(max_examples=examples(15, 1_000), deadline=None, suppress_health_check=NOTHING_SLOW)
    def compare(case: Case, kills: list[Kill]) -> None:
        directory = tmp_path / str(next(numbers))
        copytree(tmp_path / "template", directory / "0")
        asyncio.run(_compare(directory, case, case.told(), kills))

    compare()


async def _compare(directory: Path, case: Case, told: Told, kills: list[Kill]) -> None:
    rig = ScriptedRig(directory / "0")
    rig.script.answers, rig.script.heard = case.world.answers, case.world.heard
    rig.make_live(case.document)
    await rig.engine.start()

    run_id = await rig.begin(case.document, case.trigger, case.payload, is_test=case.is_test)
    for number, kill in enumerate(kills, 1):
        rig.script.hold_from(kill.call)
        await rig.finish(run_id, lambda _run: rig.script.arrival.is_set())  # noqa: B023 - called before the next
        for _ in range(kill.turns):
            await asyncio.sleep(0)
        if kill.is_stopped:
            await rig.restart()
        else:
            rig = await rig.kill(directory / str(number))
    run, rows = await rig.finish(run_id), rig.rows(run_id)
    script, table, events = rig.script, _table(rig), _events(rig)
    await rig.close()

    assert script.too_many == []
    assert table == sorted(row.output["row"]["id"] for row in _succeeded(case, rows, "insert_row"))
    assert events == sorted(row.output["event_id"] for row in _succeeded(case, rows, "emit_event"))
    once = {node["id"] for node in case.document["nodes"] if node["type"] == "call_once"}
    made = {key_of(key): count for key, count in script.made.items() if key_of(key)[0] in once}
    assert made == {key: rows[key].attempt for key in made}
    if not any(row.status == "unknown" and key[0] in once for key, row in rows.items()):
        assert differences(told, run, rows, None) == []


def _table(rig: ScriptedRig) -> list[str]:
    return sorted(row["id"] for row in rig.tables.rows("rows", limit=1_000).rows)


def _events(rig: ScriptedRig) -> list[str]:
    with rig.database.read() as session:
        return sorted(session.exec(select(EventRow.id).where(EventRow.name == "told")).all())


def _succeeded(case: Case, rows: Mapping[Key, StepRow], kind: str) -> list[StepRow]:
    nodes = {node["id"] for node in case.document["nodes"] if node["type"] == kind}
    return [row for (node, _iteration), row in rows.items() if node in nodes and row.status == "succeeded"]
