"""How filters and tests are declared: a function's annotations say what it takes, its docstring is its help.

``Guard`` stands around each function: values are there, of the right kind and paid for before the function sees them,
and what goes wrong becomes a sentence that names the filter and the argument, never a value.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, Union, get_args, get_origin, get_type_hints

from runtime import budget, results
from runtime.access import present
from runtime.errors import ExpressionError, WrongArgumentError, WrongValueError
from runtime.methods import kind_of

Json: TypeAlias = Any
Function: TypeAlias = Callable[..., Json]
What: TypeAlias = Literal["filter", "test", "method"]
ANY = "any"
_KINDS = {str: "text", int: "number", float: "number", bool: "boolean", list: "list", dict: "object", NoneType: "null"}
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list"} | {
    dict: "an object",
    NoneType: "null",
}
_MANY = inspect.Parameter.VAR_POSITIONAL
_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, _MANY)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Reader:
    """What a filter takes in one place. *read*, where there is one, turns it into what the function works with."""

    types: frozenset[type]  # of the values; empty: any
    wanted: str = "a value"
    read: Callable[[Json], Json] | None = None

    @cached_property
    def kinds(self) -> frozenset[str]:
        return frozenset(_KINDS[each] for each in self.types if each in _KINDS) or frozenset({ANY})

    def suits(self, value: Json) -> bool:
        kind = type(value)
        return not self.types or kind in self.types or (dict in self.types and isinstance(value, Mapping))

    def taken(self, value: Json) -> Json:
        """Return what the function works with. Raises WrongValueError."""
        return value if self.read is None or value is None else self.read(value)

    def refusal(self, value: Json) -> str | None:
        """Return why a value of the right kind is not taken, as the end of a sentence; this is no evaluation."""
        budget.refill()
        try:
            if self.suits(value):
                self.taken(value)
        except WrongValueError as error:
            return error.ending
        except ExpressionError:  # what is beyond a limit is told when it is evaluated
            return None
        return None


def _entries(value: Json) -> list[Json]:
    """Return the entries of a list, the keys of an object or the characters of a text, and pay for looking at each."""
    entries = value if type(value) is list else list(value)
    budget.spend(len(entries))
    return entries


def at_least(low: int, name: str, number: int) -> int:
    """Return an argument that is not less than *low*. Raises WrongArgumentError."""
    if number < low:
        raise WrongArgumentError(name, f"must be at least {low}")
    return number


def within(low: int, high: int, name: str, number: float) -> Json:
    """Return an argument that is from *low* to *high*. Raises WrongArgumentError."""
    if not low <= number <= high:
        raise WrongArgumentError(name, f"must be from {low:,} to {high:,}")
    return number


class Unset:
    """Stands for an argument that was not given, where null would mean something."""


UNSET: Json = Unset()
_WRITTEN = Reader(frozenset({str, int, float, bool}), "text", results.to_text)
Written: TypeAlias = Annotated[str, _WRITTEN]  # text, or a number or truth value as it stands in a text
Entries: TypeAlias = Annotated[list[Json], Reader(frozenset({list, dict, str}), "a list, an object or text", _entries)]


@dataclass(frozen=True)
class Parameter:
    """One argument of a filter or test; one that *is_many* takes all that follow."""

    name: str
    reader: Reader
    default: Json
    kind: Any  # inspect's

    @property
    def has_name(self) -> bool:
        return self.kind in _BY_NAME

    @property
    def is_many(self) -> bool:
        return bool(self.kind is _MANY)

    @property
    def is_required(self) -> bool:
        return self.default is inspect.Parameter.empty and not self.is_many


class Group(NamedTuple):
    """Filters or tests that belong together.

    *cheap* ones look at the value a fixed number of times and pay before they do. *costly* ones go through a list entry
    by entry, apply others, sort, or read a text with a pattern; ``runtime.cost`` sends them to the evaluator process.
    """

    title: str
    cheap: tuple[Function, ...] = ()
    costly: tuple[Function, ...] = ()


class Guard:
    """A filter or test that takes any values and raises nothing but ExpressionError."""

    def __init__(
        self, what: What, name: str, function: Function, *, is_costly: bool = True, takes_missing: bool = False
    ) -> None:
        self.what = what
        self.name = name
        self.function = function
        self.is_costly = is_costly
        self.takes_missing = takes_missing
        hints = get_type_hints(function, include_extras=True)
        self.gives = _gives(hints["return"])
        first, *rest = inspect.signature(function).parameters.values()
        self.value = _reader(hints[first.name])
        self.parameters = tuple(
            Parameter(each.name, _reader(hints[each.name]), each.default, each.kind) for each in rest
        )
        self.by_place = tuple(each for each in self.parameters if each.kind in _BY_PLACE)
        self.by_name = {each.name: each for each in self.parameters if each.has_name}

    def __call__(self, value: Json, /, *args: Json, **settings: Json) -> Json:
        if not self.takes_missing:
            present(value)
        budget.spend(1 + (len(value) // 16 if isinstance(value, (str, list, dict)) else 0))
        try:
            result = self.function(self._value(value), *self._arguments(args), **self._settings(settings))
        except WrongValueError as error:
            message = f"The {self.what} “{self.name}”: the value {error.ending}."
            raise ExpressionError("expression.type", message) from None
        except WrongArgumentError as error:
            raise self._wrong(error.name, error.ending) from None
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError):
            message = f"The {self.what} “{self.name}” cannot work on {kind_of(value)} with these settings."
            raise ExpressionError("expression.type", message) from None
        if type(result) is str:
            budget.check_text(len(result))
        return result

    def _value(self, value: Json) -> Json:
        reader = self.value
        if not reader.suits(value):
            hint = "; “float” reads a number from it" if reader.kinds == {"number"} and type(value) is str else ""
            message = f"The {self.what} “{self.name}” works on {reader.wanted}, not on {kind_of(value)}{hint}."
            raise ExpressionError("expression.type", message)
        return reader.taken(value)

    def _arguments(self, args: tuple[Json, ...]) -> list[Json]:
        last = len(self.by_place) - 1
        return [self._argument(self.by_place[min(place, last)], arg) for place, arg in enumerate(args)]

    def _settings(self, settings: Mapping[str, Json]) -> dict[str, Json]:
        return {name: self._argument(self.by_name[name], value) for name, value in settings.items()}

    def _argument(self, parameter: Parameter, value: Json) -> Json:
        if not self.takes_missing:
            present(value)
        reader = parameter.reader
        if not reader.suits(value):
            raise WrongArgumentError(parameter.name, f"must be {reader.wanted}, not {kind_of(value)}")
        try:
            return reader.taken(value)
        except WrongValueError as error:
            raise WrongArgumentError(parameter.name, error.ending) from None

    def _wrong(self, name: str, ending: str) -> ExpressionError:
        return ExpressionError("expression.arguments", f"The {self.what} “{self.name}”: “{name}” {ending}.")

    def misfit(self, count: int, settings: frozenset[str]) -> str | None:
        """Return why this many unnamed arguments and these named ones do not fit, as the end of a sentence."""
        if unknown := sorted(settings - set(self.by_name)):
            there = f"there are: {', '.join(self.by_name)}" if self.by_name else "none is written with its name"
            return f"has no argument “{unknown[0][:40]}”; {there}"
        most = len(self.by_place)
        if count > most and not (most and self.by_place[-1].is_many):
            return f"takes at most {most} argument{'' if most == 1 else 's'}" if most else "takes no arguments"
        placed = [each.name for each in self.by_place[:count]]
        if twice := sorted(settings.intersection(placed)):
            return f"is given “{twice[0]}” twice"
        absent = [each for each in self.parameters if each.is_required and each.name not in (*placed, *settings)]
        return f"needs “{absent[0].name}”" if absent else None


def _reader(hint: Any) -> Reader:
    members = get_args(hint) if get_origin(hint) in (Union, UnionType, Literal) else (hint,)
    readers = [each for member in members if get_origin(member) is Annotated for each in get_args(member)[1:]]
    if readers:
        reader: Reader = readers[0]
        return replace(reader, types=reader.types | {each for each in members if each is NoneType})
    if get_origin(hint) is Literal:
        return Reader(frozenset({str}), "text", partial(_chosen, members))
    types = _types(members)
    if types is None:
        return Reader(frozenset())
    whole = types | {int: None} if float in types else types
    return Reader(frozenset(whole), " or ".join(_WORDS[each] for each in types))


def _chosen(choices: tuple[str, ...], choice: str) -> str:
    if choice not in choices:
        raise WrongValueError(f"must be one of: {', '.join(choices)}")
    return choice


def _types(members: tuple[Any, ...]) -> dict[type, None] | None:
    """Return the types of JSON values that an annotation names, in its order; None for any."""
    if Any in members:
        return None
    origins = [get_origin(each) or each for each in members]
    return dict.fromkeys(dict if each is Mapping else each for each in origins)


def _gives(hint: Any) -> str:
    kinds = _reader(hint).kinds
    return next(iter(kinds)) if len(kinds) == 1 else ANY
