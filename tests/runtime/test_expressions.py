"""Expressions through their one door: values and types, missing names, limits, and everything that must not work."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from runtime import budget, dialect, limits, scanner
from runtime.expressions import (
    ExpressionError,
    Scope,
    compile_condition,
    compile_value,
    problems_of,
    problems_of_condition,
)

PAYLOAD: dict[str, Any] = {
    "Name": "orders",
    "a": {"b": 5},
    "items": [{"name": "x"}, {"name": "y"}],
    "keys": "mine",
    "__class__": "plain data",
    "odd key": 1,
    "user": {"email": "ada@example.com", "id": 7, "nick": None},
    "n": None,
    "yes": True,
    "half": 0.5,
    "digits": "1_000",
    "list": [3, 1, 2],
    "braces": "{{ $param.Name }} {% raw %}",
}


def scope(**names: Any) -> Scope:
    return Scope(
        param=deepcopy(PAYLOAD),
        action={"send-email": {"id": 7}, "find": {"rows": []}},
        now="2024-05-03T10:00:00Z",
        **names,
    )


def value_of(text: Any, **names: Any) -> Any:
    return compile_value(text).evaluate(scope(**names))


def error_of(text: Any, **names: Any) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value_of(text, **names)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ $param.a.b }}", 5),
        ("{{$param.a}}", {"b": 5}),
        ("{{ $param.half }}", 0.5),
        ("{{ $param.yes }}", True),
        ("{{ $param.n }}", None),
        ("{{ $param.digits }}", "1_000"),
        ("{{ $param.list }}", [3, 1, 2]),
        ("{{ $param.items[0].name }}", "x"),
        ("{{ $param.items[-1].name }}", "y"),
        ("{{ $param.items.1.name }}", "y"),
        ("{{ $param.items }}", [{"name": "x"}, {"name": "y"}]),
        ("{{ $param.keys }}", "mine"),
        ("{{ $param.__class__ }}", "plain data"),
        ("{{ $param['odd key'] }}", 1),
        ("{{ $param[$param.Name ~ ''] is defined }}", False),
        ("{{ $action['send-email'].id }}", 7),
        ("{{ $action.find.rows }}", []),
        ("{{ $now }}", "2024-05-03T10:00:00Z"),
        ("{{ $param.Name[0:3] }}", "ord"),
        ("{{ (1, 2) }}", [1, 2]),
        ("{{ {'a': {'b': '}}'}} }}", {"a": {"b": "}}"}}),
        ("{{ 2 ** 3 ** 2 }}", 64),
        ("{{ -2 ** 2 }}", 4),
        ("{{ 7 // 2 }}", 3),
        ("{{ 1 < $param.a.b <= 5 }}", True),
        ("{{ 'b' in $param.a and 3 in $param.list }}", True),
        ("{{ 'x' if $param.yes else 'y' }}", "x"),
        ("{{ 'x' if not $param.yes }}", None),
        ("{{ 'a' ~ 1 ~ true ~ null ~ {'k': 1} }}", 'a1true{"k":1}'),
        ("{{ $param.Name.upper() }}", "ORDERS"),
        ("{{ $param.a.items() }}", [["b", 5]]),
        ("{{ $param.items | map(attribute='name') | join(', ') }}", "x, y"),
        ("{{ $param.list | sort | first }}", 1),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ $now | add_days(3) | date_format('%d.%m.%Y') }}", "06.05.2024"),
    ],
)
def test_one_expression_alone_keeps_its_json_type(text: str, expected: Any) -> None:
    found = value_of(text)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ $param.Name }} was emptied", "orders was emptied"),
        ("{{ 1 }}{{ 2 }}", "12"),
        (" {{ 1 }}", " 1"),
        ("{{ $param.yes }}|{{ $param.n }}|{{ $param.a }}|{{ 0.5 }}", 'true||{"b":5}|0.5'),
        ("costs $5, {% if %}, {# no #}, $param.Name, }}", "costs $5, {% if %}, {# no #}, $param.Name, }}"),
        ("{{ 'costs $param }}' }} now", "costs $param }} now"),
        ('{{ "a" ~ \'"}}\' }}!', 'a"}}!'),
    ],
)
def test_mixed_text_gives_a_string(text: str, expected: str) -> None:
    assert value_of(text) == expected


def test_what_a_payload_holds_is_never_an_expression() -> None:
    assert value_of("{{ $param.braces }}") == PAYLOAD["braces"]
    assert value_of("> {{ $param.braces }}") == "> " + PAYLOAD["braces"]


@pytest.mark.parametrize("text", ["1_000", "None", "1,2", "{1}", "1#x", "5 ", "-" * 5000])
def test_text_that_looks_like_something_else_stays_that_text(text: str) -> None:
    assert compile_value("{{ $param.t }}").evaluate(Scope(param={"t": text})) == text


def test_values_inside_of_lists_and_objects_are_evaluated() -> None:
    assert value_of({"a": ["{{ $param.a.b }}", 1], "c": "x"}) == {"a": [5, 1], "c": "x"}


def test_a_value_without_expressions_is_constant() -> None:
    assert compile_value({"a": ["x", 1, None]}).is_constant
    assert not compile_value({"a": ["{{ 1 }}"]}).is_constant


@pytest.mark.parametrize(
    "text",
    [
        "{{ $param.user.mail }}",
        "{{ [$param.user.mail] }}",
        "{{ {'a': [$param.user.mail]} | tojson }}",
        "{{ $param.user.mail | upper }}",
        "{{ [1, $param.user.mail] | length }}",
        "{{ $param.user.mail == 1 }}",
        "{{ not $param.user.mail }}",
        "{{ $param.user.mail and true }}",
        "{{ $param.user.mail.deeper.still }}",
        "{{ 1 + $param.user.mail }}",
        "{{ 'a'.replace('a', $param.user.mail) }}",
        "a {{ $param.user.mail }}",
    ],
)
def test_a_missing_name_is_an_error_that_names_the_path_and_no_value(text: str) -> None:
    error = error_of(text)

    assert error.code == "expression.missing"
    assert error.message == "$param.user.mail: no “mail” in user; there are: email, id, nick; did you mean “email”?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ $param.nope }}", "$param.nope: no “nope” in $param; there are: Name, a, "),
        ("{{ $param.items[9] }}", "$param.items[9]: items has only 2 entries"),
        ("{{ $param.items.name }}", "$param.items.name: items is a list and has no “name”; take one"),
        ("{{ $param.user.nick.x }}", "$param.user.nick.x: nick is null and has no “x”"),
        ("{{ $param.a.b.c.d }}", "$param.a.b.c: b is a number and has no “c”"),
        ("{{ $action.warn.id }}", "$action.warn: there is no output of “warn” here"),
        ("{{ $item }}", "$item has a value only inside of “for each”."),
        ("{{ $param['user']['mail'] }}", "$param['user']['mail']: no “mail” in user"),
    ],
)
def test_the_reason_is_told(text: str, message: str) -> None:
    assert error_of(text).message.startswith(message)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ $param.user.mail | default('none') }}", "none"),
        ("{{ $param.nope.deeper | default('none') }}", "none"),
        ("{{ $param.user.nick | default('none') }}", None),
        ("{{ $param.user.nick | default('none', true) }}", "none"),
        ("{{ $param.user.mail is defined }}", False),
        ("{{ $param.user.mail is not defined }}", True),
        ("{{ $item is defined }}", False),
        ("{{ [] | first | default(0) }}", 0),
    ],
)
def test_default_and_defined_handle_what_is_missing(text: str, expected: Any) -> None:
    assert value_of(text) == expected


def test_an_error_says_where_it_is() -> None:
    error = error_of({"fields": {"a": ["fine", "x {{ $param.nope }}"]}})

    assert error.path == ("fields", "a", 1)
    assert error.position == 2


def test_errors_never_hold_values() -> None:
    secret = "tok-4711"
    texts = [
        "{{ $param.secret.x }}",
        "{{ $param[$param.secret] }}",
        "{{ $param.secret + 1 }}",
        "{{ $param.secret | int }}",
        "{{ $param.secret | parse_json }}",
        "{{ $param.secret | date_format }}",
        "{{ $param.secret < 1 }}",
        "{{ $param.secret() }}",
        "{{ [{'a': 1}] | map(attribute=$param.secret) }}",
        "{{ {}[$param.secret] }}",
        "{{ 'a'.zfill($param.secret) }}",
        "{{ range($param.secret) }}",
    ]

    for text in texts:
        with pytest.raises(ExpressionError) as caught:
            compile_value(text).evaluate(Scope(param={"secret": secret}))
        assert secret not in str(caught.value), text
        assert caught.value.__cause__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "code", "position"),
    [
        ("a {{ $param.x", "expression.syntax", 2),
        ("{{ }}", "expression.empty", 0),
        ("{{ 1 + }}", "expression.syntax", 0),
        ("{{ 1 1 }}", "expression.syntax", 5),
        ("{{ '\\x' }}", "expression.syntax", 3),
        ("{{ 1 + '\\N{nope}' }}", "expression.syntax", 7),
        ("{{ 'open }}", "expression.syntax", 3),
        ("{{ (1] }}", "expression.syntax", 5),
        ("{{ param.x }}", "expression.name_unknown", 3),
        ("x {{ $parm.x }}", "expression.name_unknown", 5),
        ("{{ $param.x | nope }}", "expression.filter_unknown", 14),
        ("{{ $param.x is nope }}", "expression.test_unknown", 15),
        ("{{ $param.x | truncate(1, 2, 3, 4, 5) }}", "expression.arguments", 14),
        ("{{ [1] | map('nope') }}", "expression.filter_unknown", 13),
        ("{{ [1] | map($param.x) }}", "expression.arguments", 9),
        ("{{ $param.$action }}", "expression.syntax", 10),
        ("{{ 9223372036854775808 }}", "expression.number_range", 3),
        ("{{ 1e999 }}", "expression.number_range", 3),
        ("{{ " + "(" * 60 + "1" + ")" * 60 + " }}", "expression.too_deep", 53),
        ("{{ " + " + ".join("1" * 300) + " }}", "expression.too_complex", 0),
        ("{{ " + "-" * 3000 + "1 }}", "expression.too_complex", 0),
        ("{{ '" + "a" * 5000 + "' }}", "expression.syntax", 3),
        ("{{ '" + "a" * 3000 + "' ~ '" + "a" * 3000 + "' }}", "expression.too_long", 2),
    ],
)
def test_problems_are_found_without_evaluating(text: str, code: str, position: int) -> None:
    found = problems_of({"a": [text]})

    assert [(problem.path, problem.code, problem.position) for problem in found] == [(("a", 0), code, position)]
    with pytest.raises(ExpressionError) as caught:
        compile_value(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("x {{ $parm.x }}", "x {{ $param.x }}"),
        ("{{ param.x }}", "{{ $param.x }}"),
        ("{{ $param.x | uper }}", "{{ $param.x | upper }}"),
        ("{{ $param.x is defind }}", "{{ $param.x is defined }}"),
        ("{{ $param.x is not defind }}", "{{ $param.x is not defined }}"),
        ('{{ $param.x | map("uper") }}', '{{ $param.x | map("upper") }}'),
        ("{{ $param.x | select('evn') }}", "{{ $param.x | select('even') }}"),
    ],
)
def test_what_was_meant_can_be_put_in_its_place(text: str, mended: str) -> None:
    (found,) = problems_of(text)

    assert found.position is not None
    assert found.length is not None
    assert f"{text[: found.position]}{found.suggestion}{text[found.position + found.length :]}" == mended


def test_every_problem_of_an_expression_is_found() -> None:
    found = problems_of("{{ foo | bar }} and {{ $param.x is baz }}")

    assert [problem.code for problem in found] == [
        "expression.filter_unknown",
        "expression.name_unknown",
        "expression.test_unknown",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "''.__class__",
        "''['__class__']",
        "''.__class__.__mro__[1].__subclasses__()",
        "[].__class__.__base__",
        "'\\x5f\\x5fclass\\x5f\\x5f'.__class__",
        "$param.Name['__cl' ~ 'ass__']",
        "$param.Name | attr('__class__')",
        "['a'] | map('attr', '__class__')",
        "['a'] | map(attribute='__class__') | list",
        "'{0.__class__}'.format(1)",
        "'{x}'.format_map($param)",
        "'%(a)s' | format($param)",
        "'%s' % $param",
        "lipsum.__globals__",
        "cycler.__init__",
        "joiner()",
        "namespace(a=1)",
        "dict(a=1)",
        "self",
        "loop",
        "config",
        "_",
        "range.__class__",
        "range",
        "range(1).__class__",
        "(range(1) | map('upper')).gi_frame",
        "$param.items.append(1)",
        "$param.a.update({'b': 1})",
        "$param.a.pop('b')",
        "$param.list.sort()",
        "$param.a.setdefault('z', 1)",
        "$param.a.clear()",
        "$param.Name.encode()",
        "$param.Name.translate({})",
        "$param.Name.upper",
        "$param.a.items",
        "[$param.a.items]",
        "$param.items()",
        "$param.Name.upper(*[1])",
        "$param.Name.upper(**{})",
        "$param.Name | upper(*[])",
        "{1: 2}",
        "{none: 2}",
        "'a' + 1",
        "1 / 0",
        "1 % 0",
        "[1] + 'a'",
        "(-8) ** 0.5",
        "1 < 'a'",
        "'\\ud800'",
        "$param | random",
        "$param.list | map('default', *[1])",
        "$param.list | xmlattr",
        "$param | pprint",
        "super()",
        "$param.list[::0]",
        "$param[0:1]",
        "$param[[1]]",
        "$param[{}]",
    ],
)
def test_nothing_reaches_behind_the_values(text: str) -> None:
    error = error_of("{{ " + text + " }}")

    assert "object at" not in error.message
    assert "Traceback" not in error.message


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        (
            ["pprint", "random", "safe", "urlize", "xmlattr", "wordwrap(9)", "forceescape"],
            "expression.filter_unknown",
        ),
        (["callable", "escaped", "filter", "sameas($param)", "test"], "expression.test_unknown"),
        (
            ["format(1)", "encode()", "translate({})", "maketrans('a')", "pop('b')", "popitem()"],
            "expression.call",
        ),
        (
            ["update({})", "setdefault('z')", "clear()", "fromkeys([1])", "append(1)", "sort()", "send(1)"],
            "expression.call",
        ),
    ],
    ids=["filters", "tests", "methods", "more methods"],
)
def test_what_python_and_jinja_have_and_we_do_not_is_refused_on_sight(texts: list[str], code: str) -> None:
    sign = {"expression.filter_unknown": " | ", "expression.test_unknown": " is ", "expression.call": "."}[code]

    found = {text: [problem.code for problem in problems_of(f"{{{{ $param.a{sign}{text} }}}}")] for text in texts}

    assert found == {text: [code] for text in texts}


@pytest.mark.parametrize(
    "text",
    [
        "''.__class__",
        "''.__class__.__mro__[1].__subclasses__()",
        "[]['__base__']",
        "(1).__init__",
        "$param.Name.__class__",
        "'a'.upper(*[])",
        "lipsum.__globals__",
        "lipsum | nope",
        "cycler.__init__",
        "joiner()",
        "namespace(a=1)",
        "__import__('os')",
        "$param.Name | attr('__class__')",
        "['a'] | map('attr', '__class__')",
        "['a'] | select('attr', '__class__')",
        "'{0.__class__}'.format(1)",
        "'{x}'.format_map($param)",
        "$param.Name.mro()",
        "(range(1) | map('upper')).gi_frame",
        "$param.Name._private()",
        "$param.Name | upper(**{})",
    ],
)
def test_escapes_are_refused_in_the_same_words(text: str) -> None:
    error = error_of("{{ " + text + " }}")

    assert (error.code, error.message) == (
        "expression.refused",
        "This expression uses something that is not allowed.",
    )


@pytest.mark.parametrize(
    "text", ["'{}'.format(1)", "self", "config", "request.args", "$param | random", "''.encode()", "$param.gi_frame"]
)
def test_a_slip_is_no_escape_and_is_explained(text: str) -> None:
    assert error_of("{{ " + text + " }}").code != "expression.refused"


def test_the_payload_cannot_be_changed_through_a_result() -> None:
    mine = scope()

    found = compile_value("{{ $param.a }}").evaluate(mine)
    found["b"] = "changed"

    assert mine.param == PAYLOAD


NESTED = "([[[[[0]*100]*100]*100]*100]*100)"
BOMBS = [
    "'a' * 10 ** 9",
    "9 ** 9 ** 9",
    "(9 ** 9) ** (9 ** 9)",
    "2 ** 63",
    "10.0 ** 400",
    "[0] * 10 ** 9",
    NESTED,
    f"{NESTED} == {NESTED}",
    f"{NESTED} in [{NESTED}]",
    f"{NESTED} | tojson",
    f"{NESTED} | string",
    f"{NESTED} is lower",
    f"{NESTED} | unique",
    f"[{NESTED}] | join",
    f"{NESTED} ~ ''",
    f"{NESTED} | sort",
    "([range(100000)] * 100000) | map('sum')",
    "([range(9999)] * 9999) | map('sum')",
    "([range(9999)] * 9999) | map('sort') | map('list')",
    "([$param.list] * 10000) | map('join')",
    "([$param.big] * 10000) | map('upper')",
    "([$param.big] * 10000) | unique",
    "([$param.big] * 10000) | join",
    "$param.big ~ $param.big",
    "$param.big | replace('a', 'b' * 1000)",
    "$param.big | replace('', 'xxxx')",
    "$param.big.replace('a', 'aaaa')",
    "$param.big | urlencode | urlencode | urlencode | upper | title * 2",
    "'a' | center(10 ** 9)",
    "'a'.zfill(10 ** 9)",
    "'a'.ljust(10 ** 9)",
    "'a'.expandtabs(10 ** 9)",
    "'%9999999999d' | format(1)",
    "'%.9999999999f' | format(1)",
    "'%*d' | format(10 ** 9, 1)",
    "('%s' * 400000) | format(1)",
    "42 | round(10 ** 9)",
    "42 | round(-10 ** 9)",
    "', '.join(['a' * 1000] * 9999)",
    "[1] | slice(10 ** 9)",
    "[1] | batch(10 ** 9, 'x')",
    "[[1]] | sum(start=[])",
    "range(10 ** 18)",
    "range(0, 10 ** 18, 1)",
    "('[' * 100000) | parse_json",
    "('9' * 5000) | parse_json",
    "('1' * 5000) | int",
    "'1e999' | float",
    "$now | add_days(10 ** 18)",
    "$now | date_format('%d' * 60)",
    "$param | tojson(10 ** 9)",
    "$param.list | groupby($param)",
    "$param.list | sort(attribute=$param)",
    "$param.list | map(attribute=$param.big) | list",
    "$param.big | hex_encode",
    "('\\n' * 400000) | indent(1000, true) | upper",
    "('<' * 400000) | escape",
    "('\n' * 400000) | nl2br",
    "$param.big | slugify",
    "$param.big | pad_left(10 ** 9)",
    f"{NESTED} | flatten",
    f"{NESTED} | union({NESTED})",
    f"{NESTED} | difference([{NESTED}])",
    "$param.list | zip($param.list, $param.list, $param.list) | map('zip', $param.list) | map('join') | list",
    "([$param.list] * 10000) | map('average')",
    "([$param.big] * 10000) | map('sha256')",
    "([$param.big] * 10000) | select('like', '*a*a*a*b') | list",
    "([$param.big] * 10000) | map('parse_query')",
    "('a=1&' * 2000) | parse_query",
    "([$now] * 10000) | map('add_days', 1) | map('add_days', 10 ** 12)",
    "$param.list | groupby('x', default=$param.big)",
    "1.5 | number_format(10 ** 9)",
    "1.5 | number_format(2, $param.big)",
]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", BOMBS)
def test_a_bomb_ends_in_an_error_soon(text: str) -> None:
    full = Scope(param={"big": "a" * 900_000, "list": list(range(20_000))}, now="2024-05-03T10:00:00Z")

    with pytest.raises(ExpressionError):
        compile_value("{{ " + text + " }}").evaluate(full)


@pytest.mark.timeout(10)
def test_all_fields_of_a_step_share_one_budget() -> None:
    full = Scope(param={"list": list(range(20_000))})
    fields = compile_value({f"field {number}": "{{ $param.list | map('string') | join }}" for number in range(500)})

    with pytest.raises(ExpressionError) as caught:
        fields.evaluate(full)

    assert caught.value.code == "expression.too_much_work"


@pytest.mark.timeout(10)
def test_a_long_text_of_many_large_fields_is_refused_before_it_is_made() -> None:
    text = compile_value("{{ $param.big }} " * 400)

    with pytest.raises(ExpressionError) as caught:
        text.evaluate(Scope(param={"big": "a" * 500_000}))

    assert caught.value.code == "expression.too_large"


@pytest.mark.timeout(10)
def test_tags_are_stripped_in_linear_time() -> None:
    full = Scope(param={"open": "<!--" * 200_000, "tags": "<a>" * 200_000})

    assert compile_value("{{ $param.tags | striptags }}").evaluate(full) == ""
    assert compile_value("{{ $param.open | striptags }}").evaluate(full) == "<!--" * 200_000


def _written_out(length: int) -> str:
    return "{{" + " 'a' ".ljust(length) + "}}"


@pytest.mark.parametrize(
    ("largest", "one_more", "code"),
    [
        (
            _written_out(limits.EXPRESSION_CHARS),
            _written_out(limits.EXPRESSION_CHARS + 1),
            "expression.too_long",
        ),
        (
            "{{ [" + "1," * (limits.EXPRESSION_NODES - 1) + "] }}",
            "{{ [" + "1," * limits.EXPRESSION_NODES + "] }}",
            "expression.too_complex",
        ),
        (
            "{{ " + "not " * (limits.EXPRESSION_DEPTH - 1) + "1 }}",
            "{{ " + "not " * limits.EXPRESSION_DEPTH + "1 }}",
            "expression.too_complex",
        ),
        (
            f"{{{{ range({limits.EXPRESSION_ITEMS}) }}}}",
            f"{{{{ range({limits.EXPRESSION_ITEMS + 1}) }}}}",
            "expression.too_large",
        ),
        (
            f"{{{{ 'a' * {limits.EXPRESSION_TEXT} }}}}",
            f"{{{{ 'a' * {limits.EXPRESSION_TEXT + 1} }}}}",
            "expression.too_large",
        ),
        (
            "{{ 1 }}" * limits.EXPRESSIONS_IN_TEXT,
            "{{ 1 }}" * (limits.EXPRESSIONS_IN_TEXT + 1),
            "expression.too_many",
        ),
    ],
    ids=["characters", "nodes", "depth", "items", "text", "expressions"],
)
def test_a_limit_is_reached_and_not_passed(largest: str, one_more: str, code: str) -> None:
    value_of(largest)

    assert error_of(one_more).code == code


def test_a_condition_may_stand_without_braces() -> None:
    assert compile_condition("$param.a.b > 3").evaluate(scope()) is True
    assert compile_condition("{{ $param.a.b > 3 }} ").evaluate(scope()) is True
    assert compile_condition("$param.Name != '{{'").evaluate(scope()) is True


@pytest.mark.parametrize("text", ["", "$param.x >", "{{ true }} and {{ true }}", "{{ true }} x", "{{ true"])
def test_a_condition_is_one_whole_expression(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_condition(text)

    assert [found.code for found in problems_of_condition(text)] == [caught.value.code]


def _paths() -> st.SearchStrategy[str]:
    names = st.sampled_from(["Name", "a", "items", "user", "nope", "keys", "n", "b", "name", "email", "__class__"])
    step = st.one_of(
        names.map(lambda name: f".{name}"),
        names.map(lambda name: f"['{name}']"),
        st.integers(-3, 3).map(lambda index: f"[{index}]"),
    )
    return st.lists(step, max_size=3).map(lambda steps: "$param" + "".join(steps))


_APPLIED = [
    *("| upper", "| length", "| first", "| map(attribute='name')", "| join(', ')", "| sort(attribute='name')"),
    *("| truncate(length=3, end='')", "| tojson", "| items", "| round(1)", "| replace('e', $param.n)", "is defined"),
    *("is not none", "is divisibleby(2)", "is in $param.list", "| selectattr('name', 'eq', $param.Name)"),
]
_SMALL = st.one_of(_paths(), st.sampled_from(["1", "'x'", "true", "null", "0.5", "$item", "$index"]))


def _combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sign = st.sampled_from(["==", "!=", "<", ">=", "in", "not in", "and", "or", "+", "-", "*", "/", "%", "~"])
    applied = st.sampled_from(_APPLIED)
    return st.one_of(
        st.tuples(inner, applied).map(lambda parts: f"({parts[0]} {parts[1]})"),
        st.tuples(inner, inner).map(lambda parts: f"({parts[0]} | default({parts[1]}))"),
        st.tuples(inner, inner).map(lambda parts: f"[{parts[0]}, {{'k': {parts[1]}}}]"),
        st.tuples(inner, inner).map(lambda parts: f"{{{parts[0]}: {parts[1]}}}"),
        st.tuples(inner, inner).map(lambda parts: f"({parts[0]})[{parts[1]}]"),
        st.tuples(inner, inner).map(lambda parts: f"({parts[0]})[{parts[1]}:]"),
        inner.map(lambda part: f"(- {part}).name"),
        st.tuples(inner, sign, inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda part: f"(not {part})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
    )


@settings(deadline=None, max_examples=200)
@given(st.recursive(_SMALL, _combined, max_leaves=6))
def test_the_short_way_gives_what_the_long_way_gives(text: str) -> None:
    source = scanner.bare(text)
    assume(not dialect.faults_of(source))
    answers = []
    for is_short_way_open in (True, False):
        evaluate = dialect.compile_source(source, is_short_way_open=is_short_way_open)
        try:
            budget.refill()
            answers.append(repr(evaluate(scope())))
        except ExpressionError as error:
            answers.append(f"{error.code}: {error.message}")

    assert answers[0] == answers[1]


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="${}()[]'\"\\|.,:~ %#+-*/<>=!_aeinoprtx019\n", max_size=60))
def test_any_text_either_compiles_or_is_refused_in_words(text: str) -> None:
    for candidate in (text, "{{ " + text + " }}"):
        code = None
        try:
            compile_value(candidate).evaluate(scope())
        except ExpressionError as error:
            code = error.code

        assert code is None or code.startswith("expression.")
        assert code is not None or problems_of(candidate) == []
