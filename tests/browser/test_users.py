"""End users in a real browser: the list, one user beside it, roles, and the hosted pages' settings."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from sqlmodel import col, delete, select

from backend.hosted import HostedPages
from backend.passwords import CHEAP, Passwords
from backend.roles import Roles
from backend.user_queries import search_text
from backend.users import User, Users
from nodes import spec
from runtime import starters
from runtime.masking import MASK
from storage.tables import EventRow, RoleRow, UserRow
from tests.browser.flow_page import Server, until
from tests.operators import COOKIE, signed_in

ODD_NAMES = {
    "markup": '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>',
    "template": "{{ 7*7 }} ${7*7} {{constructor.constructor('window.hacked=1')()}}",
    "right to left": "\u202egnp.\u05d0\u05d1\u05d2 \u0627\u0644\u0639",
    "prototype": "__proto__",
    "path and SQL": "../../etc/passwd'; DROP TABLE account;--",
    "very long": "W" * 10_000,
}
PIXEL = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")


class Backend:
    """Users and roles of the running installation, as another process sees them; reports nothing."""

    def __init__(self, server: Server) -> None:
        self.database = server.database
        self.users = Users(
            server.database,
            lambda _session, _event: None,
            lambda: None,
            Passwords(CHEAP),
            base_url=server.url,
            hosted=HostedPages(server.database),
        )
        self.roles = Roles(server.database, lambda _session, _event: None)

    def events(self) -> list[str]:
        """Return the names of the events that users caused, in their order."""
        with self.database.read() as session:
            names = session.exec(select(EventRow.name).order_by(col(EventRow.created_at))).all()
        return [name for name in names if name.startswith("auth.")]

    def plant(self, user: User, name: str) -> None:
        """Give a user a first name that no door would take."""
        with self.database.write() as session:
            row = session.get_one(UserRow, user.id)
            row.first_name, row.search_text = name, search_text(row.email, name, "")
            session.add(row)


@pytest.fixture
def backend(server: Server) -> Backend:
    made = Backend(server)
    with server.database.write() as session:
        for table in (UserRow, RoleRow, EventRow):
            session.exec(delete(table))
    return made


def rows(page: Page) -> Locator:
    return page.locator(".pw-user .pw-row-title")


def panel(page: Page) -> Locator:
    return page.locator(".pw-sheet.is-open")


def filter_by(page: Page, which: str, option: str) -> None:
    page.locator(f".pw-users-bar .q-select:has([aria-label='{which}'])").click()
    page.get_by_role("option", name=option, exact=True).click()


def test_a_user_is_added_edited_blocked_and_deleted_with_the_events_of_it(backend: Backend, page: Page) -> None:
    backend.roles.create("Admin")
    page.goto("/users")
    expect(page.get_by_text("No users yet")).to_be_visible()

    page.get_by_role("button", name="Add user").first.click()
    form = page.locator(".pw-dialog")
    form.get_by_label("Email").fill("Ada@Example.com")
    form.get_by_label("First name").fill("Ada")
    form.get_by_role("button", name="Set one now").click()
    form.get_by_label("Their password").fill("analytical 1")
    form.get_by_role("button", name="Add user").click()

    expect(panel(page).locator("h2")).to_have_text("Ada")
    ada = backend.users.get("ada@example.com")
    assert page.url.endswith(f"/users/{ada.id}")
    assert (ada.email, ada.has_password, ada.is_verified) == ("Ada@Example.com", True, False)

    panel(page).get_by_label("Last name").fill("Lovelace")
    panel(page).get_by_role("button", name="Save profile").click()
    expect(panel(page).locator("h2")).to_have_text("Ada Lovelace")
    expect(rows(page)).to_have_text(["Ada Lovelace"])

    panel(page).get_by_label("Roles").click()
    page.get_by_role("option", name="Admin").click()
    page.keyboard.press("Escape")
    panel(page).get_by_role("button", name="Save roles").click()
    until(lambda: backend.users.get(ada.id).roles == ("Admin",))

    panel(page).get_by_label("Email verified").click()
    expect(panel(page).get_by_text("Verified", exact=True)).to_be_visible()

    panel(page).get_by_role("button", name="Block", exact=True).click()
    page.get_by_role("button", name="Block user").click()
    expect(panel(page).get_by_role("button", name="Unblock")).to_be_visible()
    panel(page).get_by_role("button", name="Unblock").click()
    expect(panel(page).get_by_role("button", name="Block", exact=True)).to_be_visible()

    panel(page).get_by_role("button", name="Delete user").click()
    page.locator(".pw-dialog").get_by_role("button", name="Delete user").click()
    expect(page.get_by_text("No users yet")).to_be_visible()
    assert backend.users.list().total == 0
    assert backend.events() == ["auth.user_rolesChanged", "auth.user_blocked", "auth.user_deleted"]


def test_a_password_is_checked_while_it_is_typed_and_set_only_when_it_keeps_the_rules(
    backend: Backend, page: Page
) -> None:
    user = backend.users.create("ada@example.com")
    page.goto(f"/users/{user.id}")
    panel(page).get_by_role("button", name="Set password").click()
    form = page.locator(".pw-dialog")
    met = form.locator(".pw-rule.is-met > div")

    form.get_by_label("New password").fill("abcdefgh")
    expect(met).to_have_text(["8 characters or more", "A lower-case letter", "Not a common one"])
    form.get_by_label("New password").fill("password1")
    expect(met).to_have_text(["8 characters or more", "A lower-case letter", "A digit"])
    form.get_by_role("button", name="Set password").click()
    expect(form).to_contain_text("It does not keep to the rules below.")
    assert not backend.users.get(user.id).has_password

    form.get_by_label("New password").fill("analytical 1")
    form.get_by_role("button", name="Set password").click()
    expect(form).to_be_hidden()
    assert backend.users.get(user.id).has_password
    assert backend.events() == []


def test_a_reset_link_is_sent_by_the_flow_and_masked_in_its_run(backend: Backend, server: Server, page: Page) -> None:
    starters.install(server.database, spec.load())
    user = backend.users.create("ada@example.com", password="analytical 1")
    page.goto(f"/users/{user.id}")
    act = panel(page).locator(".pw-act", has_text="Password reset link")
    expect(act).to_contain_text("Emits auth.password_reset requested · 1 flow listens")

    act.get_by_role("button", name="Send reset").click()
    expect(page.locator(".pw-toast")).to_contain_text("auth.password_reset emitted")
    page.goto("/mailbox")
    page.locator(".pw-mail-line").first.click()
    page.locator(".pw-mail-kinds").get_by_role("button", name="Text").click()
    found = re.search(r"set-new-password\?token=([\w-]{43})", page.locator(".pw-mail-text").inner_text())
    assert found is not None

    page.get_by_role("link", name="Run #").click()
    expect(page.get_by_text("Succeeded").first).to_be_visible()
    for step in page.locator(".rs-head").all():
        step.click()
    expect(page.locator("body")).to_contain_text(f"token={MASK}")
    assert found[1] not in page.content()


def test_an_account_change_warns_while_no_flow_would_send_its_mail(
    backend: Backend, server: Server, page: Page
) -> None:
    for flow in server.flows.list():
        server.flows.delete(flow.id)
    user = backend.users.create("ada@example.com")

    page.goto(f"/users/{user.id}")

    for title in ("Verification link", "Password reset link"):
        act = panel(page).locator(".pw-act", has_text=title)
        expect(act.locator(".pw-emits-missed")).to_have_text("no live flow listens, so no mail is sent")


def test_a_flow_about_users_is_tested_with_one_who_is_there(
    backend: Backend, page: Page, make_flow: Callable[..., str]
) -> None:
    backend.users.create("grace@example.com", is_verified=True)
    nodes = {"signed_up": "auth.user_signedUp", "block": "block_user"}
    flow_id = make_flow(nodes, ["signed_up out block"], block={"value": "{{ $param.email }}"})
    page.goto(f"/flows/{flow_id}")
    page.get_by_role("button", name="Test", exact=True).click()

    page.locator(".ft-sample").click()
    page.get_by_role("option", name="Newest user").click()
    expect(page.locator(".ft-payload")).to_contain_text("grace@example.com")
    page.get_by_role("button", name="Run", exact=True).click()

    expect(page.locator(".ft-title").last).to_have_text("Succeeded")
    assert not backend.users.get("grace@example.com").is_blocked


def test_the_list_is_searched_filtered_sorted_and_paged_on_the_server(backend: Backend, page: Page) -> None:
    backend.roles.create("Admin")
    for number in range(60):
        backend.users.create(
            f"person{number:02}@example.com",
            first_name="Ümit" if number == 7 else "",
            roles=["Admin"] if number < 3 else (),
            is_verified=number < 4,
        )
    backend.users.block("person05@example.com")
    page.goto("/users")
    expect(page.locator(".pw-users-foot")).to_contain_text("1–50 of 60 users")

    page.get_by_role("button", name="Next page").click()
    expect(page.locator(".pw-users-foot")).to_contain_text("51–60 of 60 users")
    page.locator(".pw-users-sort", has_text="User").click()
    expect(rows(page).first).to_have_text("person00@example.com")

    page.get_by_label("Search users").fill("üMIT")
    expect(rows(page)).to_have_text(["Ümit"])
    page.get_by_label("Search users").fill("%")
    expect(page.get_by_text("No user fits")).to_be_visible()
    page.get_by_label("Search users").fill("")

    filter_by(page, "Role", "Admin")
    expect(rows(page)).to_have_count(3)
    filter_by(page, "Role", "Any role")
    filter_by(page, "Verified", "Verified")
    expect(rows(page)).to_have_count(4)
    filter_by(page, "Verified", "Not verified")
    filter_by(page, "Blocked", "Blocked")
    expect(rows(page)).to_have_text(["person05@example.com"])
    page.reload()
    expect(rows(page)).to_have_text(["person05@example.com"])


def test_back_and_forward_close_and_open_the_user(backend: Backend, page: Page) -> None:
    backend.users.create("ada@example.com")
    page.goto("/users")
    page.get_by_label("Open ada@example.com").click()
    expect(panel(page)).to_be_visible()
    expect(page).to_have_url(re.compile(r"/users/.+"))  # the panel may be seen before its address

    page.go_back()
    expect(page).to_have_url(re.compile(r"/users$"))
    expect(panel(page)).to_be_hidden()
    page.go_forward()
    expect(panel(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()
    expect(page.get_by_label("Open ada@example.com")).to_be_focused()


def test_what_was_typed_is_not_lost_by_a_slip(backend: Backend, page: Page) -> None:
    ada, bob = (backend.users.create(f"{name}@example.com", first_name=name) for name in ("Ada", "Bob"))
    page.goto(f"/users/{ada.id}")
    panel(page).get_by_label("First name").fill("Adelaide")
    expect(panel(page).get_by_role("button", name="Save profile")).to_be_visible()

    page.get_by_label("Open Bob").click()
    page.locator(".pw-dialog").get_by_role("button", name="Cancel").click()
    expect(panel(page).get_by_label("First name")).to_have_value("Adelaide")
    page.get_by_label("Open Bob").click()
    page.get_by_role("button", name="Discard changes").click()
    expect(panel(page).locator("h2")).to_have_text("Bob")
    assert (backend.users.get(ada.id).first_name, page.url.rsplit("/", 1)[-1]) == ("Ada", bob.id)


def test_every_refusal_stands_at_its_field(backend: Backend, page: Page) -> None:
    backend.users.create("ada@example.com")
    user = backend.users.create("bob@example.com")
    page.goto(f"/users/{user.id}")

    panel(page).get_by_label("Email", exact=True).fill("ADA@example.com")
    panel(page).get_by_role("button", name="Save profile").click()

    field = panel(page).locator(".pw-field", has_text="Email")
    expect(field.locator(".q-field__messages")).to_contain_text("address")
    assert backend.users.get(user.id).email == "bob@example.com"


def test_a_role_that_does_not_exist_leads_to_the_page_where_it_is_made(backend: Backend, page: Page) -> None:
    user = backend.users.create("ada@example.com")
    page.goto(f"/users/{user.id}")
    panel(page).get_by_label("Roles").press_sequentially("Beta tester")

    page.get_by_role("link", name="Create it").click()
    expect(page.locator(".pw-dialog").get_by_label("Name")).to_have_value("Beta tester")
    page.get_by_role("button", name="Create role").click()

    expect(page.locator(".pw-role .pw-row-title")).to_have_text(["Beta tester"])
    assert [role.name for role in backend.roles.list()] == ["Beta tester"]


def test_deleting_a_role_says_who_loses_it(backend: Backend, page: Page) -> None:
    backend.roles.create("Admin")
    user = backend.users.create("ada@example.com", roles=["Admin"])
    page.goto("/users/roles")
    page.get_by_role("button", name="Settings of Admin").click()
    page.locator(".q-menu .q-item", has_text="Delete role").click()

    expect(page.locator(".pw-dialog")).to_contain_text("1 user loses it. Each emits auth.user_rolesChanged")
    page.locator(".pw-dialog").get_by_role("button", name="Delete role").click()

    expect(page.get_by_text("No roles yet")).to_be_visible()
    assert backend.users.get(user.id).roles == ()
    assert backend.events() == ["auth.user_rolesChanged"]


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES.keys())
def test_any_name_is_shown_as_text_and_breaks_nothing(backend: Backend, page: Page, name: str) -> None:
    user = backend.users.create("odd@example.com")
    backend.plant(user, name)

    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 844})
        page.goto("/users")
        expect(rows(page)).to_have_text([name], use_inner_text=False)
        page.locator(".pw-user .pw-row-link").click()
        expect(panel(page).locator("h2")).to_have_text(name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("window.hacked") is None
        expect(panel(page).get_by_role("button", name="Set password")).to_be_visible()
    page.set_viewport_size({"width": 1440, "height": 900})


@pytest.mark.parametrize("asked", ["/users/none", "/users/%3Cscript%3E", f"/users/{'x' * 3000}"])
def test_a_user_that_is_not_there_is_said_to_be_so(backend: Backend, context: BrowserContext, asked: str) -> None:
    answer = context.request.get(asked)

    assert answer.status == 404
    assert "There is no such user" in answer.text()


def test_others_than_owners_see_neither_the_place_nor_the_users(
    backend: Backend, browser: Browser, server: Server
) -> None:
    backend.users.create("ada@example.com")
    cookie = signed_in(server.database, "editor", "edgar@example.com")
    with browser.new_context(base_url=server.url) as theirs:
        theirs.add_cookies([{"name": COOKIE, "value": cookie, "url": server.url}])
        page = theirs.new_page()

        page.goto("/users")

        expect(page.get_by_text("This page is not for your role")).to_be_visible()
        expect(page.locator(".pw-nav .pw-link", has_text="Users")).to_have_count(0)
        assert "ada@example.com" not in page.content()


def test_the_hosted_pages_look_as_their_settings_say(backend: Backend, page: Page) -> None:
    page.goto("/users/hosted-pages")
    preview = page.locator(".pw-hp")

    page.get_by_label("Name").fill("Corner shop <b>")
    expect(preview.locator(".pw-hp-name")).to_have_text("Corner shop <b>")
    page.get_by_label("Use the colour #0f766e").click()
    expect(preview).to_have_attribute("style", re.compile("--brand: ?#0f766e"))
    page.get_by_role("switch", name="Hosted pages").click()
    expect(page.get_by_text("Switched off")).to_be_visible()
    expect(page.locator(".pw-swatch.is-on")).to_have_attribute("aria-label", "Use the colour #0f766e")
    page.get_by_role("switch", name="Hosted pages").click()
    expect(page.get_by_text("Switched off")).to_be_hidden()
    page.get_by_label("Callback URL").fill("javascript:alert(1)")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".pw-field", has_text="Callback URL").locator(".q-field__messages")).to_contain_text("https://")
    page.get_by_label("Callback URL").fill("https://app.example.com/welcome")
    page.get_by_label("Site 1").fill("https://App.example.com:443/")
    page.locator(".pw-drop input[type=file]").set_input_files(
        {"name": "logo.png", "mimeType": "image/png", "buffer": PIXEL}
    )
    expect(preview.locator("img")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".pw-savebar")).to_be_hidden()

    kept = HostedPages(backend.database).read()
    assert (kept.name, kept.colour, kept.callback_url) == (
        "Corner shop <b>",
        "#0f766e",
        "https://app.example.com/welcome",
    )
    assert kept.web_origins == ("https://app.example.com",)
    assert kept.logo.startswith("data:image/png;base64,")
    expect(page.locator(".pw-code")).to_contain_text('appName: "Corner shop <b>"')
    page.goto("/login")
    expect(page).to_have_title(re.compile("Corner shop <b>"))


def test_a_logo_that_is_no_picture_is_refused_where_it_was_chosen(backend: Backend, page: Page) -> None:
    page.goto("/users/hosted-pages")
    logo = page.locator(".pw-field", has=page.locator(".pw-drop, .pw-logo"))
    if page.locator(".pw-logo").count():
        page.get_by_role("button", name="Remove", exact=True).click()

    page.locator(".pw-drop input[type=file]").set_input_files(
        {"name": "logo.png", "mimeType": "image/png", "buffer": b"<svg onload=alert(1)>"}
    )

    expect(logo.locator(".pw-field-error")).to_contain_text("PNG, JPEG or WebP")
    expect(page.locator(".pw-hp img")).to_have_count(0)
