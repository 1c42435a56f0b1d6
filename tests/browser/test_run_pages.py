"""Runs afterwards: their loops and waits, deciding, settling, retrying one and many."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlmodel import col, select

from storage.tables import RunRow, StepRow
from tests.browser.flow_page import Server, until
from tests.operators import COOKIE, signed_in

Make = Callable[..., str]


@pytest.fixture
def start(server: Server) -> Callable[..., int]:
    """Queue a run of a flow's live version, and wait until it has come to rest."""

    def run(flow_id: str, payload: dict[str, Any], trigger: str = "start") -> int:
        with server.database.write() as session:
            row = RunRow(flow_id=flow_id, version=1, trigger=trigger, payload=payload)
            session.add(row)
            session.flush()
            assert row.id is not None
        until(lambda: status(server, row.id or 0) not in ("queued", "running"))
        return row.id

    return run


def status(server: Server, run_id: int) -> str:
    with server.database.read() as session:
        return session.get_one(RunRow, run_id).status


def opened(page: Page, run_id: int) -> None:
    page.goto(f"/runs/{run_id}")
    page.locator('.fc[aria-label^="Flow with"]').wait_for()


def step(page: Page, name: str) -> Locator:
    return page.locator(".fr-step", has=page.locator(".fe-node-title", has_text=re.compile(f"^{name}$")))


def picky(server: Server, make_flow: Make) -> str:
    """Publish a flow that fails for whatever is no number."""
    fields = {"fields": {"n": "{{ $param.n + 1 }}"}}
    flow_id = make_flow({"start": "manual", "plus": "set_fields"}, ["start out plus"], plus=fields)
    server.flows.publish(flow_id)
    return flow_id


def test_items_of_a_loop_are_looked_at_one_by_one(
    page: Page, server: Server, make_flow: Make, start: Callable[..., int]
) -> None:
    nodes = {"start": "manual", "each": "for_each", "plus": "set_fields", "after": "set_fields"}
    edges = ["start out each", "each each plus", "each done after"]
    each = {"items": "{{ $param.items }}", "on_item_error": "continue"}
    plus, after = {"fields": {"n": "{{ $item + 1 }}"}}, {"fields": {"failed": "{{ $action.each.failed }}"}}
    flow_id = make_flow(nodes, edges, each=each, plus=plus, after=after)
    server.flows.publish(flow_id)
    opened(page, start(flow_id, {"items": [*range(30), "no", *range(30), "never"]}))

    bar = page.locator(".fr-items")
    expect(bar).to_contain_text("Item 31")
    expect(bar).to_contain_text("1 of 2 failed")
    expect(step(page, "Plus")).to_contain_text("does not work")
    bar.get_by_role("button", name="Next item").click()
    expect(bar).to_contain_text("Item 62")
    bar.get_by_role("button", name="Which items").click()
    page.get_by_text("All items (62)").click()
    expect(bar).to_contain_text("Item 1")
    expect(bar).to_contain_text("1 of 62")

    step(page, "Each").click()
    listed = page.locator(".fr-item-list")
    expect(listed.locator(".fr-item")).to_have_count(25)
    listed.get_by_role("button", name="More items").click()
    expect(listed).to_contain_text("26 to 50 of 62")
    listed.locator(".fr-item", has_text="Item 31").click()
    expect(bar).to_contain_text("Item 31")
    expect(listed).to_contain_text("26 to 50 of 62")
    step(page, "Plus").click()
    expect(page.locator(".fe-panel-head")).to_contain_text("Item 31")
    expect(page.locator(".fe-right .fs-error")).to_contain_text("does not work")


def test_steps_that_stay_keep_the_focus_and_a_click_that_is_under_way(
    page: Page, server: Server, make_flow: Make, start: Callable[..., int]
) -> None:
    nodes = {"start": "manual", "ask": "wait_for_approval", "yes": "set_fields"}
    yes = {"fields": {"n": 1}}
    flow_id = make_flow(nodes, ["start out ask", "ask approved yes"], ask={"title": "Sure?"}, yes=yes)
    server.flows.publish(flow_id)
    run_id = start(flow_id, {})
    opened(page, run_id)
    step(page, "Ask").click()
    panel = page.locator(".fe-right")
    expect(panel.locator(".fs-wait")).to_contain_text("Sure?")
    first = step(page, "Start")
    first.focus()
    first.hover()
    page.mouse.down()

    with server.database.write() as session:  # as if the engine had gone on
        session.add(StepRow(run_id=run_id, node="yes", status="running", started_at=datetime.now(UTC)))
    expect(step(page, "Yes")).to_be_visible()
    expect(first).to_be_focused()
    page.mouse.up()

    expect(panel.locator(".fe-panel-name")).to_have_text("Start")


