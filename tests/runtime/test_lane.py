"""Which runs of a limited flow may begin: never too many, in order, and none forgotten."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runtime import lane as lanes
from runtime.lane import Lane
from runtime.rules import Rule

S = 1_000_000
NOW = 1_000_000 * S


def lane(*run_ids: int, key: str = "", **limits: object) -> Lane:
    made = Lane("f", Rule(**limits))  # type: ignore[arg-type]
    for run_id in run_ids:
        made.take(run_id, key)
    made.is_all_seen = True
    return made


def begin(lane: Lane, now: int = NOW) -> list[int]:
    found = list(lane.starts(now))
    for run_id in found:
        lane.began(run_id, now)
    return found


def test_no_more_runs_are_open_than_the_flow_allows() -> None:
    limited = lane(1, 2, 3, 4, runs_at_once=2)

    first = begin(limited)
    limited.ended(2)
    then = begin(limited)

    assert (first, then) == ([1, 2], [3])


def test_a_paused_flow_begins_nothing() -> None:
    assert begin(lane(1, 2, is_paused=True)) == []


def test_runs_with_one_key_follow_each_other_and_others_pass() -> None:
    keyed = Lane("f", Rule(key="$param.c"))
    for run_id, key in enumerate("aabac", start=1):
        keyed.take(run_id, key)

    first = begin(keyed)
    keyed.ended(1)
    then = begin(keyed)

    assert (first, then) == ([1, 3, 5], [2])


def test_a_run_that_began_before_keeps_its_key_occupied() -> None:
    keyed = Lane("f", Rule(key="$param.c"))
    keyed.hold(1, "a")
    keyed.take(2, "a")

    first = begin(keyed)
    keyed.ended(1)

    assert (first, begin(keyed)) == ([], [2])


def test_only_so_many_runs_begin_within_the_span() -> None:
    slow = lane(1, 2, 3, 4, rate_runs=2, rate_s=60)

    first = begin(slow)
    again = slow.free_at(NOW)

    assert first == [1, 2]
    assert again == NOW + 60 * S
    assert begin(slow, NOW + 60 * S - 1) == []
    assert begin(slow, NOW + 60 * S) == [3, 4]


def test_runs_that_were_let_in_and_have_not_begun_count_for_the_rate() -> None:
    slow = lane(1, 2, 3, rate_runs=2, rate_s=60)

    let_in = list(slow.starts(NOW))

    assert let_in == [1, 2]
    assert list(slow.starts(NOW + 600 * S)) == []
    slow.began(1, NOW + 600 * S)
    slow.began(2, NOW + 600 * S)
    assert list(slow.starts(NOW + 600 * S)) == []


def test_a_run_whose_event_was_filtered_out_does_not_use_up_the_rate() -> None:
    slow = lane(1, 2, 3, rate_runs=1, rate_s=60)

    begin(slow)
    slow.ended(1, counts=False)

    assert begin(slow) == [2]


def test_a_run_that_its_own_flow_waits_for_needs_no_place() -> None:
    narrow = lane(1, runs_at_once=1)
    begin(narrow)

    narrow.take_nested(2)

    assert begin(narrow) == [2]


def test_a_key_with_many_waiting_runs_does_not_keep_others_from_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "OF_A_KEY", 2)
    keyed = Lane("f", Rule(key="$param.c", runs_at_once=10))
    for run_id in range(1, 10):
        keyed.take(run_id, "a")

    begin(keyed)
    wants_more = keyed.wants_more(NOW)
    keyed.take(10, "b")

    assert wants_more
    assert begin(keyed) == [10]
    assert keyed.wanted_again() is None
    for run_id in (1, 2):
        keyed.ended(run_id)
        begin(keyed)
    keyed.ended(3) if keyed.may_begin(3) else None
    assert keyed.wanted_again() == ("a", 2)
    keyed.take_again("a", [3, 4], is_all=False)
    assert begin(keyed) == [3]


def test_a_lane_with_another_rule_keeps_what_was_let_in() -> None:
    before = lane(1, 2, runs_at_once=1)
    list(before.starts(NOW))

    after = Lane("f", Rule(runs_at_once=1, rate_runs=5), before)
    for run_id in (1, 2):
        after.take(run_id, "")

    assert list(after.starts(NOW)) == []
    after.began(1, NOW)
    after.ended(1)
    assert list(after.starts(NOW)) == [2]


class Lanes(RuleBasedStateMachine):
    """A lane over a list of runs, as a database would hold them, against what the rules say."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(lanes, "OF_A_KEY", 2)
        self.patch.setattr(lanes, "OF_A_LANE", 4)
        self.now = NOW
        self.keys: dict[int, str] = {}
        self.let_in: list[int] = []
        self.open: dict[int, str] = {}
        self.begun: list[tuple[int, int]] = []  # run, moment
        self.ended: set[int] = set()
        self.rule = Rule(runs_at_once=3, key="$param.c", runs_at_once_per_key=1, rate_runs=4, rate_s=10)
        self.lane = Lane("f", self.rule)

    def teardown(self) -> None:
        self.patch.undo()

    @rule(key=st.sampled_from("abc"), count=st.integers(1, 6))
    def accept(self, key: str, count: int) -> None:
        for _ in range(count):
            self.keys[len(self.keys) + 1] = key
        self.lane.is_all_seen = False

    @rule(more=st.integers(1, 4))
    def work(self, more: int) -> None:
        """Do what the engine does: let in what may begin, read what is wanted."""
        for _ in range(more):
            for run_id in self.lane.starts(self.now):
                self.let_in.append(run_id)
            if (again := self.lane.wanted_again()) is not None:
                key, after = again
                waiting = [r for r in self.waiting() if after < r <= self.lane.seen and self.keys[r] == key]
                self.lane.take_again(key, waiting[:2], is_all=len(waiting) <= 2)
            elif self.lane.wants_more(self.now):
                page = [run_id for run_id in self.waiting() if run_id > self.lane.seen][:3]
                for run_id in page:
                    self.lane.take(run_id, self.keys[run_id])
                self.lane.is_all_seen = len(page) < 3

    def waiting(self) -> list[int]:
        return [r for r in self.keys if r not in self.open and r not in self.ended]

    @precondition(lambda self: self.let_in)
    @rule(which=st.integers(0, 9))
    def begin(self, which: int) -> None:
        run_id = self.let_in.pop(which % len(self.let_in))
        self.open[run_id] = self.keys[run_id]
        self.begun.append((run_id, self.now))
        self.lane.began(run_id, self.now)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9))
    def end(self, which: int) -> None:
        run_id = list(self.open)[which % len(self.open)]
        del self.open[run_id]
        self.ended.add(run_id)
        self.lane.ended(run_id)

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        self.now += seconds * S

    @rule(is_paused=st.booleans())
    def change(self, is_paused: bool) -> None:
        before, self.lane = self.lane, Lane("f", Rule(is_paused, 3, "$param.c", 1, 4, 10), self.lane)
        for run_id, key in self.open.items():
            self.lane.hold(run_id, key)
        self.lane.note_starts(moment for _, moment in self.begun if moment > self.now - 10 * S)
        assert set(before.holders()) == set(self.lane.holders())

    @invariant()
    def limits_hold(self) -> None:
        assert len(self.open) + len(self.let_in) <= 3
        for key in "abc":
            assert [*self.open.values(), *(self.keys[r] for r in self.let_in)].count(key) <= 1
            began = [run_id for run_id, _ in self.begun if self.keys[run_id] == key]
            assert began == sorted(began)
        for _, moment in self.begun:
            assert sum(moment - 10 * S < other <= moment for _, other in self.begun) <= 4

    def drain(self) -> None:
        self.change(False)
        for _ in range(40 * (len(self.keys) + 1)):
            self.work(3)
            if self.let_in:
                self.begin(0)
            elif self.open:
                self.end(0)
            else:
                self.wait(4)
        assert self.ended == set(self.keys), "a run was forgotten"


class LanesThatDrain(Lanes):
    def teardown(self) -> None:
        self.drain()
        super().teardown()


TestLanes = LanesThatDrain.TestCase
TestLanes.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
