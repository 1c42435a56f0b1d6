"""The lane of one flow whose runs have to wait: which of them may begin now. Nothing here reads or writes rows.

Runs come in the order of their ids, which is the order in which they were accepted. Of runs with the same key one
begins after the other; runs with different keys pass each other. Of the runs that wait only some are kept in memory:
of a key whose runs have to wait no more than ``OF_A_KEY``, the others are left in the database and asked for again.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

from runtime import limits
from runtime.rules import Rule
from runtime.window import Window

OF_A_KEY = 100  # waiting runs of one key kept in memory
OF_A_LANE = 10_000  # waiting runs of one flow kept in memory


class Lane:
    """A run holds a place from ``starts`` on until it has ``ended``, also while it is suspended."""

    def __init__(self, flow_id: str, rule: Rule, before: Lane | None = None) -> None:
        """*before* is the lane of the flow's rule until now; what it has let begin stays so."""
        self.flow_id = flow_id
        self.rule = rule
        self.seen = 0  # every waiting run with an id up to this one was taken in
        self.is_all_seen = False  # no run is known that waits behind it
        self._open: dict[int, str] = {}  # runs that hold a place, with their keys
        self._of_key: Counter[str] = Counter()  # how many of them have this key
        self._admitted: set[int] = set()  # may begin, and have not begun yet
        self._waiting: dict[str, deque[int]] = {}
        self._kept = 0  # waiting runs in memory
        self._left: dict[str, int] = {}  # key -> its waiting runs after this id are in the database alone
        self._ready: list[tuple[int, str]] = []  # the first waiting run of each key that has a place free
        self._nested: deque[int] = deque()  # called by runs of this flow that wait for them: they need no place
        self._starts = None if rule.rate_runs is None else Window(int(rule.rate_s * 1_000_000))
        for run_id in () if before is None else before._admitted:
            self._admitted.add(run_id)
            self.hold(run_id, before._open.get(run_id, "") if before else "")

    # what is known from the database

    def hold(self, run_id: int, key: str) -> None:
        """Note a run that has begun before, or beside this lane; it holds a place."""
        if self.rule.has_places and run_id not in self._open:
            self._open[run_id] = key
            self._of_key[key] += 1

    def note_starts(self, moments_us: Iterable[int]) -> None:
        """Note when runs have begun, the earliest first."""
        if self._starts is not None:
            for moment in moments_us:
                self._starts.add(moment)

    def take_nested(self, run_id: int) -> None:
        """Take in a run that a run of this flow waits for: it needs no place, for that one keeps its own."""
        if not self.may_begin(run_id) and run_id not in self._nested:
            self._nested.append(run_id)

    def take(self, run_id: int, key: str) -> None:
        """Take in the next waiting run; ids only grow."""
        self.seen = run_id
        if not self.may_begin(run_id) and key not in self._left:
            waiting = self._waiting.setdefault(key, deque())
            if self._has_room(key, waiting):
                self._append(key, waiting, run_id)
            else:
                self._left[key] = waiting[-1] if waiting else run_id - 1
                self._drop_empty(key)

    def skip(self, run_id: int) -> None:
        """Pass over the next waiting run."""
        self.seen = run_id

    def take_again(self, key: str, run_ids: Sequence[int], *, is_all: bool) -> None:
        """Take in waiting runs of a key that were left in the database; *is_all*: there are no more."""
        waiting = self._waiting.setdefault(key, deque())
        for run_id in run_ids:
            self._append(key, waiting, run_id)
        if is_all:
            del self._left[key]
        else:
            self._left[key] = run_ids[-1]
        self._drop_empty(key)

    def forget_waiting(self) -> None:
        """Forget the runs that wait; they are taken in anew from the first one on."""
        self._waiting.clear()
        self._left.clear()
        self._ready.clear()
        self._nested.clear()
        self._kept, self.seen, self.is_all_seen = 0, 0, False

    # what may begin

    def starts(self, now_us: int) -> Iterator[int]:
        """Give the runs that may begin now; each holds a place from then on."""
        while self._has_token(now_us):
            if self._nested:
                run_id = self._nested.popleft()
            elif self._ready and self._has_place:
                run_id, key = heapq.heappop(self._ready)
                if self._is_blocked(key):  # by a run that began beside this lane; it comes back when that ends
                    continue
                self._waiting[key].popleft()
                self._kept -= 1
                self._drop_empty(key)
                if self.may_begin(run_id):
                    self._make_ready(key)
                    continue
                self.hold(run_id, key)
                self._make_ready(key)
            else:
                return
            self._admitted.add(run_id)
            yield run_id

    def may_begin(self, run_id: int) -> bool:
        """Return whether the lane has let the run begin."""
        return run_id in self._admitted or run_id in self._open

    def began(self, run_id: int, moment_us: int) -> None:
        """Note that a run was claimed; one that this lane has not let begin holds a place nevertheless."""
        if run_id in self._admitted:
            self._admitted.discard(run_id)
            if self._starts is not None:
                self._starts.add(moment_us)

    def ended(self, run_id: int, *, counts: bool = True) -> None:
        """Free the run's place. One that does not *count* was none: its event did not pass the trigger's filter."""
        if not counts and self._starts is not None and run_id not in self._admitted:
            self._starts.take_back()
        self._admitted.discard(run_id)
        key = self._open.pop(run_id, None)
        if key is None:
            return
        was_blocked = self._is_blocked(key)
        self._of_key[key] -= 1
        if not self._of_key[key]:
            del self._of_key[key]
        if was_blocked:
            self._make_ready(key)

    # what has to be looked up

    def wants_more(self, now_us: int) -> bool:
        """Return whether the next waiting runs should be read: one of them may begin, and none in memory."""
        if self.rule.is_paused or self.is_all_seen or self._ready:
            return False
        return self._has_place and self._has_token(now_us)

    def wanted_again(self) -> tuple[str, int] | None:
        """Return a key whose next runs may begin but were left in the database, and the id that they come after."""
        if self.rule.is_paused:
            return None
        for key, after in self._left.items():
            if key not in self._waiting and not self._is_blocked(key):
                return key, after
        return None

    def free_at(self, now_us: int) -> int | None:
        """Return when the rate lets the next run begin; None where it is not the rate that holds one up."""
        is_waiting = self._nested or self._ready or not self.is_all_seen
        if self._starts is None or self.rule.rate_runs is None or not is_waiting or self._has_token(now_us):
            return None
        room = self.rule.rate_runs - len(self._admitted)
        return None if room <= 0 else self._starts.free_at(room, now_us)

    def holders(self) -> list[int]:
        """Return the runs that hold a place or are about to begin."""
        return list(self._open.keys() | self._admitted)

    def holders_before(self, key: str) -> list[int] | None:
        """Return the runs whose places a waiting run with this key needs; None where one is free."""
        if self._of_key[key] and self._is_blocked(key):
            return [run_id for run_id, other in self._open.items() if other == key]
        return None if self._has_place else list(self._open)

    @property
    def is_empty(self) -> bool:
        """Whether no run is known to wait."""
        return self.is_all_seen and not self._waiting and not self._left and not self._nested

    @property
    def _has_place(self) -> bool:
        most = limits.PLACES if self.rule.runs_at_once is None else self.rule.runs_at_once
        return not self.rule.is_paused and (not self.rule.has_places or len(self._open) < most)

    def _has_token(self, now_us: int) -> bool:
        if self.rule.is_paused:
            return False
        if self._starts is None or self.rule.rate_runs is None:
            return True
        return self._starts.count(now_us) + len(self._admitted) < self.rule.rate_runs

    def _is_blocked(self, key: str) -> bool:
        return self.rule.key is not None and self._of_key[key] >= self.rule.runs_at_once_per_key

    def _has_room(self, key: str, waiting: Sequence[int]) -> bool:
        """Whether one more waiting run of the key may be kept in memory."""
        if self.rule.key is None:
            return True  # no more are read while one is in memory
        return len(waiting) < OF_A_KEY and (self._kept < OF_A_LANE or not self._is_blocked(key))

    def _append(self, key: str, waiting: deque[int], run_id: int) -> None:
        waiting.append(run_id)
        self._kept += 1
        if len(waiting) == 1:
            self._make_ready(key)

    def _make_ready(self, key: str) -> None:
        if key in self._waiting and not self._is_blocked(key):
            heapq.heappush(self._ready, (self._waiting[key][0], key))

    def _drop_empty(self, key: str) -> None:
        if not self._waiting[key]:
            del self._waiting[key]
