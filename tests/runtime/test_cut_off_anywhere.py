"""A run whose engine dies between any two of its commits comes to what it comes to when the engine lives.

Every transaction of a first engine is preceded by a copy of the database. On each copy another engine begins, as after
a kill at that moment, and what it comes to is compared.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlmodel import select

from nodes.spec import TemporaryError
from runtime import waits
from runtime.engine import NewEvent
from storage.tables import StepRow, WaitEvent, WaitRow
from tests.lengths import examples
from tests.runtime.conftest import Rig
from tests.runtime.semantics.driving import copy_committed

UNTOLD = ("event_id", "decided_at", "waited_until")  # chosen by the platform
ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Story:
    """A flow, the one that it calls, and whether what steps wait for comes or their time passes."""

    nodes: list[dict[str, Any]]
    edges: list[str]
    called: tuple[list[dict[str, Any]], list[str]] = ((), ())  # type: ignore[assignment]
    comes: bool = True

    def publish(self, rig: Rig) -> None:
        rig.flow(self.nodes, self.edges)
        nodes, edges = self.called
        rig.flow([node("start", "manual"), *nodes], edges, flow_id="sub")

    async def act(self, rig: Rig) -> bool:
        """Answer what steps wait for; return whether there was anything."""
        if not rig.runs():
            await rig.emit()
            return True
        has_acted = False
        offered = {row.wait_id for row in rows(rig, WaitEvent)}
        for wait in rows(rig, WaitRow) if self.comes else ():
            if wait.resolved_at is not None or wait.kind == "run" or wait.id in offered:
                continue
            has_acted = True
            if wait.kind == "event":
                await rig.engine.accept([NewEvent(wait.event, wait.match)])
            else:
                place = {"run_id": wait.run_id, "node": wait.node, "iteration": wait.iteration}
                with rig.database.write() as session:
                    waits.decide(session, **place, approved=True, by="ada", comment="", now=rig.clock())
        return has_acted


def node(node_id: str, kind: str, *, on_error: str = "stop", **params: Any) -> dict[str, Any]:
    return {"id": node_id, "type": kind, "params": params, "on_error": on_error}


EVENT = node("event", "wait_for_event", event="paid", match={"order": 7})
EACH_EVENT = node("event", "wait_for_event", event="paid", match={"order": "{{ $item }}"})
ASK = node("ask", "wait_for_approval", title="Refund?")
LATER = node("later", "delay", seconds=60)
CALL = node("call", "call", text="call")
LAST = node("last", "call", text="last")
STOP = node("stop", "stop_with_error", message="No stock.")
GIVE = node("give", "return_output", output={"total": 5})
RUN = node("run", "run_flow", flow="sub", input={"item": 1})
EACH_RUN = node("run", "run_flow", flow="sub", input={"item": "{{ $item }}"})
IS_BAD = node("is_bad", "condition", **{"if": "{{ $param.item == 'b' }}"})
EACH_IS_BAD = node("is_bad", "condition", **{"if": "{{ $item == 'b' }}"})


def each(**params: Any) -> dict[str, Any]:
    return node("loop", "for_each", **{"items": ["a", "b"], "parallel": 2} | params)


STORIES = {
    "branches that wait side by side": Story(
        [EVENT, ASK, CALL, LAST],
        ["start>event", "start>ask", "start>call", "event>last", "ask.approved>last", "call>last"],
    ),
    "time that runs out": Story(
        [
            EVENT | {"params": EVENT["params"] | {"timeout_s": 30}},
            ASK | {"params": {"title": "x", "timeout_s": 5}},
            LAST,
        ],
        ["start>event", "start>ask", "event.timeout>last", "ask.timeout>last"],
        comes=False,
    ),
    "steps' own time that runs out": Story(
        [
            EVENT | {"timeout_s": 30, "on_error": "port"},
            ASK | {"timeout_s": 5, "on_error": "port", "retry": {"attempts": 2, "delay_s": 7, "backoff": 1}},
            LATER | {"timeout_s": 20, "on_error": "continue"},
            LAST,
        ],
        ["start>event", "start>ask", "start>later", "event.error>last", "ask.error>last", "later>last"],
        comes=False,
    ),
    "a called flow that takes longer than its step may, for each item": Story(
        [
            each(on_item_error="continue"),
            EACH_RUN | {"timeout_s": 10, "retry": {"attempts": 2, "delay_s": 3, "backoff": 1}},
            LAST,
        ],
        ["start>loop", "loop.each>run", "loop.done>last"],
        ([IS_BAD, LATER, CALL], ["start>is_bad", "is_bad.true>later", "is_bad.false>call"]),
    ),
    "a flow that is called": Story([RUN, LAST], ["start>run", "run>last"], ([CALL, GIVE], ["start>call", "call>give"])),
    "a called flow that fails": Story([RUN, LAST], ["start>run", "run>last"], ([STOP], ["start>stop"])),
    "a called flow that fails and is passed over": Story(
        [RUN | {"on_error": "port"}, LAST], ["start>run", "run.error>last"], ([STOP], ["start>stop"])
    ),
    "items that wait side by side": Story(
        [each(), EACH_EVENT, ASK, LAST], ["start>loop", "loop.each>event", "event>ask", "loop.done>last"]
    ),
    "items that call a flow, which fails for one": Story(
        [each(on_item_error="continue"), EACH_RUN, LAST],
        ["start>loop", "loop.each>run", "loop.done>last"],
        ([IS_BAD, STOP, CALL], ["start>is_bad", "is_bad.true>stop", "is_bad.false>call"]),
    ),
    "rounds that are tried again and wait": Story(
        [
            node("again", "while_loop", **{"while": "{{ $index < 2 }}"}),
            node("call", "call", text="busy") | {"retry": {"attempts": 3, "delay_s": 5, "backoff": 1}},
            *(LATER, LAST),
        ],
        ["start>again", "again.each>call", "call>later", "again.done>last"],
    ),
    "loops in loops": Story(
        [each(items=[1, 2]), node("inner", "for_each", items=["x"]), EVENT, RUN, LAST],
        ["start>loop", "loop.each>inner", "inner.each>event", "inner.done>run", "loop.done>last"],
        ([LATER, GIVE], ["start>later", "later>give"]),
    ),
    "an item that fails beside items that wait": Story(
        [each() | {"on_error": "port"}, EACH_IS_BAD, EVENT, LATER, STOP, ASK, LAST],
        [
            *("start>loop", "loop.each>event", "loop.each>is_bad", "is_bad.true>later", "later>stop"),
            *("is_bad.false>ask", "loop.error>last"),
        ],
        comes=False,
    ),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
async def test_an_engine_that_dies_between_two_commits_changes_nothing(tmp_path: Path, story: Story) -> None:
    rig = Rig(tmp_path)
    story.publish(rig)
    copies: list[Path] = []

    def traced(statement: str) -> None:
        if statement == "BEGIN IMMEDIATE":
            copies.append(tmp_path / str(len(copies)))
            copy_committed(rig.database.path, copies[-1])

    rig.database.dispose()
    sqlalchemy.event.listen(rig.database.engine, "connect", lambda raw, _: raw.set_trace_callback(traced))
    told = await _come_to(rig, story)

    for directory in copies[:: -examples(2, 1)]:
        assert (directory.name, await _come_to(Rig(directory), story)) == (directory.name, told)


async def _come_to(rig: Rig, story: Story) -> dict[str, Any]:
    """Return what the story comes to, begun or gone on with."""
    rig.calls.fail("busy", TemporaryError("Busy."))
    await rig.engine.start()
    try:
        async with asyncio.timeout(20):
            while not (runs := rig.runs()) or any(run.status not in ENDED for run in runs):
                if await story.act(rig) or (await rig.engine.status()).open_runs:
                    await asyncio.sleep(0)
                elif due := [run.wake_at for run in runs if run.status == "waiting" and run.wake_at]:
                    rig.clock.moment = max(rig.clock.moment, min(due) + timedelta(milliseconds=1))
                await rig.engine.wake()
        return _outcome(rig)
    finally:
        await rig.engine.stop(grace_s=0)
        rig.database.dispose()


def _outcome(rig: Rig) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"run {run.id} of {run.flow_id}": (run.status, run.error, _told(run.output)) for run in rig.runs()
    }
    for step in rows(rig, StepRow):
        place = f"step {step.node} {step.iteration} of run {step.run_id}"
        found[place] = (step.status, step.port, _told(step.output), step.error)
    return found | {"waits": [wait.node for wait in rows(rig, WaitRow) if wait.resolved_at is None]}


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _told(each) for name, each in value.items() if name not in UNTOLD}
    return [_told(each) for each in value] if isinstance(value, list) else value


def rows(rig: Rig, table: type[Any]) -> list[Any]:
    """Return every row of a table."""
    with rig.database.read() as session:
        return list(session.exec(select(table)).all())
