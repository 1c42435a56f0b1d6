"""What stands after `is` and asks what kind of value there is, or whether there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from runtime import access, moments
from runtime.errors import WrongValueError
from runtime.filter_spec import Group

Json: TypeAlias = Any


def boolean(value: Any) -> bool:
    """Is it true or false?

    {{ false is boolean }} → true
    """
    return type(value) is bool


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


def empty(value: Any) -> bool:
    """Is it null, or a text, list or object with nothing in it?

    {{ '' is empty }} → true
    {{ 0 is empty }} → false
    """
    return value is None or (isinstance(value, (str, list, Mapping)) and len(value) == 0)


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


def list_(value: Any) -> bool:
    """Is it a list?

    {{ [1] is list }} → true
    """
    return type(value) is list


def mapping(value: Any) -> bool:
    """Is it an object?

    {{ {'a': 1} is mapping }} → true
    """
    return isinstance(value, Mapping)


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


def sequence(value: Any) -> bool:
    """Is it a list, an object or a text?

    {{ [1] is sequence }} → true
    """
    return iterable(value)


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


KIND_TESTS = Group(
    "Tests",
    cheap=(
        boolean,
        date,
        defined,
        empty,
        false,
        float_,
        integer,
        iterable,
        list_,
        mapping,
        none,
        number,
        sequence,
        string,
        true,
        undefined,
    ),
)
