"""Testing a part of a flow from the canvas: up to a node, a node alone, with pinned outputs, past disabled nodes."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.flow_page import FlowPage, Server, until

Make = Callable[..., str]
NODES = {"start": "manual", "one": "set_fields", "two": "set_fields", "three": "set_fields"}
EDGES = ["start out one", "one out two", "two out three"]


def chain(page: Page, server: Server, make_flow: Make) -> FlowPage:
    fields = {
        "one": {"fields": {"n": 1}},
        "two": {"fields": {"n": "{{ $action.one.n + 1 }}"}},
        "three": {"fields": {"n": "{{ $action.two.n + 1 }}"}},
    }
    return FlowPage(page, make_flow(NODES, EDGES, **fields), server.flows)


def menu(flow: FlowPage, node_id: str, item: str) -> None:
    flow.node(node_id).click(button="right")
    flow.page.get_by_role("menuitem", name=item).click()


def state(flow: FlowPage, node_id: str, wanted: str) -> None:
    expect(flow.node(node_id).locator(f'.fc-badge[data-state="{wanted}"]')).to_be_visible()


def log(page: Page, name: str) -> str:
    return page.locator(".ft-step", has=page.locator(".ft-name", has_text=name)).inner_text()


def test_a_node_is_run_up_to_and_then_alone(page: Page, server: Server, make_flow: Make) -> None:
    flow = chain(page, server, make_flow)

    menu(flow, "two", "Run only this node")
    expect(page.locator(".ft-problem")).to_have_text("error“One” has no output yet. Run up to here first.")
    page.locator(".ft-steps").get_by_role("button", name="Run up to here", exact=True).last.click()
    state(flow, "two", "succeeded")
    expect(page.locator(".ft-note")).to_contain_text("Up to “Two”")
    expect(flow.node("three").locator(".fc-badge")).to_have_count(0)

    menu(flow, "three", "Run only this node")
    state(flow, "three", "succeeded")
    expect(page.locator(".ft-note")).to_contain_text("Only “Three”")
    assert "kept from the run before" in log(page, "Two")
    expect(page.locator(".fe-right .fs-pre").first).to_contain_text('"n": 3')


def test_a_pinned_output_is_taken_in_place_of_a_call_until_it_is_unpinned(
    page: Page, server: Server, make_flow: Make
) -> None:
    flow = chain(page, server, make_flow)
    page.keyboard.press("Control+Enter")
    state(flow, "three", "succeeded")

    flow.node("one").click()
    flow.panel_shows("One")
    page.locator(".fe-right").get_by_role("button", name="Pin", exact=True).click()
    expect(flow.node("one").locator(".fc-mark-pin")).to_be_visible()
    until(lambda: flow.nodes["one"].get("pinned") == {"port": "out", "output": {"n": 1}})

    page.get_by_role("tab", name="Set up").click()
    page.locator(".fe-mark").get_by_role("button", name="Edit").click()
    editor = page.get_by_role("dialog").locator(".cm-content")
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text('{"n": 40}')
    page.get_by_role("dialog").get_by_role("button", name="Pin", exact=True).click()
    until(lambda: flow.nodes["one"]["pinned"]["output"] == {"n": 40})

    flow.node("three").click()
    flow.panel_shows("Three")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".fe-right .fs-pre").first).to_contain_text('"n": 42')
    assert "pinned output" in log(page, "One")

    menu(flow, "one", "Unpin the output")
    expect(flow.node("one").locator(".fc-mark-pin")).to_have_count(0)
    until(lambda: "pinned" not in flow.nodes["one"])


def test_a_disabled_node_is_passed_over_and_drawn_so(page: Page, server: Server, make_flow: Make) -> None:
    flow = chain(page, server, make_flow)
    flow.node("two").click()
    flow.panel_shows("Two")

    page.keyboard.press("Escape")
    flow.node("three").click()
    flow.panel_shows("Three")
    flow.node("three").click()
    page.keyboard.press("d")

    expect(flow.node("three").locator(".fc-disabled")).to_be_visible()
    expect(page.locator(".fc-edge-off")).to_have_count(1)
    expect(page.locator(".fe-mark")).to_contain_text("Disabled: runs pass over it.")
    until(lambda: flow.nodes["three"].get("disabled") is True)
    page.keyboard.press("Control+Enter")
    state(flow, "three", "skipped")
    state(flow, "two", "succeeded")

    page.locator(".fe-right").get_by_role("tab", name="Set up").click()
    page.locator(".fe-mark").get_by_role("button", name="Enable").click()
    expect(flow.node("three").locator(".fc-disabled")).to_have_count(0)
    until(lambda: "disabled" not in flow.nodes["three"])


def test_the_menu_of_a_node_is_used_by_keyboard(page: Page, server: Server, make_flow: Make) -> None:
    flow = chain(page, server, make_flow)
    flow.node("two").click(button="right")
    items = page.get_by_role("menuitem")
    expect(items.first).to_be_focused()

    flow.keys("ArrowDown", "ArrowDown", "ArrowUp", "Enter")
    state(flow, "two", "succeeded")
    flow.node("one").click(button="right")
    expect(items.first).to_be_focused()
    page.keyboard.press("Escape")
    expect(items).to_have_count(0)


def test_every_item_of_a_loop_is_seen_in_a_test(page: Page, server: Server, make_flow: Make) -> None:
    loop = {"items": "{{ [1, 'two', 3] }}", "on_item_error": "continue"}
    nodes = {"start": "manual", "each": "for_each", "plus": "set_fields"}
    plus = {"fields": {"n": "{{ $item + 1 }}"}}
    flow = FlowPage(page, make_flow(nodes, ["start out each", "each each plus"], each=loop, plus=plus), server.flows)

    page.keyboard.press("Control+Enter")
    expect(flow.node("plus").locator('.fc-badge[data-state="failed"]')).to_have_text("error1 of 3")
    flow.node("plus").click()
    flow.panel_shows("Plus")

    result = page.locator(".fe-right")
    expect(result.locator(".fs-items")).to_contain_text("Item 2")
    expect(result.locator(".fs-error")).to_contain_text("does not work")
    result.get_by_role("button", name="Next item").click()
    expect(result.locator(".fs-items")).to_contain_text("Item 3")
    expect(result.locator(".fs-pre").first).to_contain_text('"n": 4')


def test_time_out_and_what_happens_after_a_crash_are_settings(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"manual": "manual", "send_email": "send_email"}), server.flows)
    flow.node("send_email").click()
    flow.panel_shows("Send email")

    page.get_by_text("When it fails").click()
    flow.fill("Time-out", "2.5")
    until(lambda: flow.nodes["send_email"].get("timeout_s") == 2.5)
    page.get_by_label("When Pulsewire is stopped meanwhile").click()
    page.get_by_role("option", name="Ask a person", exact=True).click()
    until(lambda: flow.nodes["send_email"].get("after_crash") == "ask")
    flow.fill("Time-out", "")
    until(lambda: "timeout_s" not in flow.nodes["send_email"])
