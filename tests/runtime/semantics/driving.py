"""Drives the real engine through a flow: calls that answer as a script says, a clock, and kills.

A kill is what SIGKILL leaves: another engine begins on what was committed at that moment, and nothing that the first
one does afterwards counts.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any

from sqlmodel import col, select

from backend.secrets import KEY_FILE
from nodes.spec import NodeError, TemporaryError
from runtime.engine import NewEvent, TestRequest
from storage.tables import Flow, FlowVersion, RunRow, Setting, StepRow, Subscription, WaitRow
from tests.runtime.conftest import Calls, Clock, Rig, node_types
from tests.runtime.semantics.interpreter import BUSY, REFUSED, Answer, Key

ENDED = ("succeeded", "failed", "cancelled")
SETTLED = ("succeeded", "failed", "skipped", "unknown")


class Script:
    """What the outside world does, by node and iteration, however often an engine dies meanwhile."""

    def __init__(self) -> None:
        self.answers: Mapping[Key, Answer] = {}
        self.heard: Collection[Key] = ()  # steps whose event comes in time
        self.sent: set[tuple[int, str, str]] = set()  # run, node and iteration whose event was reported
        self.made: Counter[str] = Counter()  # calls, by idempotency key
        self.given: Counter[str] = Counter()  # answers that count, by idempotency key
        self.under_way: set[str] = set()
        self.too_many: list[str] = []  # calls of steps that had been recorded as ended
        self.total = 0
        self.arrival = asyncio.Event()  # set by the first call that is held
        self._ended: set[str] = set()
        self._hold_from: int | None = None
        self._held: list[asyncio.Event] = []

    def hold_from(self, number: int) -> None:
        """Leave the call of this number and all after it without an answer; counted from now."""
        self._hold_from = self.total + number

    def release(self) -> None:
        """Answer the calls that are held, and those to come."""
        self._hold_from = None
        self.arrival.clear()
        for held in self._held:
            held.set()
        self._held.clear()

    async def called(self, key: str, caller: Caller) -> None:
        self.total += 1
        self.made[key] += 1
        self.under_way.add(key)
        if key in self._ended:
            self.too_many.append(key)
        if self._hold_from is not None and self.total >= self._hold_from:
            self.arrival.set()
            self._held.append(asyncio.Event())
            await self._held[-1].wait()
        await asyncio.sleep(0)
        await caller.lives()
        self.under_way.discard(key)
        number, answer = self.given[key], self.answers.get(key_of(key), Answer())
        self.given[key] += 1
        if number < answer.busy:
            raise TemporaryError("The service is busy.", code=BUSY)
        if answer.is_refused:
            raise NodeError("The service refuses.", code=REFUSED)

    def may_be_made(self, key: str) -> None:
        """Take note that a person wants a call of unknown outcome made again."""
        self._ended.discard(key)

    def forget(self, steps: Mapping[str, StepRow]) -> None:
        """Take back the answers that a dead engine had no time to record; *steps* are those by idempotency key."""
        self._hold_from = None
        self.arrival.clear()
        self._held.clear()
        self.under_way.clear()
        self._ended = {key for key, step in steps.items() if step.status in SETTLED}
        for key in self.made:
            if (step := steps.get(key)) is None:
                self.given[key] = 0
            elif key not in self._ended:
                self.given[key] = step.attempt if step.status == "waiting" else step.attempt - 1


def key_of(idempotency_key: str) -> Key:
    """Return the node and the iteration that an idempotency key is for."""
    _run, node, iteration = idempotency_key.split(":")
    return node, iteration


def copy_committed(database: Path, directory: Path) -> None:
    """Make *directory* what a kill at this moment would leave of the one in which *database* is."""
    directory.mkdir()
    copyfile(database.parent / KEY_FILE, directory / KEY_FILE)
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(directory / database.name)) as target:
        source.backup(target)


class Caller(Calls):
    """The calls of one engine. After its death they are never answered and do not count."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script
        self.is_dead = False

    async def called(self, text: str, key: str) -> None:
        await self.lives()
        await self._script.called(key, self)

    async def lives(self) -> None:
        if self.is_dead:
            await asyncio.Event().wait()


