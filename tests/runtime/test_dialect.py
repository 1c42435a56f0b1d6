"""The dialect, exactly: what an expression is, which value and type it gives, and what is said of what is missing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime import access, limits
from runtime.expressions import ExpressionError, Scope, compile_value, problems_of

PARAM: dict[str, Any] = {
    "text": "tea",
    "whole": 7,
    "half": 0.5,
    "one": 1.0,
    "large": 2**63 - 1,
    "yes": True,
    "null": None,
    "digits": "1_000",
    "umlaut": "größe",
    "list": [1, [2.0, {"x": None}], "3"],
    "user": {"email": "ada@example.com", "id": 7},
    "rows": [{"id": 1, "mail": "a@b.c"}, {"id": 2}],
    "odd key": {"$": 1, "}}": 2, "": 3},
    "1": "one",
    "größe": "L",
    "in": 1,
    "is": 2,
    "not": 3,
    "if": 4,
    "true": 5,
    "none": 6,
    "class": 7,
    "__init__": 8,
    "items": "mine",
    "get": "mine too",
    "copy": {"update": 1, "pop": 2, "values": [3], "__class__": 4},
}


def value_of(text: Any, **names: Any) -> Any:
    scope = Scope(**{"param": PARAM, "action": {"send-email": {"id": 7}, "find": {"rows": []}}} | names)
    return compile_value(text).evaluate(scope)


def error_of(text: Any, **names: Any) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value_of(text, **names)
    return caught.value


def exact(value: Any) -> str:
    """Return a value written so that 1, 1.0, true and "1" all differ."""
    return json.dumps(value, ensure_ascii=False)


ALONE = [
    # what a payload holds, as it is
    ("$param.text", "tea"),
    ("$param.whole", 7),
    ("$param.half", 0.5),
    ("$param.one", 1.0),
    ("$param.large", 9223372036854775807),
    ("$param.yes", True),
    ("$param.null", None),
    ("$param.digits", "1_000"),
    ("$param.list", [1, [2.0, {"x": None}], "3"]),
    ("$param.user", {"email": "ada@example.com", "id": 7}),
    # literals
    ("1_000", 1000),
    ("0x1F", 31),
    ("1.0", 1.0),
    ("1e3", 1000.0),
    ("-0", 0),
    ("'1'", "1"),
    ("true", True),
    ("True", True),
    ("false", False),
    ("null", None),
    ("none", None),
    ("[]", []),
    ("{}", {}),
    ("(1, 2)", [1, 2]),
    ("[1, [2, {'a': [3]}]]", [1, [2, {"a": [3]}]]),
    ("{'a': {'b': {'c': 1}}}", {"a": {"b": {"c": 1}}}),
    # texts in quotes
    ("'}}'", "}}"),
    ("'{{ $param.text }}'", "{{ $param.text }}"),
    ("'{% if %} {# #}'", "{% if %} {# #}"),
    ('"it\'s"', "it's"),
    (r"'it\'s'", "it's"),
    (r"'a\nb\t\"'", 'a\nb\t"'),
    (r"'\u00e9\x41'", "éA"),
    (r"'\\n'", r"\n"),
    (r"'\d+\.\w'", r"\d+\.\w"),
    ("'a\nb\r\nc\rd'", "a\nb\r\nc\rd"),
    ("'a\\\nb'", "ab"),
    ("'$param.text'", "$param.text"),
    ("'a' 'b'", "ab"),
    # keys
    ("$param['odd key']['$']", 1),
    ("$param['odd key']['}}']", 2),
    ("$param['odd key']['']", 3),
    ("$param['1']", "one"),
    ("$param.größe", "L"),
    ("[$param.in, $param.is, $param.not, $param.if, $param.true, $param.none]", [1, 2, 3, 4, 5, 6]),
    ("$param.class + $param.__init__", 15),
    ("$param.items ~ $param.get", "minemine too"),
    ("[$param.copy.update, $param.copy.pop, $param.copy.values[0], $param.copy.__class__]", [1, 2, 3, 4]),
    ("($param.copy).values", [3]),
    ("[$param.copy][0]['update']", 1),
    ("$param.list[1][1].x", None),
    ("$param.list[1].0", 2.0),
    ("$param.list[-1]", "3"),
    ("$param.text[0] ~ $param.text[-1]", "ta"),
    ("$param.rows[$param.whole - 6].id", 2),
    ("$param[$param.text[:0] ~ 'whole']", 7),
    ("$action['send-email'].id", 7),
    ("$action.find.rows", []),
    # operators
    ("7 / 2", 3.5),
    ("4 / 2", 2.0),
    ("7 // 2", 3),
    ("-7 // 2", -4),
    ("7 % 3", 1),
    ("2 ** 3 ** 2", 64),
    ("-2 ** 2", 4),
    ("1 + 2.0", 3.0),
    ("'a' + 'b'", "ab"),
    ("[1] + [2]", [1, 2]),
    ("'ab' * 2", "abab"),
    ("1 == 1.0", True),
    ("'1' == 1", False),
    ("null == false", False),
    ("[1, {'a': 2}] == [1, {'a': 2}]", True),
    ("{'a' ~ '': 1} == {'a': 1}", True),
    ("1 < 2 < 3 != 4", True),
    ("'id' in $param.user and 9 not in $param.list", True),
    ("null or 'x'", "x"),
    ("0 and 1", 0),
    ("not []", True),
    ("'a' if 1 else 'b'", "a"),
    ("'a' if 0", None),
    ("$param.list[1:]", [[2.0, {"x": None}], "3"]),
    ("$param.text[::-1]", "aet"),
    # methods, filters, tests
    ("$param.user.keys()", ["email", "id"]),
    ("$param.user.items()", [["email", "ada@example.com"], ["id", 7]]),
    ("$param.text.partition('e')", ["t", "e", "a"]),
    ("range(1, 7, 2)", [1, 3, 5]),
    ("$param.rows | map(attribute='id')", [1, 2]),
    ("$param.rows | groupby('id') | first", [1, [{"id": 1, "mail": "a@b.c"}]]),
    ("$param.user | dictsort | first", ["email", "ada@example.com"]),
    ("'a,b' | split(',')", ["a", "b"]),
    ("2.5 | round", 2.0),
    ("2.5 | int", 2),
    ("$param.null is null", True),
    ("$param.one is integer", False),
    ("$param.yes is number", False),
    ("$param.text is in ['tea']", True),
    ("3 is divisibleby 3", True),
    ("$param.nope is not defined", True),
]


@pytest.mark.parametrize(("text", "expected"), ALONE, ids=[text for text, _expected in ALONE])
def test_one_expression_alone_gives_this_value_with_this_type(text: str, expected: Any) -> None:
    for written in ("{{ " + text + " }}", "{{\n" + text + "\n}}"):
        assert exact(value_of(written)) == exact(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ 1 }}{{ 2 }}", "12"),
        ("{{ 1 }} ", "1 "),
        ("\n{{ 1 }}", "\n1"),
        ("{{ true }} {{ false }}", "true false"),
        ("[{{ null }}]", "[]"),
        ("{{ 0.5 }} {{ 1.0 }} {{ 1e30 }}", "0.5 1.0 1e+30"),
        ("{{ [1, 'ä', null] }}!", '[1,"ä",null]!'),
        ("{{ {'a': true} }}!", '{"a":true}!'),
        ("{{ {'a': {'b': 1}} }} and {{ '}}' }}", '{"a":{"b":1}} and }}'),
        ("{{ {'a': {'b': 1}}}}{{ 2 }}", '{"a":{"b":1}}2'),
        ("{{{'a': 1}}}", {"a": 1}),
        ("a }} b", "a }} b"),
        ("$param.text costs 5$ {{ $param.whole }}$", "$param.text costs 5$ 7$"),
        ("{% raw %}{{ 1 }}{% endraw %}", "{% raw %}1{% endraw %}"),
        ("{# {{ 1 }} #}", "{# 1 #}"),
        ("{ { 1 } }", "{ { 1 } }"),
        ("{{ '{{' }} {{ '{{ 1 }}' }}", "{{ {{ 1 }}"),
        ("", ""),
    ],
)
def test_text_around_expressions_makes_a_text(text: str, expected: Any) -> None:
    assert exact(value_of(text)) == exact(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 && 2", "“&&” has no meaning here; write “and”."),
        ("1 & 2", "“&” has no meaning here."),
        ("1 || 2", "“|” is not expected here; for one of two conditions, write “or”."),
        ("!1", "“!” has no meaning here; write “not”."),
        ("1 === 1", "“=” is not expected here; to compare, write “==”."),
        ("$param.text = 'tea'", "“=” is not expected here; to compare, write “==”."),
        ("1 ? 2 : 3", "“?” has no meaning here; write “a if b else c”."),
        ("$param.a ?? 1", "“??” has no meaning here; write “| default(…)”."),
        ("$param?.a", "“?.” has no meaning here; write “.”, and “| default(…)” behind it."),
        ("`tea`", "“`” has no meaning here; text stands in quotes."),
    ],
)
def test_what_other_languages_write_is_told_in_this_one(text: str, message: str) -> None:
    assert error_of("{{ " + text + " }}").message == message


METHOD_ARGUMENTS = [
    ("'a'.replace('a')", "The method “replace” needs “new”."),
    ("'a'.upper('x')", "The method “upper” takes no arguments."),
    ("'a'.split(',', 1, 2)", "The method “split” takes at most 2 arguments."),
    ("'a'.split(separator=',')", "The method “split” has no argument “separator”; there are: sep, maxsplit."),
    ("'a'.split(',', sep=',')", "The method “split” is given “sep” twice."),
    ("{}.get()", "The method “get” needs “key”."),
    ("{}.get([1])", "The method “get”: “key” must be text, not a list."),
    ("'a'.replace($param.whole, 'b')", "The method “replace”: “old” must be text, not a number."),
    ("'a'.split(1)", "The method “split”: “sep” must be text or null, not a number."),
    ("'a'.split('')", "The method “split”: “sep” must not be empty."),
    ("'a'.rsplit('')", "The method “rsplit”: “sep” must not be empty."),
    ("'a'.partition('')", "The method “partition”: “sep” must not be empty."),
    ("'a'.zfill(1.5)", "The method “zfill”: “width” must be a whole number, not a number."),
    ("'a'.find(null)", "The method “find”: “part” must be text, not null."),
    (
        "'a'.startswith(['a', 1])",
        "The method “startswith”: “start” must be text or a list of texts, and has a number in it.",
    ),
    ("'a'.endswith(1)", "The method “endswith”: “end” must be text or a list, not a number."),
    (
        "','.join([1])",
        "The method “join”: “entries” must be a list of texts, and has a number in it; the filter “join” takes "
        "anything.",
    ),
    ("','.join('ab')", "The method “join”: “entries” must be a list, not text."),
]


@pytest.mark.parametrize(("text", "message"), METHOD_ARGUMENTS, ids=[text for text, _message in METHOD_ARGUMENTS])
def test_what_a_method_does_not_take_is_told_as_with_filters(text: str, message: str) -> None:
    error = error_of("{{ " + text + " }}")

    assert (error.code, error.message) == ("expression.arguments", message)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'a-b-c'.rsplit('-', maxsplit=1)", ["a-b", "c"]),
        ("'a b'.split(null, 1)", ["a", "b"]),
        ("'xax'.strip(chars='x')", "a"),
        ("'order-1'.startswith(['order-', 'po-'])", True),
        ("'7'.zfill(3)", "007"),
        ("', '.join(['a', 'b'])", "a, b"),
        ("'banana'.count('an') ~ 'banana'.rfind('an')", "23"),
        ("{'a': 1}.get('b', 2)", 2),
        ("{'a': 1}.get(key='a', default=2)", 1),
    ],
)
def test_methods_take_what_they_take_in_python(text: str, expected: Any) -> None:
    assert exact(value_of("{{ " + text + " }}")) == exact(expected)


MISSING = [
    ("$param.user.mail", "$param.user.mail: no “mail” in user; there are: email, id; did you mean “email”?"),
    ("$param.user.phone", "$param.user.phone: no “phone” in user; there are: email, id"),
    ("$param.user.Email", "$param.user.Email: no “Email” in user; there are: email, id; did you mean “email”?"),
    (
        "$param['user']['mail']",
        "$param['user']['mail']: no “mail” in user; there are: email, id; did you mean “email”?",
    ),
    ("$param.rows[1].mail", "$param.rows[1].mail: no “mail” in rows[1]; there are: id"),
    ("$param.rows[2]", "$param.rows[2]: rows has only 2 entries"),
    ("$param.rows[-3].id", "$param.rows[-3]: rows has only 2 entries"),
    ("$param.rows.id", "$param.rows.id: rows is a list and has no “id”; take one of its entries, such as rows[0]"),
    ("$param.text[9]", "$param.text[9]: text has only 3 characters"),
    ("$param.text.size", "$param.text.size: text is text and has no “size”"),
    ("$param.null.x", "$param.null.x: null is null and has no “x”"),
    ("$param.whole[0]", "$param.whole[0]: whole is a number and has no “0”"),
    ("$param[1]", "$param[1]: no “1” in $param; its keys are text: write ['1']"),
    ("$param.rows[$param.whole - 6].mail", "$param.rows[…].mail: no “mail” in rows[…]; there are: id"),
    ("$param.rows[$param.whole].id", "$param.rows[…]: rows has only 2 entries"),
    ("$param.user[$param.text]", "$param.user[…]: no such key in user; there are: email, id"),
    ("($param.user).phone", "$param.user.phone: no “phone” in user; there are: email, id"),
    ("{'a': 1}.b", ".b: no “b” in the value; there are: a"),
    (
        "$param.user.items",
        "$param.user.items: no “items” in user; there are: email, id. The method is written “items()”.",
    ),
    (
        "$action['send-mail'].id",
        "$action['send-mail']: there is no output of “send-mail” here; the node does not exist, has not run yet or was "
        "skipped; did you mean “send-email”?",
    ),
    ("$env.HOME", "$env.HOME: no “HOME” in $env; it is empty"),
    ("$index + 1", "$index has a value only inside of “for each”."),
    ("$param.rows | map(attribute='mail')", "entry.mail: no “mail” in entry; there are: id"),
    ("$param.rows | sort(attribute='id,mail.x')", "entry.mail.x: mail is text and has no “x”"),
    ("$param.rows | selectattr('mail')", "entry.mail: no “mail” in entry; there are: id"),
    ("$param.user | get('phone')", "entry.phone: no “phone” in entry; there are: email, id"),
    ("[] | first", "“first”: there is nothing in it."),
]
METHOD = "$param.user.items"  # of an object that has no such key
ENDING = "phone: no “phone” in user; there are: email, id"
PLACES = [
    "{}",
    "[1, {}]",
    "{{'k': [{}]}}",
    "{{{}: 1}}",
    "{} | upper",
    "{} | default({})",
    "'a' | replace('a', {})",
    "'a' | truncate(length={})",
    "['a'] | map('replace', 'a', {})",
    "['a'] | select('in', {})",
    "{} == 1",
    "1 in {}",
    "{} ~ ''",
    "-{}",
    "1 + {}",
    "not {}",
    "{} and 1",
    "0 or {}",
    "1 if {} else 2",
    "[1][{}]",
    "[1][{}:]",
    "range({})",
    "'a'.replace('a', {})",
    "{} is odd",
    "4 is divisibleby({})",
    "{} is in [1]",
]


@pytest.mark.parametrize(("text", "message"), MISSING, ids=[text for text, _message in MISSING])
def test_what_is_missing_is_told_by_its_path(text: str, message: str) -> None:
    error = error_of("{{ " + text + " }}")

    assert (error.code, error.message) == ("expression.missing", message)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("missing", ["$param.user.phone", "($param.user).phone", "$param['user'].phone", METHOD])
def test_what_is_missing_is_an_error_wherever_it_stands(place: str, missing: str) -> None:
    for around in ("{{{{ {} }}}}", "text {{{{ {} }}}}"):
        error = error_of(around.format(place.format(missing, missing)))

        assert error.code == "expression.missing"
        assert "no “items” in user; there" in error.message if missing == METHOD else error.message.endswith(ENDING)


@pytest.mark.parametrize(
    "text", [text for text, _message in MISSING if not text.startswith(("$index", "$param.rows |"))]
)
def test_default_and_defined_handle_everything_that_is_missing(text: str) -> None:
    assert value_of("{{ (" + text + ") | default('none') }}") == "none"
    assert value_of("{{ (" + text + ") is defined }}") is False
    assert value_of("{{ (" + text + ") is undefined }}") is True


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("$action.send-email.id", "send-email"),
        ("$action.send-email-again", "send-email-again"),
        ("1 + $param.user-id", "user-id"),
    ],
)
def test_a_key_with_a_hyphen_is_told_apart_from_a_subtraction(text: str, name: str) -> None:
    written = "{{ " + text + " }}"

    (found,) = problems_of(written)

    assert found.message == f"A name with a hyphen needs quotes: write “['{name}']” without the dot before it."
    assert found.position is not None
    assert written[found.position :].startswith(f".{name}")
    assert (found.length, found.suggestion) == (len(f".{name}"), f"['{name}']")
    assert value_of("{{ $param.whole -$param.half - 1 }}") == 5.5
    assert not problems_of("{{ $param.whole-$param.half }}")


def test_many_keys_are_cut_and_close_ones_still_found() -> None:
    many = {f"key_{number}": number for number in range(150)} | {"total": 1, "x" * 500: 2}

    message = error_of("{{ $param.totl }}", param=many).message

    assert message.startswith("$param.totl: no “totl” in $param; there are: key_0, key_1, ")
    assert message.endswith(", key_11, …; did you mean “total”?")


@pytest.mark.parametrize(
    "text",
    [
        "{{ {$param.secret: 1}.nope }}",
        "{{ ([[$param.secret, 1]] | from_items).nope }}",
        "{{ ([{'k': $param.secret}] | index_by('k')).nope }}",
        "{{ ({$param.secret: 1} | merge({'a': 1})).nope }}",
        "{{ ({$param.secret: 1} | omit('a')).nope }}",
        "{{ ({$param.secret: 1} | compact).nope }}",
        "{{ [{'a': 1}] | map(attribute=$param.secret) }}",
        "{{ {'a': 1} | get($param.secret) }}",
        "{{ {'a': 1}[$param.secret] }}",
    ],
)
def test_keys_that_were_values_are_never_told(text: str) -> None:
    error = error_of(text, param={"secret": "tok-4711"})

    assert error.code == "expression.missing"
    assert "tok" not in error.message


class Odd(str):
    pass


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**63,
        -(2**63),
        "half \ud800",
        (1, 2),
        {1, 2},
        b"bytes",
        Odd("x"),
        iter([1]),
        (each for each in [1]),
        object(),
        len,
        {1: 2},
        {"\ud800": 1},
        _nested(limits.EXPRESSION_RESULT_DEPTH + 1),
        access.Missing("gone"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(
    "text", ["{{ $param.x }}", "{{ $param }}", "{{ [$param.x] }}", "a {{ $param.x }}", "{{ $param.x | tojson }}"]
)
def test_what_json_cannot_hold_is_an_error(value: Any, text: str) -> None:
    assert error_of(text, param={"x": value}).code.startswith("expression.")


def test_the_deepest_value_and_the_largest_numbers_are_given() -> None:
    deepest = _nested(limits.EXPRESSION_RESULT_DEPTH)

    assert value_of("{{ $param }}", param=deepest) == deepest
    assert value_of("{{ $param }}", param=1 - 2**63) == 1 - 2**63


NESTED = "([[[[[0]*100]*100]*100]*100]*100)"


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", ["{0} == {0}", "{1} == {0}", "{0} in [{1}]"])
def test_objects_with_worked_out_keys_are_compared_at_a_cost(text: str) -> None:
    told, worked_out = f"{{'a': {NESTED}}}", f"{{'a' ~ '': {NESTED}}}"

    assert error_of("{{ " + text.format(worked_out, told) + " }}").code == "expression.too_much_work"
