"""What a parameter is made of: constants, expressions alone and between text, lists and objects with any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from runtime import budget, cost, limits, results
from runtime.cost import Cost
from runtime.dialect import Evaluate
from runtime.errors import ExpressionError
from runtime.scope import Scope

Json: TypeAlias = Any
SMALL_BITS = 53  # an integer of fewer is plain JSON wherever it goes


class Part(Protocol):
    """A parameter, or a part of one."""

    @property
    def is_constant(self) -> bool: ...

    @property
    def cost(self) -> Cost: ...

    def read(self, scope: Scope) -> Json: ...


@dataclass(frozen=True, slots=True)
class Constant:
    """A value without expressions."""

    value: Json
    is_constant = True
    cost = cost.FREE

    def read(self, scope: Scope) -> Json:
        return self.value


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression alone: its value keeps its type."""

    run: Evaluate
    position: int
    cost: Cost
    is_constant = False

    def read(self, scope: Scope) -> Json:
        try:
            value = self.run(scope)
            kind = type(value)
            if (kind is str and value.isascii()) or (kind is int and value.bit_length() < SMALL_BITS):
                return value
            return value if kind is bool or value is None else results.plain(value)
        except ExpressionError as error:
            error.position = self.position if error.position is None else error.position
            raise


@dataclass(frozen=True, slots=True)
class Text:
    """Expressions between other text."""

    parts: tuple[str | Expression, ...]
    is_constant = False

    @property
    def cost(self) -> Cost:
        return cost.total(part.cost for part in self.parts if isinstance(part, Expression))

    def read(self, scope: Scope) -> str:
        texts = []
        room = limits.EXPRESSION_TEXT
        try:
            for part in self.parts:
                if isinstance(part, str):
                    texts.append(part)
                    continue
                value = part.run(scope)
                text = value if type(value) is str and value.isascii() else results.to_text(value)
                room -= len(text)
                if room < 0:
                    raise budget.too_large(f"a text of more than {limits.EXPRESSION_TEXT:,} characters")
                texts.append(text)
        except ExpressionError as error:
            if error.position is None and isinstance(part, Expression):
                error.position = part.position
            raise
        return "".join(texts)


@dataclass(frozen=True, slots=True)
class ObjectValue:
    """An object with expressions somewhere inside."""

    entries: tuple[tuple[str, Part], ...]
    is_constant = False

    @property
    def cost(self) -> Cost:
        return cost.total(part.cost for _key, part in self.entries)

    def read(self, scope: Scope) -> dict[str, Json]:
        found, key = {}, ""
        try:
            for key, part in self.entries:
                found[key] = part.read(scope)
        except ExpressionError as error:
            error.path = (key, *error.path)
            raise
        return found


@dataclass(frozen=True, slots=True)
class ListValue:
    """A list with expressions somewhere inside."""

    entries: tuple[Part, ...]
    is_constant = False

    @property
    def cost(self) -> Cost:
        return cost.total(part.cost for part in self.entries)

    def read(self, scope: Scope) -> list[Json]:
        found = []
        for index, part in enumerate(self.entries):
            try:
                found.append(part.read(scope))
            except ExpressionError as error:
                error.path = (index, *error.path)
                raise
        return found
