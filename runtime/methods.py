"""The methods that expressions may call on text and objects; nothing else can be called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from runtime import budget
from runtime.errors import ExpressionError

Json: TypeAlias = Any
PAIRS = 1_024  # pairs of characters that are compared in one step of work
REFUSED = "expression.refused"  # the code of what reaches behind the values, and its word in the audit log
_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


@dataclass(slots=True)
class Method:
    """A method that was reached and not called yet; *reason* says why it is not a key, where one could be meant."""

    name: str
    owner: Json
    function: Callable[..., Json]
    reason: Callable[[], str] | None = None

    def __bool__(self) -> bool:
        raise self.uncalled()

    def uncalled(self) -> ExpressionError:
        """Return the error of a method that is used like a value."""
        if self.reason is not None and isinstance(self.owner, Mapping):
            return ExpressionError("expression.missing", f"{self.reason()}. The method is written “{self.name}()”.")
        return ExpressionError("expression.method", f"“{self.name}” is a method; write “{self.name}()”.")


def call(method: Json, args: tuple[Json, ...], kwargs: Mapping[str, Json]) -> Json:
    """Return what a method gives. Raises ExpressionError for anything that is no method or got wrong arguments."""
    if type(method) is not Method:
        raise ExpressionError("expression.call", f"{kind_of(method).capitalize()} cannot be called like a function.")
    owner = method.owner
    budget.spend(1 + len(owner) // 16)
    try:
        return method.function(owner, *args, **kwargs)
    except (TypeError, ValueError, AttributeError):
        message = f"“{method.name}()” was given something it does not understand."
        raise ExpressionError("expression.arguments", message) from None


def kind_of(value: Json) -> str:
    """Return what kind of value this is, for messages."""
    return _KINDS.get(type(value), "something else")


def refused() -> ExpressionError:
    """The one answer to everything that could reach behind the values."""
    return ExpressionError(REFUSED, "This expression uses something that is not allowed.")


def replace_text(text: str, old: str, new: str, count: int = -1) -> str:
    """Return *text* with *old* replaced by *new*, after a look at how long that would be."""
    found = text.count(old)
    found = found if count < 0 else min(found, count)
    budget.check_text(len(text) + found * (len(new) - len(old)))
    return text.replace(old, new, count)


def split_text(text: str, sep: str | None = None, maxsplit: int = -1) -> list[str]:
    """Return the pieces of *text* between *sep*, or between spaces."""
    pieces = text.split(sep, maxsplit)
    budget.spend(len(pieces))
    return pieces


def stripped(strip: Callable[[str, str | None], str]) -> Callable[..., str]:
    """Return *strip*, which looks for each character at an end among all of *chars*, paid for."""

    def paid(text: str, chars: str | None = None) -> str:
        _pay_for_pairs(text, chars)
        return strip(text, chars)

    return paid


def _rfind(text: str, part: str) -> int:
    _pay_for_pairs(text, part)  # from the end, Python searches without the measures that it has from the start
    return text.rfind(part)


def _rpartition(text: str, sep: str) -> list[str]:
    _pay_for_pairs(text, sep)
    return list(text.rpartition(sep))


def _rsplit(text: str, sep: str | None = None, maxsplit: int = -1) -> list[str]:
    _pay_for_pairs(text, sep)
    return text.rsplit(sep, maxsplit)


def _pay_for_pairs(text: str, other: str | None) -> None:
    if other is not None:
        budget.spend(len(text) * len(other) // PAIRS)


def _join(separator: str, items: Json) -> str:
    if not isinstance(items, list):
        raise TypeError
    budget.check_text(sum(map(len, items)) + len(separator) * len(items))
    return separator.join(items)


def _zfill(text: str, width: int) -> str:
    budget.check_text(width)
    return text.zfill(width)


def _listed(text: str) -> list[str]:
    lines = text.splitlines()
    budget.spend(len(lines))
    return lines


def _is_one_of(check: Callable[..., bool]) -> Callable[..., bool]:
    def answer(text: str, ends: Json) -> bool:
        if isinstance(ends, list):
            budget.spend(len(ends) + sum(map(len, ends)) // PAIRS)
        return check(text, tuple(ends) if isinstance(ends, list) else ends)

    return answer


def _expanding(change: Callable[[str], str]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        budget.check_text(len(text))
        return change(text)

    return changed


def _listed_object(listed: Callable[[Mapping[str, Json]], list[Json]]) -> Callable[..., list[Json]]:
    def paid(mapping: Mapping[str, Json]) -> list[Json]:
        budget.spend(len(mapping))
        return listed(mapping)

    return paid


METHODS: Mapping[type, Mapping[str, Callable[..., Json]]] = {
    str: {
        "capitalize": _expanding(str.capitalize),
        "casefold": _expanding(str.casefold),
        "count": lambda text, part: text.count(part),
        "endswith": _is_one_of(str.endswith),
        "find": lambda text, part: text.find(part),
        "isalnum": lambda text: text.isalnum(),
        "isalpha": lambda text: text.isalpha(),
        "isdigit": lambda text: text.isdigit(),
        "islower": lambda text: text.islower(),
        "isnumeric": lambda text: text.isnumeric(),
        "isspace": lambda text: text.isspace(),
        "isupper": lambda text: text.isupper(),
        "join": _join,
        "lower": _expanding(str.lower),
        "lstrip": stripped(str.lstrip),
        "partition": lambda text, sep: list(text.partition(sep)),
        "removeprefix": lambda text, prefix: text.removeprefix(prefix),
        "removesuffix": lambda text, suffix: text.removesuffix(suffix),
        "replace": replace_text,
        "rfind": _rfind,
        "rpartition": _rpartition,
        "rsplit": _rsplit,
        "rstrip": stripped(str.rstrip),
        "split": split_text,
        "splitlines": _listed,
        "startswith": _is_one_of(str.startswith),
        "strip": stripped(str.strip),
        "swapcase": _expanding(str.swapcase),
        "title": _expanding(str.title),
        "upper": _expanding(str.upper),
        "zfill": _zfill,
    },
    dict: {
        "get": lambda mapping, key, default=None: mapping.get(key, default),
        "items": _listed_object(lambda mapping: [[key, value] for key, value in mapping.items()]),
        "keys": _listed_object(list),
        "values": _listed_object(lambda mapping: list(mapping.values())),
    },
}
METHOD_NAMES = frozenset(name for methods in METHODS.values() for name in methods)
