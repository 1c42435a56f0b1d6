"""What is known in each node: which outputs are there, on which ways, and what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from nodes.spec import load
from runtime import document
from runtime.knowledge import Knowledge
from runtime.shapes import Shape

TYPES = load()
Json = Any


def known(nodes: Mapping[str, Mapping[str, Json] | str], edges: str, samples: Json = (), **options: Json) -> Knowledge:
    """Return what is known of a flow; edges are written ``a>b c.true>d``."""
    listed = [{"id": name, **({"type": node} if isinstance(node, str) else node)} for name, node in nodes.items()]
    drawn = [edge.partition(">") for edge in edges.split()]
    parsed, problems = document.parse(
        {
            "format": document.FORMAT,
            "graph": {"id": "f", "name": "F"},
            "nodes": listed,
            "edges": [
                {"source": source.partition(".")[0], "key": source.partition(".")[2] or "out", "target": target}
                for source, _sign, target in drawn
            ],
            "samples": list(samples),
        }
    )
    assert parsed is not None, problems
    return Knowledge(parsed, TYPES, **options)


def action(found: Knowledge, node: str) -> Mapping[str, Shape]:
    return found.scope_of(node)["action"].fields


def fields(**values: Json) -> dict[str, Json]:
    return {"type": "set_fields", "params": {"fields": values}}


CHOICE = {"t": "manual", "c": "condition", "a": fields(x=1), "b": fields(y=1), "n": "set_fields"}


def test_branches_that_both_run_are_both_there_where_they_join() -> None:
    found = known({"t": "manual", "a": fields(), "b": fields(), "n": "set_fields"}, "t>a t>b a>n b>n")

    assert {name: shape.missing for name, shape in action(found, "n").items()} == {"a": "", "b": "", "t": ""}


def test_a_branch_that_a_condition_chooses_may_be_missing_where_it_joins() -> None:
    found = known(CHOICE, "t>c c.true>a c.false>b a>n b>n")

    assert action(found, "n")["a"].missing == "“a” is skipped on some ways to this node"
    assert action(found, "n")["b"].missing
    assert not action(found, "n")["c"].missing
    assert not action(found, "a")["c"].missing


def test_a_node_that_runs_whenever_this_one_does_is_there_also_off_the_direct_way() -> None:
    found = known(CHOICE, "t>c c.true>a c.true>n a>n c.false>b")

    assert not action(found, "n")["a"].missing


def test_two_conditions_one_after_the_other_are_told_apart() -> None:
    nodes = {**CHOICE, "d": "condition", "e": fields()}
    found = known(nodes, "t>c c.true>a c.false>b a>d b>d d.true>e e>n")

    assert not action(found, "n")["d"].missing
    assert action(found, "n")["a"].missing


def test_a_node_on_the_other_side_of_a_condition_is_never_there() -> None:
    found = known(CHOICE, "t>c c.true>a c.false>b b>n a>b")

    assert not action(found, "b")["a"].is_absent  # it joins
    assert list(action(known(CHOICE, "t>c c.true>a c.false>b b>n"), "n")) == ["b", "c", "t"]


@pytest.mark.parametrize(
    ("edges", "there"),
    [("t>h h>n", "status"), ("t>h h.error>n", "message")],
    ids=["after success", "after failure"],
)
def test_the_port_that_led_here_says_what_the_output_is(edges: str, there: str) -> None:
    found = known({"t": "manual", "h": {"type": "http_request", "on_error": "port"}, "n": "set_fields"}, edges)

    assert there in action(found, "n")["h"].fields
    assert not action(found, "n")["h"].fields[there].missing
    assert len({"status", "message"} & action(found, "n")["h"].fields.keys()) == 1


def test_where_success_and_failure_join_the_output_is_one_of_both() -> None:
    nodes = {"t": "manual", "h": {"type": "http_request", "on_error": "port"}, "n": "set_fields"}
    output = action(known(nodes, "t>h h>n h.error>n"), "n")["h"]

    assert not output.missing
    assert output.fields["status"].missing == "“h” may have failed"
    assert output.fields["message"].missing == "“h” may not have failed"


def test_a_node_that_goes_on_when_it_fails_may_give_null() -> None:
    nodes = {"t": "manual", "h": {"type": "http_request", "on_error": "continue"}, "n": "set_fields"}
    output = action(known(nodes, "t>h h>n"), "n")["h"]

    assert output.kinds == {"object", "null"}
    assert output.null_because == "“h” has no output then: it may have failed"


def test_what_waited_too_long_gives_null() -> None:
    nodes = {"t": "manual", "w": "wait_for_event", "n": "set_fields"}

    assert action(known(nodes, "t>w w.timeout>n"), "n")["w"].kinds == {"null"}
    assert action(known(nodes, "t>w w>n"), "n")["w"].kinds == {"object"}


def test_a_node_that_is_switched_off_gives_nothing() -> None:
    found = known({"t": "manual", "a": {**fields(), "disabled": True}, "n": "set_fields"}, "t>a a>n")

    assert action(found, "n")["a"].is_absent
    assert action(found, "n")["a"].missing == "“a” is switched off"


def test_the_payload_is_that_of_every_trigger_that_leads_here() -> None:
    nodes = {"t": "auth.user_signedUp", "u": "api.dataTable_created", "a": "set_fields", "n": "set_fields"}
    found = known(nodes, "t>a u>n a>n")

    assert found.scope_of("a")["param"].fields.keys() == {"userId", "email", "emailVerified", "roles"}
    assert found.scope_of("n")["param"].fields["email"].missing == "“u” may have started the run"
    assert action(found, "n")["t"].missing == "“t” may not have started the run"


def test_inputs_of_a_manual_start_are_what_it_brings() -> None:
    inputs = {"id": "integer", "note": "text?", "more": "any"}
    found = known({"t": {"type": "manual", "params": {"inputs": inputs}}, "n": "set_fields"}, "t>n").scope_of("n")

    assert found["param"].fields["id"].kinds == {"number"}
    assert found["param"].fields["note"].missing == "this input may be left out"
    assert found["param"].fields["more"].is_unknown
    assert not found["param"].is_open


def test_a_trigger_for_any_event_brings_what_the_named_one_brings() -> None:
    event = {"type": "event", "params": {"event": "auth.password_reset"}}
    found = known({"t": event, "n": "set_fields"}, "t>n").scope_of("n")["param"]

    assert not found.fields["email"].missing
    assert found.fields["token"].missing
    unknown = {"type": "event", "params": {"event": "shop.order_paid"}}
    assert known({"t": unknown, "n": "set_fields"}, "t>n").scope_of("n")["param"].is_open


def test_set_fields_gives_what_its_fields_come_to() -> None:
    found = known(
        {"t": "auth.user_signedUp", "a": fields(mail="{{ $param.email }}", n=1), "n": "set_fields"}, "t>a a>n"
    )

    assert action(found, "n")["a"].fields["mail"].kinds == {"text"}
    assert action(found, "n")["a"].fields["n"].values == (1,)
    assert not action(found, "n")["a"].is_open


LOOP = {
    "t": "manual",
    "l": {"type": "for_each", "params": {"items": [{"id": 1}, {"id": 2}]}},
    "a": fields(x=1),
    "n": "set_fields",
}


def test_a_loop_brings_an_item_to_its_body_and_outputs_to_what_follows() -> None:
    found = known(LOOP, "t>l l.each>a l.done>n")

    assert found.scope_of("a")["item"].fields["id"].kinds == {"number"}
    assert found.scope_of("a")["index"].kinds == {"number"}
    assert list(action(found, "a")) == ["t"]
    assert "item" not in found.scope_of("n")
    assert list(action(found, "n")) == ["l", "t"]


def test_the_condition_of_a_while_loop_reads_the_round_before() -> None:
    nodes = {"t": "manual", "l": {"type": "while_loop", "params": {"while": "{{ $index < 3 }}"}}, "a": fields()}
    found = known(nodes, "t>l l.each>a")

    assert action(found, "l")["a"].missing == "“a” has no output before the first round"
    assert found.scope_of("l")["item"].is_unknown
    assert not action(found, "l")["t"].missing


def test_the_condition_of_a_wait_reads_the_event() -> None:
    found = known({"t": "manual", "w": "wait_for_event"}, "t>w")

    assert found.scope_of("w", "condition")["item"].kinds == {"object"}
    assert "item" not in found.scope_of("w", "match")
    assert "index" not in found.scope_of("w", "condition")


def test_the_condition_of_a_wait_in_a_loop_reads_the_event_and_the_number_of_the_round() -> None:
    nodes = {**LOOP, "a": "wait_for_event"}
    found = known(nodes, "t>l l.each>a l.done>n").scope_of("a", "condition")

    assert found["item"].about == "The payload of the event."
    assert found["index"].kinds == {"number"}


def test_rows_have_the_columns_of_their_table() -> None:
    columns = {"orders": [{"name": "total", "type": "number", "required": True}, {"name": "note", "type": "text"}]}
    nodes = {
        "t": {"type": "api.dataTable_rowUpdated", "params": {"table": "orders"}},
        "f": {"type": "find_rows", "params": {"table": "orders"}},
        "n": "set_fields",
    }
    found = known(nodes, "t>f f>n", columns=columns)

    rows = action(found, "n")["f"].fields["rows"].items
    assert rows is not None
    assert rows.fields["total"].kinds == {"number"}
    assert rows.fields["note"].kinds == {"text", "null"}
    assert "nope" not in rows.fields
    assert found.scope_of("n")["param"].fields["before"].fields["id"].kinds == {"text"}
    assert action(known(nodes, "t>f f>n"), "n")["f"].fields["rows"].items.is_open  # type: ignore[union-attr]


def test_samples_and_the_last_run_are_hints() -> None:
    sample = {"name": "s", "trigger": "t", "payload": {"order": 7}}
    nodes = {"t": "manual", "h": "http_request", "n": "set_fields"}
    found = known(nodes, "t>h h>n", [sample], outputs={"h": {"status": 200, "body": {"id": 3}}})

    assert found.scope_of("n")["param"].fields["order"].sample == 7
    assert found.scope_of("n")["param"].fields["order"].is_hint
    assert action(found, "n")["h"].fields["body"].fields["id"].is_hint
    assert not action(found, "n")["h"].fields["status"].is_hint


def test_a_circle_and_an_unknown_type_are_no_obstacle() -> None:
    found = known({"t": "manual", "a": "set_fields", "b": "nope", "n": "set_fields"}, "t>a a>b b>a b>n")

    assert not action(found, "n")["a"].missing
    assert action(found, "n")["b"].is_unknown


def test_more_ways_than_are_told_apart_raise_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.decisions.MOST_TABLES", 1)
    found = known(CHOICE, "t>c c.true>a c.false>b a>n b>n")

    assert not action(found, "n")["a"].missing


def test_a_long_chain_is_read_without_recursion() -> None:
    nodes = {"t": "manual"} | {f"n{number}": "set_fields" for number in range(1500)}
    edges = "t>n0 " + " ".join(f"n{number}>n{number + 1}" for number in range(1499))

    assert len(action(known(nodes, edges), "n1499")) == 1500


def test_outputs_that_build_on_each_other_are_read_without_recursion() -> None:
    nodes: dict[str, Json] = {"t": "auth.user_signedUp", "n0": fields(x="{{ $param.email }}")}
    nodes |= {f"n{number}": fields(x=f"{{{{ $action.n{number - 1}.x }}}}") for number in range(1, 300)}
    backwards = dict(reversed(list(nodes.items())))
    edges = "t>n0 " + " ".join(f"n{number}>n{number + 1}" for number in range(299))

    assert action(known(backwards, edges), "n299")["n298"].fields["x"].kinds == {"text"}


def test_names_are_compared_for_a_suggestion_only_so_often() -> None:
    known = Knowledge(document.Document.model_construct(nodes=[], edges=[]), {})

    found = [known.closest("emial", ["email"], 0.6) for _time in range(101)]

    assert found[99] == "email"
    assert found[100] is None
