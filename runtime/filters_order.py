"""Filters that put the entries of a list, or the keys of an object, in order or into groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

from runtime import budget
from runtime.access import Keyed, Missing
from runtime.errors import WrongValueError
from runtime.fields import Field, Fields
from runtime.filter_spec import UNSET, Entries, Group
from runtime.filters_lists import identity
from runtime.results import to_text

Json: TypeAlias = Any


def dictsort(
    value: Mapping[str, Any], case_sensitive: bool = False, by: Literal["key", "value"] = "key", reverse: bool = False
) -> list[Json]:
    """The object as `[key, value]` pairs in the order of its keys, or *by* `value`.

    {{ {'b': 1, 'a': 2} | dictsort }} → [["a", 2], ["b", 1]]
    {{ {'b': 1, 'a': 2} | dictsort(by='value', reverse=true) }} → [["a", 2], ["b", 1]]
    """
    position = 0 if by == "key" else 1
    budget.spend(len(value))
    pairs = [list(pair) for pair in value.items()]
    return _in_order(pairs, lambda pair: _rank(pair[position], case_sensitive), reverse)


def groupby(value: Entries, attribute: Field, default: Any = UNSET, case_sensitive: bool = False) -> list[Json]:
    """Lists of `[a field's value, the entries that have it]`, in the order of the values.

    {{ [{'n': 2}, {'n': 1}, {'n': 2}] | groupby('n') }} → [[1, [{"n": 1}]], [2, [{"n": 2}, {"n": 2}]]]
    """
    groups: dict[Any, list[Json]] = {}
    for entry in value:
        found = attribute.of(entry)
        found = default if type(found) is Missing and default is not UNSET else attribute.within(entry)
        groups.setdefault(_rank(found, case_sensitive), [found, []])[1].append(entry)
    return [groups[key] for key in _in_order(groups, lambda key: key, False)]


def index_by(value: Entries, attribute: Field) -> dict[str, Json]:
    """An object that has each entry under the value of its field; the last of those that have the same.

    {{ [{'id': 'a', 'n': 1}] | index_by('id') }} → {"a": {"id": "a", "n": 1}}
    """
    return Keyed((to_text(attribute.within(entry)), entry) for entry in value)


def max_(value: Entries, case_sensitive: bool = False, attribute: Field | None = None) -> Any:
    """The largest entry, or the one with the largest field; missing where there is none.

    {{ [3, 10, 7] | max }} → 10
    {{ [{'n': 1}, {'n': 4}] | max(attribute='n') }} → {"n": 4}
    """
    return _extreme(max, value, case_sensitive, attribute)


def min_(value: Entries, case_sensitive: bool = False, attribute: Field | None = None) -> Any:
    """The smallest entry, or the one with the smallest field; missing where there is none.

    {{ [3, 10, 7] | min }} → 3
    """
    return _extreme(min, value, case_sensitive, attribute)


def sort(
    value: Entries, reverse: bool = False, case_sensitive: bool = False, attribute: Fields | None = None
) -> list[Json]:
    """The list in order; *attribute* names the field to look at, or several with commas between them.

    {{ ['b', 'C', 'a'] | sort }} → ["a", "b", "C"]
    {{ [{'n': 1}, {'n': 2}] | sort(attribute='n', reverse=true) }} → [{"n": 2}, {"n": 1}]
    """

    def rank(entry: Json) -> Any:
        if attribute is None:
            return _rank(entry, case_sensitive)
        return [_rank(way.within(entry), case_sensitive) for way in attribute]

    return _in_order(value, rank, reverse)


def unique(value: Entries, case_sensitive: bool = False, attribute: Field | None = None) -> list[Json]:
    """The list without entries that are there already, or whose field is; letters count alike unless *case_sensitive*.

    {{ ['a', 'b', 'A'] | unique }} → ["a", "b"]
    {{ [{'n': 1, 'x': 1}, {'n': 1, 'x': 2}] | unique(attribute='n') }} → [{"n": 1, "x": 1}]
    """
    seen: dict[Any, Json] = {}
    for entry in value:
        looked_at = entry if attribute is None else attribute.within(entry)
        folded = looked_at.lower() if isinstance(looked_at, str) and not case_sensitive else looked_at
        seen.setdefault(identity(folded), entry)
    return list(seen.values())


def _extreme(choose: Callable[..., Json], value: list[Json], case_sensitive: bool, attribute: Field | None) -> Json:
    if not value:
        return Missing(f"“{choose.__name__}”: there is nothing in it.")
    ranks = [_rank(entry if attribute is None else attribute.within(entry), case_sensitive) for entry in value]
    try:
        return value[ranks.index(choose(ranks))]
    except TypeError:
        raise _mixed() from None


def _in_order(entries: Iterable[Json], rank: Callable[[Json], Any], reverse: bool) -> list[Json]:
    try:
        return sorted(entries, key=rank, reverse=reverse)
    except TypeError:
        raise _mixed() from None


def _rank(value: Json, case_sensitive: bool) -> Any:
    if isinstance(value, str):
        budget.spend(1 + len(value) // 16)
        return value if case_sensitive else value.lower()
    if not isinstance(value, (int, float)):
        raise _mixed()
    return value


def _mixed() -> WrongValueError:
    return WrongValueError("cannot be put in order: only numbers with numbers and text with text can")


ORDER = Group("Lists", costly=(groupby, index_by, max_, min_, sort, unique))
SORTED_OBJECTS = Group("Objects", costly=(dictsort,))
