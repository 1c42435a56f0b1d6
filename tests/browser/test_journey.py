"""What a person does first, from an empty installation to a flow that came back from a file."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect

from backend.mailbox import Mailbox
from backend.secrets import SecretBox
from tests.browser.flow_page import FlowPage, Server, flow_id_of, until


def test_an_email_is_sent_because_a_table_was_emptied(
    page: Page, context: BrowserContext, server: Server, tmp_path: Path
) -> None:
    Mailbox(
        server.database, SecretBox("opens nothing, deletes all")
    ).clear()  # other tests of this server send mail too
    create_orders(page)
    flow = draw(page, server)
    fill_in(flow)
    run_a_test(page)
    publish(page)
    clear_orders(page)
    see_the_run(page, flow)
    read_the_email(page)
    export_delete_import(page, server, flow, tmp_path)


def create_orders(page: Page) -> None:
    page.goto("/tables")
    page.get_by_role("button", name="New table").first.click()
    window = page.get_by_role("dialog")
    window.get_by_label("Name", exact=True).fill("orders")
    window.get_by_label("Column name").first.fill("customer")
    window.get_by_role("button", name="Create table").click()
    page.wait_for_url(re.compile("/tables/[0-9a-f-]+$"))
    for customer in ("Ada", "Grace"):
        page.get_by_role("button", name="Add row").first.click()
        window = page.get_by_role("dialog")
        window.get_by_label("customer").fill(customer)
        window.get_by_role("button", name="Add row").click()
        expect(page.get_by_text(customer, exact=True).first).to_be_visible()


def draw(page: Page, server: Server) -> FlowPage:
    page.goto("/")
    page.get_by_role("button", name="New flow").first.click()
    name = page.get_by_role("dialog").get_by_label("Name")
    name.fill("Warn on emptied table")
    name.press("Enter")
    page.wait_for_url("**/flows/*")
    flow = FlowPage(page, flow_id_of(page), server.flows)
    flow.drop("api.dataTable_emptied", 150, 300)
    flow.drop("condition", 430, 300)
    flow.drop("send_email", 690, 300)
    flow.has(3, 0)
    flow.wire("table_emptied", "out", "condition")
    flow.wire("condition", "true", "send_email")
    flow.has(3, 2)
    return flow


def fill_in(flow: FlowPage) -> None:
    page = flow.page
    flow.node("condition").click()
    flow.panel_shows("Condition")
    expect(page.locator(".fe-field", has_text="If").locator(".fe-problem")).to_contain_text("empty")
    flow.fill("If", "{{ $param.Name == 'orders' }}")
    until(lambda: flow.nodes["condition"]["params"] == {"if": "{{ $param.Name == 'orders' }}"})
    expect(page.locator(".fe-field", has_text="If").locator(".fe-problem")).to_be_hidden()
    flow.node("send_email").click()
    flow.panel_shows("Send email")
    flow.fill("To", "ops@example.com")
    page.get_by_label("Subject", exact=True).click()
    page.get_by_role("button", name="Subject: insert a value").click()
    page.locator(".vp-leaf", has_text="Name").click()
    expect(page.get_by_label("Subject", exact=True)).to_have_value("{{ $param.Name }}")
    page.keyboard.type(" was emptied")
    flow.fill("Text", "Every row of {{ $param.Name }} is gone.")
    until(lambda: flow.nodes["send_email"]["params"].get("subject") == "{{ $param.Name }} was emptied")
    until(lambda: "text" in flow.nodes["send_email"]["params"])
    flow.saved()


def run_a_test(page: Page) -> None:
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator(".ft-payload .cm-content")).to_contain_text('"Name": "orders"')
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator('.fc-badge[data-state="succeeded"]')).to_have_count(3)
    expect(page.locator(".vue-flow__edge-path.fc-edge-taken")).to_have_count(2)
    log = page.locator(".ft-log")
    expect(log).to_contain_text("Simulated: nothing was sent")
    expect(log.locator(".fs-subject")).to_have_text("orders was emptied")
    expect(log.locator(".fs-text")).to_have_text("Every row of orders is gone.")
    page.locator('.vue-flow__node[data-id="condition"]').click()
    expect(page.locator(".fe-right .fs-pre").first).to_contain_text('"result": true')


def publish(page: Page) -> None:
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator(".fe-state")).to_have_text("Published v1")


def clear_orders(page: Page) -> None:
    page.goto("/mailbox")
    expect(page.get_by_text("No mail yet")).to_be_visible()  # the test sent nothing
    page.goto("/tables")
    page.get_by_role("button", name="Settings of orders", exact=True).click()
    page.get_by_text("Clear table", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Clear table").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def see_the_run(page: Page, flow: FlowPage) -> None:
    page.goto(f"/runs?flow={flow.flow_id}")
    page.get_by_role("link", name=re.compile("Open run .*succeeded")).first.click()
    page.wait_for_url("**/runs/*")
    expect(page.locator('.fc-badge[data-state="succeeded"]')).to_have_count(3)
    expect(page.locator(".vue-flow__edge-path.fc-edge-taken")).to_have_count(2)
    page.locator(".fr-step", has_text="Send email").click()
    expect(page.locator(".fe-right")).to_contain_text("message_id")


def read_the_email(page: Page) -> None:
    page.goto("/mailbox")
    page.get_by_text("orders was emptied").first.click()
    expect(page.get_by_text("Every row of orders is gone.")).to_be_visible()


def export_delete_import(page: Page, server: Server, flow: FlowPage, folder: Path) -> None:
    flow.open()
    before, places = flow.draft, flow.positions
    page.get_by_role("button", name="More", exact=True).click()
    with page.expect_download() as download:
        page.get_by_text("Export JSON").click()
    file = folder / "flow.json"
    download.value.save_as(file)
    assert json.loads(file.read_text()) == before
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete flow").click()
    page.wait_for_url(lambda url: url.rstrip("/") == server.url)
    page.get_by_role("button", name="Import").first.click()
    page.locator('input[type="file"]').set_input_files(file)
    page.wait_for_url("**/flows/*")
    again = FlowPage(page, flow_id_of(page), server.flows)
    again.has(3, 2)
    assert again.draft == before
    assert again.positions == places
