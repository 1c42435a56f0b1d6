"""The filters and tests of expressions. Each is bounded by its input or looks before it grows something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from runtime import (
    access,
    filters_dates,
    filters_encoding,
    filters_lists,
    filters_numbers,
    filters_objects,
    filters_order,
    filters_text,
    kind_tests,
    value_tests,
)
from runtime.access import Missing
from runtime.fields import Field
from runtime.filter_spec import UNSET, Entries, Function, Group, Guard, What

Json: TypeAlias = Any


def default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    """The value, or *default_value* where it is missing; with *boolean* also where it is null, empty, false or 0.

    {{ {'name': 'Ada'}.nick | default('none') }} → "none"
    {{ null | default('none', true) }} → "none"
    """
    if access.is_missing(value) or (boolean and not value):
        return default_value
    return value


def map_(
    value: Entries, filter: str | None = None, /, *settings: Any, attribute: Field | None = None, default: Any = UNSET
) -> list[Json]:
    """A field of each entry, or what another filter makes of each.

    {{ [{'user': {'name': 'Ada'}}] | map(attribute='user.name') }} → ["Ada"]
    {{ [{'n': 1}, {}] | map(attribute='n', default=0) }} → [1, 0]
    {{ ['a', 'b'] | map('upper') }} → ["A", "B"]
    """
    if attribute is None:
        function = FILTERS[filter or ""]
        return [access.present(function(entry, *settings)) for entry in value]
    found = [attribute.of(entry) for entry in value]
    return [default if type(each) is Missing and default is not UNSET else access.present(each) for each in found]


def reject(value: Entries, test: str | None = None, /, *settings: Any) -> list[Json]:
    """The entries for which a test does not hold; without a test, those that are empty, 0, false or null.

    {{ [1, 5, 9] | reject('gt', 4) }} → [1]
    """
    holds = _test(test)
    return [entry for entry in value if not holds(entry, *settings)]


def rejectattr(value: Entries, attribute: Field, test: str | None = None, /, *settings: Any) -> list[Json]:
    """The entries with a field for which a test does not hold.

    {{ [{'n': 1, 'done': true}, {'n': 2, 'done': false}] | rejectattr('done') }} → [{"n": 2, "done": false}]
    """
    holds = _test(test)
    return [entry for entry in value if not holds(attribute.of(entry), *settings)]


def select(value: Entries, test: str | None = None, /, *settings: Any) -> list[Json]:
    """The entries for which a test holds; without a test, those that are not empty, 0, false or null.

    {{ [1, 5, 9] | select('gt', 4) }} → [5, 9]
    {{ ['a', '', null] | select }} → ["a"]
    """
    holds = _test(test)
    return [entry for entry in value if holds(entry, *settings)]


def selectattr(value: Entries, attribute: Field, test: str | None = None, /, *settings: Any) -> list[Json]:
    """The entries with a field for which a test holds.

    {{ [{'n': 1}, {'n': 2}] | selectattr('n', 'gt', 1) }} → [{"n": 2}]
    {{ [{'mail': 'a@b.c'}, {}] | selectattr('mail', 'defined') }} → [{"mail": "a@b.c"}]
    """
    holds = _test(test)
    return [entry for entry in value if holds(attribute.of(entry), *settings)]


def _test(name: str | None) -> Callable[..., bool]:
    return bool if name is None else TESTS[name]


GROUPS = (
    Group("Anything", cheap=(default,)),
    filters_text.TEXT,
    filters_numbers.NUMBERS,
    filters_lists.LISTS,
    filters_order.ORDER,
    Group("Lists", costly=(map_, reject, rejectattr, select, selectattr)),
    filters_objects.OBJECTS,
    filters_order.SORTED_OBJECTS,
    filters_dates.DATES,
    filters_encoding.JSON,
    filters_encoding.URLS,
    filters_encoding.HTML,
    filters_encoding.ENCODINGS,
)
TEST_GROUPS = (kind_tests.KIND_TESTS, value_tests.VALUE_TESTS)
ALIASES: Mapping[What, Mapping[str, str]] = {
    "filter": {
        "avg": "average",
        "b64decode": "base64_decode",
        "b64encode": "base64_encode",
        "chunk": "batch",
        "count": "length",
        "d": "default",
        "e": "escape",
        "from_json": "parse_json",
        "fromjson": "parse_json",
        "group_by": "groupby",
        "size": "length",
        "slug": "slugify",
        "strftime": "date_format",
        "strip": "trim",
        "strptime": "parse_date",
        "to_json": "tojson",
        "url_decode": "urldecode",
        "url_encode": "urlencode",
    },
    "test": {
        "!=": "ne",
        "<": "lt",
        "<=": "le",
        "==": "eq",
        ">": "gt",
        ">=": "ge",
        "equalto": "eq",
        "greaterthan": "gt",
        "lessthan": "lt",
        "null": "none",
        "object": "mapping",
    },
}
_TAKES_MISSING = frozenset({"default", "defined", "undefined"})


def name_of(function: Function) -> str:
    """Return how a filter or test is written in an expression."""
    return str(function.__name__).rstrip("_")


def _guards(what: What, groups: tuple[Group, ...]) -> dict[str, Guard]:
    found: dict[str, Guard] = {}
    for group in groups:
        for function in (*group.cheap, *group.costly):
            name = name_of(function)
            is_costly = function in group.costly
            found[name] = Guard(what, name, function, is_costly=is_costly, takes_missing=name in _TAKES_MISSING)
    return found | {alias: found[name] for alias, name in ALIASES[what].items()}


FILTERS: Mapping[str, Guard] = MappingProxyType(_guards("filter", GROUPS))
TESTS: Mapping[str, Guard] = MappingProxyType(_guards("test", TEST_GROUPS))
