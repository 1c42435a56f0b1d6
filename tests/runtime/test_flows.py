from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import networkx
import orjson
import pytest
from sqlmodel import select

from nodes import spec
from runtime.errors import BadRequest, Conflict, Invalid, NotFound, TooLarge
from runtime.flow_ids import slug
from runtime.flow_views import FlowChange
from runtime.flows import Flows
from runtime.limits import DOCUMENT_BYTES
from storage.database import Database
from storage.tables import DataTable, Flow, FlowEdit, Subscription

Make = Callable[..., dict[str, Any]]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path}/pulsewire.db")
    database.migrate()
    yield database
    database.dispose()


@pytest.fixture
def flows(database: Database, clock: Clock) -> Flows:
    return Flows(database, spec.load(), clock=clock)


def rename(name: str) -> dict[str, Any]:
    return {"op": "patch_flow", "set": {"name": name}}


def codes(error: pytest.ExceptionInfo[Any]) -> set[str]:
    return {problem.code for problem in error.value.problems}


def test_empty_flow_gets_an_id_of_its_name(flows: Flows):
    first, second = flows.create(name="Größe & <b>more</b>"), flows.create(name="Größe & <b>more</b>")

    assert (first.id, second.id) == ("groe-b-more-b", "groe-b-more-b-2")
    assert first.name == "Größe & <b>more</b>"
    assert first.state == "draft"


@pytest.mark.parametrize("name", ["", "../..", "‮‭", "🦊", "__proto__", "DROP TABLE flow;--", "x" * 10_000])
def test_any_name_gives_a_harmless_id(name: str):
    assert slug(name).replace("-", "").isalnum()
    assert len(slug(name)) <= 60


def test_created_document_is_kept_as_it_is(flows: Flows, document: Make):
    flow = flows.create(document())

    assert flow.draft == document()
    assert flow.problems == ()
    assert networkx.node_link_graph(flow.draft, edges="edges").number_of_edges() == 2


def test_document_without_id_gets_one(flows: Flows, document: Make):
    unnamed = document()
    del unnamed["graph"]["id"]

    assert [flows.create(unnamed).id, flows.create(unnamed).id] == ["greet", "greet-2"]


def test_create_refuses_an_id_that_is_taken(flows: Flows, document: Make):
    flows.create(document())

    with pytest.raises(Conflict) as error:
        flows.create(document())

    assert codes(error) == {"flow.id_taken"}


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ([], "document.not_an_object"),
        ({"format": "pulsewire.flow/9"}, "document.format_unknown"),
        ({"nodes": [{"id": "a", "type": "event", "name": "A"}] * 2, "edges": []}, "node.id_duplicate"),
        ({"edges": [{"source": "start", "target": "gone", "key": "out"}]}, "edge.dangling"),
        (
            {"edges": [{"source": "large", "target": "greet", "key": "true"}, {"source": "greet", "target": "large"}]},
            "graph.cycle",
        ),
    ],
    ids=["list", "format", "duplicate", "dangling", "cycle"],
)
def test_unsound_document_changes_nothing(flows: Flows, document: Make, broken: Any, code: str):
    before = flows.create(document())
    bad = document(**broken) if isinstance(broken, dict) else broken

    for refuse in (
        lambda: flows.save("greet", bad),
        lambda: flows.create(bad),
        lambda: flows.import_(orjson.dumps(bad)),
    ):
        with pytest.raises(Invalid) as error:
            refuse()
        assert code in codes(error)

    assert flows.get("greet") == before
    assert [flow.id for flow in flows.list()] == ["greet"]


def test_every_problem_of_an_import_is_told_at_once(flows: Flows, document: Make):
    bad = document(
        nodes=[{"id": "a", "type": "no_such", "name": "A"}, {"id": "b", "type": "neither", "name": "B"}],
        edges=[],
        samples=[],
        layout={},
    )

    with pytest.raises(Invalid) as error:
        flows.import_(bad)

    assert {problem.node for problem in error.value.problems if problem.code == "node.type_unknown"} == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"format": ', BadRequest),
        ('{"a": NaN}', Invalid),
        ('{"a": 1, "a": 2}', Invalid),
        ('"' + "x" * DOCUMENT_BYTES + '"', TooLarge),
    ],
    ids=["cut off", "nan", "key twice", "too large"],
)
def test_import_reads_json_strictly(flows: Flows, text: str, kind: type[Exception]):
    with pytest.raises(kind):
        flows.import_(text)

    assert flows.list() == []


def test_draft_with_problems_of_meaning_is_kept_and_told(flows: Flows, document: Make):
    unfinished = document()
    unfinished["nodes"][1]["params"] = {}

    flow = flows.create(unfinished)

    assert [(problem.code, problem.node, problem.param) for problem in flow.problems] == [
        ("param.missing", "large", "if")
    ]
    with pytest.raises(Invalid) as error:
        flows.publish("greet")
    assert "param.missing" in codes(error)
    assert flows.get("greet").published_version is None


