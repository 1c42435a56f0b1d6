"""Problems where people meet them: on the canvas, in the list, under the field, and repaired at a click."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.flow_page import FlowPage, Server, until

Make = Callable[..., str]
WRONG = "{{ $param.Nmae }} and {{ $param.Nmae }}"


def opened(page: Page, server: Server, make_flow: Make, **mail: object) -> FlowPage:
    made = make_flow(
        {"emptied": "api.dataTable_emptied", "mail": "send_email"},
        ["emptied out mail"],
        mail={"to": "ops@example.com", "subject": "Empty", **mail},
    )
    return FlowPage(page, made, server.flows)


def test_a_suggestion_is_applied_where_it_belongs_and_taken_back_at_once(
    page: Page, server: Server, make_flow: Make
) -> None:
    flow = opened(page, server, make_flow, subject=WRONG)
    flow.node("mail").click()
    told = page.locator(".fe-field[data-param=subject] .fe-problem")
    expect(told).to_have_count(2)

    told.nth(1).get_by_role("button", name="Use Name").click()

    expect(told).to_have_count(1)
    assert flow.nodes["mail"]["params"]["subject"] == "{{ $param.Nmae }} and {{ $param.Name }}"
    page.get_by_role("button", name="Undo (Ctrl+Z)").click()
    expect(told).to_have_count(2)
    until(lambda: flow.nodes["mail"]["params"]["subject"] == WRONG)


def test_the_list_repairs_too_and_leads_to_the_field(page: Page, server: Server, make_flow: Make) -> None:
    flow = opened(page, server, make_flow, subject="{{ $param.Nmae }}", cc=["{{ $param.Nmae }}"])

    page.locator(".fe-problem-line", has_text="Subject").get_by_role("button", name="Use Name").click()
    until(lambda: flow.nodes["mail"]["params"]["subject"] == "{{ $param.Name }}")
    expect(page.locator(".fe-problem-line", has_text="Subject")).to_have_count(0)
    page.locator(".fe-problem-item", has_text="Cc").click()

    expect(page.get_by_label("Cc: entry 1", exact=True)).to_be_focused()
    until(lambda: flow.selected == {"mail"})


def test_wrong_unfinished_and_doubtful_are_told_apart(page: Page, server: Server, make_flow: Make) -> None:
    made = make_flow(
        {"emptied": "api.dataTable_emptied", "wrong": "send_email", "empty": "send_email", "lone": "set_fields"},
        ["emptied out wrong", "emptied out empty"],
        wrong={"to": "ops@example.com", "subject": WRONG},
        lone={"fields": {"a": 1}},
    )
    flow = FlowPage(page, made, server.flows)

    for node, kind, count in (("wrong", "error", "2"), ("empty", "gap", "2"), ("lone", "warning", "")):
        mark = flow.node(node).locator(".fc-problem")
        expect(mark).to_have_attribute("data-tone", kind)
        expect(mark.locator("b")).to_have_count(1 if count else 0)
    expect(page.locator(".fe-problem-item--warning")).to_have_count(1)
    expect(page.locator(".fe-problem-item--gap")).to_have_count(2)
