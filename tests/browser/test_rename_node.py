"""Giving a node another id in its panel."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.flow_page import FlowPage, Server, until

Make = Callable[..., str]
SUBJECT = "About {{ $action.find.total }}"


def made(make_flow: Make) -> str:
    return make_flow(
        {"go": "manual", "find": "find_users", "mail": "send_email"},
        ["go out find", "find out mail"],
        mail={"subject": SUBJECT},
    )


def test_a_new_id_is_written_everywhere_and_taken_back_at_once(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, made(make_flow), server.flows)
    before = flow.draft
    flow.node("find").click()
    page.get_by_role("button", name="Id find: change it").click()
    expect(page.locator(".fe-rename")).to_contain_text("Expressions in “Mail” use it")

    page.get_by_label("New id").fill("find-them")
    page.keyboard.press("Enter")

    expect(page.get_by_role("button", name="Id find-them: change it")).to_be_focused()
    until(lambda: flow.selected == {"find-them"})
    assert flow.nodes["mail"]["params"]["subject"] == "About {{ $action['find-them'].total }}"
    assert flow.edges == {"go out find-them", "find-them out mail"}
    page.get_by_role("button", name="Undo (Ctrl+Z)").click()
    expect(page.get_by_role("button", name="Id find: change it")).to_be_visible()
    until(lambda: flow.draft == before)


def test_an_id_that_cannot_be_is_told_under_the_field(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, made(make_flow), server.flows)
    flow.node("find").click()
    page.get_by_role("button", name="Id find: change it").click()

    page.get_by_label("New id").fill("mail")
    expect(page.locator(".fe-rename")).to_contain_text("There is already a node with the id “mail”")
    page.get_by_label("New id").fill("9 lives")
    expect(page.locator(".fe-rename")).to_contain_text("cannot be an id")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Change the id")).to_be_disabled()
    page.keyboard.press("Escape")

    expect(page.locator(".fe-rename")).to_be_hidden()
    assert set(flow.nodes) == {"go", "find", "mail"}


def test_another_tab_keeps_the_node_open(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, made(make_flow), server.flows)
    other = FlowPage(page.context.new_page(), flow.flow_id, server.flows)
    for each in (flow, other):
        each.node("find").click()
        each.panel_shows("Find")

    flow.page.get_by_role("button", name="Id find: change it").click()
    flow.page.get_by_label("New id").fill("looked_up")
    flow.page.get_by_role("button", name="Change the id").click()

    expect(other.page.get_by_role("button", name="Id looked_up: change it")).to_be_visible()
    until(lambda: other.selected == {"looked_up"})


def test_an_id_that_another_process_changes_keeps_the_node_open_and_what_is_typed(
    page: Page, server: Server, make_flow: Make
) -> None:
    flow = FlowPage(page, made(make_flow), server.flows)
    flow.node("mail").click()
    flow.panel_shows("Mail")
    text = page.get_by_label("Text", exact=True)
    text.fill("Dear")
    text.press("End")
    until(lambda: flow.nodes["mail"]["params"].get("text") == "Dear")

    server.flows.rename_node(flow.flow_id, "mail", "letter")

    expect(page.get_by_role("button", name="Id letter: change it")).to_be_visible()
    until(lambda: flow.selected == {"letter"})
    until(lambda: text.evaluate("(area) => document.activeElement === area"))
    page.keyboard.type(" Ada")
    until(lambda: flow.nodes["letter"]["params"].get("text") == "Dear Ada")
