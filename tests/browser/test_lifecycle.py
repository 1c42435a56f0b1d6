"""What happens to a flow as a whole: live, paused, copied, gone; and to its runs: real, cancelled, run again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.flow_page import FlowPage, Server, until

Make = Callable[..., str]
MAIL = {"to": "ops@example.com", "subject": "Hello", "text": "Hi"}


def menu(page: Page, words: str) -> None:
    page.get_by_role("button", name="More", exact=True).click()
    page.locator(".q-menu").get_by_text(words, exact=True).click()


def test_a_live_flow_is_paused_resumed_and_unpublished(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"t": "manual", "m": "send_email"}, ["t out m"], m=MAIL), server.flows)
    state, publish = page.locator(".fe-state"), page.locator(".fe-publish")

    publish.click()
    expect(state).to_have_text("Published v1")
    expect(publish).to_be_disabled()
    menu(page, "Pause")
    notice = page.locator(".pw-toast", has_text="Paused")
    expect(notice).to_be_visible()
    colors = notice.evaluate("(e) => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]")
    assert colors == ["rgb(24, 34, 48)", "rgb(255, 255, 255)"]
    expect(state).to_have_text("Paused v1")
    assert server.flows.get(flow.flow_id).state == "paused"
    expect(publish).to_have_text("Resume")
    publish.click()
    expect(state).to_have_text("Published v1")
    menu(page, "Unpublish")
    expect(state).to_have_text("Draft")
    expect(publish).to_have_text("Publish")


def test_a_live_flow_is_started_by_hand(page: Page, server: Server, make_flow: Make) -> None:
    fields = {"fields": {"seen": "{{ $param.n }}"}}
    FlowPage(page, make_flow({"t": "manual", "s": "set_fields"}, ["t out s"], s=fields), server.flows)
    page.locator(".fe-publish").click()
    expect(page.locator(".fe-state")).to_have_text("Published v1")

    menu(page, "Start by hand")
    window = page.get_by_role("dialog")
    window.get_by_label("Payload").fill("{no")
    window.get_by_role("button", name="Start", exact=True).click()
    expect(window.locator(".pw-place")).to_contain_text("JSON")
    window.get_by_label("Payload").fill('{"n": 7}')
    window.get_by_role("button", name="Start", exact=True).click()

    page.wait_for_url(re.compile("/runs/[0-9]+$"))
    expect(page.locator(".fr-status")).to_have_text(re.compile("Succeeded"))
    page.locator(".vue-flow__node[data-id=s]").click()
    expect(page.get_by_role("region", name="Output")).to_contain_text('"seen": 7')


def test_a_copy_opens_with_what_was_typed_last(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"t": "manual", "m": "send_email"}, ["t out m"], m=MAIL), server.flows)
    flow.node("m").click()
    flow.panel_shows("M")

    flow.fill("Subject", "Changed")
    menu(page, "Duplicate")
    page.wait_for_url(lambda url: flow.flow_id not in url.split("/"))

    copy = FlowPage(page, page.url.rsplit("/", 1)[1], server.flows)
    assert copy.nodes["m"]["params"]["subject"] == "Changed"


def test_a_flow_deleted_elsewhere_says_so(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"t": "manual"}), server.flows)

    server.flows.delete(flow.flow_id)

    window = page.get_by_role("dialog")
    expect(window).to_contain_text("“Test flow” was deleted")
    window.get_by_role("link", name="All flows").click()
    page.wait_for_url(server.url + "/")


def test_addresses_of_nothing_are_answered_in_the_frame(page: Page, faults: list[str]) -> None:
    for address, words in (
        ("/flows/none", "no such flow"),
        ("/runs/999999", "no such run"),
        ("/runs/x", "no such run"),
    ):
        answer = page.goto(address)

        assert answer
        assert answer.status == 404
        expect(page.get_by_text(words)).to_be_visible()
        expect(page.get_by_role("navigation").first).to_be_visible()
    assert all("404" in fault for fault in faults)
    faults.clear()


def test_more_than_one_message_holds_is_pasted_and_undone_as_one(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"t": "manual"}), server.flows)
    nodes = [
        {"id": f"n{i}", "type": "set_fields", "name": f"N {i}", "params": {"fields": {"a": "x" * 20_000}}}
        for i in range(60)
    ]
    places = {node["id"]: [i % 10 * 240, i // 10 * 100] for i, node in enumerate(nodes)}
    clip = {"format": "pulsewire.clip/1", "nodes": nodes, "edges": [], "layout": places}

    page.evaluate("(text) => navigator.clipboard.writeText(text)", json.dumps(clip))
    flow.click_pane()
    flow.keys("Control+v")
    flow.has(61, 0)
    flow.saved()
    flow.keys("Control+z")

    flow.has(1, 0)


def test_real_effects_are_asked_for_and_happen(page: Page, server: Server, make_flow: Make) -> None:
    FlowPage(page, make_flow({"t": "manual", "m": "send_email"}, ["t out m"], m=MAIL), server.flows)
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_role("switch", name="Real effects").click()

    page.get_by_role("button", name="Run", exact=True).click()
    window = page.get_by_role("dialog")
    expect(window).to_contain_text("Run with real effects?")
    window.get_by_role("button", name="Cancel").click()
    expect(page.locator(".ft-title").last).to_have_text("Run log")
    page.get_by_role("button", name="Run", exact=True).click()
    window.get_by_role("button", name="Run for real").click()

    expect(page.locator(".ft-log")).to_contain_text("Ran with real effects")


def test_of_several_triggers_one_is_chosen_for_a_test(page: Page, server: Server, make_flow: Make) -> None:
    nodes = {"a": "manual", "b": "api.dataTable_emptied", "m": "send_email"}
    FlowPage(page, make_flow(nodes, ["a out m", "b out m"], m=MAIL), server.flows)
    page.get_by_role("button", name="Test", exact=True).click()

    page.get_by_role("combobox", name="Trigger").click()
    page.get_by_role("option", name="B", exact=True).click()
    expect(page.locator(".ft-payload .cm-content")).to_contain_text('"Name": "orders"')
    page.get_by_role("button", name="Run", exact=True).click()

    expect(page.locator('.vue-flow__node[data-id="b"] .fc-badge')).to_have_attribute("data-state", "succeeded")
    expect(page.locator('.vue-flow__node[data-id="a"] .fc-badge')).to_have_count(0)


def test_a_failed_run_is_run_again_from_its_page(page: Page, server: Server, make_flow: Make) -> None:
    FlowPage(page, make_flow({"t": "manual", "s": "stop_with_error"}, ["t out s"], s={"message": "No"}), server.flows)
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".ft-title").last).to_have_text("Failed")
    page.goto("/runs")
    page.get_by_role("switch", name="Test runs").click()
    page.get_by_role("link", name=re.compile("Open run .*failed")).first.click()
    page.wait_for_url(re.compile(r"/runs/\d+$"))
    old = page.url

    page.locator(".fr-step", has_text="S").last.click()
    page.get_by_role("button", name="Retry from here").click()
    page.locator(".pw-dialog").get_by_role("button", name="Retry", exact=True).click()

    page.wait_for_url(lambda url: url != old)
    expect(page.locator(".fr-status")).to_have_text(re.compile("Failed"))
    expect(page.locator(".fr-chain", has_text="Retry of").get_by_role("link")).to_be_visible()


def test_a_run_that_waits_is_cancelled_on_its_page(page: Page, server: Server, make_flow: Make) -> None:
    retry = {"attempts": 5, "delay_s": 600, "backoff": 1}
    params = {"method": "GET", "url": "https://nowhere.invalid/"}
    flow_id = make_flow({"t": "manual", "h": "http_request"}, ["t out h"], h=params)
    server.flows.edit(flow_id, [{"op": "patch_node", "id": "h", "set": {"retry": retry}}])
    FlowPage(page, flow_id, server.flows)
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_role("switch", name="Real effects").click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Run for real").click()
    expect(page.locator('.vue-flow__node[data-id="h"] .fc-badge')).to_have_attribute("data-state", "waiting")
    page.goto("/runs")
    page.get_by_role("switch", name="Test runs").click()
    page.get_by_role("link", name=re.compile("Open run .*waiting")).first.click()

    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel run").click()

    expect(page.locator(".fr-status")).to_have_text(re.compile("Cancelled"))
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_hidden()


def test_two_conditions_on_one_column_are_both_kept(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"f": "find_rows"}, f={"table": "none"}), server.flows)
    flow.node("f").click()
    flow.panel_shows("F")

    for index, (operator, value) in enumerate((("≥", "5"), ("<", "9")), 1):
        page.get_by_text("Add a condition").click()
        page.get_by_label(re.compile(f": column {index}$")).fill("amount")
        page.get_by_label(re.compile(f": comparison {index}$")).click()
        page.get_by_role("option", name=operator, exact=True).click()
        page.get_by_label(re.compile(f": value {index}$")).fill(value)

    until(lambda: flow.nodes["f"]["params"].get("where") == {"amount": {"gte": 5, "lt": 9}})
    flow.open()
    flow.node("f").click()
    expect(page.get_by_label(re.compile(": value 2$"))).to_have_value("9")
