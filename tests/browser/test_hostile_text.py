"""Names and values that carry markup, scripts and templates: every page shows them as they are, and nothing runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from backend.datahub import Column, Datahub
from backend.hosted import HostedPages
from backend.keys import Keys
from backend.operators import Operators
from backend.passwords import CHEAP, Passwords
from backend.roles import Roles
from backend.users import Users
from runtime import outbox
from storage.tables import AuditEntry, Credential, Flow, RunRow
from tests.browser.flow_page import FlowPage, Server, until
from tests.operators import COOKIE, signed_in

# Each part would call ran(), or become 62615533, where somebody takes it for something else than text.
IMAGE = '"><img src=x onerror=ran()>'
SCRIPT = "</script><script>ran()</script>"
TEMPLATE = "'{{ 7919*7907 }}${7919*7907}"
MARKDOWN = "[a](javascript:ran()) **b**"
BAD = f"{IMAGE}{SCRIPT}{TEMPLATE}"
PLAIN = f"{IMAGE}{SCRIPT}{MARKDOWN}"  # where braces would be an expression
AS_IT_SHOULD_BE = ("status of 4", "frame is sandboxed", "Loading the image")  # what a page or a frame refuses
MADE_OF_IT = "img[src='x'], a[href^='javascript:' i], [onerror], [onload], svg[onload]"


class Visitor:
    """A browser that notices when anything runs that was text."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self.ran: list[str] = []
        self.faults: list[str] = []
        self.context = browser.new_context(
            viewport={"width": 1440, "height": 900}, reduced_motion="reduce", base_url=server.url
        )
        self.context.set_default_timeout(8000)
        self.context.add_cookies([{"name": COOKIE, "value": signed_in(server.database), "url": server.url}])
        self.context.expose_binding("ran", lambda source: self.ran.append(source["frame"].url))
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("dialog", lambda dialog: (self.ran.append(dialog.message), dialog.dismiss()))

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and not any(words in text for words in AS_IT_SHOULD_BE):
            self.faults.append(text)

    def visit(self, address: str) -> Response | None:
        return self.page.goto(address)

    def calm(self, *shown: str) -> None:
        """Every one of *shown* stands on the page as text, or in a field; nothing was made of it and nothing ran."""
        for text in shown:
            until(lambda text=text: text in everything(self.page))
        assert "62615533" not in everything(self.page)
        assert self.page.locator(MADE_OF_IT).count() == 0
        assert (self.ran, self.faults) == ([], [])


def everything(page: Page) -> str:
    """Return all text of a page, with that in its fields and its title."""
    script = """() => [document.title, document.body.innerText,
        ...[...document.querySelectorAll('input, textarea')].map((field) => field.value)].join('\\n')"""
    return str(page.evaluate(script))


@pytest.fixture
def visitor(browser: Browser, server: Server) -> Iterator[Visitor]:
    made = Visitor(browser, server)
    yield made
    made.context.close()


def nothing(_session: Any, _event: Any) -> None:
    """Report no event."""


