"""Operators, API keys and the audit log as an owner sees them, and what others see of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlmodel import delete

from backend.audit import Audit
from backend.keys import Keys
from backend.operators import Operators
from nodes import spec
from runtime import starters
from storage.tables import AuditEntry
from tests.browser.flow_page import Server, until
from tests.operators import COOKIE, OWNER, PASSWORD, signed_in

SignIn = Callable[[str], Page]


@pytest.fixture
def operators(server: Server, page: Page) -> Operators:
    """The operators of the running installation; *page* comes first, whose owner is one of them."""
    return Operators(server.database)


@pytest.fixture
def as_role(browser: Browser, server: Server) -> Iterator[SignIn]:
    """Open a browser of somebody else with a role."""
    contexts = []

    def sign_in(role: str) -> Page:
        made = browser.new_context(base_url=server.url)
        contexts.append(made)
        cookie = signed_in(server.database, role, f"{role}@example.com")  # type: ignore[arg-type]
        made.add_cookies([{"name": COOKIE, "value": cookie, "url": server.url}])
        return made.new_page()

    yield sign_in
    for each in contexts:
        each.close()


def line(page: Page, email: str) -> Locator:
    return page.locator(".pw-member", has_text=email)


def menu(page: Page, email: str, title: str) -> None:
    page.get_by_label(f"Settings of {email}").click()
    page.locator(".q-menu .q-item", has_text=title).click()


def choose_role(page: Page, email: str, role: str) -> None:
    line(page, email).locator(".pw-member-role").click()
    page.get_by_role("option", name=role, exact=True).click()


def test_an_operator_is_invited_by_a_link_that_is_shown_once(operators: Operators, page: Page) -> None:
    page.goto("/settings")
    page.get_by_role("button", name="Invite").click()
    form = page.locator(".pw-dialog")
    form.get_by_label("Email").fill("no address")
    form.get_by_role("button", name="Make the link").click()
    expect(form.locator(".q-field__messages").first).to_contain_text("exactly one address")

    form.get_by_label("Email").fill("anna@example.com")
    form.get_by_role("button", name="Viewer").click()
    form.get_by_role("button", name="Make the link").click()
    link = page.locator(".pw-secret .pw-mono").inner_text()

    assert re.fullmatch(r"http://\S+/invitation\?token=[\w-]{43}", link)
    page.get_by_role("button", name="Done").click()
    expect(line(page, "anna@example.com")).to_contain_text("Invited")
    anna = operators.get("anna@example.com")
    assert (anna.role, anna.is_invited) == ("viewer", True)
    page.reload()
    expect(line(page, "anna@example.com")).to_be_visible()
    assert link.rpartition("=")[2] not in page.content()


def test_role_and_access_of_an_operator_are_changed_and_written_down(
    operators: Operators, server: Server, page: Page
) -> None:
    with server.database.write() as session:
        session.exec(delete(AuditEntry))
    operators.invite("ben@example.com", "viewer")
    page.goto("/settings")

    choose_role(page, "ben@example.com", "Editor")
    until(lambda: operators.get("ben@example.com").role == "editor")
    page.reload()
    menu(page, "ben@example.com", "Disable")
    page.get_by_role("button", name="Disable operator").click()
    expect(line(page, "ben@example.com")).to_contain_text("Disabled")

    page.goto("/audit")
    expect(page.locator(".pw-audit-said")).to_have_text(
        [re.compile("disabled ben@example.com"), re.compile("changed the role of ben@example.com")]
    )
    expect(page.locator(".pw-audit-more").nth(1)).to_contain_text("role: editor")


def test_the_last_owner_stays_one(operators: Operators, page: Page) -> None:
    page.goto("/settings")

    choose_role(page, OWNER, "Viewer")
    page.get_by_role("button", name="Become viewer").click()

    expect(page.locator(".pw-toast")).to_contain_text("Make somebody else an owner first")
    expect(line(page, OWNER).locator(".pw-member-role")).to_contain_text("Owner")
    assert operators.get(OWNER).role == "owner"


def test_ones_own_password_is_changed_with_the_old_one(operators: Operators, page: Page) -> None:
    page.goto("/settings")
    page.get_by_role("button", name="Change password").click()
    form = page.locator(".pw-dialog")

    form.get_by_label("Current password").fill("wrong horse 7")
    form.get_by_label("New password").fill("battery staple 8")
    form.get_by_role("button", name="Change password").click()
    expect(form).to_contain_text("This is not your password.")
    form.get_by_label("Current password").fill(PASSWORD)
    form.get_by_label("New password").fill(f"{PASSWORD}7")
    form.get_by_role("button", name="Change password").click()

    expect(form).to_be_hidden()
    page.reload()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()


def test_the_audit_log_is_filtered_by_person_and_action_and_read_on(server: Server, page: Page) -> None:
    audit = Audit(server.database)
    with server.database.write() as session:
        session.exec(delete(AuditEntry))
    page.goto("/audit")
    expect(page.get_by_text("Nothing was done yet")).to_be_visible()
    for number in range(60):
        audit.add("key", "7", "Shop", "rows.add", f"orders {number}")
    audit.add("operator", "o", "<b>Olga</b>", "flow.publish", "<script>alert(1)</script>")

    page.reload()
    entries = page.locator(".pw-audit-said")
    expect(entries).to_have_count(50)
    expect(entries.first).to_have_text("<b>Olga</b> published the flow <script>alert(1)</script>")
    page.get_by_role("button", name="Show older").click()
    expect(entries).to_have_count(61)

    page.locator(".pw-toolbar .q-select:has([aria-label='Who'])").click()
    page.get_by_role("option", name="<b>Olga</b>").click()
    expect(entries).to_have_count(1)
    page.goto("/audit")
    page.locator(".pw-toolbar .q-select:has([aria-label='Action'])").click()
    page.get_by_role("option", name="Flows").click()
    expect(entries).to_have_count(1)
    page.get_by_label("Search the audit log").fill("nothing like it")
    expect(page.get_by_text("No entry fits")).to_be_visible()


def test_a_key_gets_the_role_that_was_chosen(server: Server, page: Page) -> None:
    page.goto("/settings")
    page.get_by_role("button", name="New key").click()
    form = page.locator(".pw-dialog")
    form.get_by_label("Name").fill("Dashboard")
    form.get_by_role("button", name="Viewer").click()
    form.get_by_role("button", name="Create key").click()
    page.get_by_role("button", name="Done").click()

    expect(page.locator(".pw-key", has_text="Dashboard")).to_contain_text("Viewer")
    assert [(key.name, key.role) for key in Keys(server.database).list()] == [("Dashboard", "viewer")]


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_others_than_owners_find_their_own_account_alone(as_role: SignIn, role: str) -> None:
    page = as_role(role)

    page.goto("/settings")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    for title in ("Operators", "API keys", "Mail server"):
        expect(page.get_by_role("heading", name=title)).to_have_count(0)
    page.goto("/audit")
    expect(page.get_by_text("This page is not for your role")).to_be_visible()


def test_mail_with_a_live_link_is_kept_from_editors(as_role: SignIn, server: Server, page: Page) -> None:
    starters.install(server.database, spec.load())
    page.goto("/users")
    page.get_by_role("button", name="Add user").first.click()
    page.locator(".pw-dialog").get_by_label("Email").fill("ada@example.com")
    page.locator(".pw-dialog").get_by_role("button", name="Add user").click()
    page.goto("/mailbox")
    expect(page.locator(".pw-mail-lock")).to_be_visible()

    theirs = as_role("editor")
    theirs.goto("/mailbox")
    expect(theirs.get_by_text("shown to owners only")).to_be_visible()
    expect(theirs.locator(".pw-mail-line")).to_have_count(0)
    theirs.goto("/mailbox?message=1")

    expect(theirs.get_by_text("This message is for owners")).to_be_visible()
    assert "set-new-password" not in theirs.content()
