"""Filters for lists. Most take an object as the list of its keys, and a text as the list of its characters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from runtime import access, budget, operators, results
from runtime.access import Missing
from runtime.errors import ExpressionError
from runtime.fields import Field
from runtime.filter_spec import Entries, Group, at_least
from runtime.methods import kind_of

Json: TypeAlias = Any
FLAT_LEVELS = 100


def batch(value: Entries, linecount: int, fill_with: Any = None) -> list[Json]:
    """The list cut into rows of *linecount* entries; the last one is filled up with *fill_with*.

    {{ [1, 2, 3] | batch(2) }} → [[1, 2], [3]]
    {{ [1, 2, 3] | batch(2, 0) }} → [[1, 2], [3, 0]]
    """
    at_least(1, "linecount", linecount)
    rows = [value[at : at + linecount] for at in range(0, len(value), linecount)]
    if rows and fill_with is not None:
        budget.check_items(linecount)
        rows[-1] += [fill_with] * (linecount - len(rows[-1]))
    return rows


def average(value: Entries, attribute: Field | None = None) -> float:
    """The sum of the numbers, or of a field of each entry, divided by how many there are.

    {{ [1, 2, 6] | average }} → 3.0
    {{ [{'n': 1}, {'n': 2}] | average(attribute='n') }} → 1.5
    """
    if not value:
        return float(_nothing("average"))
    return operators.binary("/", _total(value, attribute), len(value))  # type: ignore[no-any-return]


def compact(value: list[Any] | Mapping[str, Any]) -> Any:
    """The list without its nulls, or the object without keys that hold null.

    {{ [1, null, 2] | compact }} → [1, 2]
    {{ {'a': 1, 'b': null} | compact }} → {"a": 1}
    """
    budget.spend(len(value))
    if isinstance(value, Mapping):
        kept = access.empty_like(value)
        kept.update((key, entry) for key, entry in value.items() if entry is not None)
        return kept
    return [entry for entry in value if entry is not None]


def difference(value: Entries, other: list[Any]) -> list[Json]:
    """The entries that are not in the other list, each once.

    {{ ['a', 'b', 'c'] | difference(['b']) }} → ["a", "c"]
    """
    mine, others = _by_identity(value), _by_identity(other)
    return [entry for key, entry in mine.items() if key not in others]


def first(value: Entries) -> Any:
    """The first entry of a list, or the first character of a text; missing where there is none.

    {{ [3, 4] | first }} → 3
    {{ [] | first | default('none') }} → "none"
    """
    return value[0] if value else _nothing("first")


def flatten(value: Entries, levels: int = FLAT_LEVELS) -> list[Json]:
    """The entries of the lists within the list, down to as many *levels*.

    {{ [1, [2, [3]]] | flatten }} → [1, 2, 3]
    {{ [1, [2, [3]]] | flatten(1) }} → [1, 2, [3]]
    """
    at_least(0, "levels", levels)
    entries = value
    while levels and any(type(entry) is list for entry in entries):
        flat: list[Json] = []
        for entry in entries:
            budget.spend(len(entry) if type(entry) is list else 1)
            flat += entry if type(entry) is list else [entry]
        entries, levels = flat, levels - 1
    return entries


def intersect(value: Entries, other: list[Any]) -> list[Json]:
    """The entries that are in the other list too, each once.

    {{ ['a', 'b', 'c'] | intersect(['c', 'a']) }} → ["a", "c"]
    """
    mine, others = _by_identity(value), _by_identity(other)
    return [entry for key, entry in mine.items() if key in others]


def join(value: Entries, d: str = "", attribute: Field | None = None) -> str:
    """The entries, or a field of each, as one text with *d* between them.

    {{ ['Ada', 'Bob'] | join(', ') }} → "Ada, Bob"
    {{ [{'id': 1}, {'id': 2}] | join('+', attribute='id') }} → "1+2"
    """
    texts = [results.to_text(entry if attribute is None else attribute.within(entry)) for entry in value]
    budget.check_text(sum(map(len, texts)) + len(d) * len(texts))
    return d.join(texts)


def last(value: Entries) -> Any:
    """The last entry of a list, or the last character of a text; missing where there is none.

    {{ [3, 4] | last }} → 4
    """
    return value[-1] if value else _nothing("last")


def length(value: str | list[Any] | Mapping[str, Any]) -> int:
    """How many entries a list, keys an object or characters a text has.

    {{ ['a', 'b'] | length }} → 2
    {{ 'Ada' | length }} → 3
    """
    return len(value)


def list_(value: Entries) -> list[Json]:
    """The list itself, the keys of an object, or the characters of a text.

    {{ 'abc' | list }} → ["a", "b", "c"]
    """
    return list(value)


def reverse(value: str | list[Any]) -> Any:
    """The list or text from its end to its start.

    {{ [1, 2, 3] | reverse }} → [3, 2, 1]
    {{ 'abc' | reverse }} → "cba"
    """
    if type(value) is list:
        budget.spend(len(value))
    return value[::-1]


def slice_(value: Entries, slices: int, fill_with: Any = None) -> list[Json]:
    """The list cut into as many *slices* of nearly the same length; shorter ones are filled up with *fill_with*.

    {{ [1, 2, 3, 4, 5] | slice(2) }} → [[1, 2, 3], [4, 5]]
    """
    budget.check_items(at_least(1, "slices", slices))
    per_slice, longer = divmod(len(value), slices)
    columns, at = [], 0
    for number in range(slices):
        size = per_slice + (number < longer)
        column = value[at : at + size]
        if fill_with is not None and number >= longer:
            column.append(fill_with)
        columns.append(column)
        at += size
    return columns


def sum_(value: Entries, attribute: Field | None = None, start: float = 0) -> float:
    """The sum of the numbers, or of a field of each entry.

    {{ [1, 2.5] | sum }} → 3.5
    {{ [{'price': 5}, {'price': 7}] | sum(attribute='price') }} → 12
    """
    return _total(value, attribute, start)


def union(value: Entries, other: list[Any]) -> list[Json]:
    """The entries of both lists, each once.

    {{ ['a', 'b'] | union(['b', 'c']) }} → ["a", "b", "c"]
    """
    return list((_by_identity(value) | _by_identity(other)).values())


def zip_(value: Entries, *others: Entries) -> list[Json]:
    """Lists of the first entries, of the second ones and so on, as far as the shortest list goes.

    {{ ['a', 'b'] | zip([1, 2]) }} → [["a", 1], ["b", 2]]
    """
    budget.spend(len(value) * len(others))
    return [list(entries) for entries in zip(value, *others, strict=False)]


def _total(value: list[Json], attribute: Field | None, start: float = 0) -> float:
    total = start
    for entry in value:
        number = entry if attribute is None else attribute.within(entry)
        if not isinstance(number, (int, float)):
            raise ExpressionError("expression.type", f"“sum” and “average” add numbers, not {kind_of(number)}.")
        total = results.in_range(total + number)
    return total


def _by_identity(entries: list[Json]) -> dict[Any, Json]:
    """Return the entries, the first of those that are equal, by what makes them equal."""
    budget.spend(len(entries))
    found: dict[Any, Json] = {}
    for entry in entries:
        found.setdefault(identity(entry), entry)
    return found


def identity(value: Json) -> Any:
    """Return something that is the same for equal values, and not for a number and a truth value."""
    if isinstance(value, (list, Mapping)):
        return "json", results.to_json(value, sort_keys=True)
    if isinstance(value, str):
        budget.spend(len(value) // 16)
    return type(value) is bool, value


def _nothing(name: str) -> Any:
    return Missing(f"“{name}”: there is nothing in it.")


LISTS = Group(
    "Lists",
    cheap=(compact, first, join, last, length, list_, reverse),
    costly=(average, batch, difference, flatten, intersect, slice_, sum_, union, zip_),
)
