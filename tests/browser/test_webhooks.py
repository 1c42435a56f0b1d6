"""Credentials and webhooks as a person meets them: a login is stored, named by a trigger, and asked for."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from tests.browser.flow_page import FlowPage, Server, until


def store(page: Page, name: str, secret: str) -> None:
    page.goto("/settings")
    page.get_by_role("button", name="New credential").click()
    page.get_by_placeholder("Shop", exact=True).fill(name)
    page.get_by_label("User name").last.fill("anna")
    page.get_by_label("Password").last.fill(secret)
    page.get_by_label("Hosts").last.fill("api.example.com\n127.0.0.1:9000")
    page.get_by_role("button", name="Store credential").click()
    expect(page.get_by_text(f"“{name}” stored")).to_be_visible()


def called(command: str) -> httpx.Response:
    """Do what the curl *command* does."""
    program, _option, method, url, *options = shlex.split(command.replace("\\\n", " "))
    given = dict(zip(options[::2], options[1::2], strict=True))
    name, _, value = given["-H"].partition(": ")
    assert program == "curl"
    user, _, password = given["-u"].partition(":")
    return httpx.request(method, url, auth=(user, password), headers={name: value}, content=given["-d"])


def test_login_is_stored_changed_and_deleted(page: Page, server: Server):
    page.goto("/settings")
    expect(page.get_by_text("No credentials yet")).to_be_visible()
    store(page, "Shop", "correct horse 7")

    line = page.locator(".pw-key", has_text="Shop")
    expect(line).to_contain_text("User name and password · goes to api.example.com, 127.0.0.1:9000")
    page.get_by_role("button", name="Change Shop").click()
    page.get_by_label("Hosts").last.fill("evil.example.com")
    page.get_by_role("button", name="Save").last.click()
    expect(page.get_by_text("Enter the secret again")).to_be_visible()
    page.get_by_label("Hosts").last.fill("")
    page.get_by_role("button", name="Save").last.click()
    expect(line).to_contain_text("for webhooks only")
    assert "correct horse 7" not in page.content()
    page.get_by_role("button", name="Delete Shop").click()
    page.get_by_role("button", name="Delete credential").click()
    expect(page.get_by_text("No credentials yet")).to_be_visible()


def test_what_the_panel_says_is_how_it_is_called(page: Page, server: Server, make_flow: Callable[..., str]):
    store(page, "Hooks", "correct horse 7")
    flow_id = make_flow(
        {"hook": "on_webhook", "answer": "respond"},
        ["hook out answer"],
        hook={"path": "orders/new", "answer": "by respond"},
        answer={"json": "{{ $param.body }}"},
    )
    flow = FlowPage(page, flow_id, server.flows)
    flow.node("hook").click()
    address = page.get_by_role("group", name="Address")
    expect(address).to_contain_text(f"{server.url}/hooks/orders/new")
    expect(address).to_contain_text("Anyone who knows the address can start this flow.")
    expect(address).to_contain_text("Nobody answers here until the flow is published.")

    page.get_by_label("Login", exact=True).click()
    page.get_by_role("option", name="Hooks").click()
    expect(address).to_contain_text("Protected by “Hooks”: user name and password.")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(address).not_to_contain_text("Nobody answers here")
    page.get_by_role("button", name="Copy the example").click()
    command = page.evaluate("navigator.clipboard.readText()")
    answer = called(command.replace("user:$PASSWORD", "anna:correct horse 7"))

    assert (answer.status_code, answer.json()) == (200, {"id": 1001, "total": 120})
    assert httpx.post(f"{server.url}/hooks/orders/new").status_code == 401
    page.get_by_role("button", name="Test", exact=True).last.click()
    expect(address).to_contain_text(f"{server.url}/api/flows/{flow_id}/test")
    page.get_by_role("button", name="Copy the address").click()
    assert until(lambda: page.evaluate("navigator.clipboard.readText()").endswith("/test"))
