"""What stands after `is`: questions about a value that are answered with true or false."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from runtime import access, budget, moments, operators
from runtime.filter_spec import Group, WrongArgumentError, WrongValueError
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


def boolean(value: Any) -> bool:
    """Is it true or false?

    {{ false is boolean }} → true
    """
    return type(value) is bool


def contains(value: str | list[Any] | Mapping[str, Any], part: Any) -> bool:
    """Is *part* an entry of the list, a key of the object, or a piece of the text?

    {{ ['red', 'green'] is contains('red') }} → true
    {{ 'redwood' is contains('wood') }} → true
    """
    return operators.contains(value, part)


def date(value: Any) -> bool:
    """Can it be read as a date or time?

    {{ '2024-05-03' is date }} → true
    {{ 'tomorrow' is date }} → false
    """
    if type(value) not in (str, int, float):
        return False
    try:
        moments.read(value)
    except WrongValueError:
        return False
    return True


def defined(value: Any) -> bool:
    """Is there a value? Null is one.

    {{ {'a': null}.a is defined }} → true
    {{ {'a': null}.b is defined }} → false
    """
    return not access.is_missing(value)


def divisibleby(value: float, number: float) -> bool:
    """Does the number divide the value without a rest?

    {{ 12 is divisibleby(4) }} → true
    """
    if number == 0:
        raise WrongArgumentError("number", "must not be 0")
    return bool(operators.binary("%", value, number) == 0)


def empty(value: Any) -> bool:
    """Is it null, or a text, list or object with nothing in it?

    {{ '' is empty }} → true
    {{ 0 is empty }} → false
    """
    return value is None or (isinstance(value, (str, list, Mapping)) and len(value) == 0)


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


def false(value: Any) -> bool:
    """Is it false, and not only empty or 0?

    {{ 0 is false }} → false
    """
    return value is False


def float_(value: Any) -> bool:
    """Is it a number that is written with a fraction?

    {{ 1.0 is float }} → true
    """
    return type(value) is float


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


def integer(value: Any) -> bool:
    """Is it a number that is written without a fraction?

    {{ 1 is integer }} → true
    """
    return type(value) is int


def iterable(value: Any) -> bool:
    """Is it a list, an object or a text?

    {{ 'abc' is iterable }} → true
    """
    return isinstance(value, (str, list, Mapping))


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


def list_(value: Any) -> bool:
    """Is it a list?

    {{ [1] is list }} → true
    """
    return type(value) is list


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


def mapping(value: Any) -> bool:
    """Is it an object?

    {{ {'a': 1} is mapping }} → true
    """
    return isinstance(value, Mapping)


def ne(value: Any, other: Any) -> bool:
    """Do they differ?

    {{ 1 is ne(2) }} → true
    """
    return operators.compare(value, ("ne",), other)


def none(value: Any) -> bool:
    """Is it null?

    {{ null is none }} → true
    """
    return value is None


def number(value: Any) -> bool:
    """Is it a number?

    {{ 1.5 is number }} → true
    {{ '1.5' is number }} → false
    """
    return type(value) in (int, float)


def odd(value: float) -> bool:
    """Is the number odd?

    {{ 3 is odd }} → true
    """
    return bool(operators.binary("%", value, 2) == 1)


def sequence(value: Any) -> bool:
    """Is it a list, an object or a text?

    {{ [1] is sequence }} → true
    """
    return iterable(value)


def startswith(value: str, start: str) -> bool:
    """Does the text begin with that?

    {{ 'order-17' is startswith('order-') }} → true
    """
    return value.startswith(start)


def string(value: Any) -> bool:
    """Is it text?

    {{ '5' is string }} → true
    """
    return type(value) is str


def true(value: Any) -> bool:
    """Is it true, and not only something that counts as true?

    {{ 1 is true }} → false
    """
    return value is True


def undefined(value: Any) -> bool:
    """Is there no value?

    {{ {'a': null}.b is undefined }} → true
    """
    return access.is_missing(value)


def upper(value: str) -> bool:
    """Are all letters of the text capitals?

    {{ 'DE' is upper }} → true
    """
    return value.isupper()


TESTS = Group(
    "Tests",
    cheap=(
        *(after, before, boolean, contains, date, defined, divisibleby, empty, endswith, eq, even, false, float_, ge),
        *(gt, in_, integer, iterable, le, like, list_, lower, lt, mapping, ne, none, number, odd, sequence),
        *(startswith, string, true, undefined, upper),
    ),
)
