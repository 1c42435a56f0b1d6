"""Filters for lists and objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from runtime import access, budget, operators, results
from runtime.access import Missing, present
from runtime.errors import ExpressionError

Json: TypeAlias = Any
FIELD_CHARS = 200  # of the way to a field, such as user.mail


def entries_of(value: Json) -> list[Json]:
    """Return the entries of a list, the keys of an object or the characters of a text, and pay for looking at each."""
    if isinstance(value, (str, Mapping)):
        value = list(value)
    if type(value) is not list:
        raise TypeError
    budget.spend(len(value))
    return value


def field_of(entry: Json, field: Json, default: Json = None) -> Json:
    """Return what ``user.mail`` or ``0.name`` leads to within an entry; *default* where it leads nowhere."""
    steps = [int(step) if step.isdecimal() and len(step) < 10 else step for step in _written(field).split(".")]
    budget.spend(len(steps))
    for step in steps:
        found = access.item(entry, step)
        if type(found) is Missing and default is not None:
            return default
        entry = present(found)
    return entry


def batch(value: Json, linecount: int, fill_with: Json = None) -> list[list[Json]]:
    """Return the list cut into rows of *linecount*; the last one is filled up with *fill_with*."""
    entries = entries_of(value)
    if type(linecount) is not int or linecount < 1:
        raise ValueError
    rows = [entries[at : at + linecount] for at in range(0, len(entries), linecount)]
    if rows and fill_with is not None:
        budget.check_items(linecount)
        rows[-1] += [fill_with] * (linecount - len(rows[-1]))
    return rows


def dictsort(value: Json, case_sensitive: bool = False, by: str = "key", reverse: bool = False) -> list[list[Json]]:
    """Return an object as ``[key, value]`` pairs, in the order of the keys (or *by* ``value``)."""
    if not isinstance(value, Mapping) or by not in ("key", "value"):
        raise TypeError
    budget.spend(len(value))
    position = ("key", "value").index(by)
    pairs = [list(pair) for pair in value.items()]
    return sorted(pairs, key=lambda pair: _sort_key(pair[position], case_sensitive), reverse=bool(reverse))


def first(seq: Json) -> Json:
    """Return the first entry of a list or character of a text."""
    entries = entries_of(seq)
    return entries[0] if entries else Missing("“first”: there is nothing in it.")


def groupby(value: Json, attribute: Json, default: Json = None, case_sensitive: bool = False) -> list[list[Json]]:
    """Return ``[field's value, entries that have it]`` for each value of a field, in order."""
    groups: dict[Any, list[Json]] = {}
    for entry in entries_of(value):
        found = field_of(entry, attribute, default)
        groups.setdefault(_sort_key(found, case_sensitive), [found, []])[1].append(entry)
    return [groups[key] for key in sorted(groups)]


def items(value: Json) -> list[list[Json]]:
    """Return an object as ``[key, value]`` pairs."""
    _need_object(value)
    return [[key, entry] for key, entry in value.items()]


def join(value: Json, d: str = "", attribute: Json = None) -> str:
    """Return the entries (or a field of each) as one text, with *d* between them."""
    entries = entries_of(value)
    if attribute is not None:
        entries = [field_of(entry, attribute) for entry in entries]
    if type(d) is not str:
        raise TypeError
    texts = [results.to_text(entry) for entry in entries]
    budget.check_text(sum(map(len, texts)) + len(d) * len(texts))
    return d.join(texts)


def keys(value: Json) -> list[str]:
    """Return the keys of an object."""
    _need_object(value)
    return list(value)


def last(seq: Json) -> Json:
    """Return the last entry of a list or character of a text."""
    entries = entries_of(seq)
    return entries[-1] if entries else Missing("“last”: there is nothing in it.")


def length(obj: Json) -> int:
    """Return the number of entries, keys or characters."""
    return len(obj)


def list_(value: Json) -> list[Json]:
    """Return the entries of a list, the keys of an object or the characters of a text."""
    return list(entries_of(value))


def least(value: Json, case_sensitive: bool = False, attribute: Json = None) -> Json:
    """Return the smallest entry."""
    return _extreme(min, value, case_sensitive, attribute, "min")


def most(value: Json, case_sensitive: bool = False, attribute: Json = None) -> Json:
    """Return the largest entry."""
    return _extreme(max, value, case_sensitive, attribute, "max")


def reverse(value: Json) -> Json:
    """Return a list or text from end to start."""
    return value[::-1] if type(value) is str else entries_of(value)[::-1]


def slice_(value: Json, slices: int, fill_with: Json = None) -> list[list[Json]]:
    """Return the list cut into *slices* columns of nearly the same length."""
    entries = entries_of(value)
    if type(slices) is not int or slices < 1:
        raise ValueError
    budget.check_items(slices)
    per_slice, longer = divmod(len(entries), slices)
    columns, at = [], 0
    for number in range(slices):
        size = per_slice + (number < longer)
        column = entries[at : at + size]
        if fill_with is not None and number >= longer:
            column.append(fill_with)
        columns.append(column)
        at += size
    return columns


def sort(value: Json, reverse: bool = False, case_sensitive: bool = False, attribute: Json = None) -> list[Json]:
    """Return the list in order; *attribute* names fields, separated by commas."""
    entries = entries_of(value)
    fields = _written(attribute).split(",") if attribute is not None else None

    def key(entry: Json) -> Any:
        if fields is None:
            return _sort_key(entry, case_sensitive)
        return [_sort_key(field_of(entry, field), case_sensitive) for field in fields]

    return sorted(entries, key=key, reverse=bool(reverse))


def sum_(iterable: Json, attribute: Json = None, start: Json = 0) -> Json:
    """Return the sum of the numbers, or of a field of each entry."""
    total = start
    for entry in entries_of(iterable):
        number = entry if attribute is None else field_of(entry, attribute)
        if not isinstance(number, (int, float)) or not isinstance(total, (int, float)):
            raise ExpressionError("expression.type", "“sum” works on numbers only.")
        total = operators.in_range(total + number)
    return total


def unique(value: Json, case_sensitive: bool = False, attribute: Json = None) -> list[Json]:
    """Return the list without entries that are there already."""
    seen: dict[Any, Json] = {}
    for entry in entries_of(value):
        looked_at = entry if attribute is None else field_of(entry, attribute)
        if type(looked_at) in (list, dict):
            key: Any = ("json", results.to_json(looked_at))
        else:
            key = looked_at if looked_at is None else _sort_key(looked_at, case_sensitive)
        seen.setdefault(key, entry)
    return list(seen.values())


def values(value: Json) -> list[Json]:
    """Return the values of an object."""
    _need_object(value)
    return list(value.values())


def _extreme(choose: Callable[..., Json], value: Json, case_sensitive: bool, attribute: Json, name: str) -> Json:
    entries = entries_of(value)
    if not entries:
        return Missing(f"“{name}”: there is nothing in it.")

    def key(entry: Json) -> Any:
        return _sort_key(entry if attribute is None else field_of(entry, attribute), case_sensitive)

    return choose(entries, key=key)


def _sort_key(value: Json, case_sensitive: Json) -> Any:
    if isinstance(value, str):
        budget.spend(1 + len(value) // 16)
        return value if case_sensitive else value.lower()
    if not isinstance(value, (int, float)):
        raise TypeError
    return value


def _written(field: Json) -> str:
    if type(field) not in (str, int) or len(str(field)) > FIELD_CHARS:
        raise TypeError
    return str(field)


def _need_object(value: Json) -> None:
    if not isinstance(value, Mapping):
        raise TypeError
    budget.spend(len(value))


FILTERS: dict[str, Callable[..., Json]] = {
    "batch": batch,
    "dictsort": dictsort,
    "first": first,
    "groupby": groupby,
    "items": items,
    "join": join,
    "keys": keys,
    "last": last,
    "length": length,
    "list": list_,
    "max": most,
    "min": least,
    "reverse": reverse,
    "slice": slice_,
    "sort": sort,
    "sum": sum_,
    "unique": unique,
    "values": values,
}
