"""The dialog of a flow's limits, and what a person sees of runs that wait."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect
from sqlmodel import select

from runtime import outbox
from storage.tables import Flow, RunRow
from tests.browser.flow_page import FlowPage, Server, until
from tests.browser.test_lifecycle import menu

Make = Callable[..., str]
LISTENS = {"event": "limits.go"}
FIELDS = {"fields": {"n": "{{ $param.n }}"}}


def opened(page: Page, server: Server, make_flow: Make) -> FlowPage:
    flow_id = make_flow({"t": "event", "s": "set_fields"}, ["t out s"], t=LISTENS, s=FIELDS)
    return FlowPage(page, flow_id, server.flows)


def report(server: Server, count: int) -> None:
    with server.database.write() as session:
        for n in range(count):
            outbox.record(session, "limits.go", {"n": n})


def statuses(server: Server, flow_id: str) -> list[str]:
    with server.database.read() as session:
        return list(session.exec(select(RunRow.status).where(RunRow.flow_id == flow_id)))


def test_limits_are_filled_in_checked_saved_and_taken_back(page: Page, server: Server, make_flow: Make) -> None:
    flow = opened(page, server, make_flow)
    menu(page, "Limits and retention")
    window = page.get_by_role("dialog")
    expect(window.get_by_label("Runs at once with the same key")).to_be_disabled()

    window.get_by_label("Runs at once", exact=True).fill("0")
    window.get_by_label("Key", exact=True).fill("$action.other")
    window.get_by_role("button", name="Save").click()
    expect(window.get_by_text("It must be at least 1.")).to_be_visible()
    expect(window.get_by_text("Use $param alone")).to_be_visible()
    window.get_by_label("Runs at once", exact=True).fill("3")
    window.get_by_label("Key", exact=True).fill("{{ $param.customer }}")
    window.get_by_label("Runs", exact=True).first.fill("10")
    window.get_by_label("Within", exact=True).fill("2")
    window.get_by_label("Longest time of a run", exact=True).fill("1.5")
    window.get_by_role("button", name="Save").click()
    expect(window).to_be_hidden()

    wanted = {
        "runs_at_once": 3,
        "key": "{{ $param.customer }}",
        "rate_runs": 10,
        "rate_s": 120,
        "timeout_s": 90,
    }
    until(lambda: server.flows.get(flow.flow_id).draft["graph"].get("settings") == wanted)
    shown = page.locator(".fe-limits")
    expect(shown).to_contain_text("1 run at once for each $param.customer")
    expect(shown).to_contain_text("10 runs within 2 minutes")
    page.get_by_role("button", name="Undo (Ctrl+Z)").click()
    expect(shown).to_have_count(0)
    assert "settings" not in server.flows.get(flow.flow_id).draft["graph"]


def test_the_key_is_picked_from_the_payload_and_shows_its_value(page: Page, server: Server, make_flow: Make) -> None:
    flow = opened(page, server, make_flow)
    sample = {"name": "one", "trigger": "t", "payload": {"customer": {"id": "c-7"}}}
    server.flows.edit(flow.flow_id, [{"op": "set_samples", "samples": [sample]}])
    page.reload()  # it would take the sample over by itself, a moment later
    flow.node("s").click()
    flow.panel_shows("S")
    menu(page, "Limits and retention")
    window = page.get_by_role("dialog", name="Limits and retention")

    expect(page.locator(".q-dialog__inner")).to_be_focused()  # it is all there
    window.get_by_role("button", name="Key: insert a value").click()
    expect(page.get_by_label("Search values")).to_be_focused()
    expect(page.locator(".vp-group .vp-name")).to_have_text(["Payload"])
    page.keyboard.type("id")
    page.keyboard.press("Enter")

    key = window.get_by_label("Key", exact=True)
    expect(key).to_have_value("$param.customer.id")
    expect(window.locator(".px-answer-text")).to_have_text("c-7")
    key.fill("$param.customer.nope")
    expect(window.locator(".px-answer-words")).to_contain_text("there are: id")
    key.fill("$param.customer.id")
    expect(window.locator(".px-answer-text")).to_have_text("c-7")
    window.get_by_label("Runs at once with the same key").fill("2")
    window.get_by_role("button", name="Save").click()
    wanted = {"key": "{{ $param.customer.id }}", "runs_at_once_per_key": 2}
    until(lambda: server.flows.get(flow.flow_id).draft["graph"].get("settings") == wanted)


def test_whoever_resumes_a_flow_says_what_becomes_of_its_runs(page: Page, server: Server, make_flow: Make) -> None:
    flow = opened(page, server, make_flow)
    page.locator(".fe-publish").click()
    expect(page.locator(".fe-state")).to_have_text("Published v1")
    menu(page, "Pause")
    report(server, 2)
    line = page.locator(".fe-notice")
    expect(line).to_contain_text("2 runs wait until you resume it")

    line.get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert server.flows.get(flow.flow_id).state == "paused"
    line.get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard them").click()

    expect(line).to_have_count(0)
    expect(page.locator(".fe-state")).to_have_text("Published v1")
    assert statuses(server, flow.flow_id) == ["cancelled", "cancelled"]


def test_the_list_of_flows_shows_what_waits_and_asks_too(page: Page, server: Server, make_flow: Make) -> None:
    flow_id = make_flow({"t": "event", "s": "set_fields"}, ["t out s"], t=LISTENS, s=FIELDS)
    server.flows.publish(flow_id)
    server.flows.pause(flow_id)
    report(server, 1)
    page.goto("/")
    row = page.locator(".pw-flow", has=page.locator(f"a[href='/flows/{flow_id}']"))
    expect(row).to_contain_text("1 run waits")

    row.locator(".q-toggle").click()
    page.get_by_role("dialog").get_by_role("button", name="Run it").click()

    expect(row).to_contain_text("Published")
    until(lambda: statuses(server, flow_id) == ["succeeded"])


def test_a_flow_says_what_was_noticed_until_it_is_dismissed(page: Page, server: Server, make_flow: Make) -> None:
    flow = opened(page, server, make_flow)
    server.flows.publish(flow.flow_id)
    with server.database.write() as session:
        noticed = {"code": "event.loop", "message": "This flow has led to its own event.", "at": "2026-01-01T09:00:00Z"}
        session.get_one(Flow, flow.flow_id).notice = noticed

    line = page.locator(".fe-notice")
    expect(line).to_contain_text("This flow has led to its own event.")
    line.get_by_role("button", name="Dismiss").click()

    expect(line).to_have_count(0)
    assert server.flows.get(flow.flow_id).notice is None
