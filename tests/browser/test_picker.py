"""The picker of values: where it opens, how it is walked through, and what it writes where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.flow_page import FlowPage, Server, until
from tests.operators import COOKIE, signed_in

Make = Callable[..., str]
PAYLOAD = {"total": 12, "customer": {"email": "ada@example.com", "full name": "Ada"}}


@pytest.fixture
def flow_id(server: Server, make_flow: Make) -> str:
    """An event, a request with many kinds of fields, a mail; with a sample."""
    made = make_flow(
        {"paid": "event", "call": "http_request", "mail": "send_email"},
        ["paid out call", "call out mail"],
        paid={"event": "shop.paid"},
        call={"url": "https://example.com/"},
    )
    sample = {"name": "one", "trigger": "paid", "payload": PAYLOAD}
    server.flows.edit(made, [{"op": "set_samples", "samples": [sample]}])
    return made


def opened(page: Page, server: Server, flow_id: str, node: str, field: str) -> FlowPage:
    flow = FlowPage(page, flow_id, server.flows)
    flow.node(node).click()
    page.get_by_role("button", name=f"{field}: insert a value").click()
    expect(page.get_by_role("tree")).to_be_visible()
    return flow


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("treeitem").filter(has=page.locator(".vp-name", has_text=name)).first


def param(flow: FlowPage, node: str, name: str) -> Any:
    return flow.nodes[node]["params"].get(name)


def test_it_is_walked_through_by_keyboard_and_gives_the_focus_back(page: Page, server: Server, flow_id: str) -> None:
    flow = opened(page, server, flow_id, "mail", "Subject")
    expect(page.get_by_role("combobox", name="Search values")).to_be_focused()

    page.keyboard.type("full")
    expect(page.locator(".vp-row.is-active .vp-name")).to_have_text("full name")
    page.keyboard.press("Enter")

    expect(page.get_by_role("tree")).to_be_hidden()
    expect(page.get_by_label("Subject", exact=True)).to_be_focused()
    page.keyboard.type(" paid ")
    page.get_by_role("button", name="Subject: insert a value").click()
    for key in ("End", "ArrowUp", "Home", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".vp-row.is-active .vp-name")).to_have_text("email")
    expect(page.locator(".vp-foot")).to_contain_text("ada@example.com")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    until(lambda: param(flow, "mail", "subject") == "{{ $param.customer['full name'] }} paid {{ $param.total }}")

    page.get_by_role("button", name="Subject: insert a value").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("tree")).to_be_hidden()
    expect(page.get_by_label("Subject", exact=True)).to_be_focused()


def test_inside_of_an_expression_there_are_no_more_braces(page: Page, server: Server, flow_id: str) -> None:
    flow = FlowPage(page, flow_id, server.flows)
    flow.node("mail").click()
    page.get_by_label("Subject", exact=True).click()
    page.keyboard.type("{{")
    expect(page.get_by_role("tree")).to_be_visible()
    expect(page.get_by_label("Subject", exact=True)).to_be_focused()

    page.keyboard.press("ArrowDown")
    page.keyboard.type("total")
    page.keyboard.press("Enter")

    until(lambda: param(flow, "mail", "subject") == "{{ $param.total }}")


def test_typing_on_puts_it_away(page: Page, server: Server, flow_id: str) -> None:
    flow = FlowPage(page, flow_id, server.flows)
    flow.node("mail").click()
    page.get_by_label("Subject", exact=True).click()
    page.keyboard.type("{{")
    expect(page.get_by_role("tree")).to_be_visible()

    page.keyboard.type("1 + 1")

    expect(page.get_by_role("tree")).to_be_hidden()


def test_a_value_is_dragged_into_any_field(page: Page, server: Server, flow_id: str) -> None:
    flow = opened(page, server, flow_id, "mail", "Subject")

    row(page, "total").drag_to(page.get_by_label("Text", exact=True))
    until(lambda: param(flow, "mail", "text") == "{{ $param.total }}")
    expect(page.get_by_role("tree")).to_be_visible()
    row(page, "customer").get_by_role("button", name="Unfold customer").click()
    row(page, "email").drag_to(page.locator(".fe-field", has_text="Subject").locator(".fe-label"))
    until(lambda: param(flow, "mail", "subject") == "{{ $param.customer.email }}")
    page.get_by_label("Text", exact=True).press("Escape")

    expect(page.get_by_role("tree")).to_be_hidden()


def test_a_field_of_choices_becomes_an_expression(page: Page, server: Server, flow_id: str) -> None:
    flow = opened(page, server, flow_id, "call", "Method")

    row(page, "total").click()

    until(lambda: param(flow, "call", "method") == "{{ $param.total }}")
    expect(page.get_by_role("button", name="Method: expression")).to_have_attribute("aria-pressed", "true")


def test_examples_and_the_nodes_before_are_shown(page: Page, server: Server, flow_id: str) -> None:
    opened(page, server, flow_id, "mail", "Subject")

    expect(page.get_by_role("treeitem").filter(has_text="total")).to_contain_text("12")
    groups = page.locator(".vp-group .vp-name")
    assert groups.all_inner_texts() == ["Payload", "Call", "Always there"]


def test_a_flow_without_a_sample_says_what_to_do(page: Page, server: Server, make_flow: Make) -> None:
    made = make_flow({"paid": "event", "mail": "send_email"}, ["paid out mail"], paid={"event": "shop.paid"})

    opened(page, server, made, "mail", "Subject")

    expect(page.locator(".vp-hint")).to_contain_text("Save a sample")


def test_on_a_phone_it_is_a_sheet(browser: Browser, server: Server, flow_id: str) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
        reduced_motion="reduce",
        base_url=server.url,
    )
    server.flows.edit(flow_id, [{"op": "move", "at": {"mail": [0, 120]}}])
    context.add_cookies([{"name": COOKIE, "value": signed_in(server.database), "url": server.url}])
    page = context.new_page()
    flow = FlowPage(page, flow_id, server.flows)
    flow.node("mail").tap()
    page.get_by_role("button", name="Subject: insert a value").tap()

    box = page.locator(".vp-card").bounding_box()
    row(page, "total").tap()

    assert box is not None
    assert (box["x"], box["width"], box["y"] + box["height"]) == (0, 390, 844)
    until(lambda: param(flow, "mail", "subject") == "{{ $param.total }}")
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    context.close()
