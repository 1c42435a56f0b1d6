"""The engine against the rules of flows: what they come to is worked out by a plain program beside it."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.lengths import examples
from tests.runtime.semantics import strategies
from tests.runtime.semantics.agreement import differences
from tests.runtime.semantics.driving import ScriptedRig, key_of
from tests.runtime.semantics.interpreter import Told
from tests.runtime.semantics.strategies import Case, Kinds

pytestmark = pytest.mark.faults

NOTHING_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]

KINDS = Kinds(
    actions=(
        *("call", "call", "call", "call", "echo", "condition", "condition", "switch", "return_output"),
        *("for_each", "for_each", "while_loop", "delay", "wait_for_event", "run_flow"),
    )
)


def test_the_engine_comes_to_what_the_rules_say(tmp_path: Path) -> None:
    numbers = itertools.count()
    with asyncio.Runner() as runner:
        rig = ScriptedRig(tmp_path)
        for callable_flow in strategies.CALLABLE.values():
            rig.make_live(callable_flow)
        runner.run(rig.engine.start())

        @given(strategies.cases(KINDS))
        @settings(max_examples=examples(60, 20_000), deadline=None, suppress_health_check=NOTHING_SLOW)
        def compare(case: Case) -> None:
            runner.run(_compare(rig, case, case.told(), next(numbers)))

        compare()
        runner.run(rig.close())


async def _compare(rig: ScriptedRig, case: Case, told: Told, number: int) -> None:
    document = case.document | {"graph": case.document["graph"] | {"id": f"f{number}"}}
    rig.script.answers, rig.script.heard = case.world.answers, case.world.heard
    rig.make_live(document, prefix=f"{number}.")

    run_id = await rig.begin(document, case.trigger, case.payload, is_test=case.is_test, prefix=f"{number}.")
    run = await rig.finish(run_id)

    calls = Counter({key_of(key): made for key, made in rig.script.made.items() if f"-{run_id}:" in key})
    assert differences(told, run, rig.rows(run_id), calls) == []
