"""What an end user does on the hosted pages, with the mails that the starter flows send to the built-in mailbox."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from backend.hosted import HostedPages
from nodes import spec
from runtime import starters
from tests.browser.flow_page import Server

CALLBACK = "https://app.example.com/welcome"
PASSWORD = "correct horse 1"
OTHER = "another horse 2"


@pytest.fixture(scope="module", autouse=True)
def starter_flows(server: Server) -> None:
    starters.install(server.database, spec.load())


@pytest.fixture
def callback(server: Server) -> Iterator[None]:
    """People go on to an app of their own after signing in and verifying."""
    hosted = HostedPages(server.database)
    hosted.save(replace(hosted.read(), callback_url=CALLBACK, name="Nordlicht"))
    yield
    hosted.save(replace(hosted.read(), callback_url="", name=""))


class Visit:
    """An end user's browser, in which nobody is signed in."""

    def __init__(self, browser: Browser, server: Server, *, has_scripts: bool = True) -> None:
        self.context = browser.new_context(
            base_url=server.url, java_script_enabled=has_scripts, reduced_motion="reduce"
        )
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.referrers: set[str] = set()
        self.told: set[str] = set()
        self.page.on("request", self._note_referrer)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.context.route("https://app.example.com/**", lambda route: route.fulfill(body="the app"))

    def _note_referrer(self, request: Request) -> None:
        referrer = request.headers.get("referer", "")
        (self.told if request.url.startswith(CALLBACK) else self.referrers).add(referrer)

    def _note(self, kind: str, text: str) -> None:
        # a form that was refused answers 422 and more, which Chromium writes down as an error
        if kind == "error" and "responded with a status of 4" not in text:
            self.faults.append(text)


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    visit = Visit(browser, server)
    yield visit
    visit.context.close()
    assert not visit.faults, visit.faults


def link_in_the_mailbox(operator: Page, email: str, subject: str, button: str) -> str:
    """Find the mail in the mailbox, as the operator of a laptop would, and return where its button leads."""
    operator.goto("/mailbox")
    line = operator.locator(".pw-mail-line", has_text=email).filter(has_text=subject).first
    expect(line).to_be_visible()
    line.click()
    mail = operator.frame_locator("iframe[title=Message]")
    expect(mail.get_by_text(email).first).to_be_visible()
    link = mail.get_by_role("link", name=button).get_attribute("href")
    assert link
    return link


@pytest.mark.usefixtures("callback")
def test_sign_up_and_verify(page: Page, visit: Visit, server: Server) -> None:
    user, email = visit.page, "bert@example.com"
    user.goto("/login")
    user.get_by_role("link", name="Create an account").click()
    user.get_by_label("First name").fill("Bert")
    user.get_by_label("Email").fill(email)
    user.get_by_label("Password", exact=True).fill(PASSWORD)
    user.get_by_role("button", name="Create account").click()
    expect(user.get_by_role("heading", name="Check your mail")).to_be_visible()
    expect(user.get_by_text(email)).to_be_visible()

    link = link_in_the_mailbox(page, email, "Confirm your email address", "Confirm address")
    assert re.fullmatch(re.escape(server.url) + r"/verify-email\?token=[\w-]{43}", link)
    user.goto(link)
    expect(user.get_by_role("heading", name="Your address is verified")).to_be_visible()
    user.get_by_role("link", name="Continue").click()

    expect(user).to_have_url(CALLBACK)
    assert (visit.referrers <= {"", f"{server.url}/"}, visit.told) == (True, {""}), "no link with its token"
    user.goto("/login")
    user.get_by_label("Email").fill(email)
    user.get_by_label("Password", exact=True).fill(PASSWORD)
    user.get_by_role("button", name="Sign in").click()
    expect(user).to_have_url(CALLBACK)
    user.goto("/account")
    expect(user.get_by_text("Address verified")).to_be_visible()


@pytest.mark.usefixtures("callback")
def test_verified_page_goes_on_by_itself(page: Page, visit: Visit) -> None:
    user, email = visit.page, "carl@example.com"
    sign_up(user, email)
    link = link_in_the_mailbox(page, email, "Confirm your email address", "Confirm address")

    user.goto(link)

    expect(user).to_have_url(CALLBACK)


def sign_up(user: Page, email: str) -> None:
    user.goto("/signup")
    user.get_by_label("Email").fill(email)
    user.get_by_label("Password", exact=True).fill(PASSWORD)
    user.get_by_role("button", name="Create account").click()
    expect(user.get_by_role("heading", name="Check your mail")).to_be_visible()