def test_the_panel_of_a_step_stays_as_it_is_while_others_go_on(
    page: Page, server: Server, make_flow: Make, start: Callable[..., int]
) -> None:
    nodes = {"start": "manual", "ask": "wait_for_approval", "yes": "set_fields"}
    flow_id = make_flow(nodes, ["start out ask", "ask approved yes"], ask={"title": "Sure?"}, yes={"fields": {"n": 1}})
    server.flows.publish(flow_id)
    run_id = start(flow_id, {})
    opened(page, run_id)
    step(page, "Ask").click()
    approve = page.locator(".fe-right").get_by_role("button", name="Approve")
    approve.focus()

    with server.database.write() as session:
        session.add(StepRow(run_id=run_id, node="yes", status="running", started_at=datetime.now(UTC)))
    expect(step(page, "Yes")).to_be_visible()

    expect(approve).to_be_focused()


def test_an_approval_is_given_on_the_runs_page(
    page: Page, server: Server, make_flow: Make, start: Callable[..., int]
) -> None:
    nodes = {"start": "manual", "ask": "wait_for_approval", "yes": "set_fields"}
    ask = {"title": "Refund?", "message": "12 €", "timeout_s": 7200}
    yes = {"fields": {"said": "{{ $action.ask.comment }}"}}
    flow_id = make_flow(nodes, ["start out ask", "ask approved yes"], ask=ask, yes=yes)
    server.flows.publish(flow_id)
    opened(page, start(flow_id, {}))

    step(page, "Ask").click()
    panel = page.locator(".fe-right")
    expect(panel.locator(".fs-wait")).to_contain_text("Waits for an approval, gives up in 1 h")
    expect(panel.locator(".fs-wait")).to_contain_text("Refund?")
    panel.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Copied. Whoever has the link may decide.")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert "/approve/" in link
    panel.get_by_role("button", name="Approve").click()
    page.get_by_role("dialog").get_by_label("Comment").fill("fine")
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()

    expect(page.locator(".fr-status")).to_contain_text("Succeeded")
    expect(panel).to_be_focused()  # what was pressed is gone
    step(page, "Yes").click()
    expect(panel.locator(".fs-pre").first).to_contain_text('"said": "fine"')


def unsettled(server: Server, flow_id: str, node: str, given: dict[str, Any]) -> int:
    """Make a run of a flow's first version that waits because nobody knows whether *node* took place."""
    server.flows.publish(flow_id)
    with server.database.write() as session:
        row = RunRow(flow_id=flow_id, version=1, trigger="start", payload={}, status="waiting")
        row.started_at = datetime.now(UTC)
        session.add(row)
        session.flush()
        error = {"message": "It is not known whether this step took place.", "code": "step.outcome_unknown"}
        session.add(StepRow(run_id=row.id, node="start", status="succeeded", port="out", output={}))
        session.add(StepRow(run_id=row.id, node=node, status="unknown", error=error, input=given))
        session.flush()
    assert row.id is not None
    return row.id


def test_what_only_an_answer_decides_is_not_offered_to_be_marked_as_done(
    page: Page, server: Server, make_flow: Make
) -> None:
    ask = {"title": "Refund?", "message": "12 €"}
    nodes = {"start": "manual", "ask": "wait_for_approval", "yes": "set_fields"}
    flow_id = make_flow(nodes, ["start out ask", "ask approved yes"], ask=ask, yes={"fields": {"n": 1}})
    opened(page, unsettled(server, flow_id, "ask", ask))

    step(page, "Ask").click()
    panel = page.locator(".fe-right")
    expect(panel.locator(".fs-unknown")).to_contain_text("“approved” or “rejected”")
    expect(panel.get_by_role("button", name="Mark as done")).to_have_count(0)
    panel.get_by_role("button", name="Send again").click()
    page.get_by_role("dialog").get_by_role("button", name="Send again").click()

    expect(panel.get_by_role("button", name="Approve")).to_be_visible()


