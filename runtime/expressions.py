"""The one door to expressions: ``{{ … }}`` in parameters, compiled once and evaluated against a Scope.

A text that is exactly one expression keeps the type of its value; between other text, values are written as text.
Nothing that a payload holds is ever read as an expression. See ``runtime.dialect`` for what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from runtime import budget, cost, dialect, scanner
from runtime.allowlist import Fault
from runtime.budget import TooMuchInPlace
from runtime.cost import Read
from runtime.errors import ExpressionError
from runtime.expression_parts import Constant, Expression, ListValue, ObjectValue, Part, Text
from runtime.scanner import ScanError, Source
from runtime.scope import Scope

__all__ = [
    "ExpressionError",
    "Found",
    "Scope",
    "TooMuchInPlace",
    "Value",
    "Written",
    "compile_condition",
    "compile_params",
    "compile_value",
    "count_of",
    "has_expression",
    "is_condition_costly",
    "made",
    "names_of_condition",
    "problems_of",
    "problems_of_condition",
    "tokens_in",
]

Json: TypeAlias = Any
Path: TypeAlias = tuple[str | int, ...]
Written: TypeAlias = tuple[str, Json, tuple[str, ...]]
CACHED_CHARS = 20_000  # a longer text is compiled each time


@dataclass(frozen=True, slots=True)
class Value:
    """A parameter, ready to be evaluated.

    *written* is what ``made`` takes to make it again, in another process. *is_costly* tells by its shape that it is
    to be evaluated there; *reads* what it needs of its names, see ``runtime.cost``.
    """

    part: Part
    written: Written
    is_costly: bool
    reads: frozenset[Read]

    @property
    def is_constant(self) -> bool:
        return self.part.is_constant

    def evaluate(self, scope: Scope) -> Json:
        """Return the value as plain JSON, not to be changed. Only for a process that may be killed, and for tests.

        Raises ExpressionError with the path to the text, also when all expressions together take too much work.
        """
        budget.refill()
        return self.part.read(scope)

    def evaluate_in_place(self, scope: Scope) -> Json:
        """Return the value as ``evaluate`` does, when that takes little work. Raises TooMuchInPlace when it does not.

        For a value that is not costly.
        """
        budget.refill(is_in_place=True)
        return self.part.read(scope)


class Found(NamedTuple):
    """One problem of an expression: the way to its text, and the character in it.

    *suggestion* is what was meant by *length* characters there.
    """

    path: Path
    code: str
    message: str
    position: int | None
    length: int | None = None
    suggestion: str | None = None


def compile_value(value: Json) -> Value:
    """Return *value*, any JSON, with the expressions in all its texts compiled. Raises ExpressionError."""
    return _value(_compile(value), ("value", value, ()))


def compile_params(params: dict[str, Json], late: Collection[str] = ()) -> Value:
    """Return parameters compiled, but those named in *late* as they are written. Raises ExpressionError."""
    if not any(name in params for name in late):
        return compile_value(params)
    entries = [(name, Constant(value) if name in late else _compile_at(name, value)) for name, value in params.items()]
    return _value(ObjectValue(tuple(entries)), ("params", params, tuple(late)))


def compile_condition(text: str) -> Value:
    """Return one expression, which may stand without braces. Raises ExpressionError."""
    return _value(_compile_source(_condition(text)), ("condition", text, ()))


def made(kind: str, value: Json, late: Collection[str]) -> Value:
    """Return again what another process has compiled, from what is *written* there. Raises ExpressionError."""
    if kind == "condition":
        return compile_condition(value)
    return compile_params(value, late) if kind == "params" else compile_value(value)


def problems_of_condition(text: str) -> list[Found]:
    """Return everything that is wrong with one expression, which may stand without braces."""
    try:
        source = _condition(text)
    except ExpressionError as error:
        return [Found((), error.code, error.message, error.position)]
    return [_found((), fault) for fault in dialect.faults_of(source)]


def is_condition_costly(text: str) -> bool:
    """Return whether one expression without faults is evaluated in another process; nothing is compiled."""
    return cost.is_costly(dialect.cost_of(_condition(text)).parts)


def names_of_condition(text: str) -> list[str]:
    """Return the names in one expression that can be read, such as ``$param``, each once and in their order."""
    return list(dict.fromkeys(token.text for token in _condition(text).tokens if token.kind == "root"))


def problems_of(value: Json) -> list[Found]:
    """Return everything that is wrong with the expressions in *value*; nothing is compiled or evaluated."""
    return list(_problems_of(value, ()))


def has_expression(value: Json) -> bool:
    """Return whether any text in *value* has the beginning of an expression."""
    if isinstance(value, str):
        return scanner.OPEN in value
    if isinstance(value, dict):
        return any(map(has_expression, value.values()))
    return isinstance(value, list) and any(map(has_expression, value))


def count_of(value: Json) -> int:
    """Return how many expressions begin in *value*."""
    if isinstance(value, str):
        return value.count(scanner.OPEN)
    if isinstance(value, dict):
        return sum(map(count_of, value.values()))
    return sum(map(count_of, value)) if isinstance(value, list) else 0


def tokens_in(value: Json, *, is_bare: bool = False) -> int:
    """Return how many names, signs and values the expressions in *value* have; what cannot be read has none.

    *is_bare*: a text is one expression, which may stand without braces.
    """
    if isinstance(value, str):
        if is_bare and not value.lstrip().startswith(scanner.OPEN):
            return _count(lambda: [scanner.bare(value)])
        return _count(lambda: scanner.pieces(value)) if scanner.OPEN in value else 0
    if isinstance(value, dict):
        return sum(map(tokens_in, value.values()))
    return sum(map(tokens_in, value)) if isinstance(value, list) else 0


def _count(scan: Callable[[], Iterable[str | Source]]) -> int:
    try:
        return sum(len(piece.tokens) for piece in scan() if isinstance(piece, Source))
    except ScanError:
        return 0


def _value(part: Part, written: Written) -> Value:
    found = part.cost
    return Value(part, written, cost.is_costly(found.parts), found.reads)


def _compile(value: Json) -> Part:
    if isinstance(value, str):
        return _compile_text(value) if len(value) <= CACHED_CHARS else _compile_text.__wrapped__(value)
    if isinstance(value, (dict, list)):
        pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
        parts = [(key, _compile_at(key, entry)) for key, entry in pairs]
        if all(part.is_constant for _key, part in parts):
            return Constant(value)
        if isinstance(value, dict):
            return ObjectValue(tuple((str(key), part) for key, part in parts))
        return ListValue(tuple(part for _key, part in parts))
    return Constant(value)


def _compile_at(key: str | int, value: Json) -> Part:
    try:
        return _compile(value)
    except ExpressionError as error:
        raise ExpressionError(error.code, error.message, error.position, (key, *error.path)) from None


def _condition(text: str) -> Source:
    try:
        if not text.lstrip().startswith(scanner.OPEN):
            return scanner.bare(text)
        pieces = scanner.split(text.strip())
    except ScanError as error:
        raise ExpressionError(error.code, error.message, error.position) from None
    if len(pieces) == 1 and isinstance(pieces[0], Source):
        return pieces[0]
    raise ExpressionError("expression.syntax", "A condition is one expression: put all of it between “{{” and “}}”.", 0)


@lru_cache(maxsize=2048)
def _compile_text(text: str) -> Part:
    if scanner.OPEN not in text:
        return Constant(text)
    try:
        pieces = scanner.pieces(text)
    except ScanError as error:
        raise ExpressionError(error.code, error.message, error.position) from None
    parts = [piece if isinstance(piece, str) else _compile_source(piece) for piece in pieces]
    if len(parts) == 1 and isinstance(parts[0], Expression):
        return parts[0]
    return Text(tuple(parts))


def _compile_source(source: Source) -> Expression:
    run, found = dialect.compile_with_cost(source)
    return Expression(run, source.position, found)


def _problems_of(value: Json, path: Path) -> Iterator[Found]:
    if isinstance(value, str):
        if scanner.OPEN in value:
            yield from _problems_of_text(value, path)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from _problems_of(entry, (*path, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _problems_of(entry, (*path, index))


def _problems_of_text(text: str, path: Path) -> Iterator[Found]:
    faults = _faults_of_text(text) if len(text) <= CACHED_CHARS else _faults_of_text.__wrapped__(text)
    for fault in faults:
        yield _found(path, fault)


def _found(path: Path, fault: Fault) -> Found:
    return Found(path, fault.code, fault.message, fault.position, fault.length, fault.suggestion)


@lru_cache(maxsize=2048)
def _faults_of_text(text: str) -> tuple[Fault, ...]:
    try:
        pieces = scanner.pieces(text)
    except ScanError as error:
        return (Fault(error.code, error.message, error.position),)
    return tuple(fault for piece in pieces if isinstance(piece, Source) for fault in dialect.faults_of(piece))
