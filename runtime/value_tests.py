"""What stands after `is` and compares a value with something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from runtime import budget, operators
from runtime.errors import WrongArgumentError
from runtime.filter_spec import Group
from runtime.moments import Moment

Json: TypeAlias = Any


def after(value: Moment, other: Moment) -> bool:
    """Is the date or time later than the other?

    {{ '2024-05-03T12:00:00+02:00' is after('2024-05-03T09:30:00Z') }} → true
    """
    return value.at > other.at


def before(value: Moment, other: Moment) -> bool:
    """Is the date or time earlier than the other?

    {{ '2024-05-03' is before('2024-06-01') }} → true
    """
    return value.at < other.at


def contains(value: str | list[Any] | Mapping[str, Any], part: Any) -> bool:
    """Is *part* an entry of the list, a key of the object, or a piece of the text?

    {{ ['red', 'green'] is contains('red') }} → true
    {{ 'redwood' is contains('wood') }} → true
    """
    return operators.contains(value, part)


def divisibleby(value: float, number: float) -> bool:
    """Does the number divide the value without a rest?

    {{ 12 is divisibleby(4) }} → true
    """
    if number == 0:
        raise WrongArgumentError("number", "must not be 0")
    return bool(operators.binary("%", value, number) == 0)


def endswith(value: str, end: str) -> bool:
    """Does the text end with that?

    {{ 'report.pdf' is endswith('.pdf') }} → true
    """
    return value.endswith(end)


def eq(value: Any, other: Any) -> bool:
    """Are both equal?

    {{ [1, 2] is eq([1, 2]) }} → true
    """
    return operators.compare(value, ("eq",), other)


def even(value: float) -> bool:
    """Is the number even?

    {{ 4 is even }} → true
    """
    return bool(operators.binary("%", value, 2) == 0)


def ge(value: Any, other: Any) -> bool:
    """Is the number or text as large as the other, or larger?

    {{ 5 is ge(5) }} → true
    """
    return operators.compare(value, ("gteq",), other)


def gt(value: Any, other: Any) -> bool:
    """Is the number or text larger than the other?

    {{ [1, 5, 9] | select('gt', 4) }} → [5, 9]
    """
    return operators.compare(value, ("gt",), other)


def in_(value: Any, holder: str | list[Any] | Mapping[str, Any]) -> bool:
    """Is it an entry of the list, a key of the object, or a piece of the text?

    {{ 'DE' is in(['DE', 'FR']) }} → true
    """
    return operators.contains(holder, value)


def le(value: Any, other: Any) -> bool:
    """Is the number or text as small as the other, or smaller?

    {{ 5 is le(5) }} → true
    """
    return operators.compare(value, ("lteq",), other)


def like(value: str, pattern: str) -> bool:
    """Does the whole text look like the pattern, in which `*` stands for any characters?

    {{ 'ada@example.com' is like('*@example.com') }} → true
    """
    head, *rest = pattern.split("*")
    if not rest:
        return value == pattern
    *middle, tail = rest
    if len(value) < len(head) + len(tail) or not value.startswith(head) or not value.endswith(tail):
        return False
    at, end = len(head), len(value) - len(tail)
    for piece in middle:
        budget.spend(1 + len(piece) // 16)
        at = value.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def lower(value: str) -> bool:
    """Are all letters of the text small?

    {{ 'tea' is lower }} → true
    """
    return value.islower()


def lt(value: Any, other: Any) -> bool:
    """Is the number or text smaller than the other?

    {{ 4 is lt(5) }} → true
    """
    return operators.compare(value, ("lt",), other)


def ne(value: Any, other: Any) -> bool:
    """Do they differ?

    {{ 1 is ne(2) }} → true
    """
    return operators.compare(value, ("ne",), other)


def odd(value: float) -> bool:
    """Is the number odd?

    {{ 3 is odd }} → true
    """
    return bool(operators.binary("%", value, 2) == 1)


def startswith(value: str, start: str) -> bool:
    """Does the text begin with that?

    {{ 'order-17' is startswith('order-') }} → true
    """
    return value.startswith(start)


def upper(value: str) -> bool:
    """Are all letters of the text capitals?

    {{ 'DE' is upper }} → true
    """
    return value.isupper()


VALUE_TESTS = Group(
    "Tests",
    cheap=(
        after,
        before,
        contains,
        divisibleby,
        endswith,
        eq,
        even,
        ge,
        gt,
        in_,
        le,
        like,
        lower,
        lt,
        ne,
        odd,
        startswith,
        upper,
    ),
)