@pytest.fixture
def flow_id(server: Server) -> str:
    """A published flow in which all that a person can write is hostile; its run ends at what waits for an approval."""
    mail = {"to": "ops@example.com", "subject": PLAIN, "text": PLAIN, "html": f"<p>{PLAIN}</p>"}
    nodes: list[dict[str, Any]] = [
        {"id": "start", "type": "manual", "params": {}},
        {"id": "set", "type": "set_fields", "params": {"fields": {BAD: PLAIN, "copy": "{{ $param }}"}}},
        {"id": "which", "type": "switch", "params": {"value": "{{ 'x' }}", "cases": [PLAIN, "x"]}},
        {"id": "mail", "type": "send_email", "params": mail},
        {"id": "ask", "type": "wait_for_approval", "params": {"title": PLAIN, "message": PLAIN, "to": "a@example.com"}},
        {"id": "stop", "type": "stop_with_error", "params": {"message": f"{PLAIN} {{{{ $action.ask.comment }}}}"}},
    ]
    wires = ["start out set", "set out which", "which x mail", "mail out ask", "ask approved stop"]
    document = {
        "format": "pulsewire.flow/1",
        "directed": True,
        "multigraph": True,
        "graph": {"name": BAD, "description": BAD},
        "nodes": [{**node, "name": BAD} for node in nodes],
        "edges": [dict(zip(("source", "key", "target"), wire.split(), strict=True)) for wire in wires],
        "samples": [{"name": BAD, "trigger": "start", "payload": {BAD: BAD}}],
        "layout": {node["id"]: [place % 3 * 280, place // 3 * 160] for place, node in enumerate(nodes)},
    }
    made = server.flows.create(document).id
    server.flows.publish(made)
    return made


@pytest.fixture
def run_id(server: Server, flow_id: str) -> int:
    with server.database.write() as session:
        row = RunRow(flow_id=flow_id, version=1, trigger="start", payload={BAD: BAD})
        session.add(row)
        session.flush()
        made = row.id or 0
    until(lambda: status(server, made) == "waiting")
    return made


def status(server: Server, run_id: int) -> str:
    with server.database.read() as session:
        return session.get_one(RunRow, run_id).status


def test_in_the_editor(visitor: Visitor, server: Server, flow_id: str) -> None:
    with server.database.write() as session:
        session.get_one(Flow, flow_id).notice = {"code": "event.loop", "message": BAD, "at": "2026-01-01T09:00:00Z"}
    page = visitor.page
    visitor.visit("/")
    visitor.calm(BAD)
    page.get_by_label("Search").first.fill(BAD)
    visitor.calm(BAD)

    editor = FlowPage(page, flow_id, server.flows)
    visitor.calm(BAD)
    for node in ("start", "set", "which", "mail", "ask", "stop"):
        page.evaluate("(id) => getElement(+document.querySelector('.fc').id.slice(1)).visit(id)", node)
        expect(page.get_by_role("button", name=f"Id {node}: change it")).to_be_visible()
        visitor.calm(BAD)
    page.get_by_role("button", name="Message: insert a value").click()
    expect(page.get_by_role("tree")).to_be_visible()
    page.get_by_label("Search values").fill(IMAGE)
    visitor.calm(IMAGE)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Id stop: change it").click()
    page.get_by_label("New id").fill(IMAGE)
    visitor.calm(IMAGE)
    page.keyboard.press("Escape")

    wrong = f"{{{{ {IMAGE} }}}}"
    for node, params in (
        ("set", {"fields": {"a": wrong}}),
        ("which", {"value": f"{PLAIN} {wrong}", "cases": [PLAIN]}),
    ):
        server.flows.edit(flow_id, [{"op": "patch_node", "id": node, "set": {"params": params}}])
    page.evaluate("() => getElement(+document.querySelector('.fc').id.slice(1)).visit('which')")
    expect(page.locator(".fe-told .fe-problem").first).to_be_visible()
    visitor.calm(PLAIN)
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".ft-problem").first).to_be_visible()
    visitor.calm(BAD)
    editor.page.get_by_role("button", name="Undo (Ctrl+Z)").click()
    visitor.calm(BAD)


def test_in_a_test_and_its_results(visitor: Visitor, server: Server, flow_id: str) -> None:
    page = visitor.page
    FlowPage(page, flow_id, server.flows)
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_role("button", name="Run", exact=True).click()
    rows = page.locator(".ft-row")
    expect(rows).to_have_count(6)
    for place in range(6):
        if rows.nth(place).get_attribute("aria-expanded") == "false":
            rows.nth(place).click()
    visitor.calm(BAD, PLAIN)
    expect(page.frame_locator("iframe.fs-mail").locator("img")).to_have_count(1)  # what a mail shows stays in its frame
    visitor.calm(BAD, PLAIN)


def test_on_the_pages_of_runs_mails_and_approvals(visitor: Visitor, server: Server, run_id: int) -> None:
    page = visitor.page
    visitor.visit("/runs")
    visitor.calm(BAD)
    visitor.visit(f"/runs/{run_id}")
    page.locator('.fc[aria-label^="Flow with"]').wait_for()
    for place in range(5):
        page.locator(".fr-step").nth(place).click()
        expect(page.locator(".fr-step").nth(place)).to_have_attribute("aria-current", "true")
        visitor.calm(BAD)
    page.get_by_role("button", name="Approve").click()
    visitor.calm(PLAIN)
    page.keyboard.press("Escape")

    visitor.visit("/mailbox")
    visitor.calm(PLAIN)
    for place in range(2):
        read_mail(page, place)
        visitor.calm(PLAIN)
    link = next(text for text in re.findall(r"http\S+/approve/[\w.~-]+", mailed(page)))
    visitor.visit(link)
    visitor.calm(PLAIN)
    page.get_by_label("Comment").fill(BAD)
    page.get_by_role("button", name="Approve").click()
    visitor.calm(PLAIN)

    until(lambda: status(server, run_id) == "failed")
    visitor.visit(f"/runs/{run_id}")
    visitor.calm(PLAIN, BAD)
    visitor.visit("/runs?status=failed")
    visitor.calm(BAD)


def read_mail(page: Page, place: int) -> None:
    """Choose a message of the mailbox, and wait until it is the one that is shown."""
    line = page.locator(".pw-mail-line").nth(place)
    line.click()
    expect(line).to_have_attribute("aria-current", "true")
    expect(page.locator(".pw-mail-title h2")).to_be_visible()


