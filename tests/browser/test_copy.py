"""What is copied is on the clipboard, also where a page has none: on plain HTTP away from this computer."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.flow_page import Server

NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
DENIED = "navigator.clipboard.writeText = () => Promise.reject(new Error('denied'))"
NO_COPY = f"{NO_CLIPBOARD}; document.execCommand = () => false"


def copied(context: BrowserContext) -> str:
    other = context.new_page()
    other.goto("/healthz")
    other.bring_to_front()
    return str(other.evaluate("navigator.clipboard.readText()"))


def press_copy(page: Page, script: str) -> str:
    """Make a key and press *Copy* in its dialog; return the key."""
    page.add_init_script(script)
    page.goto("/settings")
    page.get_by_role("button", name="New key").click()
    page.get_by_role("dialog").get_by_role("textbox").first.fill("laptop")
    page.get_by_role("button", name="Create key").click()
    key = page.locator(".pw-secret .pw-mono").inner_text()
    page.get_by_role("button", name="Copy", exact=True).click()
    return key


def test_a_key_is_copied_without_the_clipboard_of_secure_pages(page: Page, server: Server) -> None:
    key = press_copy(page, NO_CLIPBOARD)

    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Copy", exact=True)).to_be_focused()
    assert copied(page.context) == key


def test_a_key_is_copied_where_the_clipboard_is_denied(page: Page, server: Server) -> None:
    key = press_copy(page, DENIED)

    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    assert copied(page.context) == key


def test_what_could_not_be_copied_is_told(page: Page, server: Server) -> None:
    press_copy(page, NO_COPY)

    expect(page.get_by_text("This browser lets no page copy")).to_be_visible()
