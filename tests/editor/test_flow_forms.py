"""What the flow editor derives: forms from declarations, pictures from documents, states from runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from editor.canvas import touched_by
from editor.catalog import (
    Entry,
    Picture,
    canvas_catalog,
    card_size,
    entries,
    entry_of,
    picture,
    ports_of,
    readable,
    stem,
    summary,
)
from editor.live import edge_states, node_states
from editor.param_form import param_fields, shown, typed
from editor.replays import Replays
from editor.step_row import effect_in_words
from nodes import spec
from runtime.errors import Problem
from runtime.run_views import RunView, StepView

TYPES = spec.load()
NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
FLOW: dict[str, Any] = {
    "nodes": [
        {"id": "table_emptied", "type": "api.dataTable_emptied", "name": "Table emptied", "params": {}},
        {"id": "check", "type": "condition", "name": "Check", "params": {"if": "{{ $param.Name == 'orders' }}"}},
        {"id": "mail", "type": "send_email", "name": "Mail", "params": {}},
    ],
    "edges": [
        {"source": "table_emptied", "target": "check", "key": "out"},
        {"source": "check", "target": "mail", "key": "true"},
    ],
    "samples": [],
    "layout": {"check": [280, 0]},
}


def test_every_node_type_has_a_form_and_a_face() -> None:
    faces = canvas_catalog(TYPES)

    assert {face["type"] for face in faces.values()} == {*TYPES}
    assert [key for key, face in faces.items() if face["is_listed"]] == [entry.key for entry in entries(TYPES)]
    for node_type in TYPES.values():
        assert faces[node_type.type]["color"].startswith("--pw-")
        assert [field.name for field in param_fields(node_type)] == [
            info.alias or name for name, info in node_type.params.model_fields.items()
        ]


def test_triggers_come_first_and_every_category_is_in_one_piece() -> None:
    categories = [entry.node_type.category for entry in entries(TYPES)]

    assert list(dict.fromkeys(categories)) == [
        *("Triggers", "Table triggers", "User triggers"),
        *("Logic", "Communication", "Data", "Users"),
    ]
    assert categories == sorted(categories, key=list(dict.fromkeys(categories)).index)


def test_presets_are_offered_in_place_of_their_type() -> None:
    reset = TYPES["auth.password_reset"]
    asked, done = (entry_of(reset, {"phase": phase}) for phase in ("requested", "completed"))

    offered = {entry.key: entry.title for entry in entries(TYPES) if entry.node_type is reset}
    faces = canvas_catalog(TYPES)

    assert offered == {done.key: "Password reset", asked.key: "Password reset requested"}
    assert [faces[asked.key][name] for name in ("type", "params", "stem", "title", "hint")] == [
        "auth.password_reset",
        {"phase": "requested"},
        "password_reset_requested",
        "Password reset requested",
        "A user asks for a new password",
    ]
    assert faces["auth.password_reset"]["is_listed"] is False
    assert entry_of(reset, {}) == asked, "a node without parameters is what its defaults say"
    assert entry_of(reset, {"phase": "other"}).preset is None


def test_a_card_knows_the_preset_that_its_node_is() -> None:
    reset = TYPES["auth.password_reset"]
    nodes = [
        {"id": "asked", "type": reset.type, "name": "Asked"},
        {"id": "done", "type": reset.type, "name": "Done", "params": {"phase": "completed"}},
        {"id": "mail", "type": "send_email", "name": "Mail"},
    ]

    cards = picture(FLOW | {"nodes": nodes, "edges": []}, TYPES).nodes

    asked, done = (entry_of(reset, {"phase": phase}).key for phase in ("requested", "completed"))
    assert [card["kind"] for card in cards.values()] == [asked, done, None]


def test_ids_are_made_from_the_words_that_people_know() -> None:
    assert stem(Entry("", TYPES["api.dataTable_emptied"])) == "table_emptied"
    assert stem(Entry("", TYPES["send_email"])) == "send_email"


@pytest.mark.parametrize("value", ["plain", "12", 12, 1.5, True, None, "true", [1, "a"], {"a": 1}, '"quoted"', ""])
def test_what_a_field_shows_is_read_back_as_the_same_value(value: Any) -> None:
    assert typed(shown(value)) == value


def test_text_that_is_json_is_quoted_and_other_text_is_not() -> None:
    assert shown("12") == '"12"'
    assert shown("{{ $param.a }}") == "{{ $param.a }}"


def test_a_card_says_what_its_node_is_set_to() -> None:
    check, mail = FLOW["nodes"][1:]

    assert summary(check, TYPES["condition"]) == "$param.Name == 'orders'"
    assert summary(mail, TYPES["send_email"]) == "Not set up yet"
    assert readable(["a", "{{ $param.b }}"]) == "a, $param.b"


def test_a_node_of_an_unknown_type_is_drawn_all_the_same() -> None:
    document = {"nodes": [{"id": "x", "type": "gone", "name": "X"}], "edges": [], "layout": {}}

    drawn = picture(document, TYPES)

    assert drawn.nodes["x"]["summary"] == "Unknown type gone"
    assert drawn.nodes["x"]["ports"] == [{"name": "out", "title": ""}]


def test_a_node_that_goes_on_when_it_fails_has_a_way_out() -> None:
    stop = {"id": "s", "type": "stop_with_error", "name": "S", "params": {}, "on_error": "continue"}

    assert [port.name for port in ports_of(stop, TYPES["stop_with_error"])] == ["out"]
    assert ports_of({**stop, "on_error": "stop"}, TYPES["stop_with_error"]) == ()


def test_ports_of_a_node_follow_its_parameters_and_settings() -> None:
    switch = {"id": "s", "type": "switch", "name": "S", "params": {"cases": ["a"]}, "on_error": "port"}

    drawn = picture({"nodes": [switch], "edges": [], "layout": {}}, TYPES)

    assert [port["name"] for port in drawn.nodes["s"]["ports"]] == ["a", "default", "error"]
    assert card_size(switch, TYPES["switch"]) == (220, 64 + 12 + 3 * 22)


def test_a_node_tells_all_its_problems_the_errors_first() -> None:
    problems = [Problem("w", "warn", "mail", severity="warning"), Problem("e", "bad", "mail")]

    marked = picture(FLOW, TYPES, problems).nodes["mail"]["problem"]

    assert marked == {"tone": "error", "message": "bad\nwarn", "count": 2}


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        ({"w": "warning"}, "warning"),
        ({"param.missing": "error", "w": "warning"}, "gap"),
        ({"param.missing": "error", "e": "error"}, "error"),
    ],
)
def test_a_node_that_is_only_unfinished_is_told_from_one_that_is_wrong(
    severities: dict[str, str], expected: str
) -> None:
    problems = [Problem(code, code, "mail", severity=severity) for code, severity in severities.items()]

    assert picture(FLOW, TYPES, problems).nodes["mail"]["problem"]["tone"] == expected


def test_only_what_changed_is_sent_and_what_is_in_doubt() -> None:
    before = picture(FLOW, TYPES)
    later = FLOW | {"edges": FLOW["edges"][:1], "layout": {"check": [300, 0]}}

    changes = picture(later, TYPES).changes_since(before, nodes=["never_saved"])

    assert [node["id"] for node in changes["nodes"]] == ["check"]
    assert changes["cut"] == [{"source": "check", "target": "mail", "key": "true"}]
    assert changes["gone"] == ["never_saved"]
    assert before.changes_since(before) == {"nodes": [], "gone": [], "edges": [], "cut": []}
    assert len(before.changes_since(Picture())["nodes"]) == 3


def test_operations_name_what_they_touch() -> None:
    edge = {"source": "a", "target": "b", "key": "out"}
    operations = [
        {"op": "add_node", "node": {"id": "a"}, "at": [0, 0]},
        {"op": "move", "at": {"b": [0, 0]}},
        {"op": "add_edge", "edge": edge},
        {"op": "del_node", "id": "c"},
    ]

    assert touched_by(operations) == ({"a", "b", "c"}, {("a", "out", "b")})


def test_a_run_shows_states_and_the_edges_that_were_taken() -> None:
    view = run_of(step("table_emptied", "out"), step("check", "false"), step("mail", None, "skipped"))

    shown = {"state": "succeeded", "ms": 5.0, "message": None, "output": True, "pinned": False}
    assert node_states(view)["check"] == shown
    assert {edge["source"]: edge["state"] for edge in edge_states(view)} == {
        "table_emptied": "taken",
        "check": "untaken",
    }


def test_edges_behind_a_node_that_was_passed_over_count_as_taken() -> None:
    view = run_of(step("table_emptied", "out"), step("check", "true", "skipped"))

    assert {edge["source"]: edge["state"] for edge in edge_states(view)}["check"] == "taken"


def test_items_of_a_loop_are_shown_together_until_one_is_chosen() -> None:
    body = [replace(step("check", "true"), iteration="0"), replace(step("check", None, "failed"), iteration="1")]
    view = replace(
        run_of(step("table_emptied", None, "running"), *body),
        repeated={"check": {"succeeded": 1, "failed": 1}},
    )

    together, chosen = node_states(view), node_states(view, {"check": body[0]})

    assert (together["check"]["state"], together["check"]["count"]) == ("failed", "1 of 2")
    assert (chosen["check"]["state"], chosen["check"]["count"]) == ("succeeded", "Item 1")
    assert edge_states(view)[0]["state"] == "taken", "the edge into the body, while the loop goes on"


def test_a_message_that_is_sent_again_is_not_done_again() -> None:
    replays = Replays()

    assert [replays.is_new("tab", seq) for seq in (1, 2, 2, 1, 2, 3)] == [True, True, False, False, False, True]
    assert replays.is_new("other", 1)


def step(node: str, port: str | None, status: str = "succeeded") -> StepView:
    return StepView(node, "", status, 1, port, None, None, None, None, NOW, NOW + timedelta(milliseconds=5))


def run_of(*steps: StepView) -> RunView:
    return RunView(
        id=1,
        flow="f",
        flow_name="F",
        version=1,
        status="succeeded",
        trigger="table_emptied",
        event_id=None,
        event_name=None,
        is_test=False,
        is_simulated=False,
        parent_run=None,
        error=None,
        created_at=NOW,
        started_at=NOW,
        ended_at=NOW,
        payload={},
        steps=steps,
        document=FLOW,
    )


@pytest.mark.parametrize(
    ("effect", "simulated", "real"),
    [
        ({"kind": "email", "subject": "Hi"}, "would send “Hi”", "sent “Hi”"),
        ({"kind": "http", "method": "GET", "url": "https://a.example"}, "would call GET https://a.example", None),
        ({"kind": "rows", "action": "insert", "table": "orders"}, "would add 1 row of orders", None),
        ({"kind": "rows", "action": "delete", "table": "orders", "count": 3}, None, "deleted 3 rows of orders"),
        ({"kind": "event", "name": "shop.paid"}, None, "reported shop.paid"),
        ({"kind": "user", "action": "block", "user": "ada@a.example"}, "would block ada@a.example", None),
    ],
    ids=["email", "request", "insert", "delete", "event", "user"],
)
def test_an_effect_is_told_in_one_line(effect: dict[str, Any], simulated: str | None, real: str | None) -> None:
    for wanted, is_simulated in ((simulated, True), (real, False)):
        assert wanted is None or effect_in_words(effect, is_simulated=is_simulated) == wanted
