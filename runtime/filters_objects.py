"""Filters for objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from runtime import budget
from runtime.access import Keyed, Missing, empty_like
from runtime.errors import WrongValueError
from runtime.fields import Field
from runtime.filter_spec import UNSET, Group

Json: TypeAlias = Any


def from_items(value: list[Any]) -> dict[str, Json]:
    """An object made of `[key, value]` pairs; the last of those with the same key counts.

    {{ [['a', 1], ['b', 2]] | from_items }} → {"a": 1, "b": 2}
    """
    budget.spend(len(value))
    if not all(type(pair) is list and len(pair) == 2 and type(pair[0]) is str for pair in value):
        raise WrongValueError("must be a list of pairs such as ['key', 1], and the keys must be text")
    return Keyed((key, entry) for key, entry in value)


def get(value: list[Any] | Mapping[str, Any], path: Field, default: Any = UNSET) -> Any:
    """What a path such as `user.email` or `rows.0` leads to; *default* where that is nothing.

    {{ {'user': {'name': 'Ada'}} | get('user.name') }} → "Ada"
    {{ {'user': {}} | get('user.name', 'nobody') }} → "nobody"
    """
    found = path.of(value)
    return default if type(found) is Missing and default is not UNSET else found


def items(value: Mapping[str, Any]) -> list[Json]:
    """The object as `[key, value]` pairs.

    {{ {'a': 1, 'b': 2} | items }} → [["a", 1], ["b", 2]]
    """
    budget.spend(len(value))
    return [[key, entry] for key, entry in value.items()]


def keys(value: Mapping[str, Any]) -> list[str]:
    """The keys of the object.

    {{ {'a': 1, 'b': 2} | keys }} → ["a", "b"]
    """
    budget.spend(len(value))
    return list(value)


def merge(value: Mapping[str, Any], *others: Mapping[str, Any]) -> dict[str, Json]:
    """The keys of all the objects in one; where several have the same key, the last counts.

    {{ {'a': 1, 'b': 2} | merge({'b': 3}) }} → {"a": 1, "b": 3}
    """
    budget.spend(len(value) + sum(map(len, others)))
    merged = empty_like(value, *others)
    for each in (value, *others):
        merged.update(each)
    return merged


def omit(value: Mapping[str, Any], *names: str) -> dict[str, Json]:
    """The object without these keys.

    {{ {'a': 1, 'b': 2, 'c': 3} | omit('b', 'c') }} → {"a": 1}
    """
    budget.spend(len(value) + len(names))
    kept, left_out = empty_like(value), frozenset(names)
    kept.update((key, entry) for key, entry in value.items() if key not in left_out)
    return kept


def pick(value: Mapping[str, Any], *names: str) -> dict[str, Json]:
    """The object with these keys only; those that it does not have are left out.

    {{ {'a': 1, 'b': 2, 'c': 3} | pick('c', 'a', 'z') }} → {"c": 3, "a": 1}
    """
    budget.spend(len(names))
    kept = empty_like(value)
    kept.update((name, value[name]) for name in names if name in value)
    return kept


def values(value: Mapping[str, Any]) -> list[Json]:
    """The values of the object.

    {{ {'a': 1, 'b': 2} | values }} → [1, 2]
    """
    budget.spend(len(value))
    return list(value.values())


OBJECTS = Group("Objects", cheap=(from_items, get, items, keys, merge, omit, pick, values))
