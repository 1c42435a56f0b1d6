"""What each page says and does, seen by a simulated person."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from nicegui import ui

from backend.datahub import Column
from backend.events import DataTableCreated, DataTableDeleted, DataTableEmptied, Event
from runtime.outbox import NewEvent
from tests.editor.simulated import Pages, until

PLACES = ["/", "/runs", "/tables", "/users", "/users/roles", "/users/hosted-pages", "/mailbox", "/settings", "/audit"]


@pytest.mark.parametrize("path", PLACES)
async def test_every_page_opens_on_an_empty_installation(pages: Pages, path: str) -> None:
    await pages.user.open(path)

    await pages.user.should_see("Pulsewire")


async def test_an_unknown_address_answers_404_in_the_same_design(pages: Pages) -> None:
    answer = await pages.http.get("/no/such/page")

    assert answer.status_code == 404
    assert "There is no such page" in answer.text


async def test_an_unknown_table_answers_404_and_leads_back(pages: Pages) -> None:
    answer = await pages.http.get("/tables/none")

    assert answer.status_code == 404
    assert "There is no such table" in answer.text
    assert "All tables" in answer.text


async def test_the_theme_is_chosen_before_anything_is_painted(pages: Pages) -> None:
    page = (await pages.http.get("/")).text

    assert page.index("/static/theme.js") < page.index("<body>")
    assert (await pages.http.get("/static/theme.js")).status_code == 200


async def test_without_flows_an_example_is_offered_and_imported(pages: Pages) -> None:
    await pages.user.open("/")
    await pages.user.should_see("Draw your first flow")

    pages.press("Start from an example")
    await until(lambda: pages.user.back_history[-1] == "/flows/warn-on-emptied-table")

    assert [flow.name for flow in pages.service.flows.list()] == ["Warn on emptied table"]


async def test_a_flow_with_a_sample_opens_without_a_fault(
    pages: Pages, document: Callable[..., dict[str, Any]]
) -> None:
    pages.service.flows.create(document())

    await pages.user.open("/flows/greet")
    await pages.user.should_see("About this flow")

    assert pages.user.notify.messages == []


async def test_a_flow_can_be_found_by_its_name(pages: Pages) -> None:
    pages.service.flows.create(name="Alpha")
    pages.service.flows.create(name="Beta")
    await pages.user.open("/")

    pages.user.find(kind=ui.input).type("alp")

    await pages.user.should_see("Alpha")
    await pages.user.should_not_see("Beta")


async def test_a_flow_with_problems_does_not_go_live_and_says_why(pages: Pages) -> None:
    pages.service.flows.create(name="Empty")
    await pages.user.open("/")

    pages.user.find(kind=ui.switch).click()
    await pages.user.should_see("trigger")

    assert pages.service.flows.list()[0].state == "draft"


async def test_deleting_a_flow_asks_first_and_names_it(pages: Pages) -> None:
    pages.service.flows.create(name="Old one")
    await pages.user.open("/")

    pages.choose("Delete")
    await pages.user.should_see("Delete “Old one”?")
    assert len(pages.service.flows.list()) == 1

    pages.press("Delete flow")
    await pages.user.should_see("Draw your first flow")
    assert pages.service.flows.list() == []


async def test_importing_what_is_no_flow_lists_the_problems_and_keeps_nothing(pages: Pages) -> None:
    await pages.user.open("/")
    pages.press("Import")

    pages.user.find(kind=ui.textarea).type('{"format": "other"}')
    pages.press("Import")

    await pages.user.should_see("Nothing was imported.")
    assert pages.service.flows.list() == []


async def test_a_table_is_created_with_its_columns_in_one_event(pages: Pages, fired: list[Event]) -> None:
    await pages.user.open("/tables")
    pages.press("New table")

    by_hint = {each.props.get("placeholder"): each for each in pages.user.find(kind=ui.input).elements}
    by_hint["orders"].value = "orders"
    by_hint["column_name"].value = "customer"
    pages.press("Create table")
    await until(lambda: pages.service.tables.list())

    table = pages.service.tables.get("orders")
    assert table.columns == (Column("customer", "text"),)
    assert [type(event) for event in fired] == [DataTableCreated]


async def test_faults_of_a_new_table_are_shown_and_nothing_is_created(pages: Pages) -> None:
    await pages.user.open("/tables")
    pages.press("New table")

    pages.press("Create table")

    await until(lambda: any(each.error for each in pages.user.find(kind=ui.input).elements))
    assert pages.service.tables.list() == []


async def test_clearing_a_table_asks_and_reports_it_once(pages: Pages, fired: list[Event]) -> None:
    table = pages.service.tables.create("orders", [Column("n", "integer")])
    pages.service.tables.insert(table.id, [{"n": 1}, {"n": 2}])
    fired.clear()
    await pages.user.open(f"/tables/{table.id}")

    pages.choose("Clear table")
    await pages.user.should_see("Clear “orders”?")
    await pages.user.should_see("All 2 rows")
    pages.press("Clear table")
    await until(lambda: pages.service.tables.count(table.id) == 0)

    assert [type(event) for event in fired] == [DataTableEmptied]


async def test_deleting_a_table_needs_its_name(pages: Pages, fired: list[Event]) -> None:
    table = pages.service.tables.create("orders")
    fired.clear()
    await pages.user.open(f"/tables/{table.id}")

    pages.choose("Delete table")
    await pages.user.should_see("Type “orders” to confirm")
    agree = next(each for each in pages.user.find(kind=ui.button).elements if each.text == "Delete table")
    assert not agree.enabled
    typed = next(each for each in pages.user.find(kind=ui.input).elements if not each.props.get("placeholder"))
    typed.value = "orders"
    assert agree.enabled
    pages.press("Delete table")
    await until(lambda: not pages.service.tables.list())

    assert [type(event) for event in fired] == [DataTableDeleted]


async def test_rows_leave_as_csv(pages: Pages) -> None:
    table = pages.service.tables.create("my orders", [Column("customer", "text")])
    pages.service.tables.insert(table.id, [{"customer": "=cmd()"}])

    answer = await pages.http.get(f"/tables/{table.id}/export.csv")

    assert answer.headers["content-disposition"].startswith('attachment; filename="my_orders.csv"')
    assert "customer" in answer.text.splitlines()[0]
    assert "'=cmd()" in answer.text


async def test_runs_are_listed_and_filtered_by_status(pages: Pages) -> None:
    pages.service.flows.create(_document())
    pages.service.flows.publish("greet")
    await pages.service.emit([NewEvent("greeted", {})])
    await until(lambda: [each for each in pages.service.runs.list().items if each.has_ended])

    await pages.user.open("/runs")
    await pages.user.should_see("Greet")
    await pages.user.open("/runs?status=failed")

    await pages.user.should_see("No run fits")


async def test_open_runs_of_a_flow_are_cancelled_after_asking(pages: Pages) -> None:
    document = _document()
    document["nodes"].append({"id": "wait", "type": "delay", "name": "Wait", "params": {"seconds": 3600}})
    document["edges"].append({"source": document["nodes"][0]["id"], "target": "wait", "key": "out"})
    pages.service.flows.create(document)
    pages.service.flows.publish("greet")
    await pages.service.emit([NewEvent("greeted", {}), NewEvent("greeted", {})])
    await until(lambda: len(pages.service.runs.list(status="waiting").items) == 2)
    await pages.user.open("/runs?flow=greet")

    pages.press("Cancel open runs")
    await pages.user.should_see("Cancel all open runs of “Greet”?")
    before = {run.status for run in pages.service.runs.list().items}
    pages.press("Cancel runs")
    await until(lambda: not pages.service.runs.list(status="waiting").items)

    assert before == {"waiting"}
    assert {run.status for run in pages.service.runs.list().items} == {"cancelled"}


async def test_the_html_of_a_message_is_served_with_nothing_allowed(pages: Pages) -> None:
    source = b"Subject: hi\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script><p>hi</p>"
    pages.service.mailbox.keep(
        source, message_id="<1@x>", sender="a@b.c", recipients=["d@e.f"], subject="hi", idempotency_key="1"
    )

    answer = await pages.http.get("/mailbox/1/html")

    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>hi</p>", '<base target="_blank"><p>hi</p>'),
        ("<!doctype html><HEAD x=1><title>", '<!doctype html><HEAD x=1><base target="_blank"><title>'),
    ],
    ids=["fragment", "document"],
)
async def test_links_of_a_message_open_in_a_tab_of_their_own(pages: Pages, html: str, expected: str) -> None:
    source = f"Subject: hi\r\nContent-Type: text/html\r\n\r\n{html}".encode()
    pages.service.mailbox.keep(
        source, message_id="<1@x>", sender="a@b.c", recipients=["d@e.f"], subject="hi", idempotency_key="1"
    )

    assert (await pages.http.get("/mailbox/1/html")).text.strip() == expected


async def test_the_frame_around_the_html_of_a_message_allows_no_more_than_its_links(pages: Pages) -> None:
    source = b"Subject: hi\r\nContent-Type: text/html\r\n\r\n<p>hi</p>"
    pages.service.mailbox.keep(
        source, message_id="<1@x>", sender="a@b.c", recipients=["d@e.f"], subject="hi", idempotency_key="1"
    )

    await pages.user.open("/mailbox?message=1")

    assert pages.user.client is not None
    (shown,) = await until(lambda: [each for each in pages.user.client.elements.values() if each.tag == "iframe"])
    assert shown.props["sandbox"] == "allow-popups allow-popups-to-escape-sandbox"
    assert shown.props["src"] == "/mailbox/1/html"


async def test_a_message_is_marked_as_read_when_it_is_opened(pages: Pages) -> None:
    pages.service.mailbox.keep(
        b"Subject: hi\r\n\r\nHello",
        message_id="<1@x>",
        sender="a@b.c",
        recipients=["d@e.f"],
        subject="hi",
        idempotency_key="1",
    )
    await pages.user.open("/mailbox?message=1")

    await pages.user.should_see("Hello")
    assert pages.service.mailbox.unread_count() == 0


async def test_the_mail_server_is_kept_and_its_password_never_shown(pages: Pages) -> None:
    await pages.user.open("/settings")
    inputs = {each.props.get("placeholder"): each for each in pages.user.find(kind=ui.input).elements}
    inputs["smtp.example.com"].value = "mail.example.com"
    inputs["Shop <shop@example.com>"].value = "Shop <shop@example.com>"
    plain = [each for each in pages.user.find(kind=ui.input).elements if not each.props.get("placeholder")]
    next(each for each in plain if each.props["type"] == "password").value = "s3cret"
    next(each for each in plain if each.props["type"] == "text" and not each.value).value = "shop"

    pages.press("Save")
    await pages.user.should_see("Email leaves through mail.example.com:587")

    page = (await pages.http.get("/settings")).text
    assert "s3cret" not in page
    assert pages.service.preferences.smtp().password == "s3cret"  # type: ignore[union-attr]


async def test_an_api_key_is_shown_once(pages: Pages) -> None:
    await pages.user.open("/settings")
    pages.press("New key")
    await pages.user.should_see("Who or what uses it")
    name = next(each for each in pages.user.find(kind=ui.input).elements if each.props.get("maxlength") == "100")
    name.value = "Shop"
    pages.press("Create key")

    await pages.user.should_see("Copy it now")

    key = pages.service.keys.list()[0]
    page = (await pages.http.get("/settings")).text
    assert key.prefix in page
    assert page.count("pw_") == page.count(key.prefix)


def _document() -> Any:
    return json.loads(
        """{"format": "pulsewire.flow/1", "directed": true, "multigraph": true,
        "graph": {"id": "greet", "name": "Greet", "description": ""},
        "nodes": [{"id": "start", "type": "event", "name": "Start", "params": {"event": "greeted"}},
                  {"id": "set", "type": "set_fields", "name": "Set", "params": {"fields": {"a": 1}}}],
        "edges": [{"source": "start", "target": "set", "key": "out"}], "samples": [], "layout": {}}"""
    )
