"""Lets runs of limited flows begin when their turn has come, and keeps those of paused flows waiting.

Every such run is a row that waits; what is in memory here is a part of them and can be read again at any time. A run is
taken in by one look into the database for many flows, gets its key, and goes to the dispatcher when its lane lets it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

from sqlmodel import Session

from nodes.spec import NodeError
from runtime import backlog, lane
from runtime.backlog import Callee, Found
from runtime.deadlocks import deadlocked
from runtime.lane import Lane
from runtime.lane_looks import Look, key_of_state, known_key, read_looks, write_keys
from runtime.rules import Rule, read_rules
from runtime.run_keys import key_of
from storage.database import Database
from storage.errors import StorageError
from storage.journal_runs import RunState
from storage.journal_writer import Claimed

LANES_AT_ONCE = 50  # read together
KEYS_S = 0.02  # of one lane's keys are worked out before others have their turn
AGAIN_S = 1.0  # until the database is asked again after it failed
DOUBTS_S = 5.0  # between two looks whether the runs that hold places are still open
DOUBTS_AT_ONCE = 500
log = logging.getLogger("pulsewire.admission")

Call = Callable[[Callable[[Session], None]], Awaitable[None]]


class Admission:
    """*call* works in a transaction of the journal, *submit* hands runs of a flow to the dispatcher.

    Use it from the event loop that runs ``run``.
    """

    def __init__(
        self,
        database: Database,
        call: Call,
        now_us: Callable[[], int],
        submit: Callable[[Iterable[int], str], None],
    ) -> None:
        self._database = database
        self._call = call
        self._now_us = now_us
        self._submit = submit
        self._rules: Mapping[str, Rule] = {}
        self._lanes: dict[str, Lane] = {}
        self._new: dict[str, set[int]] = {}  # lanes that know nothing yet -> runs that have ended meanwhile
        self._of_run: dict[int, str] = {}  # runs that were let in, or hold a place -> flow
        self._refused: dict[int, NodeError] = {}
        self._touched: OrderedDict[str, None] = OrderedDict()  # flows to look at, the longest touched first
        self._offered: set[str] = set()  # flows with a run that was stored since the last look began
        self._called: dict[str, set[int]] = {}  # runs that may be called by their own flow, not looked at yet
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._is_touched = asyncio.Event()
        self._is_stale = False

    # what the engine tells

    def update(self, rules: Mapping[str, Rule], held: Iterable[str] = ()) -> None:
        """Note the rules as they are now, and the flows for which runs wait."""
        for flow_id in [*self._lanes]:
            rule = rules.get(flow_id)
            if rule is None or rule.is_paused:
                self._forget(flow_id)
            elif rule != self._lanes[flow_id].rule:
                self._open(flow_id, rule)
        self._rules = rules
        for flow_id in held:
            if (known := self._lanes.get(flow_id)) is not None and known.is_empty:
                known.forget_waiting()  # whatever waits, it has not seen
            self.offer(flow_id)

    def offer(self, flow_id: str) -> None:
        """Note that a run of the flow has been stored that has to wait."""
        self._offered.add(flow_id)
        if (known := self._lanes.get(flow_id)) is not None:
            known.is_all_seen = False
        self._touch(flow_id)

    def admitted(self, run_ids: Iterable[int]) -> set[int]:
        """Return those of the runs that were let in, or are to be refused."""
        return {run_id for run_id in run_ids if run_id in self._of_run or run_id in self._refused}

    def claimed(self, run_ids: Iterable[int], claimed: Claimed) -> None:
        """Note which of the runs that were to begin did so; others had ended before, or have to wait."""
        for state in claimed.states:
            self.began(state)
        begun = {state.id for state in claimed.states}
        for run_id in run_ids:
            if run_id not in begun:
                self.ended(run_id)
        self._is_stale = self._is_stale or bool(claimed.held)  # the writer knew of a rule that is not known here
        for run_id, flow_id in claimed.held.items():
            self._called.setdefault(flow_id, set()).add(run_id)
        for flow_id in set(claimed.held.values()):
            self.offer(flow_id)
            if (known := self._lanes.get(flow_id)) is not None:
                known.forget_waiting()  # it may have passed them already

    def began(self, state: RunState) -> None:
        """Note that a run was claimed; one that its lane has not let in holds a place nevertheless."""
        known = None if state.is_test else self._lanes.get(state.flow_id)
        if known is None or state.id in self._refused:
            return
        if not known.may_begin(state.id) and state.id not in self._of_run:
            known.hold(state.id, key_of_state(known.rule, state))
        known.began(state.id, state.started_us)
        self._of_run[state.id] = state.flow_id

    def refusal(self, run_id: int) -> NodeError | None:
        """Return why a run that was claimed must not begin: it has no key."""
        return self._refused.pop(run_id, None)

    def ended(self, run_id: int, *, counts: bool = True) -> None:
        """Free what the run held. One that does not *count* did not pass its trigger's filter."""
        if self._refused:
            self._refused.pop(run_id, None)
        if not self._lanes:
            return
        for gone in self._new.values():
            gone.add(run_id)
        flow_id = self._of_run.pop(run_id, None)
        if flow_id is not None and (known := self._lanes.get(flow_id)) is not None:
            known.ended(run_id, counts=counts)
            self._touch(flow_id)

    # the work

    async def run(self) -> None:
        """Let runs begin for as long as the engine works."""
        doubts = asyncio.create_task(self._doubt_forever())
        try:
            while True:
                await self._is_touched.wait()
                self._is_touched.clear()
                try:
                    while self._touched:
                        await self._round()
                except Exception as error:
                    log.error("taking in runs of limited flows failed with %s", type(error).__name__)
                    await asyncio.sleep(AGAIN_S)
                    for flow_id in self._lanes:
                        self._touch(flow_id)
        finally:
            doubts.cancel()
            for timer in self._timers.values():
                timer.cancel()

    async def _round(self) -> None:
        """Look at some of the flows that were touched."""
        flow_ids = [self._touched.popitem(last=False)[0] for _ in range(min(LANES_AT_ONCE, len(self._touched)))]
        if self._is_stale or any(flow_id not in self._rules for flow_id in flow_ids):
            await self._read_rules()
        looks = [look for flow_id in flow_ids if (look := self._let_in(flow_id)) is not None]
        if looks:
            await asyncio.to_thread(read_looks, self._database, looks, self._now_us())
            keys: dict[int, str] = {}
            for look in looks:
                await self._take_in(look, keys)
                await asyncio.sleep(0)
            if keys:
                await self._write(keys, looks)
            for look in looks:
                self._touch(look.lane.flow_id)

    async def _write(self, keys: Mapping[int, str], looks: Iterable[Look]) -> None:
        try:
            await self._call(lambda session: write_keys(session, keys))
        except StorageError:
            for look in looks:  # no run begins before its key is durable
                look.lane.forget_waiting()
            raise

    def _let_in(self, flow_id: str) -> Look | None:
        """Let begin what may, and return what has to be read for more."""
        rule, called = self._rules.get(flow_id), self._called.pop(flow_id, set())
        if rule is None or rule.is_paused:
            return None
        known = self._lanes.get(flow_id) or self._open(flow_id, rule)
        now = self._now_us()
        if flow_id in self._new:
            self._offered.discard(flow_id)
            return Look(known, True, True, None)
        started = list(known.starts(now))
        if started:
            self._of_run.update(dict.fromkeys(started, flow_id))
            self._submit(started, flow_id)
        self._look_again_at(flow_id, known.free_at(now))
        wants_more, again = known.wants_more(now), known.wanted_again()
        if not wants_more and again is None and not called:
            return None
        self._offered.discard(flow_id)
        return Look(known, False, wants_more, again, called)

    async def _take_in(self, look: Look, keys: dict[int, str]) -> None:
        """Give to the lane what was found; what got its key is added to *keys*."""
        known, flow_id = look.lane, look.lane.flow_id
        if self._lanes.get(flow_id) is not known:
            return  # there is another rule meanwhile
        if look.is_new:
            ended = self._new.pop(flow_id)
            for begun in look.begun:
                if begun.id not in ended:
                    known.hold(begun.id, known_key(known.rule, begun))
                    self._of_run[begun.id] = flow_id
            known.note_starts(look.starts)
        for run_id in look.nested:
            known.take_nested(run_id)
        if look.again is not None:
            known.take_again(look.again[0], look.of_key, is_all=len(look.of_key) < lane.OF_A_KEY)
        if not look.wants_more:
            return
        known.is_all_seen = look.is_all and flow_id not in self._offered
        until = time.monotonic() + KEYS_S
        for each in look.waiting:
            key = self._key(known.rule, each, keys)
            if key is None:
                known.skip(each.id)
                self._submit([each.id], flow_id)
            else:
                known.take(each.id, key)
            if time.monotonic() > until:
                known.is_all_seen = False
                break

    def _key(self, rule: Rule, run: Found, keys: dict[int, str]) -> str | None:
        """Return the run's key; None when it has none, and is refused for it."""
        key = ""
        if rule.key is not None:
            try:
                key = run.key if run.payload is None else key_of(rule.key, run.payload)
            except NodeError as error:
                self._refused[run.id] = error
                return None
        if run.payload is not None or (rule.rate_runs is not None and rule.key is None):
            keys[run.id] = key
        return key

    # lanes

    def _open(self, flow_id: str, rule: Rule) -> Lane:
        """Begin with a rule, knowing nothing yet but what was let in."""
        before = self._lanes.get(flow_id)
        made = self._lanes[flow_id] = Lane(flow_id, rule, before)
        self._new[flow_id] = set()
        self._touch(flow_id)
        return made

    def _forget(self, flow_id: str) -> None:
        del self._lanes[flow_id]
        self._new.pop(flow_id, None)
        self._of_run = {run_id: other for run_id, other in self._of_run.items() if other != flow_id}

    def _touch(self, flow_id: str) -> None:
        self._touched[flow_id] = None
        self._is_touched.set()

    def _look_again_at(self, flow_id: str, moment_us: int | None) -> None:
        timer = self._timers.pop(flow_id, None)
        if timer is not None:
            timer.cancel()
        if moment_us is not None:
            wait_s = min(max(0.0, (moment_us - self._now_us()) / 1e6), DOUBTS_S)
            loop = asyncio.get_running_loop()
            self._timers[flow_id] = loop.call_later(wait_s, self._touch, flow_id)

    async def _read_rules(self) -> None:
        def read() -> dict[str, Rule]:
            with backlog.reading(self._database) as cursor:
                return read_rules(cursor)

        self._is_stale = False
        self.update(await asyncio.to_thread(read))

    # doubts

    async def _doubt_forever(self) -> None:
        """Free places of runs that ended where this engine was not told."""
        for turn in itertools.count():
            await asyncio.sleep(DOUBTS_S)
            try:
                for known in [*self._lanes.values()]:
                    if not known.is_empty and (holders := known.holders()):
                        start = turn * DOUBTS_AT_ONCE % len(holders)
                        await self.doubt(holders[start : start + DOUBTS_AT_ONCE])
                await self.untie()
            except Exception as error:
                log.error("looking at runs that hold places failed with %s", type(error).__name__)

    async def doubt(self, run_ids: Collection[int]) -> None:
        """Look whether the runs are open, and free what the others hold."""

        def read() -> set[int]:
            with backlog.reading(self._database) as cursor:
                return backlog.still_open(cursor, run_ids)

        is_open = await asyncio.to_thread(read)
        for run_id in run_ids:
            if run_id not in is_open:
                self.ended(run_id)

    async def untie(self) -> None:
        """Let a sub-flow begin for whose place its own callers wait."""
        full = [known for known in self._lanes.values() if not known.is_empty and known.holders_before("") is not None]
        holders = [run_id for known in full for run_id in known.holders()[:DOUBTS_AT_ONCE]]

        def read() -> tuple[dict[int, set[int]], list[Callee]]:
            with backlog.reading(self._database) as cursor:
                return backlog.calls(cursor, holders)

        if not holders:
            return
        waits_for, found = await asyncio.to_thread(read)
        callees = {callee.id: callee for callee in found}

        def holders_before(run_id: int) -> list[int] | None:
            known = self._lanes.get(callees[run_id].flow_id)
            return None if known is None else known.holders_before(callees[run_id].key)

        if stuck := deadlocked(callees, waits_for, holders_before):
            first = min(stuck)
            log.warning("run %d begins without a place: the runs that it waits for wait for it", first)
            self._lanes[callees[first].flow_id].take_nested(first)
            self._touch(callees[first].flow_id)