class ScriptedRig(Rig):
    """A rig whose calls follow a script, and which can be killed."""

    def __init__(self, directory: Path, script: Script | None = None, clock: Clock | None = None) -> None:
        super().__init__(directory)
        self.directory = directory
        self.script = script or Script()
        self.clock = clock or self.clock
        self.calls: Caller = Caller(self.script)
        self.types = node_types(self.calls)
        self.engine = self._new_engine()

    def make_live(self, document: Mapping[str, Any], *, prefix: str = "") -> None:
        """Make *document* live; its event triggers hear the name ``prefix`` + node id."""
        flow_id = document["graph"]["id"]
        with self.database.write() as session:
            session.add(Flow(id=flow_id, name=flow_id, state="published", draft=dict(document), published_version=1))
            session.add(FlowVersion(flow_id=flow_id, version=1, document=dict(document)))
            for node in document["nodes"]:
                if node["type"] == "event":
                    heard = {"node": node["id"], "event": prefix + node["id"]}
                    session.add(Subscription(flow_id=flow_id, version=1, match={}, **heard))

    async def begin(
        self, document: Mapping[str, Any], trigger: str, payload: Mapping[str, Any], *, is_test: bool, prefix: str = ""
    ) -> int:
        """Start a run of a published flow by its event, or a test run in which effects are real."""
        if is_test:
            request = TestRequest(document["graph"]["id"], dict(document), trigger, dict(payload), effects="real")
            return await self.engine.start_test(request)
        return await self.emit(dict(payload), prefix + trigger)

    async def finish(self, run_id: int, until: Callable[[RunRow], bool] | None = None) -> RunRow:
        """Return the run when it has ended, or when *until* is true of it.

        Time passes as runs need it, and events come that steps wait for as the script says.
        """
        async with asyncio.timeout(10):
            while True:
                run = self.read(run_id)
                if run.status in ENDED or (until is not None and until(run)) or self._needs_a_person(run):
                    return run
                if not await self._send_awaited():
                    await self._let_time_pass()
                await asyncio.sleep(0.001)

    async def _send_awaited(self) -> bool:
        """Report the events that steps wait for now; return whether there were any."""
        with self.database.read() as session:
            waits = session.exec(select(WaitRow).where(WaitRow.kind == "event", col(WaitRow.resolved_at).is_(None)))
            found = [wait for wait in waits if (wait.node, wait.iteration) in self.script.heard]
        fresh = [wait for wait in found if (wait.run_id, wait.node, wait.iteration) not in self.script.sent]
        for wait in fresh:
            self.script.sent.add((wait.run_id, wait.node, wait.iteration))
            await self.engine.accept([NewEvent(str(wait.event), wait.match or {})])
        return bool(found)

    async def _let_time_pass(self) -> None:
        """Go to the next moment for which a run waits, when nothing else is under way."""
        with self.database.read() as session:
            if session.exec(select(RunRow.id).where(col(RunRow.status).in_(("queued", "running"))).limit(1)).first():
                return
            moments = session.exec(select(RunRow.wake_at).where(RunRow.status == "waiting")).all()
        if known := [moment for moment in moments if moment is not None]:
            self.clock.moment = max(self.clock.moment, min(known) + timedelta(milliseconds=1))
            await self.engine.wake()

    def _needs_a_person(self, run: RunRow) -> bool:
        assert run.id is not None
        if run.status != "waiting" or run.wake_at is not None:
            return False
        return any(row.status == "unknown" for row in self.rows(run.id).values())

    async def restart(self) -> None:
        """Stop the engine where it is, and start another one on the same database."""
        await self.engine.stop(grace_s=0)
        self.script.forget(self.steps_by_key())
        self.engine = self._new_engine()
        await self.engine.start()

    async def kill(self, directory: Path) -> ScriptedRig:
        """Return a rig on what is committed at this moment, with its engine started; this one is over."""
        self.calls.is_dead = True
        copy_committed(self.database.path, directory)  # at once: nothing else runs in between
        other = ScriptedRig(directory, self.script, self.clock)
        self.script.forget(other.steps_by_key())
        await self.close()
        await other.engine.start()
        return other

    def steps_by_key(self) -> dict[str, StepRow]:
        """Return every step by its idempotency key."""
        with self.database.read() as session:
            installation = session.get(Setting, "installation")
            begin = installation.value["id"] if installation else ""
            rows = session.exec(select(StepRow)).all()
        return {f"{begin}-{row.run_id}:{row.node}:{row.iteration}": row for row in rows}

    def rows(self, run_id: int) -> dict[Key, StepRow]:
        """Return the steps of a run by node and iteration."""
        with self.database.read() as session:
            rows = session.exec(select(StepRow).where(StepRow.run_id == run_id))
            return {(row.node, row.iteration): row for row in rows}

    async def close(self) -> None:
        await self.engine.stop(grace_s=0)
        self.database.dispose()
