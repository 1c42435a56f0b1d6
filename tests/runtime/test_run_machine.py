"""Runs in whatever order things happen to them: accepted, cancelled, retried, held back, killed, and time passing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlmodel import select

from runtime.document import parse
from runtime.engine import NewEvent
from runtime.errors import Conflict, RuntimeFault
from runtime.flows import Flows
from runtime.runs import Runs
from storage.tables import DataTable, EventRow, RunRow, StepRow
from tests.lengths import examples
from tests.runtime.semantics.driving import ENDED, ScriptedRig
from tests.runtime.semantics.interpreter import Answer

pytestmark = pytest.mark.faults

RETRY = {"attempts": 2, "delay_s": 30}
NOT_ENDED = ("planned", "running", "waiting")


PARAMS: dict[str, dict[str, Any]] = {
    "for_each": {"items": ["a", "b", "c"], "parallel": 2, "on_item_error": "continue"},
    "delay": {"seconds": 20},
    "wait_for_event": {"event": "chain.start", "timeout_s": 50},
    "run_flow": {"flow": "called"},
    "return_output": {"output": {"by": "called"}},
}


def node(node_id: str, kind: str, **more: Any) -> dict[str, Any]:
    params = PARAMS.get(kind, {"text": node_id})
    if kind == "insert_row":
        params = {"table": "rows", "values": {"text": node_id}}
    return {"id": node_id, "type": kind, "name": node_id, "params": params, **more}


def document(flow_id: str, nodes: list[dict[str, Any]], edges: list[str]) -> dict[str, Any]:
    return {
        "format": "pulsewire.flow/1",
        "directed": True,
        "multigraph": True,
        "graph": {"id": flow_id, "name": flow_id, "description": ""},
        "nodes": [{"id": "start", "type": "event", "name": "start", "params": {"event": f"{flow_id}.start"}}, *nodes],
        "edges": [_edge(edge) for edge in edges],
        "samples": [],
        "layout": {},
    }


def _edge(text: str) -> dict[str, str]:
    source, target = text.split(">")
    source, _, port = source.partition(".")
    return {"source": source, "target": target, "key": port or "out"}


CALLED = document("called", [node("inner", "call"), node("give", "return_output")], ["start>inner", "inner>give"])
CALLED["nodes"][0] |= {"type": "manual", "params": {}}
FLOWS = {
    each["graph"]["id"]: each
    for each in (
        document(
            "chain",
            [node("add", "insert_row"), node("busy", "call", retry=RETRY), node("last", "insert_row")],
            ["start>add", "add>busy", "busy>last"],
        ),
        document(
            "once",
            [node("say", "call_once"), node("fails", "call", on_error="continue"), node("join", "insert_row")],
            ["start>say", "start>fails", "say>join", "fails>join"],
        ),
        document(
            "waits",
            [
                node("late", "delay"),
                node("wait", "wait_for_event"),
                node("sub", "run_flow"),
                node("got", "insert_row"),
            ],
            ["start>late", "late>wait", "wait>sub", "wait.timeout>got", "sub>got"],
        ),
        document(
            "loops",
            [
                node("loop", "for_each"),
                node("each", "call", retry=RETRY),
                node("row", "insert_row"),
                node("rest", "delay"),
            ],
            ["start>loop", "loop.each>each", "each>row", "loop.each>rest"],
        ),
        document("fails", [node("side", "call"), node("refused", "call")], ["start>side", "start>refused"]),
    )
}
ANSWERS = {
    ("one", "1"): Answer(busy=1),
    ("one", "2"): Answer(is_refused=True),
    ("busy", ""): Answer(busy=1),
    ("fails", ""): Answer(is_refused=True),
    ("refused", ""): Answer(busy=1),
}


@dataclass(frozen=True)
class Seen:
    """What must not change once a run has ended."""

    run: dict[str, Any]
    steps: list[dict[str, Any]]


class RunMachine(RuleBasedStateMachine):
    new_rig: ClassVar[Callable[[], ScriptedRig]]
    new_directory: ClassVar[Callable[[], Path]]

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.rig = type(self).new_rig()
        self.rig.script.answers = ANSWERS
        for each in (*FLOWS.values(), CALLED):
            assert parse(each)[1] == []
            self.rig.make_live(each, prefix=f"{each['graph']['id']}.")
        self.events: set[str] = set()
        self.runs: set[int] = set()
        self.epochs: dict[int, int] = {}
        self.ended: dict[int, Seen] = {}
        self.runner.run(self.rig.engine.start())

    @property
    def flows(self) -> Flows:
        return Flows(self.rig.database, self.rig.types, clock=self.rig.clock)

    @property
    def doors(self) -> Runs:
        return Runs(self.rig.database, self.flows, self.rig.engine, self.rig.types, clock=self.rig.clock)

    # what happens

    @rule(flow=st.sampled_from(sorted(FLOWS)), count=st.integers(1, 3), turns=st.integers(0, 30))
    def accept(self, flow: str, count: int, turns: int) -> None:
        async def accept() -> None:
            for accepted in await self.rig.engine.accept([NewEvent(f"{flow}.start", {"n": n}) for n in range(count)]):
                self.events.add(accepted.id)
                self.runs.update(accepted.runs)
            await self._turns(turns)

        self.runner.run(accept())

    @rule(turns=st.integers(1, 50))
    def go_on(self, turns: int) -> None:
        self.runner.run(self._turns(turns))

    @rule()
    def hold_calls(self) -> None:
        self.rig.script.hold_from(1)

    @rule()
    def answer_calls(self) -> None:
        self.rig.script.release()
        self.runner.run(self._turns(5))

    @rule(number=st.integers(0, 20), turns=st.integers(0, 5))
    def cancel(self, number: int, turns: int) -> None:
        if run_id := self._pick(number):
            was_open = run_id not in self.ended
            assert self.runner.run(self.rig.engine.cancel(run_id)) <= was_open
            assert self.rig.read(run_id).status in ENDED
            self.runner.run(self._turns(turns))

    @rule(number=st.integers(0, 20), from_failed=st.booleans())
    def retry(self, number: int, from_failed: bool) -> None:
        if run_id := self._pick(number):
            try:
                self.runs.add(self.runner.run(self.doors.retry(run_id, from_failed=from_failed)).id)
            except Conflict:
                assert run_id not in self.ended or self.ended[run_id].run["status"] == "succeeded"

    @rule(number=st.integers(0, 20), is_done=st.booleans())
    def say_what_became_of_a_call(self, number: int, is_done: bool) -> None:
        unknown = sorted(key for key, step in self.rig.steps_by_key().items() if step.status == "unknown")
        if not unknown:
            return
        key = unknown[number % len(unknown)]
        step = self.rig.steps_by_key()[key]
        resolving = self.doors.resolve(
            step.run_id, step.node, "mark_done" if is_done else "send_again", iteration=step.iteration
        )
        try:
            self.runner.run(resolving)
        except Conflict:
            assert step.run_id in self.ended
        else:
            self.rig.script.may_be_made(key)

    @rule(flow=st.sampled_from(sorted(FLOWS)), is_paused=st.booleans())
    def pause_or_resume(self, flow: str, is_paused: bool) -> None:
        try:
            self.flows.pause(flow) if is_paused else self.flows.resume(flow)
        except RuntimeFault:
            return
        self.runner.run(self.rig.engine.wake())

    @rule(seconds=st.sampled_from((0.1, 10, 40, 4_000)))
    def time_passes(self, seconds: float) -> None:
        self.rig.clock.advance(seconds=seconds)
        self.runner.run(self.rig.engine.wake())

    @rule()
    def kill(self) -> None:
        self.rig = self.runner.run(self.rig.kill(type(self).new_directory()))

    @rule()
    def restart(self) -> None:
        self.runner.run(self.rig.restart())

    # what is always so

    @invariant()
    def what_was_accepted_is_there(self) -> None:
        if not hasattr(self, "rig"):
            return
        with self.rig.database.read() as session:
            assert self.events <= set(session.exec(select(EventRow.id)).all())
            assert self.runs <= set(session.exec(select(RunRow.id)).all())

    @invariant()
    def runs_go_one_way(self) -> None:
        if not hasattr(self, "rig"):
            return
        with self.rig.database.read() as session:
            runs = session.exec(select(RunRow)).all()
            steps: dict[int, list[StepRow]] = {}
            for step in session.exec(select(StepRow)):
                steps.setdefault(step.run_id, []).append(step)
        for run in runs:
            assert run.id is not None
            assert run.epoch >= self.epochs.get(run.id, 0)
            self.epochs[run.id] = run.epoch
            assert (run.ended_at is not None) == (run.status in ENDED)
            if run.status in ENDED:
                own = steps.get(run.id, [])
                assert [step.node for step in own if step.status in NOT_ENDED] == []
                seen = Seen(run.model_dump(), [step.model_dump() for step in own])
                assert self.ended.setdefault(run.id, seen) == seen

    @invariant()
    def effects_are_there_once(self) -> None:
        if not hasattr(self, "rig"):
            return
        with self.rig.database.read() as session:
            added = session.exec(select(StepRow).where(StepRow.status == "succeeded")).all()
            retried = {run.id for run in session.exec(select(RunRow)) if run.parent_run is not None}
            physical = session.exec(select(DataTable.physical)).one()
            rows = {row.id for row in session.connection().exec_driver_sql(f'SELECT id FROM "{physical}"')}
        kinds = {each["id"]: each["type"] for flow in (*FLOWS.values(), CALLED) for each in flow["nodes"]}
        own = [step for step in added if kinds[step.node] == "insert_row" and step.output is not None]
        assert {step.output["row"]["id"] for step in own if step.output} == rows
        firsts = [step.output["row"]["id"] for step in own if step.output and step.run_id not in retried]
        assert len(firsts) == len(set(firsts))

    @invariant()
    def no_call_is_made_of_a_step_that_has_ended(self) -> None:
        if hasattr(self, "rig"):
            assert self.rig.script.too_many == []

    def teardown(self) -> None:
        if not hasattr(self, "rig"):
            return
        self.rig.script.release()
        for flow in FLOWS:
            self.flows.resume(flow)
        self.runner.run(self.rig.engine.wake())
        for run_id in sorted(self.runs):
            run = self.runner.run(self.rig.finish(run_id))  # none is stuck, or it waits for a person
            if run.status not in ENDED:
                assert self.runner.run(self.rig.engine.cancel(run_id))
        with self.rig.database.read() as session:
            assert {run.status for run in session.exec(select(RunRow))} <= set(ENDED)  # what they called, too
        self.what_was_accepted_is_there()
        self.runs_go_one_way()
        self.effects_are_there_once()
        self.runner.run(self.rig.close())
        self.runner.close()

    # how

    def _pick(self, number: int) -> int | None:
        runs = sorted(self.runs)
        return runs[number % len(runs)] if runs else None

    async def _turns(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0.0005)


def test_runs_go_one_way_whatever_happens_to_them(tmp_path: Path) -> None:
    numbers = itertools.count()
    template = ScriptedRig(tmp_path / "template")
    template.table("rows", "text")
    template.database.dispose()

    class Machine(RunMachine):
        @staticmethod
        def new_directory() -> Path:
            return tmp_path / str(next(numbers))

        @staticmethod
        def new_rig() -> ScriptedRig:
            directory = Machine.new_directory()
            copytree(tmp_path / "template", directory)
            return ScriptedRig(directory)

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=examples(8, 200),
            stateful_step_count=examples(25, 50),
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )
