"""The methods that expressions may call on text and objects; nothing else can be called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from runtime import budget
from runtime.errors import ExpressionError, WrongArgumentError

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
    reason: Callable[[], str] | None = None

    def __bool__(self) -> bool:
        raise self.uncalled()

    def uncalled(self) -> ExpressionError:
        """Return the error of a method that is used like a value."""
        if self.reason is not None and isinstance(self.owner, Mapping):
            return ExpressionError("expression.missing", f"{self.reason()}. The method is written “{self.name}()”.")
        return ExpressionError("expression.method", f"“{self.name}” is a method; write “{self.name}()”.")


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
    """Return the pieces of *text* between *sep*, or between spaces. Raises WrongArgumentError."""
    _refuse_empty(sep)
    pieces = text.split(sep, maxsplit)
    budget.spend(len(pieces))
    return pieces


def stripped(strip: Callable[[str, str | None], str]) -> Callable[..., str]:
    """Return *strip*, which looks for each character at an end among all of *chars*, paid for."""

    def paid(text: str, chars: str | None = None) -> str:
        _pay_for_pairs(text, chars)
        return strip(text, chars)

    return paid


def _count(text: str, part: str) -> int:
    return text.count(part)


def _find(text: str, part: str) -> int:
    return text.find(part)


def _rfind(text: str, part: str) -> int:
    _pay_for_pairs(text, part)  # from the end, Python searches without the measures that it has from the start
    return text.rfind(part)


def _partition(text: str, sep: str) -> list[str]:
    _refuse_empty(sep)
    return list(text.partition(sep))


def _rpartition(text: str, sep: str) -> list[str]:
    _refuse_empty(sep)
    _pay_for_pairs(text, sep)
    return list(text.rpartition(sep))


def _rsplit(text: str, sep: str | None = None, maxsplit: int = -1) -> list[str]:
    _refuse_empty(sep)
    _pay_for_pairs(text, sep)
    return text.rsplit(sep, maxsplit)


def _refuse_empty(sep: str | None) -> None:
    if sep == "":
        raise WrongArgumentError("sep", "must not be empty")


def _pay_for_pairs(text: str, other: str | None) -> None:
    if other is not None:
        budget.spend(len(text) * len(other) // PAIRS)


def _removeprefix(text: str, prefix: str) -> str:
    return text.removeprefix(prefix)


def _removesuffix(text: str, suffix: str) -> str:
    return text.removesuffix(suffix)


def _join(text: str, entries: list[Json]) -> str:
    for entry in entries:
        if type(entry) is not str:
            ending = f"must be a list of texts, and has {kind_of(entry)} in it; the filter “join” takes anything"
            raise WrongArgumentError("entries", ending)
    budget.check_text(sum(map(len, entries)) + len(text) * len(entries))
    return text.join(entries)


def _zfill(text: str, width: int) -> str:
    budget.check_text(width)
    return text.zfill(width)


def _splitlines(text: str) -> list[str]:
    lines = text.splitlines()
    budget.spend(len(lines))
    return lines


def _startswith(text: str, start: str | list[Json]) -> bool:
    return text.startswith(_one_of("start", start))


def _endswith(text: str, end: str | list[Json]) -> bool:
    return text.endswith(_one_of("end", end))


def _one_of(name: str, parts: str | list[Json]) -> str | tuple[str, ...]:
    if isinstance(parts, str):
        return parts
    for part in parts:
        if type(part) is not str:
            raise WrongArgumentError(name, f"must be text or a list of texts, and has {kind_of(part)} in it")
    budget.spend(len(parts) + sum(map(len, parts)) // PAIRS)
    return tuple(parts)


def _asking(ask: Callable[[str], bool]) -> Callable[[str], bool]:
    def asked(text: str) -> bool:
        return ask(text)

    return asked


def _expanding(change: Callable[[str], str]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        budget.check_text(len(text))
        return change(text)

    return changed


def _get(mapping: dict[str, Json], key: Json, default: Json = None) -> Json:
    if isinstance(key, (list, Mapping)):
        raise WrongArgumentError("key", f"must be text, not {kind_of(key)}")
    return mapping.get(key, default)


def _listed(listed: Callable[[Mapping[str, Json]], list[Json]]) -> Callable[[dict[str, Json]], list[Json]]:
    def paid(mapping: dict[str, Json]) -> list[Json]:
        budget.spend(len(mapping))
        return listed(mapping)

    return paid


def _pairs(mapping: Mapping[str, Json]) -> list[Json]:
    return [[key, value] for key, value in mapping.items()]


def _values(mapping: Mapping[str, Json]) -> list[Json]:
    return list(mapping.values())


METHODS: Mapping[type, Mapping[str, Callable[..., Json]]] = {
    str: {
        "capitalize": _expanding(str.capitalize),
        "casefold": _expanding(str.casefold),
        "count": _count,
        "endswith": _endswith,
        "find": _find,
        "isalnum": _asking(str.isalnum),
        "isalpha": _asking(str.isalpha),
        "isdigit": _asking(str.isdigit),
        "islower": _asking(str.islower),
        "isnumeric": _asking(str.isnumeric),
        "isspace": _asking(str.isspace),
        "isupper": _asking(str.isupper),
        "join": _join,
        "lower": _expanding(str.lower),
        "lstrip": stripped(str.lstrip),
        "partition": _partition,
        "removeprefix": _removeprefix,
        "removesuffix": _removesuffix,
        "replace": replace_text,
        "rfind": _rfind,
        "rpartition": _rpartition,
        "rsplit": _rsplit,
        "rstrip": stripped(str.rstrip),
        "split": split_text,
        "splitlines": _splitlines,
        "startswith": _startswith,
        "strip": stripped(str.strip),
        "swapcase": _expanding(str.swapcase),
        "title": _expanding(str.title),
        "upper": _expanding(str.upper),
        "zfill": _zfill,
    },
    dict: {"get": _get, "items": _listed(_pairs), "keys": _listed(list), "values": _listed(_values)},
}
METHOD_NAMES = frozenset(name for methods in METHODS.values() for name in methods)
