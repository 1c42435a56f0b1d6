"""Which ways a run can take, exactly: conditions over what each node fires, as a reduced decision diagram.

A condition is *always*, *never*, or a table that says for each value of one choice which condition is left. Equal ones
are the same object, so asking whether one excludes another is a walk over two diagrams and no search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

MOST_TABLES: Final = 20_000  # of one flow; past it nothing more is told apart


class TooMany(Exception):
    """The flow has more ways through it than are told apart."""


class Table:
    """Which condition is left for each value of the choice with this number."""

    __slots__ = ("choice", "left")

    def __init__(self, choice: int, left: tuple[Condition, ...]) -> None:
        self.choice = choice
        self.left = left


Condition: TypeAlias = "Table | bool"


class Decisions:
    """Conditions of one flow. A choice is a number; choices that are made earlier have smaller ones."""

    def __init__(self) -> None:
        self._tables: dict[tuple[int, tuple[int, ...]], Table] = {}
        self._both: dict[tuple[int, int], Condition] = {}
        self._not: dict[int, Condition] = {}

    def is_chosen(self, choice: int, value: int, count: int) -> Condition:
        """Return the condition that *choice*, which has *count* values, has this one."""
        return self._table(choice, [each == value for each in range(count)])

    def both(self, one: Condition, other: Condition) -> Condition:
        """Return where both hold. Raises TooMany."""
        if one is False or other is False:
            return False
        if one is True or one is other:
            return other
        if other is True:
            return one
        key = (id(one), id(other)) if id(one) < id(other) else (id(other), id(one))
        if (found := self._both.get(key)) is None:
            found = self._both[key] = self._joined(one, other)
        return found

    def negation(self, one: Condition) -> Condition:
        """Return where it does not hold."""
        if isinstance(one, bool):
            return not one
        if (found := self._not.get(id(one))) is None:
            found = self._not[id(one)] = self._table(one.choice, [self.negation(each) for each in one.left])
        return found

    def either(self, one: Condition, other: Condition) -> Condition:
        """Return where at least one holds. Raises TooMany."""
        return self.negation(self.both(self.negation(one), self.negation(other)))

    def implies(self, one: Condition, other: Condition) -> bool:
        """Return whether *other* holds wherever *one* does. Raises TooMany."""
        return self.both(one, self.negation(other)) is False

    def _joined(self, one: Table, other: Table) -> Condition:
        choice = min(one.choice, other.choice)
        count = len(one.left if one.choice == choice else other.left)
        firsts = one.left if one.choice == choice else (one,) * count
        seconds = other.left if other.choice == choice else (other,) * count
        return self._table(choice, [self.both(a, b) for a, b in zip(firsts, seconds, strict=True)])

    def _table(self, choice: int, left: Sequence[Condition]) -> Condition:
        if all(each is left[0] for each in left):
            return left[0]
        key = choice, tuple(id(each) for each in left)
        if (found := self._tables.get(key)) is None:
            if len(self._tables) >= MOST_TABLES:
                raise TooMany
            found = self._tables[key] = Table(choice, tuple(left))
        return found
