"""Methods with the same guard around them as filters: what they take is looked at, and told in the same words.

``runtime.methods`` says which there are, and what they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from runtime.errors import ExpressionError
from runtime.filter_spec import Guard
from runtime.methods import METHODS, Method, kind_of

Json: TypeAlias = Any
GUARDS: Mapping[str, Guard] = MappingProxyType(
    {name: Guard("method", name, function) for found in METHODS.values() for name, function in found.items()}
)


def call(method: Json, args: tuple[Json, ...], kwargs: Mapping[str, Json]) -> Json:
    """Return what a method gives. Raises ExpressionError for anything that is no method or got wrong arguments."""
    if type(method) is not Method:
        raise ExpressionError("expression.call", f"{kind_of(method).capitalize()} cannot be called like a function.")
    return GUARDS[method.name](method.owner, *args, **kwargs)
