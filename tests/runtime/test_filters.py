"""Filters and tests beyond their examples: edges of dates, numbers and lists, wrong arguments, and any values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import filters
from runtime.expressions import ExpressionError, Scope, compile_value, problems_of
from runtime.filter_spec import Guard

NOW = "2024-05-03T10:00:00Z"


def value_of(text: str, **param: Any) -> Any:
    return compile_value("{{ " + text + " }}").evaluate(Scope(param=param, now=NOW))


def error_of(text: str, **param: Any) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value_of(text, **param)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # days stay days, times stay times
        ("'2024-05-03' | add_days(1.5)", "2024-05-04T12:00:00Z"),
        ("'2024-05-03' | add_hours(24)", "2024-05-04"),
        ("'2024-05-03T10:00:00+02:00' | add_days(1)", "2024-05-04T10:00:00+02:00"),
        ("'2024-05-03T10:00:00' | add_days(1)", "2024-05-04T10:00:00Z"),
        ("'2024-12-31T23:59:59.5Z' | add_seconds(1)", "2025-01-01T00:00:00.500000Z"),
        ("0 | add_weeks(1)", "1970-01-08T00:00:00Z"),
        # clocks that are put forward or back
        ("'2024-03-30T02:30:00+01:00' | add_days(1, 'Europe/Berlin')", "2024-03-31T03:30:00+02:00"),
        ("'2024-10-26T02:30:00+02:00' | add_days(1, 'Europe/Berlin')", "2024-10-27T02:30:00+02:00"),
        ("'2024-03-30T12:00:00+01:00' | add_hours(24)", "2024-03-31T12:00:00+01:00"),
        ("'2024-03-31T12:00:00Z' | start_of('day', 'Europe/Berlin')", "2024-03-31T00:00:00+01:00"),
        ("'2024-03-31T12:00:00Z' | end_of('day', 'Europe/Berlin')", "2024-03-31T23:59:59.999999+02:00"),
        ("'2024-01-31T23:30:00Z' | add_months(1, 'Asia/Tokyo')", "2024-03-01T08:30:00+09:00"),
        # the ends of months, years and weeks
        ("'2024-03-31' | add_months(-1)", "2024-02-29"),
        ("'2023-12-15' | add_months(1)", "2024-01-15"),
        ("'2024-05-03' | start_of('year')", "2024-01-01"),
        ("'2024-05-03' | start_of('quarter')", "2024-04-01"),
        ("'2024-05-03' | end_of('quarter')", "2024-06-30"),
        ("'2024-05-05' | start_of('week')", "2024-04-29"),
        ("'2024-05-05' | end_of('week')", "2024-05-05"),
        ("'2024-05-03T10:42:31Z' | start_of('hour')", "2024-05-03T10:00:00Z"),
        ("'2024-05-03T10:42:31Z' | end_of('minute')", "2024-05-03T10:42:59.999999Z"),
        ("'2024-05-03' | in_zone('Asia/Tokyo')", "2024-05-03"),
        # differences
        ("'2024-10-28' | date_diff('2024-10-26', 'hours')", 48),
        ("'2024-05-03T12:00:00Z' | date_diff('2024-05-03', 'days')", 0.5),
        ("'2024-05-03T10:00:00Z' is after('2024-05-03T11:30:00+02:00')", True),
        # writing and reading
        ("'2024-05-03T09:05:00Z' | date_format('%-d.%-m. %-H:%M %%')", "3.5. 9:05 %"),
        ("'2024-05-03' | date_format('day %j, week %V')", "day 124, week 18"),
        ("'2024-05-03T00:30:00Z' | date_format('%-H')", "0"),
        ("'3 May 2024' | parse_date('%d %B %Y')", "2024-05-03"),
        ("'2024-05-03 09:30 +0200' | parse_date('%Y-%m-%d %H:%M %z')", "2024-05-03T09:30:00+02:00"),
        ("' 2024-05-03 ' | parse_date", "2024-05-03"),
        ("'2024-05-03T09:30:00.250Z' | timestamp", 1714728600.25),
        ("'20240503T093000Z' | in_zone('UTC')", "2024-05-03T09:30:00Z"),
        ("$now | weekday('Pacific/Auckland')", 5),
    ],
)
def test_dates_and_times(text: str, expected: Any) -> None:
    assert json.dumps(value_of(text)) == json.dumps(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.675 | number_format(2)", "2.68"),
        ("-0.001 | number_format(2)", "0.00"),
        ("-1234.5 | number_format(1)", "-1,234.5"),
        ("9007199254740993 | number_format", "9,007,199,254,740,993"),
        ("1e300 | number_format | length", 401),
        ("999.5 | number_format(0, ',', '.')", "1.000"),
        ("'-3.7' | int", -3),
        ("' 42 ' | int", 42),
        ("'0x1f' | int(base=16)", 31),
        ("'12abc' | int(-1)", -1),
        ("true | int", 1),
        ("null | int(0)", 0),
        ("'1e400' | float(0)", 0),
        ("'nan' | float(0)", 0),
        ("-2.5 | ceil", -2),
        ("-2.5 | floor", -3),
        ("5 | clamp(6.5, 9)", 6.5),
        ("15 | round(-1)", 20),
        ("'' | bool", False),
        ("null | bool", False),
        ("'ON' | bool", True),
        # equal or not: a number is no truth value
        ("[1, true, 1.0, 0, false] | unique", [1, True, 0, False]),
        ("[1, true] | difference([1])", [True]),
        ("[{'a': 1, 'b': 2}] | intersect([{'b': 2, 'a': 1}])", [{"a": 1, "b": 2}]),
        ("['a'] | union(['A', 'a'])", ["a", "A"]),
        ("[[1, [2]], 3, []] | flatten(1)", [1, [2], 3]),
        ("['a', 'b'] | zip([1], 'xy')", [["a", 1, "x"]]),
        ("{'b': 1, 'a': 2} | keys", ["b", "a"]),
        ("{'a': null, 'b': 0} | compact", {"b": 0}),
        ("$param.rows | map(attribute='0')", [1, 2]),
        ("$param.rows | map(attribute=0)", [1, 2]),
        ("['b', 'a'] | sort(reverse=true) | join", "ba"),
        ("[{'n': 'b', 'm': 1}, {'n': 'a', 'm': 1}] | sort(attribute='m,n') | map(attribute='n')", ["a", "b"]),
        ("'a  b' | split | length", 2),
        ("'a  b' | split(' ') | length", 3),
        ("'' | slugify", ""),
        ("'Straße_4' | slugify('_')", "strasse_4"),
        ("'A\u0315\u0300b ﬁn ①' | slugify", "ab-fin-1"),
        ("'' is like('*')", True),
        ("'abc' is like('a*c')", True),
        ("'aXbXc' is like('a*b*c')", True),
        ("'ab' is like('ab*b')", False),
        ("'abc' is like('b')", False),
        ("'a=1&a=2&b=' | parse_query", {"a": ["1", "2"], "b": ""}),
        ("('https://EXAMPLE.com:8443/a' | parse_url).port", 8443),
        ("('mailto:a@b.c' | parse_url).host", ""),
        ("'/a?x=1#end' | with_query({'x': 'ü', 'y': [1]})", "/a?x=%C3%BC&y=%5B1%5D#end"),
        ("'YQ' | base64_decode", "a"),
        ("'ÿþ' | base64_encode(true)", "w7_Dvg"),
        ("'&#xD800;' | unescape", "\ufffd"),
        ("{'a': {'b': null}} | get('a.b', 1)", None),
    ],
)
def test_numbers_lists_and_encodings(text: str, expected: Any) -> None:
    assert json.dumps(value_of(text, rows=[[1], [2]])) == json.dumps(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("'x' | round", "The filter “round” works on a number, not on text; “float” reads a number from it."),
        ("null | upper", "The filter “upper” works on text, not on null."),
        ("{} | upper", "The filter “upper” works on text, not on an object."),
        ("5 | join", "The filter “join” works on a list, an object or text, not on a number."),
        ("[1] | keys", "The filter “keys” works on an object, not on a list."),
        ("'a' | truncate('9')", "The filter “truncate”: “length” must be a whole number, not text."),
        ("'a' | truncate(length=2.5)", "The filter “truncate”: “length” must be a whole number, not a number."),
        ("'a' | truncate(1)", "The filter “truncate”: “length” must be at least 3."),
        ("'a' | center(-1)", "The filter “center”: “width” must be from 0 to 1,000."),
        ("'a' | replace('a', null)", "The filter “replace”: “new” must be text, not null."),
        ("[1] | join(1)", "The filter “join”: “d” must be text, not a number."),
        ("$now | add_days('2')", "The filter “add_days”: “days” must be a number, not text."),
        ("$now | add_days(1, 'Mars')", "The filter “add_days”: “zone” is no time zone such as Europe/Berlin."),
        (
            "$now | add_days(1, '../../etc/passwd')",
            "The filter “add_days”: “zone” is no time zone such as Europe/Berlin.",
        ),
        ("$now | add_days(9 ** 9)", "The filter “add_days”: the value leads out of the years 1 to 9999."),
        ("$now | date_diff('x')", "The filter “date_diff”: “other” is no date or time such as 2024-05-03 or "),
        ("$now | start_of('decade')", "The filter “start_of”: “unit” must be one of: year, quarter, month, week, "),
        ("'x' | add_days(1)", "The filter “add_days”: the value is no date or time such as 2024-05-03 or "),
        ("'2024' | parse_date('%Y%Y')", "The filter “parse_date”: “format” has something twice."),
        ("'x' | parse_date('%Y')", "The filter “parse_date”: the value is not written as “format” says."),
        ("'a' | int", "The filter “int”: the value is not a whole number and holds none; “default” can stand in."),
        ("'a' | hash('crc')", "The filter “hash”: “algorithm” must be one of: md5, sha1, sha256, sha384, sha512."),
        ("[1, 'a'] | sort", "The filter “sort”: the value cannot be put in order: only numbers with numbers and text "),
        ("['a', 1] | sum", "“sum” and “average” add numbers, not text."),
        ("5 is startswith('a')", "The test “startswith” works on text, not on a number."),
        ("'a' is startswith(1)", "The test “startswith”: “start” must be text, not a number."),
        ("5 is divisibleby(0)", "The test “divisibleby”: “number” must not be 0."),
        ("'_-8' | base64_decode", "The filter “base64_decode”: the value holds bytes that are no text."),
        ("'a' | base64_decode", "The filter “base64_decode”: the value is not Base64."),
        ("'%s' | format", "The filter “format”: the value has 1 placeholders for 0 values."),
        ("'{' | parse_json", "The filter “parse_json”: the value is not valid JSON: line 1, column 2."),
    ],
)
def test_a_wrong_argument_is_told_by_its_name(text: str, message: str) -> None:
    assert error_of(text).message.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("'a' | replace('x')", "The filter “replace” needs “new”."),
        ("'a' | replace(new='x')", "The filter “replace” needs “old”."),
        ("'a' | upper(1)", "The filter “upper” takes no arguments."),
        ("'a' | upper(x=1)", "The filter “upper” has no argument “x”; none is written with its name."),
        ("'a' | trim('x', 'y')", "The filter “trim” takes at most 1 argument."),
        ("'a' | trim(char='x')", "The filter “trim” has no argument “char”; there are: chars."),
        ("'a' | trim('x', chars='y')", "The filter “trim” is given “chars” twice."),
        ("[1] | map('replace', 'x')", "The filter “replace” needs “new”."),
        ("[1] | selectattr", "The filter “selectattr” needs “attribute”."),
        ("1 is divisibleby", "The test “divisibleby” needs “number”."),
        ("'a' | uper", "There is no filter “uper”. Did you mean “upper”?"),
        ("1 is evn", "There is no test “evn”. Did you mean “even”?"),
        ("'a' | contains('a')", "There is no filter “contains”. It is a test: write “is” before it."),
        ("'a' is length", "There is no test “length”. It is a filter: write “|” before it."),
        ("[1] | map('gt', 3)", "There is no filter “gt”. It is a test; “select” and “reject” apply tests."),
        ("[1] | select('length')", "There is no test “length”. It is a filter; “map” applies filters."),
    ],
)
def test_arguments_that_do_not_fit_are_found_without_evaluating(text: str, message: str) -> None:
    assert [found.message for found in problems_of("{{ " + text + " }}")] == [message]


def test_a_flow_of_filters_keeps_what_it_was_given() -> None:
    rows = [{"n": 2, "tags": ["b", "a"]}, {"n": 1, "tags": []}]
    before = json.dumps(rows)

    value_of("$param.rows | sort(attribute='n') | map(attribute='tags') | flatten | sort | batch(3, 'x')", rows=rows)
    value_of("($param.rows | first | merge({'n': 9}) | omit('tags')).n", rows=rows)

    assert json.dumps(rows) == before


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.integers(-3, 12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(
        [NOW, "2024-05-03", "UTC", "%d.%m.%Y", "name", "days", "a.b", "https://a.b/c?d=e", "[1]", "YQ==", "*"]
    ),
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=8,
)
_FIRST = [each for known in (filters.FILTERS, filters.TESTS) for name, each in known.items() if name == each.name]


@settings(deadline=None, max_examples=15)
@given(data=st.data())
@pytest.mark.parametrize("guard", _FIRST, ids=lambda guard: f"{guard.what} {guard.name}")
def test_any_value_gives_json_or_an_error_in_words(guard: Guard, data: st.DataObject) -> None:
    names = {"v": data.draw(_JSON)}
    arguments = []
    for place, parameter in enumerate(guard.by_place):
        if guard.name in ("map", "select", "reject", "selectattr", "rejectattr") and parameter.name in (
            "filter",
            "test",
        ):
            break
        if not parameter.is_required and data.draw(st.booleans()):
            break
        names[f"p{place}"] = data.draw(_JSON)
        arguments.append(f"$param.p{place}")
    sign = "|" if guard.what == "filter" else "is"
    text = f"{{{{ $param.v {sign} {guard.name}({', '.join(arguments)}) }}}}"
    if guard.name == "map":
        text = "{{ $param.v | map(attribute=$param.v) }}"

    refused = None
    found = None
    try:
        found = compile_value(text).evaluate(Scope(param=names))
    except ExpressionError as error:
        refused = error

    assert refused is None or (refused.code != "expression.failed" and "with these settings" not in refused.message)
    assert json.loads(json.dumps(found, allow_nan=False, ensure_ascii=False).encode()) == found


def test_a_placeholder_of_very_many_signs_is_read_once() -> None:
    assert "placeholder" in error_of("('%' ~ '0' * $param.n ~ '!') | format", n=100_000).message
