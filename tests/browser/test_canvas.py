"""Drawing: every operation of the canvas, with mouse and keyboard, and what is stored of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.flow_page import FlowPage, Server, until

Make = Callable[..., str]
CHAIN = {"manual": "manual", "check": "condition", "mail": "send_email"}
WIRED = ["manual out check", "check true mail"]


def test_nodes_are_dragged_from_the_palette_and_get_readable_ids(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow(), server.flows)

    flow.drop("api.dataTable_emptied", 160, 200)
    flow.drop("send_email", 460, 200)
    flow.drop("send_email", 460, 400)

    flow.has(3, 0)
    assert list(flow.nodes) == ["table_emptied", "send_email", "send_email_2"]
    assert all(part % 20 == 0 for place in flow.draft["layout"].values() for part in place)
    flow.panel_shows("Send email 2")


def test_the_palette_finds_by_words_and_adds_by_keyboard(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"manual": "manual"}), server.flows)
    flow.node("manual").click()

    page.get_by_label("Search nodes").fill("send email")
    expect(page.locator(".fe-node:visible")).to_have_count(1)
    page.get_by_label("Search nodes").press("Enter")

    flow.has(2, 1)
    assert flow.edges == {"manual out send_email"}
    expect(page.locator(".fe-node:visible")).not_to_have_count(1)
    flow.panel_shows("Send email")
    flow.keys("n")
    expect(page.locator(".fc-picker")).to_be_visible()


def test_presets_of_a_trigger_are_dragged_and_clicked_with_their_parameters(
    page: Page, server: Server, make_flow: Make
) -> None:
    flow = FlowPage(page, make_flow(), server.flows)
    asked, done = (f"auth.password_reset#{place}" for place in (0, 1))

    page.get_by_label("Search nodes").fill("password reset")
    expect(page.locator(".fe-node-title:visible")).to_have_text(
        ["Password reset", "Password reset requested", "Send password reset"]
    )
    flow.drop(asked, 160, 200)
    flow.has(1, 0)
    flow.panel_shows("Password reset requested")
    page.locator(f'[data-node="{done}"]').click()
    flow.has(2, 0)
    flow.panel_shows("Password reset")
    phase = page.locator(".fe-right").get_by_label("Phase")
    expect(phase).to_have_value("completed")
    expect(page.locator(".fe-panel-sub")).to_contain_text("Trigger")
    flow.saved()

    assert [(node["id"], node["type"], node["params"]) for node in flow.nodes.values()] == [
        ("password_reset_requested", "auth.password_reset", {"phase": "requested"}),
        ("password_reset", "auth.password_reset", {"phase": "completed"}),
    ]
    expect(flow.node("password_reset")).to_contain_text("A user has set a new password")
    phase.click()
    page.get_by_role("option", name="requested").click()
    expect(page.locator(".fe-panel-sub")).to_contain_text("Password reset requested")
    expect(flow.node("password_reset")).to_contain_text("Password reset requested")


def test_an_empty_flow_offers_triggers_and_a_click_adds_one(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow(), server.flows)

    page.locator('[data-start="api.dataTable_emptied"]').click()

    flow.has(1, 0)
    expect(page.locator(".fc-empty")).to_have_count(0)
    flow.panel_shows("Table emptied")


def test_nodes_are_wired_with_the_mouse(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow(CHAIN), server.flows)

    flow.wire("manual", "out", "check")
    flow.wire("check", "true", "mail")

    flow.has(3, 2)
    assert flow.edges == set(WIRED)


def test_a_wire_shows_where_it_may_go_and_a_circle_is_refused(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow(CHAIN, WIRED), server.flows)

    flow.start_wire("mail", "out")
    expect(flow.node("manual").locator(".fc-draw-misfits")).to_have_count(1)
    expect(flow.node("check").locator(".fc-draw-misfits")).to_have_count(1)
    flow.drag_to(*flow.middle(flow.node("check").locator(".fc-title")))
    expect(flow.node("check").locator(".fc-draw-refuses")).to_have_count(1)
    expect(page.locator(".fc-line")).to_have_attribute("data-state", "refuses")
    page.mouse.up()

    flow.has(3, 2)


def test_a_wire_may_be_dropped_anywhere_on_a_node(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow(CHAIN), server.flows)

    flow.start_wire("check", "false")
    flow.drag_to(*flow.middle(flow.node("mail").locator(".fc-title")))
    expect(flow.node("mail").locator(".fc-draw-accepts")).to_have_count(1)
    page.mouse.up()

    flow.has(3, 1)
    assert flow.edges == {"check false mail"}


def test_a_wire_dropped_on_nothing_offers_the_next_node_there(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"manual": "manual"}), server.flows)

    flow.start_wire("manual", "out")
    x, y = flow.middle(flow.node("manual"))
    flow.drag_to(x - 60, y + 150)
    page.mouse.up()
    search = page.get_by_role("combobox", name="Add the next node")
    expect(search).to_be_focused()
    page.keyboard.type("http")
    page.keyboard.press("Enter")

    flow.has(2, 1)
    assert flow.edges == {"manual out http_request"}
    box = flow.node("http_request").bounding_box()
    assert box
    assert abs(box["x"] - (x - 60)) < 20
    assert abs(box["y"] + 32 - (y + 150)) < 20


def test_escape_leaves_the_picker_without_a_trace(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"manual": "manual"}), server.flows)
    flow.node("manual").click()

    page.keyboard.press("n")
    expect(page.locator(".fc-picker")).to_be_visible()
    page.keyboard.press("Escape")

    expect(page.locator(".fc-picker")).to_have_count(0)
    flow.has(1, 0)


def test_a_node_is_inserted_on_an_edge(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"manual": "manual", "mail": "send_email"}, ["manual out mail"]), server.flows)

    flow.hover_edge("manual", "out", "mail")
    page.get_by_role("button", name="Insert a node on this connection").click()
    page.keyboard.type("set")
    page.keyboard.press("Enter")

    flow.has(3, 2)
    assert flow.edges == {"manual out set_fields", "set_fields out mail"}
    layout = flow.draft["layout"]
    assert layout["manual"][0] < layout["set_fields"][0] < layout["mail"][0]


def test_a_palette_node_dropped_on_an_edge_goes_between(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"manual": "manual", "mail": "send_email"}, ["manual out mail"]), server.flows)
    right, left = flow.middle(flow.handle("manual", "out")), flow.middle(flow.handle("mail", "in"))
    pane = flow.pane.bounding_box()
    assert pane

    at = {"x": (right[0] + left[0]) / 2 - pane["x"], "y": right[1] - pane["y"]}
    page.drag_and_drop('[data-node="condition"]', ".vue-flow__pane", target_position=at, force=True)  # type: ignore[arg-type]

    flow.has(3, 2)
    assert flow.edges == {"manual out condition", "condition true mail"}


def test_an_edge_is_deleted_where_it_lies(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"manual": "manual", "mail": "send_email"}, ["manual out mail"]), server.flows)

    flow.hover_edge("manual", "out", "mail")
    page.get_by_role("button", name="Delete this connection").click()

    flow.has(2, 0)


def test_a_box_selects_and_the_selection_moves_as_one(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow(CHAIN, WIRED), server.flows)
    before = flow.draft["layout"]
    first, second = (flow.node(i).bounding_box() for i in ("manual", "check"))
    assert first
    assert second

    page.keyboard.down("Shift")
    page.mouse.move(first["x"] - 15, first["y"] - 40)
    page.mouse.down()
    page.mouse.move(second["x"] + 40, second["y"] + 60, steps=6)
    page.mouse.up()
    page.keyboard.up("Shift")
    until(lambda: flow.selected == {"manual", "check"})
    revision = server.flows.revision(flow.flow_id)
    zoom = flow.zoom
    x, y = flow.middle(flow.node("manual").locator(".fc-title"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 100, y + 60, steps=6)
    page.mouse.up()

    until(lambda: server.flows.revision(flow.flow_id) == revision + 1)
    after = flow.draft["layout"]
    moved = [after["manual"][axis] - before["manual"][axis] for axis in (0, 1)]
    assert moved == [after["check"][axis] - before["check"][axis] for axis in (0, 1)]
    assert abs(moved[0] - 100 / zoom) <= 30  # grid and threshold
    assert abs(moved[1] - 60 / zoom) <= 30
    assert after["mail"] == before["mail"]
    assert flow.positions == after


def test_copies_are_pasted_in_another_flow_with_their_parameters(
    page: Page, context: BrowserContext, server: Server, make_flow: Make
) -> None:
    check = {"if": "{{ $param.a }}"}
    mail = {"to": "a@example.com", "subject": "{{ $action.check.result }}"}
    flow = FlowPage(page, make_flow(CHAIN, WIRED, check=check, mail=mail), server.flows)
    flow.click_pane()
    flow.keys("Control+a")
    flow.page.wait_for_function("() => document.querySelectorAll('.vue-flow__node.selected').length === 3")
    expect(page.get_by_text("About this flow")).to_be_visible()
    flow.keys("Control+c")
    other = FlowPage(context.new_page(), make_flow({"condition": "condition"}), server.flows)
    other.click_pane()

    other.keys("Control+v")

    other.has(4, 2)
    assert other.edges == {"manual out condition_2", "condition_2 true send_email"}
    assert other.nodes["condition_2"]["params"] == check
    assert other.nodes["send_email"]["params"]["subject"] == "{{ $action.condition_2.result }}"
    until(lambda: other.selected == {"manual", "condition_2", "send_email"})


def test_cut_duplicate_and_delete(page: Page, server: Server, make_flow: Make) -> None:
    mail = {"to": "a@example.com", "subject": "x"}
    flow = FlowPage(page, make_flow(CHAIN, WIRED, mail=mail), server.flows)

    flow.node("mail").click()
    flow.panel_shows("Mail")
    flow.keys("Control+d")
    flow.has(4, 2)
    assert flow.nodes["send_email"]["params"] == mail
    flow.node("mail").click()
    flow.panel_shows("Mail")
    flow.keys("Control+x")
    flow.has(3, 1)
    flow.keys("Control+v")
    flow.has(4, 1)
    assert flow.nodes["send_email_2"]["params"] == mail
    flow.keys("Delete")
    flow.has(3, 1)
    assert "send_email_2" not in flow.nodes


def test_undo_and_redo_survive_a_reload(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow(), server.flows)
    flow.drop("manual", 160, 200)
    flow.drop("condition", 460, 200)
    flow.has(2, 0)
    flow.wire("manual", "out", "condition")
    flow.has(2, 1)

    flow.open()
    flow.click_pane()
    flow.keys("Control+z")
    flow.has(2, 0)
    flow.keys("Control+z", "Control+z")
    flow.has(0, 0)
    flow.open()
    page.get_by_role("button", name="Redo").click()
    flow.has(1, 0)
    page.get_by_role("button", name="Redo").click()
    page.get_by_role("button", name="Redo").click()
    flow.has(2, 1)
    expect(page.get_by_role("button", name="Redo")).to_be_disabled()


def test_everything_can_be_done_with_the_keyboard(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"manual": "manual"}), server.flows)
    flow.click_pane()

    flow.keys("ArrowRight")
    assert until(lambda: flow.selected) == {"manual"}
    flow.keys("n")
    page.keyboard.type("condition")
    page.keyboard.press("Enter")
    flow.has(2, 1)
    flow.keys("n")
    page.keyboard.type("send email")
    page.keyboard.press("Enter")
    flow.has(3, 2)
    before = flow.draft["layout"]["send_email"]
    flow.keys("Alt+ArrowDown", "Alt+ArrowDown")
    until(lambda: flow.draft["layout"]["send_email"] == [before[0], before[1] + 40])
    flow.keys("ArrowLeft")
    until(lambda: flow.selected == {"condition"})
    flow.panel_shows("Condition")
    flow.keys("c")
    expect(page.get_by_role("combobox", name="Connect to…")).to_be_focused()
    page.keyboard.press("Enter")
    flow.has(3, 3)
    assert "condition false send_email" in flow.edges
    flow.keys("Enter")
    expect(page.get_by_label("If", exact=True)).to_be_focused()
    page.keyboard.type("$param.ok")
    until(lambda: flow.nodes["condition"]["params"].get("if") == "{{ $param.ok }}")
    flow.node("condition").focus()
    flow.keys("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    flow.keys("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_have_count(0)


def test_tab_goes_from_node_to_node(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow(CHAIN, WIRED), server.flows)
    flow.click_pane()

    for expected in ("manual", "check", "mail"):
        flow.keys("Tab")
        until(lambda expected=expected: flow.selected == {expected})  # type: ignore[misc]


def test_tidy_up_puts_nodes_in_the_order_of_the_flow(page: Page, server: Server, make_flow: Make) -> None:
    flow_id = make_flow(CHAIN, WIRED)
    server.flows.edit(flow_id, [{"op": "move", "at": {"manual": [600, 300], "check": [0, 0], "mail": [20, 40]}}])
    flow = FlowPage(page, flow_id, server.flows)

    page.get_by_role("button", name="Tidy up").click()

    until(lambda: (at := flow.draft["layout"])["manual"][0] < at["check"][0] < at["mail"][0])
    until(lambda: flow.positions == flow.draft["layout"])


def test_the_first_view_is_readable_and_begins_at_the_trigger(page: Page, server: Server, make_flow: Make) -> None:
    nodes = {"manual": "manual", **{f"step{n}": "set_fields" for n in range(12)}}
    names = list(nodes)
    flow_id = make_flow(nodes, [f"{a} out {b}" for a, b in pairwise(names)])

    flow = FlowPage(page, flow_id, server.flows)

    until(lambda: abs(flow.zoom - 0.8) < 0.01)
    expect(flow.node("manual")).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="Show the whole flow").click()
    expect(flow.node("step11")).to_be_in_viewport(ratio=1)
    expect(page.locator(".fc-minimap")).to_be_attached()


def test_two_tabs_stay_equal(page: Page, context: BrowserContext, server: Server, make_flow: Make) -> None:
    flow_id = make_flow({"manual": "manual"})
    one = FlowPage(page, flow_id, server.flows)
    two = FlowPage(context.new_page(), flow_id, server.flows)

    one.drop("condition", 460, 200)
    two.has(2, 0)
    two.wire("manual", "out", "condition")
    one.has(2, 1)
    two.node("condition").click()
    two.fill("If", "$param.ok")
    expect(one.node("condition").locator(".fc-summary")).to_have_text("$param.ok")
    one.click_pane()
    one.keys("Control+z")
    expect(two.page.get_by_label("If", exact=True)).to_have_value("")
    until(lambda: one.positions == two.positions == two.draft["layout"])


def test_changes_by_another_process_appear(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow({"manual": "manual"}), server.flows)

    server.flows.edit(
        flow.flow_id,
        [
            {"op": "add_node", "node": {"id": "later", "type": "condition", "name": "Later"}, "at": [300, 0]},
            {"op": "add_edge", "edge": {"source": "manual", "target": "later", "key": "out"}},
            {"op": "patch_flow", "set": {"name": "Renamed elsewhere"}},
        ],
    )

    flow.has(2, 1)
    expect(flow.node("later").locator(".fc-title")).to_have_text("Later")
    expect(page.get_by_label("Name of the flow")).to_have_value("Renamed elsewhere")


def test_edits_made_offline_are_kept_in_the_tab_and_saved_later(
    page: Page, context: BrowserContext, server: Server, make_flow: Make, faults: list[str]
) -> None:
    flow = FlowPage(page, make_flow({"manual": "manual", "check": "condition"}), server.flows)
    context.set_offline(True)
    page.evaluate("() => window.socket.io.engine.close()")
    expect(page.locator(".fc-save")).to_have_text("cloud_offOffline – kept in this tab")

    flow.wire("manual", "out", "check")
    expect(page.locator(".fc")).to_have_attribute("aria-label", "Flow with 2 nodes and 1 connections")
    assert flow.edges == set()
    context.set_offline(False)

    flow.has(2, 1)
    flow.saved()
    faults[:] = [text for text in faults if "ERR_INTERNET_DISCONNECTED" not in text]