def test_exported_flow_imports_as_the_same_flow(flows: Flows, document: Make):
    flows.create(document())
    text = flows.export("greet")
    flows.delete("greet")

    assert flows.import_(text).draft == document()
    assert flows.export("greet") == text


def test_import_beside_the_original_gets_a_number(flows: Flows, document: Make):
    flows.create(document())

    copy = flows.import_(flows.export("greet"))

    assert copy.id == copy.draft["graph"]["id"] == "greet-2"


def test_duplicate_is_a_draft_of_its_own(flows: Flows, document: Make):
    flows.create(document())
    flows.publish("greet")

    copy = flows.duplicate("greet")

    assert (copy.id, copy.name, copy.state, copy.published_version) == ("greet-copy", "Greet (copy)", "draft", None)


def test_save_refuses_a_revision_that_was_overtaken(flows: Flows, document: Make):
    seen = flows.create(document()).revision
    flows.edit("greet", [rename("Theirs")])

    with pytest.raises(Conflict) as error:
        flows.save("greet", document(), if_match=seen)

    assert codes(error) == {"flow.changed"}
    assert flows.get("greet").name == "Theirs"


def test_save_can_be_undone(flows: Flows, document: Make):
    flows.create(document())
    changed = document()
    changed["nodes"][2]["name"] = "Hello"
    flows.save("greet", changed)

    flows.undo("greet")

    assert flows.get("greet").draft == document()


def test_save_without_a_change_keeps_the_revision(flows: Flows, document: Make):
    revision = flows.create(document()).revision

    assert flows.save("greet", document()).revision == revision


def test_document_of_another_flow_is_not_saved_over_this_one(flows: Flows, document: Make):
    flows.create(document())

    with pytest.raises(Invalid):
        flows.save("greet", document("other"))


def test_undo_and_redo_walk_through_the_changes(flows: Flows, document: Make):
    flows.create(document())
    for name in ("One", "Two"):
        flows.edit("greet", [rename(name)])

    names = []
    for step in (flows.undo, flows.undo, flows.undo, flows.redo, flows.redo, flows.redo):
        step("greet")
        names.append(flows.get("greet").name)

    assert names == ["One", "Greet", "Greet", "One", "Two", "Two"]


def test_undo_survives_a_restart(flows: Flows, database: Database, document: Make):
    flows.create(document())
    flows.edit("greet", [rename("One")])

    Flows(database, spec.load()).undo("greet")

    assert flows.get("greet").name == "Greet"
    assert flows.history_state("greet") == (False, True)


def test_new_change_drops_what_was_undone(flows: Flows, document: Make):
    flows.create(document())
    flows.edit("greet", [rename("One")])
    flows.undo("greet")
    flows.edit("greet", [rename("Two")])

    assert flows.redo("greet").applied == []
    assert flows.history_state("greet") == (True, False)


@pytest.mark.parametrize(("pause_s", "after_undo"), [(1, "Greet"), (60, "Gre")], ids=["quick", "slow"])
def test_typing_is_undone_as_one(flows: Flows, clock: Clock, document: Make, pause_s: int, after_undo: str):
    flows.create(document())
    for name in ("Gr", "Gre", "Greetings"):
        flows.edit("greet", [rename(name)], merge_key="name")
        clock.now += timedelta(seconds=pause_s)

    flows.undo("greet")

    assert flows.get("greet").name == after_undo


def test_merged_changes_of_different_fields_are_undone_together(flows: Flows, document: Make):
    flows.create(document())
    for name, value in (("to", "a@b.c"), ("subject", "Hi")):
        operation = {"op": "patch_node", "id": "greet", "param": {name: value}}
        flows.edit("greet", [operation], merge_key="form")

    flows.undo("greet")

    assert flows.get("greet").draft == document()


def test_merged_changes_are_undone_from_the_last_to_the_first(flows: Flows, document: Make):
    flows.create(document())
    for params in ({"to": "a@b.c"}, {"to": "d@e.f", "subject": "Hi"}):
        flows.edit("greet", [{"op": "patch_node", "id": "greet", "param": params}], merge_key="form")

    flows.undo("greet")

    assert flows.get("greet").draft == document()