def mailed(page: Page) -> str:
    """Return the text of the messages in the mailbox."""
    found = []
    for place in range(page.locator(".pw-mail-line").count()):
        read_mail(page, place)
        page.locator(".pw-mail-kinds").get_by_text("Text", exact=True).click()
        expect(page.locator(".pw-mail-text")).to_be_visible()
        found.append(page.locator(".pw-mail-text").inner_text())
    return "\n".join(found)


def test_on_the_pages_of_tables(visitor: Visitor, server: Server) -> None:
    tables = Datahub(server.database, nothing, listens=outbox.listens)
    table = tables.create(BAD, [Column("note", "text"), Column("more", "json")], BAD)
    tables.insert(table.id, [{"note": BAD, "more": {BAD: [BAD]}}])
    visitor.visit("/tables")
    visitor.calm(BAD)

    visitor.visit(f"/tables/{table.id}")
    expect(visitor.page.locator(".pw-grid-foot")).to_contain_text("1 row")
    visitor.calm(BAD)
    visitor.page.locator(".pw-grid-cell", has_text=IMAGE).first.dblclick()
    visitor.calm(BAD)


def test_on_the_pages_of_users(visitor: Visitor, server: Server) -> None:
    roles = Roles(server.database, nothing)
    roles.create(BAD, BAD)
    users = Users(
        server.database,
        nothing,
        lambda: None,
        Passwords(CHEAP),
        base_url=server.url,
        hosted=HostedPages(server.database),
    )
    user = users.create("ada@example.com", first_name=BAD, last_name=BAD, roles=[BAD])
    visitor.visit("/users")
    visitor.calm(BAD)
    visitor.visit(f"/users/{user.id}")
    visitor.calm(BAD)
    visitor.visit("/users/roles")
    visitor.calm(BAD)


def test_on_the_pages_of_settings_and_what_was_done(visitor: Visitor, server: Server) -> None:
    Operators(server.database).invite("eve@example.com", "editor", BAD[:100])
    Keys(server.database).create(BAD, "viewer")
    with server.database.write() as session:  # a door takes only letters and the like for a login
        session.add(
            Credential(id="bad", name=BAD, folded_name=BAD, kind="bearer", settings={}, secret="x", hosts=[BAD])
        )
        session.add(
            AuditEntry(actor_kind="key", actor_id="1", actor=BAD, action="flow.publish", target=BAD, details={BAD: BAD})
        )

    visitor.visit("/settings")
    visitor.calm(BAD, BAD[:100])
    visitor.visit("/audit")
    visitor.calm(BAD)


def test_on_hosted_pages(visitor: Visitor, server: Server) -> None:
    hosted = HostedPages(server.database)
    name = f"{IMAGE}{TEMPLATE}"
    hosted.save(replace(hosted.read(), name=name))
    until(lambda: is_called(visitor, name))
    for address in (
        "/login",
        "/signup",
        "/forgot-password",
        f"/verify-email?token={IMAGE}",
        f"/set-new-password?token={IMAGE}",
    ):
        visitor.visit(address)
        visitor.calm(name)
    visitor.visit("/login")
    visitor.page.get_by_label("Email").fill(f"{IMAGE}@example.com")
    visitor.page.get_by_label("Password", exact=True).fill(BAD)
    visitor.page.get_by_role("button", name="Sign in").click()
    visitor.calm(name)
    visitor.visit("/users/hosted-pages")
    visitor.calm(name)
    hosted.save(replace(hosted.read(), name=""))


def is_called(visitor: Visitor, name: str) -> bool:
    """Whether the hosted pages have this name; the server reads it again after a while."""
    visitor.visit("/login")
    return name in everything(visitor.page)


@pytest.mark.parametrize(
    "address",
    [
        "/flows/{}",
        "/runs/{}",
        "/tables/{}",
        "/users/{}",
        "/approve/{}",
        "/{}",
        "/runs?flow={}&status={}",
        "/audit?who={}",
    ],
)
def test_in_an_address(visitor: Visitor, address: str) -> None:
    for bad in (IMAGE, SCRIPT.replace("/", ""), TEMPLATE):
        visitor.visit(address.replace("{}", bad))
        visitor.calm()


def test_where_people_sign_in_they_are_sent_nowhere_else(browser: Browser, visitor: Visitor, server: Server) -> None:
    signed_in(server.database)
    with browser.new_context(base_url=server.url) as theirs:
        page = theirs.new_page()
        ran: list[str] = []
        theirs.expose_binding("ran", lambda source: ran.append(source["frame"].url))
        for after in ("javascript:ran()", "//evil.example/", "https://evil.example/", "/\\evil.example"):
            page.goto(f"/sign-in?next={after}")
            page.get_by_label("Email").fill("owner@example.com")
            page.get_by_role("textbox", name="Password").fill("correct horse 7")
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(re.compile(re.escape(server.url)))
            expect(page.locator(".pw-nav")).to_be_visible()
            assert ran == []
            theirs.clear_cookies()
