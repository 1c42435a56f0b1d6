"""The filters and tests of expressions. Each is bounded by its input or looks before it grows something."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from runtime import budget, filters_lists, filters_text, operators
from runtime.access import Missing, present
from runtime.errors import ExpressionError
from runtime.methods import kind_of

Json: TypeAlias = Any
Function: TypeAlias = Callable[..., Json]


def default(value: Json, default_value: Json = "", boolean: bool = False) -> Json:
    """Return *default_value* where the value is missing; with *boolean* also where it is empty, zero or null."""
    if type(value) is Missing or (boolean and not value):
        return default_value
    return value


def _map(value: Json, name: str | None = None, *args: Json, attribute: Json = None, default: Json = None) -> Json:
    """Return each entry's field (``attribute='user.mail'``), or what a filter makes of each entry."""
    entries = filters_lists.entries_of(value)
    if attribute is not None:
        return [filters_lists.field_of(entry, attribute, default) for entry in entries]
    if name is None:
        raise TypeError
    function = FILTERS[name]
    return [present(function(entry, *args)) for entry in entries]


def _choosing(wanted: bool, by_field: bool) -> Function:
    def choose(value: Json, *args: Json) -> Json:
        entries = filters_lists.entries_of(value)
        field, args = (args[0], args[1:]) if by_field else (None, args)
        test = TESTS[args[0]] if args else _is_true
        chosen = []
        for entry in entries:
            looked_at = filters_lists.field_of(entry, field, None) if by_field else entry
            if bool(test(looked_at, *args[1:])) == wanted:
                chosen.append(entry)
        return chosen

    return choose


def _is_true(value: Json) -> bool:
    return bool(value)


def _comparing(sign: str) -> Function:
    return lambda value, other: operators.compare(value, (sign,), other)


def _divisible(value: Json, num: Json) -> bool:
    return bool(operators.binary("%", value, num) == 0)


_FILTERS: dict[str, Function] = {
    **filters_text.FILTERS,
    **filters_lists.FILTERS,
    "map": _map,
    "reject": _choosing(False, False),
    "rejectattr": _choosing(False, True),
    "select": _choosing(True, False),
    "selectattr": _choosing(True, True),
}
_TESTS: dict[str, Function] = {
    "boolean": lambda value: type(value) is bool,
    "divisibleby": _divisible,
    "eq": _comparing("eq"),
    "even": lambda value: operators.binary("%", value, 2) == 0,
    "false": lambda value: value is False,
    "float": lambda value: type(value) is float,
    "ge": _comparing("gteq"),
    "gt": _comparing("gt"),
    "in": lambda value, holder: operators.contains(holder, value),
    "integer": lambda value: type(value) is int,
    "iterable": lambda value: isinstance(value, (str, list, Mapping)),
    "le": _comparing("lteq"),
    "lower": lambda value: str.islower(value),
    "lt": _comparing("lt"),
    "mapping": lambda value: isinstance(value, Mapping),
    "ne": _comparing("ne"),
    "none": lambda value: value is None,
    "number": lambda value: isinstance(value, (int, float)),
    "odd": lambda value: operators.binary("%", value, 2) == 1,
    "sequence": lambda value: isinstance(value, (str, list, Mapping)),
    "string": lambda value: type(value) is str,
    "true": lambda value: value is True,
    "upper": lambda value: str.isupper(value),
}
_ALSO = {"d": "default", "e": "escape", "count": "length", "fromjson": "parse_json"}
_TESTS_ALSO = {
    "==": "eq",
    "equalto": "eq",
    "!=": "ne",
    ">": "gt",
    "greaterthan": "gt",
    ">=": "ge",
    "<": "lt",
    "lessthan": "lt",
    "<=": "le",
}


def _guarded(name: str, function: Function, what: str) -> Function:
    """Return *function* so that it sees only values that are there, pays for its work and fails in words."""

    def call(value: Json, *args: Json, **settings: Json) -> Json:
        present(value)
        for setting in (*args, *settings.values()):
            present(setting)
        budget.spend(1 + (len(value) // 16 if isinstance(value, (str, list, dict)) else 0))
        try:
            result = function(value, *args, **settings)
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError):
            message = f"The {what} “{name}” cannot work on {kind_of(value)} with these settings."
            raise ExpressionError("expression.type", message) from None
        if type(result) is str:
            budget.check_text(len(result))
        return result

    return call


FILTERS: dict[str, Function] = {
    **{name: _guarded(name, function, "filter") for name, function in _FILTERS.items()},
    "default": default,
}
TESTS: dict[str, Function] = {
    **{name: _guarded(name, function, "test") for name, function in _TESTS.items()},
    "defined": lambda value: type(value) is not Missing,
    "undefined": lambda value: type(value) is Missing,
}
FILTERS |= {short: FILTERS[name] for short, name in _ALSO.items()}
TESTS |= {short: TESTS[name] for short, name in _TESTS_ALSO.items()}
_SIGNATURES = {
    ("filter", name): inspect.signature(_FILTERS.get(_ALSO.get(name, name), default)) for name in FILTERS
} | {("test", name): inspect.signature(_TESTS.get(_TESTS_ALSO.get(name, name), _is_true)) for name in TESTS}


def signature(what: str, name: str) -> inspect.Signature:
    """Return what the filter or test takes; the value it works on comes first."""
    return _SIGNATURES[what, name]


def first_name(what: str, name: str) -> str:
    """Return the name that a filter or test is listed under."""
    return (_ALSO if what == "filter" else _TESTS_ALSO).get(name, name)


def summary(what: str, name: str) -> str:
    """Return the first line of what a filter or test says of itself."""
    function = (_FILTERS | {"default": default} if what == "filter" else _TESTS).get(first_name(what, name))
    return (getattr(function, "__doc__", None) or "").strip().partition("\n")[0]


def accepts(what: str, name: str, count: int, settings: frozenset[str]) -> bool:
    """Return whether the filter or test takes this many unnamed settings and these named ones."""
    try:
        _SIGNATURES[what, name].bind(None, *(None,) * count, **dict.fromkeys(settings))
    except TypeError:
        return False
    return True