def test_history_is_bounded(flows: Flows, database: Database, document: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("runtime.drafts.HISTORY_EDITS", 3)
    flows.create(document())
    for number in range(6):
        flows.edit("greet", [rename(f"Name {number}")])

    with database.read() as session:
        assert len(session.exec(select(FlowEdit)).all()) == 3


def test_listeners_hear_each_change_once_and_in_order(flows: Flows, document: Make):
    flows.create(document())
    heard: list[FlowChange] = []
    stop = flows.on_change(heard.append)

    flows.edit("greet", [rename("One")], origin="tab 1")
    flows.edit("greet", [rename("One")])
    flows.undo("greet", origin="tab 2")
    flows.save("greet", document())
    stop()
    flows.edit("greet", [rename("Two")])

    assert [(each.revision, each.origin) for each in heard] == [(2, "tab 1"), (3, "tab 2")]
    assert heard[0].operations == [rename("One")]


def test_refused_operation_is_told_and_the_others_are_done(flows: Flows, document: Make):
    flows.create(document())
    cycle = {"op": "add_edge", "edge": {"source": "greet", "target": "large", "key": "out"}}

    result = flows.edit("greet", [cycle, rename("One")])

    assert [(operation, problem.code) for operation, problem in result.refused] == [(cycle, "graph.cycle")]
    assert flows.get("greet").name == "One"
    assert result.revision == flows.revision("greet") == 2


def test_edit_of_the_future_is_refused(flows: Flows, document: Make):
    flows.create(document())

    with pytest.raises(Conflict):
        flows.edit("greet", [rename("One")], base_revision=7)


def test_publishing_makes_versions_that_never_change(flows: Flows, document: Make):
    flows.create(document())
    assert flows.publish("greet").published_version == 1
    assert flows.publish("greet").published_version == 1
    flows.edit("greet", [rename("New")])
    assert flows.get("greet").has_unpublished_changes
    assert flows.publish("greet").published_version == 2

    assert flows.version("greet", 1) == document()
    assert [(each.version, each.is_live) for each in flows.versions("greet")] == [(2, True), (1, False)]


def test_a_flow_listens_until_it_is_unpublished(flows: Flows, database: Database, document: Make):
    def listening() -> list[tuple[str, int]]:
        with database.read() as session:
            return [(row.event, row.version) for row in session.exec(select(Subscription))]

    flows.create(document())
    seen = [listening()]
    for step in (flows.publish, flows.pause, flows.resume, flows.unpublish, flows.publish):
        step("greet")
        seen.append(listening())
    flows.delete("greet")

    on = [("shop.order_paid", 1)]
    assert seen == [[], on, on, on, [], [("shop.order_paid", 2)]]
    assert listening() == []


def test_only_live_flows_are_told_with_what_starts_them(flows: Flows, document: Make):
    live, paused, _draft = (flows.import_(document()).id for _ in range(3))
    flows.publish(live)
    flows.publish(paused)
    flows.pause(paused)

    assert [(each.event, each.match, each.flow_id) for each in flows.live_triggers()] == [("shop.order_paid", {}, live)]


def test_a_resumed_flow_listens_to_what_was_published_and_not_to_its_draft(
    flows: Flows, database: Database, document: Make
):
    flows.create(document())
    flows.publish("greet")
    flows.pause("greet")
    flows.edit("greet", [{"op": "patch_node", "id": "start", "param": {"event": "shop.order_lost"}}])

    flows.resume("greet")

    with database.read() as session:
        (row,) = session.exec(select(Subscription)).all()
    assert (row.event, row.version) == ("shop.order_paid", 1)


def test_a_flow_with_warnings_alone_is_published(flows: Flows, document: Make):
    loose = document()
    loose["edges"] = loose["edges"][:1]
    flows.create(loose)

    flow = flows.publish("greet")

    assert {problem.code for problem in flow.problems} == {"graph.unreachable", "port.nothing_follows"}
    assert {problem.severity for problem in flow.problems} == {"warning"}
    assert flow.published_version == 1


def test_problems_follow_the_tables_that_there_are(flows: Flows, database: Database, document: Make):
    reading = document()
    reading["nodes"][2] |= {"type": "find_rows", "params": {"table": "orders"}}
    before = flows.create(reading).problems

    with database.write() as session:
        session.add(DataTable(id="1", name="orders", folded_name="orders", physical="rows_1", columns=[]))

    assert [problem.code for problem in before] == ["param.table_unknown"]
    assert flows.get("greet").problems == ()


def test_deleted_flow_made_anew_has_no_history(flows: Flows, document: Make):
    flows.create(document())
    flows.publish("greet")
    flows.edit("greet", [rename("One")])
    flows.delete("greet")

    flows.create(document())

    assert flows.history_state("greet") == (False, False)
    assert flows.publish("greet").published_version == 2


def test_list_tells_what_the_page_shows(flows: Flows, database: Database, document: Make):
    flows.create(document())
    unfinished = document("unfinished")
    unfinished["graph"]["name"] = "100%_sure"
    unfinished["nodes"][1]["params"] = {}
    flows.create(unfinished)
    flows.publish("greet")

    (line,) = flows.list(state="published")

    assert (line.node_count, line.trigger_types, line.problem_count) == (3, ("event",), 0)
    assert [(each.id, each.problem_count) for each in flows.list(search="0%_")] == [("unfinished", 1)]
    assert flows.list(search="%") == flows.list(search="_sure") != flows.list()


def test_unknown_flow_is_not_found(flows: Flows, database: Database):
    for call in (flows.get, flows.delete, flows.publish, flows.export, flows.undo, flows.revision, flows.duplicate):
        with pytest.raises(NotFound):
            call("nowhere")
    with database.read() as session:
        assert session.exec(select(Flow)).all() == []
