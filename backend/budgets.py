"""Tries that are used up and come back with time, per key; in memory, and never for more than so many keys."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

ENTRIES = 50_000  # of each kind

FREE_FAILURES = 5  # before the next tries have to wait
WAIT_S = 1.0  # the first wait; each further failure doubles it
LONGEST_WAIT_S = 300.0
FORGOTTEN_AFTER_S = 3_600.0

Now = Callable[[], float]
Value = TypeVar("Value")


class Recent(Generic[Value]):
    """A table that forgets the entry that was not touched for longest when there would be too many."""

    def __init__(self, entries: int = ENTRIES) -> None:
        self._entries = entries
        self._kept: OrderedDict[object, Value] = OrderedDict()

    def get(self, key: object) -> Value | None:
        return self._kept.get(key)

    def put(self, key: object, value: Value) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)

    def drop(self, key: object) -> None:
        self._kept.pop(key, None)

    def __len__(self) -> int:
        return len(self._kept)


class Budget:
    """So many tries for each key, which come back evenly over *per_s* seconds."""

    def __init__(self, tries: int, per_s: float, *, now_s: Now = monotonic, entries: int = ENTRIES) -> None:
        self._tries = tries
        self._all_s = per_s
        self._one_s = per_s / tries
        self._now_s = now_s
        self._full_at: Recent[float] = Recent(entries)  # when all tries are back; then the entry says nothing

    def wait_s(self, key: object) -> float:
        """Return how long it takes until *key* has a try, 0 when it has one."""
        missing_s = (self._full_at.get(key) or 0) - self._now_s()
        return max(0.0, round(missing_s - (self._tries - 1) * self._one_s, 6))

    def spend(self, key: object) -> None:
        """Take a try away, if there is one."""
        now_s = self._now_s()
        full_at = max(self._full_at.get(key) or 0, now_s) + self._one_s
        self._full_at.put(key, min(full_at, now_s + self._all_s))

    def give_back(self, key: object) -> None:
        """Undo ``spend``."""
        if (full_at := self._full_at.get(key)) is not None:
            self._full_at.put(key, full_at - self._one_s)

    def take(self, key: object) -> float:
        """Take a try and return 0; where there is none, return how long to wait."""
        if not (wait_s := self.wait_s(key)):
            self.spend(key)
        return wait_s


@dataclass(frozen=True)
class Failures:
    count: int
    last_at_s: float


class BackOff:
    """Some failures are free; after them each takes twice as long as the one before."""

    def __init__(self, *, now_s: Now = monotonic, entries: int = ENTRIES) -> None:
        self._now_s = now_s
        self._failures: Recent[Failures] = Recent(entries)

    def wait_s(self, key: object) -> float:
        """Return how long *key* has to wait for its next try, 0 for not at all."""
        failures = self._of(key)
        if failures.count < FREE_FAILURES:
            return 0.0
        doublings = min(failures.count - FREE_FAILURES, 30)
        wait_s: float = min(WAIT_S * 2**doublings, LONGEST_WAIT_S)
        return max(0.0, failures.last_at_s + wait_s - self._now_s())

    def spend(self, key: object) -> None:
        """Count a failure."""
        self._failures.put(key, Failures(self._of(key).count + 1, self._now_s()))

    def give_back(self, key: object) -> None:
        """Count one failure less."""
        failures = self._of(key)
        self._failures.put(key, Failures(max(0, failures.count - 1), failures.last_at_s))

    def forget(self, key: object) -> None:
        """Begin anew."""
        self._failures.drop(key)

    def _of(self, key: object) -> Failures:
        failures = self._failures.get(key)
        if failures is None or self._now_s() - failures.last_at_s > FORGOTTEN_AFTER_S:
            return Failures(0, 0.0)
        return failures
