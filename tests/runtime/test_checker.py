"""The checker: the mistake is found before the run, at its place in the text, and nothing that is right is alarmed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from nodes.spec import load
from runtime import document, validation
from runtime.check_codes import CODES
from runtime.errors import Problem
from runtime.filter_help import HELP
from runtime.knowledge import Knowledge
from tests.runtime.checker_flows import FLOWS, RIGHT_FLOWS, fields, http

TYPES = load()
Json = Any
COLUMNS = {"orders": [{"name": "total", "type": "number"}, {"name": "more", "type": "json"}]}


def flow(
    nodes: Mapping[str, Mapping[str, Json] | str], edges: str, samples: Sequence[Json] = (), **more: Json
) -> document.Document:
    """Return a flow; edges are written ``a>b c.true>d``."""
    listed = [{"id": name, **({"type": node} if isinstance(node, str) else node)} for name, node in nodes.items()]
    drawn = [edge.partition(">") for edge in edges.split()]
    parsed, problems = document.parse(
        {
            "format": document.FORMAT,
            "graph": {"id": "f", "name": "F", **more},
            "nodes": listed,
            "samples": list(samples),
            "edges": [
                {"source": source.partition(".")[0], "key": source.partition(".")[2] or "out", "target": target}
                for source, _sign, target in drawn
            ],
        }
    )
    assert parsed is not None, problems
    return parsed


def checked(nodes: Mapping[str, Mapping[str, Json] | str], edges: str, **more: Json) -> list[Problem]:
    """Return the problems of a flow."""
    return validation.check(flow(nodes, edges, **more), TYPES, columns=COLUMNS, tables=COLUMNS)


# What an expression can read here: a payload, rows, users, a service's answer, and what is skipped or fails.
NODES = {
    "t": "auth.user_signedUp",
    "c": {"type": "condition", "params": {"if": "{{ $param.emailVerified }}"}},
    "chosen": fields(text="x", number=1),
    "find": {"type": "find_rows", "params": {"table": "orders"}},
    "users": "find_users",
    "call": http(),
    "port": http(on_error="port"),
    "goes_on": http(on_error="continue"),
    "off": {**fields(x=1), "disabled": True},
}
EDGES = "t>c c.true>chosen t>find t>users t>call t>port t>goes_on t>off "
INTO = " ".join(f"{name}>n" for name in ("c.false", "chosen", "find", "users", "call", "port", "goes_on", "off"))


def of_text(text: str) -> list[Problem]:
    """Return the problems of one expression behind those nodes; where the port *error* was taken as well."""
    return checked({**NODES, "n": fields(x=text)}, f"{EDGES}{INTO} port.error>n")


WRONG = [
    # text, code, severity, what is marked, what is suggested
    ("{{ $param.emial }}", "expression.field_unknown", "error", "emial", "email"),
    ("to {{ $param['emial'] }}", "expression.field_unknown", "error", "'emial'", "'email'"),
    ("{{ $param.email }} {{ $param.x }}", "expression.field_unknown", "error", "x", None),
    ("{{ $param.emial | default('') }}", "expression.field_unknown", "warning", "emial", "email"),
    ("{{ $param.emial is defined }}", "expression.field_unknown", "warning", "emial", "email"),
    ("{{ $param.email.name }}", "expression.field_unknown", "error", "name", None),
    ("{{ $param.roles.name }}", "expression.field_unknown", "error", "name", None),
    ("{{ [$param.emial] }}", "expression.field_unknown", "error", "emial", "email"),
    ("{{ {'a': $param.emial} }}", "expression.field_unknown", "error", "emial", "email"),
    ("{{ $param.emial | upper }}", "expression.field_unknown", "error", "emial", "email"),
    ("{{ $action.find.row }}", "expression.field_unknown", "error", "row", "rows"),
    ("{{ $action.find.rows[0].totl }}", "expression.field_unknown", "error", "totl", "total"),
    ("{{ $action.users.users | map(attribute='emial') }}", "expression.field_unknown", "error", "'emial'", "'email'"),
    (
        "{{ $action.users.users | selectattr('blokced') | length }}",
        "expression.field_unknown",
        "error",
        "'blokced'",
        "'blocked'",
    ),
    ("{{ $flow.title }}", "expression.field_unknown", "error", "title", None),
    ("{{ $var.rate }}", "expression.field_unknown", "error", "rate", None),
    ("{{ $action.fnd.rows }}", "expression.node_unknown", "error", "fnd", "find"),
    ("{{ $action['fnd'].rows }}", "expression.node_unknown", "error", "'fnd'", "'find'"),
    ("{{ $action.zzz | default('') }}", "expression.node_unknown", "warning", "zzz", None),
    ("{{ $action.n.x }}", "expression.node_not_before", "error", "n", None),
    ("{{ $action.off.x }}", "expression.output_missing", "error", "off", None),
    (
        "{{ $action.chosen.text }}",
        "expression.output_maybe_missing",
        "warning",
        "$action.chosen.text",
        "$action.chosen.text | default('')",
    ),
    (
        "{{ $action.chosen.number }}",
        "expression.output_maybe_missing",
        "warning",
        "$action.chosen.number",
        "$action.chosen.number | default(0)",
    ),
    (
        "{{ $action.chosen.text.upper() }}",
        "expression.output_maybe_missing",
        "warning",
        "$action.chosen.text",
        "($action.chosen.text | default(''))",
    ),
    (
        "{{ $action.port.status }}",
        "expression.output_maybe_missing",
        "warning",
        "$action.port.status",
        "$action.port.status | default(0)",
    ),
    (
        "{{ $action.port.message }}",
        "expression.output_maybe_missing",
        "warning",
        "$action.port.message",
        "$action.port.message | default('')",
    ),
    (
        "{{ $action.goes_on.body.id }}",
        "expression.output_maybe_missing",
        "warning",
        "$action.goes_on.body.id",
        "$action.goes_on.body.id | default(null)",
    ),
    ("{{ $item.id }}", "expression.item_outside", "error", "$item", None),
    ("{{ $index }}", "expression.item_outside", "error", "$index", None),
    ("{{ $param.email + 1 }}", "expression.type", "error", "$param.email + 1", None),
    ("{{ -$param.email }}", "expression.type", "error", "-$param.email", None),
    ("{{ $param.roles | upper }}", "expression.type", "error", "upper", None),
    ("{{ $param.email | round }}", "expression.type", "error", "round", None),
    ("{{ $param.roles is upper }}", "expression.type", "error", "upper", None),
    ("{{ $param.email > 3 }}", "expression.type", "error", "$param.email > 3", None),
    ("{{ $param.email in 3 }}", "expression.type", "error", "$param.email in 3", None),
    ("{{ 3 in $param.email }}", "expression.type", "error", "3 in $param.email", None),
    ("{{ $param.email.upper }}", "expression.type", "error", "upper", "upper()"),
    ("{{ $param.roles.upper() }}", "expression.type", "error", "upper", None),
    ("{{ $param.email[$param.roles] }}", "expression.type", "error", "$param.roles", None),
    ("{{ $param[:2] }}", "expression.type", "error", "$param[:2]", None),
    ("{{ $param.email[$param.email:] }}", "expression.type", "error", "$param.email", None),
    ("{{ {3: 1} }}", "expression.type", "error", "3", None),
    ("{{ $param.email is startswith(3) }}", "expression.type", "error", "3", None),
    ("{{ ['a'] | zip(3) }}", "expression.type", "error", "3", None),
    ("{{ {} | omit('a', $param.roles) }}", "expression.type", "error", "$param.roles", None),
    ("{{ $param.email.split($param.roles) }}", "expression.type", "error", "$param.roles", None),
    ("{{ $param.email.split(sep=$param.emial) }}", "expression.field_unknown", "error", "emial", "email"),
    ("{{ $param.email is like($param.emial) }}", "expression.field_unknown", "error", "emial", "email"),
    ("{{ $now | date_format('%H', 'Europe/Berln') }}", "expression.arguments", "error", "'Europe/Berln'", None),
    ("{{ $now | in_zone(zone='CET1') }}", "expression.arguments", "error", "'CET1'", None),
    ("{{ $now | start_of('weeks') }}", "expression.arguments", "error", "'weeks'", None),
    ("{{ $now | date_diff('tomorrow') }}", "expression.arguments", "error", "'tomorrow'", None),
    ("{{ $now is after('tomorrow') }}", "expression.arguments", "error", "'tomorrow'", None),
    ("{{ $param.email | hash('sha3') }}", "expression.arguments", "error", "'sha3'", None),
    ("{{ 3.5 | round(method='up') }}", "expression.arguments", "error", "'up'", None),
    ("{{ {} | dictsort(by='size') }}", "expression.arguments", "error", "'size'", None),
    ("{{ $param.roles | length / 0 }}", "expression.division", "error", "$param.roles | length / 0", None),
    ("{{ 7 // 0.0 }}", "expression.division", "error", "7 // 0.0", None),
    ("{{ $action.call.body.n % 0 }}", "expression.division", "error", "$action.call.body.n % 0", None),
    ("{{ $param.email == 3 }}", "expression.always", "warning", "$param.email == 3", None),
    ("{{ $param.emailVerified == 'true' }}", "expression.always", "warning", "$param.emailVerified == 'true'", None),
    (
        "{{ $param.emailVerified in ['yes', 'no'] }}",
        "expression.always",
        "warning",
        "$param.emailVerified in ['yes', 'no']",
        None,
    ),
    ("{{ 'a' if $param.email is defined else 'b' }}", "expression.always", "warning", "$param.email is defined", None),
    ("{{ 'a' if $param.email is none else 'b' }}", "expression.always", "warning", "$param.email is none", None),
    ("{{ 'a' if true else 'b' }}", "expression.always", "warning", "true", None),
]


@pytest.mark.parametrize(("text", "code", "severity", "marked", "suggestion"), WRONG, ids=[each[0] for each in WRONG])
def test_what_is_wrong_is_told_at_its_place(text: str, code: str, severity: str, marked: str, suggestion: str | None):
    (found,) = of_text(text)

    assert (found.code, found.severity, found.node, found.param) == (code, severity, "n", "fields")
    assert found.path == ("x",)
    assert found.position is not None
    assert found.length is not None
    assert text[found.position : found.position + found.length] == marked
    assert found.suggestion == suggestion


@pytest.mark.parametrize("case", [each for each in WRONG if each[4] is not None], ids=lambda each: each[0])
def test_what_is_suggested_mends_it(case: tuple[str, str, str, str, str]):
    text, code = case[:2]
    (found,) = of_text(text)
    assert found.position is not None
    assert found.length is not None
    assert found.suggestion is not None

    mended = text[: found.position] + found.suggestion + text[found.position + found.length :]

    assert [each for each in of_text(mended) if each.code == code and each.severity == "error"] == []
    assert code == "expression.field_unknown" or of_text(mended) == []


RIGHT = [
    "{{ $param.email }}",
    "{{ $param.roles[0].upper() }}",
    "{{ $param.roles | join(', ') | upper }}",
    "{{ $action.call.body.anything[3].at.all | upper ~ 1 }}",
    "{{ $action.call.headers['x-total'] | int }}",
    "{{ $action.find.rows[0].more.anything }}",
    "{{ $action.find.rows | map(attribute='total') | sum > 100 }}",
    "{{ $action.find.rows | selectattr('total', 'gt', 3) | list | length }}",
    "{{ $action.chosen.text | default('none') }}",
    "{{ $action.chosen.text if $action.chosen is defined else 'none' }}",
    "{{ $action.chosen.text if $action.chosen.text is defined }}",
    "{{ 'none' if $action.chosen is not defined else $action.chosen.text }}",
    "{{ 'none' if $action.chosen is undefined else $action.chosen.text ~ $action.chosen.number }}",
    "{{ $action.chosen is defined and $action.chosen.number > 0 }}",
    "{{ $action.chosen is not defined or $action.chosen.number > 0 }}",
    "{{ $action.chosen is defined and $action.port.status is defined and $action.port.status < 300 }}",
    "{{ $action.port.message | default($action.port.status | default('')) }}",
    "{{ $action.goes_on.body.id if $action.goes_on else '' }}",
    "{{ $action.goes_on.status if $action.goes_on is not none else 0 }}",
    "{{ $action.goes_on.status if $action.goes_on != null else 0 }}",
    "{{ $action.goes_on is none }}",
    "{{ $action.users.users[0].last_login_at | default('') }}",
    "{{ $action.users.users | groupby('blocked') | length }}",
    "{{ {'id': $param.userId, 'rest': [1, 'a', null]} }}",
    "{{ {'id': 1}.id + 1 }}",
    "{{ $param.email ~ 1 ~ $param.roles }}",
    "{{ $param.email * 2 }}",
    "{{ $param.emailVerified + 1 }}",
    "{{ $param.email in ['a@example.com', 3] }}",
    "{{ 'vip' in $param.roles and 'example' in $param.email }}",
    "{{ $param.email.startswith('a') }}",
    "{{ $param.get('email') }}",
    "{{ $param.items() | length }}",
    "{{ $param | length }}",
    "{{ $now | add_days(7) | date_format('%d.%m.%Y') }}",
    "{{ $run.id }} {{ $flow.name }} {{ $env.HOME_TOWN }}",
    "{{ range(3) | map('string') | join }}",
    "{{ ($param.roles | length) if $param.roles else 0 }}",
    "{{ $action.call.body is string and $action.call.body | upper == 'OK' }}",
    "{{ $action.call.body[$param.email] }}",
    "text with $param.emial and {% if x %}",
    "{{ not $param.emailVerified }}",
    "{{ $param.email == 'a' or $param.emailVerified }}",
    "{{ $param.email < 'b' < 'c' }}",
    "{{ 5 // 2 - 1 ** 2 % 3 }}",
    "{{ $param.email[:3] ~ $param.roles[1:] }}",
    "{{ $action.users.users | sort(attribute='email,id') }}",
    "{{ $action.users.users | rejectattr('phone', 'defined') | list }}",
    "{{ $param.roles | map('default', {}) }}",
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_is_not_alarmed(text: str):
    assert of_text(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "{{ 100 / $action.rates.none if $action.rates.none else 0 }}",
        "{{ 0 if $action.rates.none == 0 else 100 / $action.rates.none }}",
        "{{ $action.rates.none > 0 and 100 % $action.rates.none == 0 }}",
        "{{ $action.rates.none == 0 or 100 // $action.rates.none > 1 }}",
    ],
    ids=["if", "else", "and", "or"],
)
def test_a_division_by_what_was_asked_for_before_is_not_told_as_wrong(text: str):
    found = checked({"t": "manual", "rates": fields(none=0), "n": fields(x=text)}, "t>rates rates>n")

    assert [each.code for each in found if each.code != "expression.always"] == []


def test_a_division_behind_a_condition_that_asks_for_the_divisor_is_not_told_as_wrong():
    asks = {"type": "condition", "params": {"if": "{{ $action.rates.none > 0 }}"}}
    nodes = {"t": "manual", "rates": fields(none=0), "c": asks, "n": fields(x="{{ 1 / $action.rates.none }}")}

    found = checked(nodes, "t>rates rates>c c.true>n")

    assert found == []


ASKED_TOGETHER = {
    "h": {"type": "on_webhook", "params": {"path": "a"}},
    "c": {"type": "condition", "params": {"if": "{{ $param.body.x }}"}},
    "yes": http(),
    "no": http(),
}


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("{{ $action.yes.status if $param.body.x and $param.body.y else 0 }}", []),
        ("{{ $action.yes.status if $param.body.z and ($param.body.y and $param.body.x) else 0 }}", []),
        ("{{ 0 if $param.body.x or $param.body.y else $action.no.status }}", []),
        ("{{ 0 if not ($param.body.x and $param.body.y) else $action.yes.status }}", []),
        ("{{ $action.yes.status if $param.body.x or $param.body.y else 0 }}", ["expression.output_maybe_missing"]),
        ("{{ 0 if $param.body.x and $param.body.y else $action.no.status }}", ["expression.output_maybe_missing"]),
        ("{{ $action.yes.status if $param.body.y and not $param.body.x else 0 }}", ["expression.output_maybe_missing"]),
    ],
    ids=["and", "nested", "or", "not", "either", "not both", "the other answer"],
)
def test_what_a_condition_has_asked_may_be_asked_again_together_with_something_else(text: str, codes: list[str]):
    found = checked({**ASKED_TOGETHER, "n": fields(x=text)}, "h>c c.true>yes c.false>no yes>n no>n")

    assert [each.code for each in found] == codes


def test_no_example_of_a_filter_or_test_is_an_error():
    examples = [example.text for each in HELP.values() for example in each.examples]

    assert [text for text in examples if any(problem.severity == "error" for problem in of_text(text))] == []


@pytest.mark.parametrize("name", ["switch", "manual", "event"])
def test_an_event_may_be_called_as_a_node_type_is(name: str):
    nodes = {"t": {"type": "event", "params": {"event": name}}, "n": fields(x="{{ $param.kind }}")}

    assert checked(nodes, "t>n") == []


def hinted(text: str) -> list[Problem]:
    """Return what is told of a text behind an event that nobody declared, of which there is a sample."""
    nodes = {"t": {"type": "event", "params": {"event": "shop.paid"}}, "n": fields(x=text)}
    payload = {"customer": {"email": "ada@example.com", "full name": "Ada"}, "items": [{"name": "tea"}]}
    return checked(nodes, "t>n", samples=[{"name": "one", "trigger": "t", "payload": payload}])


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("{{ $param.custmer }}", "customer"),
        ("to {{ $param.customer.emial }}", "email"),
        ("{{ $param.customer['ful name'] }}", "'full name'"),
        ("{{ $param.items[0].nam | upper }}", "name"),
    ],
)
def test_a_name_like_one_of_the_sample_gets_a_hint(text: str, meant: str):
    (problem,) = hinted(text)

    assert (problem.code, problem.severity, problem.suggestion) == ("expression.field_not_seen", "warning", meant)
    assert problem.position is not None
    assert problem.length is not None
    mended = text[: problem.position] + meant + text[problem.position + problem.length :]
    assert hinted(mended) == []


@pytest.mark.parametrize(
    "text",
    [
        "{{ $param.customer.phone }}",  # not like any: it may well be there
        "{{ $param.customer.emial | default('') }}",
        "{{ $param.customer.emial is defined }}",
        "{{ $param.customer.items() | length }}",
    ],
)
def test_what_the_sample_lacks_is_no_mistake(text: str):
    assert hinted(text) == []


@pytest.mark.parametrize(
    ("param", "text", "message"),
    [
        ("json", "{{ $action.find.rows }}", None),
        ("headers", "{{ {'x': 3} }}", "“x” in it is a number, and has to be text."),
        ("method", "{{ 'GTE' }}", "It is GTE, and has to be one of: GET, POST, PUT, PATCH, DELETE, HEAD."),
    ],
)
def test_what_does_not_fit_within_a_value_is_named(param: str, text: str, message: str | None):
    call = {"type": "http_request", "params": {"url": "https://example.com", param: text}}
    found = checked({"t": "manual", "find": NODES["find"], "call": call}, "t>find find>call")

    assert [each.message.partition("”: ")[2] for each in found] == [message] * (message is not None)


def test_entries_that_do_not_fit_are_told_as_entries():
    mail = {"type": "send_email", "params": {"to": "{{ $action.find.rows }}", "subject": "x", "text": "x"}}
    (found,) = checked({"t": "manual", "find": NODES["find"], "mail": mail}, "t>find find>mail")

    assert found.message == "mail: “To”: The entries of the list are an object, and have to be text."


def in_environment(text: str, *names: str) -> list[Problem]:
    """Return what is told of a text where flows may read variables of these names."""
    return validation.check(flow({"t": "manual", "n": fields(x=text)}, "t>n"), TYPES, environment=names)


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [("{{ $env.SHOP_ULR }}", "SHOP_URL"), ("to {{ $env['SHOP_ULR'] }}", "'SHOP_URL'"), ("{{ $env.HOME }}", None)],
)
def test_a_variable_that_flows_may_not_read_is_told(text: str, suggestion: str | None):
    (problem,) = in_environment(text, "SHOP_URL")

    assert (problem.code, problem.severity) == ("expression.variable_unknown", "warning")
    assert problem.suggestion == suggestion
    assert "PULSEWIRE_ENV_NAMES" in problem.message


@pytest.mark.parametrize(
    "text",
    [
        "{{ $env.SHOP_URL | upper }}",
        "{{ $env.HOME | default('/') }}",  # a flow for several installations
        "{{ $env.HOME if $env.HOME is defined else '/' }}",
        "{{ 'HOME' in $env and $env.HOME }}",
        "{{ $env | length }}",
    ],
)
def test_a_variable_that_another_installation_may_have_is_no_mistake(text: str):
    assert in_environment(text, "SHOP_URL") == []


def test_variables_are_not_judged_where_they_are_not_known():
    assert checked({"t": "manual", "n": fields(x="{{ $env.HOME }}")}, "t>n") == []


def test_every_code_of_the_table_is_told_by_some_flow_here():
    told = (
        {each[1] for each in WRONG}
        | {problem.code for problem in hinted("{{ $param.custmer }}")}
        | {problem.code for problem in in_environment("{{ $env.HOME }}")}
        | {problem.code for nodes, edges, _expected in FLOWS.values() for problem in checked(nodes, edges)}
    )

    assert CODES.keys() <= told


@pytest.mark.parametrize("name", FLOWS)
def test_what_is_wrong_with_a_flow_is_told(name: str):
    nodes, edges, expected = FLOWS[name]

    found = [(problem.code, problem.node, problem.param) for problem in checked(nodes, edges)]

    assert [each for each in found if each[0] in CODES] == expected


@pytest.mark.parametrize("name", RIGHT_FLOWS)
def test_a_flow_that_is_right_is_not_alarmed(name: str):
    nodes, edges = RIGHT_FLOWS[name]

    assert [each for each in checked(nodes, edges) if each.code in CODES] == []


def test_errors_come_with_the_names_of_node_and_field():
    (found,) = of_text("{{ $param.emial }}")

    assert found.message == "n: “Fields” (x): There is no “emial” in $param; did you mean “email”?"
    assert found.as_json() == {
        "code": "expression.field_unknown",
        "message": found.message,
        "node": "n",
        "param": "fields",
        "path": ["x"],
        "position": 10,
        "length": 5,
        "suggestion": "email",
    }


def test_the_key_of_the_settings_is_read_against_every_payload():
    nodes = {"t": "auth.user_signedUp", "n": "find_users"}

    (found,) = checked(nodes, "t>n", settings={"key": "$param.emial"})

    assert (found.code, found.node, found.param) == ("expression.field_unknown", None, "key")
    assert found.message == "Settings: “Key”: There is no “emial” in $param; did you mean “email”?"
    assert checked(nodes, "t>n", settings={"key": "{{ $param.email }}"}) == []


def test_a_node_that_is_switched_off_is_not_looked_at():
    assert checked({"t": "manual", "n": {**fields(x="{{ $action.zzz }}"), "disabled": True}}, "t>n") == []


def test_a_mistake_of_the_dialect_is_told_once():
    (found,) = of_text("{{ $parm.emial }}")

    assert found.code == "expression.name_unknown"
    assert (found.path, found.position) == (("x",), 3)


def test_text_is_never_evaluated(monkeypatch: pytest.MonkeyPatch):
    def fail(*_given: Any) -> Iterator[Any]:
        raise AssertionError("an expression was compiled")

    monkeypatch.setattr("runtime.dialect.compile_source", fail)

    assert of_text("{{ range(10000) | map('string') | join | length }}") == []


def test_what_is_alone_keeps_its_kind_and_what_is_not_is_text():
    knowledge = Knowledge(flow({"t": "auth.user_signedUp", "n": fields()}, "t>n"), TYPES)

    assert knowledge.read("n", "{{ $param.roles }}", "fields")[0].kinds == {"list"}
    assert knowledge.read("n", "{{ $param.roles }} ", "fields")[0].kinds == {"text"}
    assert knowledge.read("n", "{{ $param. }}", "fields")[0].is_unknown


def test_what_another_phase_of_the_event_brings_is_told_as_that():
    reset = {"type": "auth.password_reset", "params": {"phase": "completed"}}
    (found,) = checked({"t": reset, "n": fields(x="{{ $param.link }}")}, "t>n")

    assert "no “link” in $param, because this trigger does not bring it; there are: userId" in found.message