def test_a_step_of_unknown_outcome_is_sent_again(page: Page, server: Server, make_flow: Make) -> None:
    mail = {"to": "a@example.com", "subject": "s", "text": "t"}
    flow_id = make_flow({"start": "manual", "mail": "send_email"}, ["start out mail"], mail=mail)
    run_id = unsettled(server, flow_id, "mail", mail)
    opened(page, run_id)

    step(page, "Mail").click()
    panel = page.locator(".fe-right")
    expect(panel.locator(".fs-error")).to_contain_text("not known")
    expect(panel.locator(".fs-key")).to_contain_text(f"-{run_id}:mail:")
    expect(panel.get_by_role("button", name="Mark as done")).to_be_visible()
    panel.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("dialog")).to_contain_text("idempotency key")
    page.get_by_role("dialog").get_by_role("button", name="Send again").click()

    expect(page.locator(".fr-status")).to_contain_text("Succeeded")
    expect(panel.locator(".fs-head")).to_contain_text("attempt 2")


def test_a_run_is_retried_where_it_failed_on_the_version_of_now(
    page: Page, server: Server, make_flow: Make, start: Callable[..., int]
) -> None:
    flow_id = picky(server, make_flow)
    failed = start(flow_id, {"n": "x"})
    fix = {"op": "patch_node", "id": "plus", "set": {"params": {"fields": {"n": "{{ $param.n }}"}}}}
    server.flows.edit(flow_id, [fix])
    server.flows.publish(flow_id)
    opened(page, failed)

    page.get_by_role("button", name="Retry", exact=True).click()
    page.get_by_role("dialog").get_by_text("Version 2, live now").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()

    page.wait_for_url(re.compile(rf"/runs/(?!{failed}$)\d+$"))
    expect(page.locator(".fr-status")).to_contain_text("Succeeded")
    expect(step(page, "Start")).to_contain_text(f"kept from run {failed}")
    expect(page.locator(".fr-chain")).to_contain_text("Retry of")
    page.locator(".fr-chain").get_by_role("link", name=f"run {failed}").click()
    expect(page.locator(".fr-chain")).to_contain_text("Retried by")


def test_failed_runs_are_selected_and_retried_together(
    page: Page, server: Server, make_flow: Make, start: Callable[..., int]
) -> None:
    flow_id = picky(server, make_flow)
    failed = [start(flow_id, {"n": "x"}) for _ in range(3)]
    start(flow_id, {"n": 1})
    page.goto(f"/runs?flow={flow_id}&status=failed")
    expect(page.locator(".pw-run")).to_have_count(3)

    page.get_by_role("checkbox", name=f"Select run {failed[0]}", exact=True).click()
    bar = page.locator(".pw-bulk")
    expect(bar).to_contain_text("1 run")
    bar.get_by_role("button", name="Retry", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    expect(page.locator(".q-notification")).to_contain_text("1 run started again")
    expect(bar).to_be_hidden()

    page.get_by_role("checkbox", name=f"Select run {failed[1]}", exact=True).click()
    bar.get_by_role("button", name="All failed runs of").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("3 runs that nobody has retried yet")
    dialog.get_by_role("button", name="Retry").click()
    until(lambda: len(retries(server, failed)) == 3)
    expect(page.locator(".pw-run", has_text=f"#{failed[2]}").first).to_contain_text("Retried as #")


def retries(server: Server, run_ids: list[int]) -> set[int | None]:
    with server.database.read() as session:
        return set(session.exec(select(RunRow.parent_run).where(col(RunRow.parent_run).in_(run_ids))).all())


def test_dead_letters_are_found(page: Page, server: Server, make_flow: Make, start: Callable[..., int]) -> None:
    flow_id = picky(server, make_flow)
    dead, failed = start(flow_id, {"n": "x"}), start(flow_id, {"n": "x"})
    with server.database.write() as session:
        session.get_one(RunRow, dead).is_dead = True
    page.goto(f"/runs?flow={flow_id}")
    expect(page.locator(".pw-run")).to_have_count(2)

    page.get_by_role("button", name="Dead letters").click()

    expect(page.locator(".pw-run")).to_have_count(1)
    expect(page.locator(".pw-run")).to_contain_text("Dead letter")
    assert f"#{failed}" not in page.locator(".pw-list").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_what_a_run_waits_for(
    browser: Browser, server: Server, make_flow: Make, start: Callable[..., int], scheme: str
) -> None:
    flow_id = make_flow({"start": "manual", "wait": "delay"}, ["start out wait"], wait={"seconds": 7200})
    server.flows.publish(flow_id)
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
    opened(page, start(flow_id, {}))

    expect(step(page, "Wait")).to_contain_text("Goes on in 1 h")
    step(page, "Wait").tap()
    expect(page.locator(".fe-right .fs-wait")).to_be_visible()

    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    context.close()
