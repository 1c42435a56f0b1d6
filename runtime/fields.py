"""The fields that filters such as ``map(attribute='user.mail')`` look at in each entry of a list."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Annotated, Any, TypeAlias

from runtime import access, budget
from runtime.access import ABSENT, Missing, present
from runtime.errors import ExpressionError
from runtime.filter_spec import Reader

Json: TypeAlias = Any
FIELD_CHARS = 200  # of the way to a field, such as user.mail


@dataclass(frozen=True, slots=True)
class Way:
    """The way to a field within an entry; only one that is written in the expression *may_be_told* in a message."""

    steps: access.Steps
    may_be_told: bool

    def of(self, entry: Json) -> Json:
        """Return what the way leads to, or a Missing."""
        budget.spend(len(self.steps))
        for number, (key, _is_attribute) in enumerate(self.steps):
            if type(entry) is Missing:
                return entry
            found = access.reach(entry, key, False)
            if found is ABSENT:
                return self._missing(entry, number)
            entry = found
        return entry

    def within(self, entry: Json) -> Json:
        """Return what the way leads to. Raises ExpressionError when that is nothing."""
        return present(self.of(entry))

    def _missing(self, holder: Json, number: int) -> Missing:
        if self.may_be_told:
            return Missing(partial(access.lost, holder, "entry", self.steps[: number + 1]))
        return Missing(lambda: f"entry[…]: {access.reason(holder, None, 'the entry')}")


@lru_cache(maxsize=1024)
def written(text: str) -> Way:
    """Return the way that stands in an expression, such as ``user.mail`` or ``rows.0``."""
    return _way(text, may_be_told=True)


def way(field: Json) -> Way:
    """Return the way that an argument tells: text, the number of an entry, or a way already."""
    return field if type(field) is Way else _way(str(field), may_be_told=False)


def _way(text: str, *, may_be_told: bool) -> Way:
    if len(text) > FIELD_CHARS:
        raise ExpressionError("expression.arguments", f"The way to a field has more than {FIELD_CHARS} characters.")
    keys = [int(step) if step.isdecimal() and len(step) < 10 else step for step in text.split(".")]
    return Way(tuple((key, True) for key in keys), may_be_told)


@lru_cache(maxsize=1024)
def written_all(text: str) -> tuple[Way, ...]:
    """Return the ways that stand in an expression with commas between them."""
    return tuple(map(written, text.split(",")))


def ways(fields: Json) -> tuple[Way, ...]:
    """Return the ways that an argument tells, separated by commas, or ways already."""
    return fields if type(fields) is tuple else tuple(map(way, str(fields).split(",")))


Field: TypeAlias = Annotated[Way, Reader(frozenset({str, int, Way}), "the name of a field", way)]
Fields: TypeAlias = Annotated[tuple[Way, ...], Reader(frozenset({str, int, tuple}), "the name of a field", ways)]
