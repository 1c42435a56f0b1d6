"""Operators in a real browser: the way in, what a viewer sees, and a socket that a page of theirs tries to misuse."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from backend.operators import Operators
from storage.tables import RunRow
from tests.browser.flow_page import FlowPage, Server, until
from tests.operators import COOKIE, PASSWORD, signed_in

SIZE = {"width": 1440, "height": 900}
PATIENCE_S = 10  # a role counts within a second; the machines that run this are small


@pytest.fixture
def visitors(browser: Browser, server: Server) -> Iterator[Callable[..., BrowserContext]]:
    """Open browsers of their own, signed in with a role, or with none."""
    opened: list[BrowserContext] = []

    def open_(role: str | None = None, email: str = "") -> BrowserContext:
        context = browser.new_context(viewport=SIZE, reduced_motion="reduce", base_url=server.url)  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        if role is not None:
            cookie = signed_in(server.database, role, email or f"{role}@example.com", role.capitalize())  # type: ignore[arg-type]
            context.add_cookies([{"name": COOKIE, "value": cookie, "url": server.url}])
        opened.append(context)
        return context

    yield open_
    for context in opened:
        context.close()


@pytest.fixture
def operators(server: Server) -> Operators:
    return Operators(server.database)


def test_invited_person_joins_signs_out_and_in_again(
    visitors: Callable[..., BrowserContext], operators: Operators, server: Server
):
    signed_in(server.database)
    link = operators.invite("new@example.com", "editor").token
    page = visitors().new_page()
    page.goto(f"/invitation?token={link}")
    page.get_by_label("Your name").fill("Nora New")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Join").click()
    page.wait_for_url("**/")

    page.get_by_role("button", name="Nora New, editor").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to the editor")).to_be_visible()
    page.goto("/runs?status=failed")
    page.get_by_label("Email").fill("NEW@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    page.wait_for_url("**/runs?status=failed")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()


def test_viewer_reads_flows_and_finds_nothing_to_change(
    visitors: Callable[..., BrowserContext], make_flow: Callable[..., str]
):
    flow = make_flow({"manual": "manual", "check": "condition"}, ["manual out check"])
    page = visitors("viewer").new_page()
    page.goto("/")
    expect(page.get_by_role("link", name="Open Test flow").first).to_be_visible()
    expect(page.get_by_role("button", name="New flow")).to_have_count(0)
    expect(page.get_by_role("link", name="Mailbox")).to_have_count(0)
    expect(page.get_by_role("link", name="Users")).to_have_count(0)

    canvas = FlowPage(page, flow)
    expect(page.get_by_text("Read only")).to_be_visible()
    for name in ("Test", "Publish", "Undo (Ctrl+Z)"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_hidden()
    canvas.node("check").click()
    page.keyboard.press("Delete")
    page.keyboard.press("Control+Enter")

    expect(canvas.node("check")).to_be_visible()
    expect(page.locator(".fe-panel-act").first).to_be_hidden()
    page.goto("/users")
    expect(page.get_by_text("This page is not for your role")).to_be_visible()


def test_forged_events_of_a_viewer_change_nothing(
    visitors: Callable[..., BrowserContext], make_flow: Callable[..., str], server: Server
):
    flow = make_flow({"manual": "manual", "check": "condition"}, ["manual out check"])
    page = visitors("viewer").new_page()
    FlowPage(page, flow)
    before = server.flows.get(flow)
    canvas = canvas_id(page)

    forge(page, canvas, "ops", {"tab": "x", "seq": 1, "operations": [{"op": "del_node", "id": "check"}]})
    for name in ("undo", "tidy", "run"):
        forge(page, canvas, "command", {"name": name})
    expect(page.locator(".pw-toast--fail").first).to_contain_text("needs the role “editor”")
    page.evaluate(CLICK_EVERYTHING)
    page.goto("/")

    after = server.flows.get(flow)
    assert (after.draft, after.state, after.revision) == (before.draft, before.state, before.revision)


def test_foreign_page_is_not_acted_for(
    visitors: Callable[..., BrowserContext], make_flow: Callable[..., str], server: Server
):
    flow = make_flow({"manual": "manual", "check": "condition"}, ["manual out check"])
    theirs, mine = visitors("owner", "owner@example.com").new_page(), visitors("viewer").new_page()
    FlowPage(theirs, flow)
    FlowPage(mine, flow)
    client, canvas = theirs.evaluate("window.clientId"), canvas_id(theirs)
    listener = listener_of(theirs, canvas, "ops")
    message = {"tab": "stolen", "seq": 1, "operations": [{"op": "del_node", "id": "check"}]}
    stolen = {"id": canvas, "client_id": client, "listener_id": listener, "args": [json.dumps(message)]}

    shaken = mine.evaluate(
        "([id]) => new Promise(done => window.socket.emit('handshake', "
        "{client_id: id, tab_id: 'x', document_id: 'y'}, done))",
        [client],
    )
    mine.evaluate("message => window.socket.emit('event', message)", stolen)
    uploaded = mine.request.post(f"/_nicegui/client/{client}/upload/1", multipart={"file": "x"})
    polled = mine.request.get(f"/_nicegui_ws/socket.io/?EIO=4&transport=polling&client_id={client}")
    mine.evaluate("message => window.socket.emit('event', message)", stolen | {"client_id": 7})
    mine.evaluate("message => window.socket.emit('event', message)", None)
    theirs.evaluate(
        "message => window.socket.emit('event', message)",
        stolen | {"args": [json.dumps(message | {"operations": [{"op": "move", "at": {"check": [777, 0]}}]})]},
    )

    until(lambda: server.flows.get(flow).draft["layout"]["check"] == [777, 0])
    assert shaken is False
    assert (uploaded.status, polled.status) == (403, 403)
    assert {node["id"] for node in server.flows.get(flow).draft["nodes"]} == {"manual", "check"}


def test_role_that_is_taken_counts_within_a_second_on_open_pages(
    visitors: Callable[..., BrowserContext], operators: Operators, make_flow: Callable[..., str], server: Server
):
    flow = make_flow({"manual": "manual", "check": "condition"}, ["manual out check"])
    page = visitors("editor", "demoted@example.com").new_page()
    FlowPage(page, flow)
    canvas = canvas_id(page)
    move(page, canvas, 500)
    until(lambda: server.flows.get(flow).draft["layout"]["check"] == [500, 0])

    operators.set_role("demoted@example.com", "viewer")
    taken_at = time.monotonic()
    places = iter(range(501, 10_000))
    refused = page.locator(".pw-toast--fail")
    until(lambda: move(page, canvas, next(places)) or refused.count())
    was_refused_at = time.monotonic()
    kept = server.flows.get(flow).draft["layout"]["check"]
    move(page, canvas, 20_000)

    expect(refused.first).to_contain_text("needs the role “editor”")
    assert was_refused_at - taken_at < PATIENCE_S
    until(lambda: refused.count() > 1 or page.get_by_text("needs the role").count())
    assert server.flows.get(flow).draft["layout"]["check"] == kept


def test_a_step_that_waits_for_an_approval_is_told_whole_to_an_operator_whose_role_was_taken(
    visitors: Callable[..., BrowserContext], operators: Operators, make_flow: Callable[..., str], server: Server
):
    nodes = {"start": "manual", "ask": "wait_for_approval"}
    flow = make_flow(nodes, ["start out ask"], ask={"title": "Refund?"})
    server.flows.publish(flow)
    with server.database.write() as session:
        run = RunRow(flow_id=flow, version=1, trigger="start", payload={})
        session.add(run)
    page = visitors("editor", "once-an-editor@example.com").new_page()
    page.goto(f"/runs/{run.id}")
    step, panel = page.locator(".fr-step", has_text="Ask"), page.locator(".fe-right")
    step.click()
    expect(panel.get_by_role("button", name="Copy link")).to_be_visible()

    operators.set_role("once-an-editor@example.com", "viewer")

    def is_drawn_without_the_link() -> bool:
        panel.get_by_role("button", name="Close").click()
        step.click()
        expect(panel.get_by_role("button", name="Approve")).to_be_visible()
        return panel.get_by_role("button", name="Copy link").count() == 0

    until(is_drawn_without_the_link)
    expect(panel).to_contain_text("Input")


def test_sign_out_ends_open_pages_and_copied_cookies(
    visitors: Callable[..., BrowserContext], make_flow: Callable[..., str], server: Server
):
    flow = make_flow({"manual": "manual", "check": "condition"}, ["manual out check"])
    context = visitors("editor", "leaving@example.com")
    cookie = next(each for each in context.cookies() if each["name"] == COOKIE)
    open_page, other = context.new_page(), context.new_page()
    FlowPage(open_page, flow)
    other.goto("/")

    other.get_by_role("button", name="Editor, editor").first.click()
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/sign-in")

    open_page.wait_for_url(re.compile(r"/sign-in\?next=/flows/"))
    thief = visitors()
    thief.add_cookies([{"name": COOKIE, "value": cookie["value"], "url": server.url}])  # type: ignore[typeddict-item]
    stolen = thief.new_page()
    stolen.goto("/")
    expect(stolen.get_by_role("heading", name="Sign in to the editor")).to_be_visible()
    answer = thief.request.get("/_nicegui_ws/socket.io/?EIO=4&transport=polling")
    assert answer.status == 401


def test_page_that_will_not_leave_is_deaf_after_the_sign_out(
    visitors: Callable[..., BrowserContext], make_flow: Callable[..., str], server: Server
):
    context = visitors("editor", "staying@example.com")
    page, other = context.new_page(), context.new_page()
    FlowPage(page, make_flow({"manual": "manual"}))
    page.evaluate("window.socket.off('open')")
    drawer = page.get_by_role("region", name="Test")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(drawer).to_be_visible()
    other.goto("/")
    other.get_by_role("button", name="Editor, editor").first.click()
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/sign-in")

    def hears() -> bool:
        was_visible = drawer.is_visible()
        page.get_by_role("button", name="Test", exact=True).click()
        with suppress(AssertionError):
            expect(drawer).to_be_visible(visible=not was_visible, timeout=3_000)
        return drawer.is_visible() != was_visible

    until(lambda: not hears())
    assert not hears()


SEND = """([id, listener, args]) => window.socket.emit("event",
    {id, client_id: window.clientId, listener_id: listener, args})"""


CLICK_EVERYTHING = """() => { for (const [id, element] of Object.entries(mounted_app.elements))
    for (const each of element.events || [])
        if (each.type === "click" && each.listener_id) window.socket.emit("event",
            {id: +id, client_id: window.clientId, listener_id: each.listener_id, args: ["{}"]}); }"""


def canvas_id(page: Page) -> int:
    return int(page.locator(".fc").first.evaluate("element => element.id.slice(1)"))


def listener_of(page: Page, element: int, event: str) -> str:
    script = "([id, type]) => mounted_app.elements[id].events.find(each => each.type === type).listener_id"
    return str(page.evaluate(script, [element, event]))


def forge(page: Page, element: int, event: str, argument: dict[str, Any]) -> None:
    """Send an event past everything that the page would have kept a person from doing."""
    page.evaluate(SEND, [element, listener_of(page, element, event), [json.dumps(argument)]])


def move(page: Page, canvas: int, x: int) -> None:
    operations = [{"op": "move", "at": {"check": [x, 0]}}]
    forge(page, canvas, "ops", {"tab": "x", "seq": int(time.monotonic() * 1000), "operations": operations})
