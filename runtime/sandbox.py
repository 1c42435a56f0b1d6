"""Jinja's immutable sandbox, with every door that it leaves open led through our own bounded functions."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment

from runtime import access, filters, method_guards, operators
from runtime.access import present
from runtime.stand_ins import STAND_INS


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """Return the one environment; it holds no state of its own."""
    return _Environment()


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    intercepted_unops = frozenset({"+", "-"})

    def __init__(self) -> None:
        super().__init__(optimized=False, cache_size=0, autoescape=False, undefined=access.Missing)
        self.globals.clear()
        known: dict[str, Any] = {**filters.FILTERS, **STAND_INS}
        self.filters = known
        self.tests = dict[str, Any](filters.TESTS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return access.step(obj, attribute, True)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return access.item(obj, argument)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            present(value)
        if type(__obj) is access.Missing:
            __obj.fail()
        return method_guards.call(__obj, args, kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        return operators.binary(operator, left, right)

    def call_unop(self, context: Any, operator: str, arg: Any) -> Any:
        return operators.unary(operator, arg)

    def is_safe_callable(self, obj: Any) -> bool:
        return False

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return False