def test_button_of_a_kept_mail_opens_its_page(page: Page, visit: Visit, context: BrowserContext) -> None:
    sign_up(visit.page, "dora@example.com")
    link_in_the_mailbox(page, "dora@example.com", "Confirm your email address", "Confirm address")

    with context.expect_page() as opened:
        page.frame_locator("iframe[title=Message]").get_by_role("link", name="Confirm address").click()

    expect(opened.value.get_by_role("heading", name="Your address is verified")).to_be_visible()


def test_forgotten_password_is_set_anew(page: Page, visit: Visit) -> None:
    user, email = visit.page, "anna@example.com"
    sign_up(user, email)
    user.goto("/login")
    user.get_by_role("link", name="Forgot password?").click()
    user.get_by_label("Email").fill(email)
    user.get_by_role("button", name="Send the link").click()
    expect(user.get_by_role("heading", name="Check your mail")).to_be_visible()

    user.goto(link_in_the_mailbox(page, email, "Set a new password", "Choose a new password"))
    user.get_by_label("New password").fill("password1")
    user.get_by_role("button", name="Set password").click()
    expect(user.get_by_text("one of the most common ones")).to_be_visible()
    user.get_by_label("New password").fill(OTHER)
    user.get_by_role("button", name="Set password").click()
    expect(user.get_by_role("heading", name="Your password is set")).to_be_visible()
    user.get_by_role("link", name="Sign in").click()
    user.get_by_label("Email").fill(email)
    user.get_by_label("Password", exact=True).fill(OTHER)
    user.keyboard.press("Enter")

    expect(user.get_by_role("heading", name="You are signed in")).to_be_visible()
    expect(user.get_by_text(email)).to_be_visible()
    user.get_by_role("button", name="Sign out").click()
    expect(user).to_have_url(re.compile("/login$"))


def test_wrong_password_is_explained(visit: Visit) -> None:
    user, email = visit.page, "emil@example.com"
    sign_up(user, email)
    user.goto("/login")
    expect(user.get_by_label("Email")).to_be_focused()
    user.keyboard.type(email)
    user.get_by_label("Password", exact=True).fill("wrong horse 1")
    user.get_by_role("button", name="Sign in").click()

    expect(user.get_by_role("alert")).to_contain_text("The address or the password is not right.")
    expect(user.get_by_label("Email")).to_have_value(email)
    expect(user.get_by_label("Password", exact=True)).to_have_value("")


def test_password_can_be_shown_and_its_rules_are_ticked(visit: Visit) -> None:
    user = visit.page
    user.goto("/signup")
    password = user.get_by_label("Password", exact=True)
    password.fill("abc")
    user.get_by_role("button", name="Show password").click()

    expect(password).to_have_attribute("type", "text")
    expect(password).to_be_focused()
    expect(user.locator(".rules .is-met")).to_have_text(["lower-case letter"])
    password.fill("abcdefg1")
    expect(user.locator(".rules .is-met")).to_have_count(3)
    user.get_by_role("button", name="Hide password").click()
    expect(password).to_have_attribute("type", "password")


def test_everything_works_without_scripts(browser: Browser, server: Server) -> None:
    visit = Visit(browser, server, has_scripts=False)
    user, email = visit.page, "frida@example.com"
    sign_up(user, email)
    user.goto("/login")
    expect(user.get_by_role("button", name="Show password")).to_be_hidden()
    user.get_by_label("Email").fill(email)
    user.get_by_label("Password", exact=True).fill(PASSWORD)
    user.get_by_role("button", name="Sign in").click()
    expect(user.get_by_role("heading", name="You are signed in")).to_be_visible()
    user.get_by_role("button", name="Sign out").click()
    expect(user).to_have_url(re.compile("/login$"))
    visit.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_load_nothing_from_elsewhere(browser: Browser, server: Server, scheme: str) -> None:
    visit = Visit(browser, server)
    visit.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    asked: list[Request] = []
    visit.page.on("request", lambda request: asked.append(request))
    for width in (1440, 390, 320):
        visit.page.set_viewport_size({"width": width, "height": 844})
        for path in ("/login", "/signup", "/verify-email", "/forgot-password", "/set-new-password", "/account"):
            visit.page.goto(path)
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)

    assert [request.url for request in asked if not request.url.startswith(server.url)] == []
    assert not visit.faults, visit.faults
    visit.context.close()
