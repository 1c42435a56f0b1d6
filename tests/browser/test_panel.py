"""The panels around the canvas: generated forms, problems, tests, and pages at the width of a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.flow_page import FlowPage, Server, until
from tests.operators import COOKIE, signed_in

Make = Callable[..., str]


def test_typed_fields_are_saved_as_their_type_or_as_an_expression(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"find_rows": "find_rows"}), server.flows)
    flow.node("find_rows").click()
    flow.panel_shows("Find rows")
    limit = page.locator(".fe-right").get_by_label("Limit", exact=True)

    flow.fill("Limit", "5")
    until(lambda: flow.nodes["find_rows"]["params"].get("limit") == 5)
    page.get_by_role("button", name="Limit: expression").click()
    expect(limit).not_to_have_attribute("type", "number")
    flow.fill("Limit", "$param.count")
    until(lambda: flow.nodes["find_rows"]["params"].get("limit") == "{{ $param.count }}")
    page.get_by_role("button", name="Limit: expression").click()
    expect(limit).to_have_attribute("type", "number")
    flow.fill("Limit", "7")
    until(lambda: flow.nodes["find_rows"]["params"].get("limit") == 7)


def test_rows_of_names_and_values_keep_their_types(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"set_fields": "set_fields"}), server.flows)
    flow.node("set_fields").click()
    flow.panel_shows("Set fields")

    for index, (name, value) in enumerate((("total", "120"), ("note", "hello {{ $param.x }}")), 1):
        page.get_by_text("Add a field").click()
        page.get_by_label(f"Fields: name {index}").fill(name)
        page.get_by_label(f"Fields: value {index}").fill(value)

    wanted = {"total": 120, "note": "hello {{ $param.x }}"}
    until(lambda: flow.nodes["set_fields"]["params"].get("fields") == wanted)


def test_an_expression_in_a_name_is_doubted_where_it_stands(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"set": "set_fields"}, set={"fields": {"a": 1}}), server.flows)
    flow.node("set").click()
    flow.panel_shows("Set")
    told = page.locator('.fe-field[data-param="fields"] .fe-told')

    flow.fill("Fields: name 1", "{{ $param.x }}")
    expect(told).to_contain_text("Expressions go into the value")
    flow.fill("Fields: name 1", "x")
    expect(told).to_be_empty()


def test_a_list_in_a_field_for_text_stays_a_list_while_it_is_typed_in(
    page: Page, server: Server, make_flow: Make
) -> None:
    mail = {"to": ["a@example.com"], "subject": "s", "text": "t"}
    flow = FlowPage(page, make_flow({"mail": "send_email"}, mail=mail), server.flows)
    flow.node("mail").click()
    flow.panel_shows("Mail")
    to = page.get_by_label("To", exact=True)

    to.fill('["a@example.com", ')
    until(lambda: flow.nodes["mail"]["params"]["to"] == '["a@example.com", ')
    to.fill('["a@example.com", "b@example.com"]')

    until(lambda: flow.nodes["mail"]["params"]["to"] == ["a@example.com", "b@example.com"])


def test_a_case_of_a_switch_is_a_port_at_once(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"switch": "switch"}), server.flows)
    flow.node("switch").click()
    flow.panel_shows("Switch")

    page.get_by_text("Add an entry").click()
    expect(page.get_by_label("Cases: entry 1")).to_be_focused()
    page.keyboard.type("paid")

    expect(flow.node("switch").locator(".fc-port")).to_have_count(2)
    expect(flow.handle("switch", "paid")).to_be_attached()
    expect(flow.handle("switch", "default")).to_be_attached()


def test_an_error_port_appears_when_the_node_is_set_so(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"send_email": "send_email"}), server.flows)
    flow.node("send_email").click()
    flow.panel_shows("Send email")

    page.get_by_text("When it fails").click()
    page.get_by_label("After the last attempt").click()
    page.get_by_role("option", name="Go on at an Error port").click()

    expect(flow.handle("send_email", "error")).to_be_attached()
    until(lambda: flow.nodes["send_email"]["on_error"] == "port")


def test_connections_can_be_made_in_the_panel(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"manual": "manual", "mail": "send_email"}), server.flows)
    flow.node("manual").click()
    flow.panel_shows("Manual start")

    field = page.get_by_label("Connect Next to")
    field.click()
    page.get_by_role("option", name="Mail").click()

    flow.has(2, 1)
    assert flow.edges == {"manual out mail"}


def test_a_problem_of_the_flow_leads_to_its_node(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"manual": "manual", "mail": "send_email"}, ["manual out mail"]), server.flows)

    expect(flow.node("mail").locator(".fc-problem")).to_be_visible()
    page.locator(".fe-problem-item").first.click()

    flow.panel_shows("Mail")
    until(lambda: flow.selected == {"mail"})


def test_publishing_a_flow_with_problems_says_what_is_wrong(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"manual": "manual", "mail": "send_email"}, ["manual out mail"]), server.flows)

    page.get_by_role("button", name="Publish", exact=True).click()

    expect(page.locator(".q-notification")).to_contain_text("empty")
    expect(page.locator(".fe-state")).to_have_text("Draft")
    flow.panel_shows("Mail")


def test_a_failed_step_shows_its_message_on_the_canvas(page: Page, server: Server, make_flow: Make) -> None:
    nodes = {"manual": "manual", "stop": "stop_with_error", "after": "set_fields"}
    stop, after = {"message": "No customer"}, {"fields": {"a": 1}}
    flow = FlowPage(
        page, make_flow(nodes, ["manual out stop", "manual out after"], stop=stop, after=after), server.flows
    )

    page.keyboard.press("Control+Enter")

    expect(flow.node("stop").locator('.fc-badge[data-state="failed"]')).to_be_visible()
    expect(flow.node("stop").locator(".fc-message")).to_contain_text("No customer")
    expect(page.locator(".ft-step--failed .fs-error")).to_contain_text("No customer")


def test_a_payload_can_be_kept_as_a_sample(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"event": "event"}), server.flows)
    page.get_by_role("button", name="Test", exact=True).click()

    editor = page.locator(".ft-payload .cm-content")
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text('{"total": 7}')
    page.get_by_role("button", name="Save as a sample of this flow").click()
    name = page.get_by_role("dialog").get_by_label("Name")
    name.fill("seven")
    name.press("Enter")

    until(lambda: flow.draft["samples"] == [{"name": "seven", "trigger": "event", "payload": {"total": 7}}])


def test_markup_in_names_and_results_stays_text(page: Page, server: Server, make_flow: Make) -> None:
    markup = "<img src=x onerror=alert(1)>"
    flow_id = make_flow(
        {"manual": "manual", "fields": "set_fields"}, ["manual out fields"], fields={"fields": {"a": markup}}
    )
    server.flows.edit(flow_id, [{"op": "patch_node", "id": "fields", "set": {"name": markup}}])
    flow = FlowPage(page, flow_id, server.flows)

    expect(flow.node("fields").locator(".fc-title")).to_have_text(markup)
    page.keyboard.press("Control+Enter")
    expect(flow.node("fields").locator('.fc-badge[data-state="succeeded"]')).to_be_visible()
    flow.node("fields").click()
    expect(page.locator(".fe-right .fs-pre").first).to_contain_text(markup)
    assert page.locator("img[src=x]").count() == 0


def seen_above(node: Locator, sheet: Locator) -> bool:
    """Whether a node stands in the part of the canvas that the sheet leaves free."""
    box, over = node.bounding_box(), sheet.bounding_box()
    assert box
    assert over
    return box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] > 52 and box["y"] + box["height"] < over["y"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_can_look_at_a_flow(browser: Browser, server: Server, make_flow: Make, scheme: str) -> None:
    flow_id = make_flow({"manual": "manual", "check": "condition", "mail": "send_email"}, ["manual out check"])
    context = browser.new_context(
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
        base_url=server.url,
    )
    context.add_cookies([{"name": COOKIE, "value": signed_in(server.database), "url": server.url}])
    page = context.new_page()
    page.goto(f"/flows/{flow_id}")
    page.locator('.fc[aria-label^="Flow with 3"]').wait_for()

    page.locator('.vue-flow__node[data-id="manual"]').tap()
    sheet = page.locator(".fe-right")
    expect(sheet).to_be_visible()
    until(lambda: seen_above(page.locator('.vue-flow__node[data-id="manual"]'), sheet))
    page.evaluate("() => getElement(+document.querySelector('.fc').id.slice(1)).visit('mail')")
    expect(page.get_by_label("Name of the node")).to_have_value("Mail")
    mail = page.locator('.vue-flow__node[data-id="mail"]')
    until(lambda: seen_above(mail, sheet))
    sheet.get_by_role("button", name="Close").tap()
    expect(page.locator(".fe-right")).to_be_hidden()

    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    context.close()
