"""A schedule as a person sets it up: its next times while typing, and when the live flow is due."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.flow_page import FlowPage, Server, until
from tests.operators import COOKIE, signed_in

Make = Callable[..., str]
FIELDS = {"fields": {"at": "{{ $param.due_at }}"}}


def test_next_times_and_mistakes_show_while_typing(page: Page, server: Server, make_flow: Make) -> None:
    flow = FlowPage(page, make_flow(), server.flows)
    flow.drop("on_schedule", 300, 200)
    flow.panel_shows("Schedule")
    times = page.get_by_role("group", name="Next times")
    problem = page.locator(".fe-right .fe-problem:visible")
    expect(problem).to_contain_text("Write a cron line, or say every how many seconds.")
    expect(times).to_be_hidden()

    flow.fill("Cron", "0 9 * * 1-5")
    expect(times.locator("li")).to_have_count(3)
    expect(times.locator("li").first).to_have_text(re.compile(r"(Mon|Tue|Wed|Thu|Fri) \d+ \w{3}( \d{4})?, 09:00$"))
    expect(times).to_contain_text("Times in UTC")
    expect(problem).to_have_count(0)
    flow.fill("Cron", "0 9 31 2 *")
    expect(problem).to_have_text("It is never due, because no such month has such a day.")
    expect(times).to_be_hidden()

    flow.fill("Cron", "0 9 * * *")
    zone = page.locator(".fe-right").get_by_label("Time zone")
    zone.click()
    zone.fill("kath")
    page.get_by_role("option", name="Asia/Kathmandu").click()
    expect(times).to_contain_text("Times in Asia/Kathmandu")
    wanted = {"cron": "0 9 * * *", "timezone": "Asia/Kathmandu"}
    until(lambda: wanted.items() <= flow.nodes["on_schedule"]["params"].items())
    expect(flow.node("on_schedule")).to_contain_text("0 9 * * * Asia/Kathmandu")

    flow.fill("Every (seconds)", "60")
    expect(problem).to_have_text("There is a cron line as well; empty one of the two.")
    flow.fill("Cron", "")
    expect(times).to_contain_text("Times in Asia/Kathmandu, if it is published now")


def test_a_live_schedule_says_when_it_is_due_and_runs(page: Page, server: Server, make_flow: Make) -> None:
    nodes = {"tick": "on_schedule", "note": "set_fields"}
    flow = FlowPage(page, make_flow(nodes, ["tick out note"], tick={"every_s": 1}, note=FIELDS), server.flows)

    page.locator(".fe-publish").click()

    expect(page.locator(".fe-due")).to_contain_text(
        re.compile(r"\w{3} \d+ \w{3}( \d{4})?, \d\d:\d\d(:\d\d)?, (now|in 1 s)")
    )
    page.goto(f"/runs?flow={flow.flow_id}")
    expect(page.get_by_role("link", name=re.compile(r"Open run \d+, succeeded")).first).to_be_visible()
    server.flows.unpublish(flow.flow_id)


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desk", "phone"])
def test_the_list_of_flows_says_what_is_due_next(
    browser: Browser, server: Server, make_flow: Make, size: tuple[int, int]
) -> None:
    there = ZoneInfo("Pacific/Auckland")
    hour = (datetime.now(there).hour + 12) % 24
    flow_id = make_flow({"t": "on_schedule"}, t={"cron": f"30 {hour} * * *", "timezone": there.key})
    server.flows.publish(flow_id)
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, base_url=server.url)
    context.add_cookies([{"name": COOKIE, "value": signed_in(server.database), "url": server.url}])
    page = context.new_page()

    page.goto("/")

    row = page.locator(".pw-flow", has=page.locator(f'a[href="/flows/{flow_id}"]'))
    expect(row.locator(".pw-flow-marks")).to_contain_text(re.compile(r"in 1[123] h "))
    context.close()
    server.flows.delete(flow_id)
