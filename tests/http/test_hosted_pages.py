"""The pages for end users: what they say, what they report, and what they never do."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any, Never

import httpx
import pytest
from sqlmodel import select

from backend.events import (
    EmailVerificationRequested,
    EmailVerified,
    Event,
    PasswordReset,
    PasswordResetRequested,
    UserLoggedIn,
    UserSignedUp,
)
from backend.hosted import COLOUR, KEY, Hosted
from backend.passwords import CHEAP, Passwords
from runtime.app import App, build_app
from runtime.http.hosted_views import GROUNDS
from runtime.http.shades import shades
from runtime.service import Service
from runtime.settings import Settings
from storage.errors import StorageError
from storage.tables import Setting, UserSession

EMAIL = "anna@example.com"
PASSWORD = "correct horse 1"
OTHER = "another horse 2"
FORMS = ("/login", "/signup", "/verify-email", "/forgot-password")
PAGES = (*FORMS, "/set-new-password", "/account", "/logout")
POSTS = (*FORMS, "/set-new-password", "/logout")
TOKEN = "A" * 43


class Page(HTMLParser):
    """An answer, taken apart."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.status = response.status_code
        self.headers = response.headers
        self.source = response.text
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._open.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self._texts.append((self._open[-1] if self._open else "", data.strip()))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def field(self, name: str) -> dict[str, str]:
        return next(each for each in self.all("input") if each.get("name") == name)

    def text(self, tag: str | None = None) -> str:
        return " ".join(text for name, text in self._texts if tag in (None, name))

    def error_of(self, name: str) -> str:
        """Return what stands beside a field, as the field itself says where."""
        places = self.field(name).get("aria-describedby", "").split()
        found = re.search(rf'id="{name}-error">.*?<span>(.*?)</span>', self.source)
        return found[1] if found and f"{name}-error" in places else ""


class Visitor:
    """A person with a browser: what the forms hold is sent with what the person enters."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str) -> Page:
        return Page(await self.client.get(path))

    async def send(self, path: str, **entered: str) -> Page:
        """Open a page and send its form."""
        page = await self.get(path)
        hidden = {each["name"]: each["value"] for each in page.all("input") if each.get("type") == "hidden"}
        return Page(await self.client.post(path.partition("?")[0], data=hidden | entered))

    @property
    def cookies(self) -> dict[str, str]:
        return dict(self.client.cookies)


@pytest.fixture
def visitor(anonymous: httpx.AsyncClient) -> Visitor:
    return Visitor(anonymous)


@pytest.fixture
def anna(service: Service, fired: list[Event]) -> str:
    """A user with a password, verified; her id."""
    user = service.users.create(EMAIL, password=PASSWORD, is_verified=True)
    fired.clear()
    return user.id


@pytest.fixture
def hosted(service: Service) -> Callable[..., Hosted]:
    def change(**values: Any) -> Hosted:
        return service.hosted.save(replace(service.hosted.read(), **values))

    return change


def kinds(fired: list[Event]) -> list[type[Event]]:
    return [type(event) for event in fired]


async def token_of(visitor: Visitor, service: Service, fired: list[Event], user: str, purpose: str) -> str:
    """Return the token that is mailed to *user* now."""
    ask = service.users.request_reset if purpose == "reset" else service.users.request_verification
    ask(user)
    event = fired.pop()
    assert isinstance(event, PasswordResetRequested | EmailVerificationRequested)
    return event.token


# -- signing up


async def test_sign_up_makes_an_account_and_asks_to_verify_it(visitor: Visitor, service: Service, fired: list[Event]):
    page = await visitor.send("/signup", email=EMAIL, password=PASSWORD, first_name="Anna", last_name="Blum")

    user = service.users.get(EMAIL)
    assert (page.status, page.text("h1")) == (200, "Check your mail")
    assert EMAIL in page.text("strong")
    assert (user.first_name, user.last_name, user.is_verified, user.roles) == ("Anna", "Blum", False, ())
    assert kinds(fired) == [UserSignedUp, EmailVerificationRequested]
    assert "sAccessToken" not in visitor.cookies
    with service.database.read() as session:
        assert session.exec(select(UserSession)).all() == []


async def test_sign_up_with_a_known_address_looks_the_same(
    visitor: Visitor, anna: str, service: Service, fired: list[Event]
):
    known = await visitor.send("/signup", email=EMAIL, password=OTHER)
    cookies = visitor.cookies
    new = await visitor.send("/signup", email="bert@example.com", password=OTHER)

    assert (known.status, known.source) == (new.status, new.source.replace("bert@example.com", EMAIL))
    assert {**known.headers} == {**new.headers, "content-length": known.headers["content-length"]}
    assert visitor.cookies == cookies
    assert kinds(fired) == [UserSignedUp, EmailVerificationRequested], "the second one's alone"
    assert (await visitor.send("/login", email=EMAIL, password=OTHER)).status == 422


@pytest.mark.parametrize(
    ("email", "password", "wrong"),
    [
        ("", PASSWORD, "email"),
        ("anna", PASSWORD, "email"),
        ("a@example.com, b@example.com", PASSWORD, "email"),
        (EMAIL, "", "password"),
        (EMAIL, "short1", "password"),
        (EMAIL, "password1", "password"),
        (EMAIL, "NO LOWER CASE 1", "password"),
        (EMAIL, "no digit here", "password"),
        (EMAIL, "a1" * 2_049, "password"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(
    visitor: Visitor, service: Service, fired: list[Event], email: str, password: str, wrong: str
):
    page = await visitor.send("/signup", email=email, password=password, first_name="Anna")

    right = {"email": "password", "password": "email"}[wrong]
    assert (page.status, page.text("title")[:6]) == (422, "Error:")
    assert page.error_of(wrong).endswith(".")
    assert page.field(wrong)["aria-invalid"] == "true"
    assert "aria-invalid" not in page.field(right)
    assert page.field("email")["value"] == email
    assert page.field("first_name")["value"] == "Anna"
    assert "value" not in page.field("password")
    assert (service.users.list().total, fired) == (0, [])


async def test_all_faults_are_told_at_once(visitor: Visitor):
    page = await visitor.send("/signup", email="anna", password="x", first_name="A\u202en" * 100)

    assert page.error_of("email")
    assert page.error_of("first_name")
    assert "8 characters" in page.error_of("password")
    assert "digit" in page.error_of("password")


async def test_sign_up_takes_no_more_than_its_form_has(visitor: Visitor, service: Service):
    more = {"roles": "admin", "emailVerified": "true", "is_verified": "1", "id": "7", "blocked": "true"}

    await visitor.send("/signup", email=EMAIL, password=PASSWORD, **more)

    user = service.users.get(EMAIL)
    assert (user.roles, user.is_verified, user.is_blocked) == ((), False, False)
    assert user.id != "7"


@pytest.mark.parametrize("password", ["🦊 1" * 3 + "a", " a1\0\0\0\0\0 ", "a1" * 2_048], ids=["emoji", "nul", "4 kB"])
async def test_odd_passwords_are_kept_exactly(visitor: Visitor, password: str):
    await visitor.send("/signup", email=EMAIL, password=password)

    assert (await visitor.send("/login", email=EMAIL, password=password + " ")).status in (422, 429)
    assert (await visitor.send("/login", email=EMAIL, password=password)).status == 303


async def test_closed_sign_up_says_so(visitor: Visitor, hosted: Callable[..., Hosted], service: Service):
    hosted(allow_sign_up=False)
    token = (await visitor.get("/login")).field("form_token")["value"]

    form = await visitor.get("/signup")
    sent = Page(await visitor.client.post("/signup", data={"form_token": token, "email": EMAIL, "password": PASSWORD}))

    assert (form.status, sent.status) == (403, 403)
    assert form.text("h1") == sent.text("h1") == "No new accounts"
    assert "signup" not in (await visitor.get("/login")).source
    assert service.users.list().total == 0


# -- verifying


async def test_link_verifies_also_when_it_was_fetched_before(visitor: Visitor, service: Service, fired: list[Event]):
    user = service.users.create(EMAIL, password=PASSWORD).id
    token = await token_of(visitor, service, fired, user, "verify")

    await visitor.client.head(f"/verify-email?token={token}")
    pages = [await visitor.get(f"/verify-email?token={token}") for _ in range(3)]

    assert [(page.status, page.text("h1")) for page in pages] == [(200, "Your address is verified")] * 3
    assert service.users.get(user).is_verified
    assert kinds(fired) == [EmailVerified]


async def test_verified_people_go_on_to_the_callback(
    visitor: Visitor, service: Service, fired: list[Event], hosted: Callable[..., Hosted]
):
    hosted(callback_url="https://app.example.com/welcome?a=1&b=2")
    token = await token_of(visitor, service, fired, service.users.create(EMAIL).id, "verify")

    page = await visitor.get(f"/verify-email?token={token}&callback=https://evil.example&next=//evil.example")

    assert {"class": "button", "href": "https://app.example.com/welcome?a=1&b=2"} in page.all("a")
    moves = [each["content"] for each in page.all("meta") if each.get("http-equiv") == "refresh"]
    assert moves == ["4; url=https://app.example.com/welcome?a=1&b=2"]
    assert "evil" not in page.source


def spoilt(token: str) -> list[str]:
    """Return texts that are nearly *token*, and others that are far from it; no more than may be tried in a minute."""
    other_bit = token[:-1] + ("A" if token[-1] != "A" else "B")
    odd = ["x" * 60_000, "' OR 1=1 --", "<script>alert(1)</script>"]
    return [other_bit, token[:-1], f"{token}A", f" {token}", f"{token}\0", TOKEN, *odd]


@pytest.mark.parametrize("path", ["/verify-email", "/set-new-password"])
async def test_wrong_link_explains_and_offers_a_new_one(
    visitor: Visitor, service: Service, fired: list[Event], path: str
):
    user = service.users.create(EMAIL, password=PASSWORD).id
    token = await token_of(visitor, service, fired, user, "reset" if "password" in path else "verify")

    for wrong in spoilt(token):
        page = Page(await visitor.client.get(path, params={"token": wrong}))

        assert (page.status, page.text("h1")) == (410, "This link does not work any more")
        assert "new link" in page.text("button") + page.text("a")
        assert "alert(1)" not in page.source
    assert (service.users.get(user).is_verified, fired) == (False, [])


@pytest.mark.parametrize(
    ("path", "purpose"), [("/verify-email", "reset"), ("/set-new-password", "verify")], ids=["verify", "reset"]
)
async def test_token_serves_one_purpose(
    visitor: Visitor, service: Service, fired: list[Event], path: str, purpose: str
):
    user = service.users.create(EMAIL, password=PASSWORD).id
    token = await token_of(visitor, service, fired, user, purpose)

    assert (await visitor.get(f"{path}?token={token}")).status == 410
    assert (service.users.get(user).is_verified, fired) == (False, [])


async def test_newer_link_replaces_the_older(visitor: Visitor, service: Service, fired: list[Event]):
    user = service.users.create(EMAIL).id
    first = await token_of(visitor, service, fired, user, "verify")
    second = await token_of(visitor, service, fired, user, "verify")

    assert (await visitor.get(f"/verify-email?token={first}")).status == 410
    assert (await visitor.get(f"/verify-email?token={second}")).status == 200


async def test_another_verification_link_is_sent_to_whom_it_helps_alone(
    visitor: Visitor, anna: str, service: Service, fired: list[Event]
):
    service.users.create("new@example.com")
    service.users.create("blocked@example.com")
    service.users.block("blocked@example.com")
    fired.clear()

    addresses = ("new@example.com", EMAIL, "blocked@example.com", "nobody@example.com")
    pages = {email: await visitor.send("/verify-email", email=email) for email in addresses}

    assert len({(page.status, page.source.replace(email, "…")) for email, page in pages.items()}) == 1
    assert [(type(event), getattr(event, "email", None)) for event in fired] == [
        (EmailVerificationRequested, "new@example.com")
    ]


# -- signing in and out


async def test_sign_in_leads_to_the_account_page_and_out_again(visitor: Visitor, anna: str, fired: list[Event]):
    page = await visitor.send("/login", email=EMAIL, password=PASSWORD)

    assert (page.status, page.headers["location"]) == (303, "account")
    assert kinds(fired) == [UserLoggedIn]
    account = await visitor.get("/account")
    assert (account.text("h1"), EMAIL in account.text()) == ("You are signed in", True)

    out = await visitor.send("/account")
    assert out.status == 405, "the page has several forms"
    out = Page(await visitor.client.post("/logout", data={"form_token": account.field("form_token")["value"]}))

    assert (out.status, out.headers["location"]) == (303, "login")
    assert {"sAccessToken", "sRefreshToken"}.isdisjoint(visitor.cookies)
    assert (await visitor.get("/account")).headers["location"] == "login"
    assert kinds(fired) == [UserLoggedIn]


async def test_sign_in_leads_to_the_callback(visitor: Visitor, anna: str, hosted: Callable[..., Hosted]):
    hosted(callback_url="https://app.example.com/")

    page = await visitor.send("/login", email=EMAIL, password=PASSWORD)

    assert (page.status, page.headers["location"]) == (303, "https://app.example.com/")
    assert "form-action 'self' https://app.example.com;" in page.headers["content-security-policy"]
    assert "sFrontToken" not in visitor.cookies


async def test_app_on_the_same_host_finds_its_clients_cookies(
    visitor: Visitor, anna: str, hosted: Callable[..., Hosted], service: Service
):
    hosted(callback_url="http://127.0.0.1:3000/")

    page = await visitor.send("/login", email=EMAIL, password=PASSWORD)

    csrf = visitor.cookies["sAntiCsrf"]
    assert {"sFrontToken", "st-last-access-token-update"} <= visitor.cookies.keys()
    assert '"' not in "".join(page.headers.get_list("set-cookie"))
    assert service.sessions.refresh(visitor.cookies["sRefreshToken"], with_csrf=True, csrf=csrf)


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (EMAIL, "wrong horse 1"),
        ("nobody@example.com", PASSWORD),
        ("blocked@example.com", PASSWORD),
        ("no address", "x"),
    ],
    ids=["wrong", "unknown", "blocked", "no address"],
)
async def test_refused_sign_in_says_one_thing_and_reports_nothing(
    visitor: Visitor, anna: str, service: Service, fired: list[Event], email: str, password: str
):
    service.users.create("blocked@example.com", password=PASSWORD)
    service.users.block("blocked@example.com")
    fired.clear()

    page = await visitor.send("/login", email=email, password=password)

    assert page.status == 422
    assert "The address or the password is not right." in page.text("span")
    assert page.field("email")["value"] == email
    assert (page.error_of("email"), page.error_of("password")) == ("", "")
    assert "sAccessToken" not in visitor.cookies
    assert fired == []


async def test_refused_sign_ins_are_equal_byte_for_byte(visitor: Visitor, anna: str):
    known = await visitor.send("/login", email=EMAIL, password="wrong horse 1")
    unknown = await visitor.send("/login", email="nobody@example.com", password="wrong horse 1")

    assert known.source.replace(EMAIL, "…") == unknown.source.replace("nobody@example.com", "…")


async def test_many_tries_are_slowed_down_kindly(visitor: Visitor, anna: str):
    pages = [await visitor.send("/login", email=EMAIL, password=f"wrong horse {n}") for n in range(8)]

    page = pages[-1]
    assert [each.status for each in pages[:5]] == [422] * 5
    assert page.status == 429
    assert int(page.headers["retry-after"]) >= 1
    assert re.search(r"There were too many tries\. Wait [a\d]+ \w+, then try again\.", page.text("span"))
    assert page.field("email")["value"] == EMAIL


async def test_guessing_links_is_slowed_down_kindly(visitor: Visitor):
    pages = [await visitor.get(f"/verify-email?token={TOKEN[:-2]}{n:02}") for n in range(12)]

    assert (pages[0].status, pages[-1].status) == (410, 429)
    assert "too many tries" in pages[-1].text("p")
    assert "retry-after" in pages[-1].headers


# -- setting a new password


@pytest.mark.parametrize(
    "typed",
    [EMAIL, "ANNA@EXAMPLE.COM", " anna@example.com ", "ａｎｎａ@example.com"],
    ids=["as it is", "upper", "spaces", "NFKC"],
)
async def test_reset_link_goes_to_the_stored_address(visitor: Visitor, anna: str, fired: list[Event], typed: str):
    page = await visitor.send("/forgot-password", email=typed)

    assert (page.status, page.text("h1")) == (200, "Check your mail")
    (event,) = fired
    assert isinstance(event, PasswordResetRequested)
    assert event.email == EMAIL


async def test_reset_is_answered_alike_for_everybody(visitor: Visitor, anna: str, service: Service, fired: list[Event]):
    service.users.create("unverified@example.com", password=PASSWORD)
    service.users.create("blocked@example.com", password=PASSWORD)
    service.users.block("blocked@example.com")
    fired.clear()
    typed = (EMAIL, "unverified@example.com", "blocked@example.com", "anna+tag@example.com", "nobody@example.com")

    pages = {email: await visitor.send("/forgot-password", email=email) for email in typed}

    assert len({(page.status, page.source.replace(email, "…")) for email, page in pages.items()}) == 1
    assert [getattr(event, "email", None) for event in fired] == [EMAIL, "unverified@example.com"]


async def test_new_password_is_set_once_and_ends_every_session(
    visitor: Visitor, anna: str, service: Service, fired: list[Event]
):
    await visitor.send("/login", email=EMAIL, password=PASSWORD)
    stolen = visitor.cookies["sAccessToken"]
    token = await token_of(visitor, service, fired, anna, "reset")
    fired.clear()
    path = f"/set-new-password?token={token}"

    looks = [await visitor.get(path) for _ in range(2)]
    weak = await visitor.send(path, password="weak")
    again = Page(await visitor.client.post("/set-new-password", data=hidden_of(weak) | {"password": OTHER}))
    late = await visitor.get(path)
    replayed = Page(
        await visitor.client.post("/set-new-password", data=hidden_of(weak) | {"password": "third horse 3"})
    )

    assert [look.text("h1") for look in looks] == ["Set a new password"] * 2
    assert (weak.status, bool(weak.error_of("password")), weak.field("token")["value"]) == (422, True, token)
    assert (again.status, again.text("h1")) == (200, "Your password is set")
    assert (late.status, replayed.status) == (410, 410)
    assert kinds(fired) == [PasswordReset]
    assert service.sessions.check(stolen) is None
    assert (await visitor.get("/account")).headers["location"] == "login"
    assert (await visitor.send("/login", email=EMAIL, password=PASSWORD)).status == 422
    assert (await visitor.send("/login", email=EMAIL, password=OTHER)).status == 303


def hidden_of(page: Page) -> dict[str, str]:
    return {each["name"]: each["value"] for each in page.all("input") if each.get("type") == "hidden"}


async def test_second_reset_request_voids_the_first(visitor: Visitor, anna: str, fired: list[Event]):
    for _ in range(2):
        await visitor.send("/forgot-password", email=EMAIL)
    first, second = (getattr(event, "token", "") for event in fired)

    assert (await visitor.get(f"/set-new-password?token={first}")).status == 410
    assert (await visitor.get(f"/set-new-password?token={second}")).status == 200


# -- where links and forms lead


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Proto": "https", "X-Forwarded-Port": "666"},
        {"X-Forwarded-Prefix": "//evil.example"},
        {"Forwarded": "host=evil.example"},
        {"X-Original-Host": "evil.example", "X-Host": "evil.example"},
        {"Host": "localhost:8080"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_link_comes_from_the_settings_alone(
    visitor: Visitor, anna: str, fired: list[Event], headers: dict[str, str]
):
    visitor.client.headers.update(headers)

    page = await visitor.send("/forgot-password", email=EMAIL)

    (event,) = fired
    assert isinstance(event, PasswordResetRequested)
    assert event.link == f"http://127.0.0.1:8080/set-new-password?token={event.token}"
    assert "evil" not in page.source


async def test_foreign_host_gets_no_page(visitor: Visitor, anna: str, fired: list[Event]):
    visitor.client.headers["Host"] = "evil.example"

    assert (await visitor.get("/forgot-password")).status == 403
    assert fired == []


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example",
        "//evil.example",
        "\\\\evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "%2F%2Fevil.example",
        "data:text/html,x",
    ],
)
async def test_nobody_but_the_owner_says_where_people_go(visitor: Visitor, anna: str, place: str):
    names = ("next", "callback", "callback_url", "redirect", "redirect_uri", "return_to", "continue", "url")
    query = "&".join(f"{name}={place}" for name in names)

    form = await visitor.get(f"/login?{query}")
    entered = hidden_of(form) | {"email": EMAIL, "password": PASSWORD} | dict.fromkeys(names, place)
    page = Page(await visitor.client.post(f"/login?{query}", data=entered))

    assert place not in form.source
    assert (page.status, page.headers["location"]) == (303, "account")


@pytest.mark.parametrize(
    "callback",
    [
        "javascript:alert(1)",
        "//evil.example",
        "\\\\evil.example",
        "https://a;script-src *",
        "https://[",
        "data:,x",
        "app.example.com",
    ],
)
async def test_callback_that_no_browser_should_follow_is_none(
    visitor: Visitor, service: Service, fired: list[Event], callback: str
):
    store(service, callback_url=callback)
    token = await token_of(visitor, service, fired, service.users.create(EMAIL, password=PASSWORD).id, "verify")

    verified = await visitor.get(f"/verify-email?token={token}")
    signed_in = await visitor.send("/login", email=EMAIL, password=PASSWORD)

    assert (verified.status, signed_in.headers["location"]) == (200, "account")
    for page in (verified, signed_in):
        assert callback not in page.source
        assert page.headers["content-security-policy"].count(";") == 6
        assert "form-action 'self';" in page.headers["content-security-policy"]


def store(service: Service, **values: Any) -> None:
    """Keep settings that the settings page would refuse, as an older version or a hand might have left them."""
    with service.database.write() as session:
        session.add(Setting(key=KEY, value=Hosted().as_json() | values))
    service.hosted._known = None  # as after a start


MARKUP = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</title><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "\u202eevil",
    "&lt;b&gt;",
]


@pytest.mark.parametrize("text", MARKUP)
async def test_markup_is_shown_as_text(visitor: Visitor, service: Service, text: str):
    store(service, name=text, colour=f"#fff;}}{text}", logo=f"data:image/png;base64,{text}")

    sent = await visitor.send("/signup", email=f"{text}@example.com", password="x", first_name=text, last_name=text)
    login = await visitor.send("/login", email=text, password="y")
    styles = (await visitor.client.get("/hosted/brand.css")).text

    assert text in login.text("title")
    assert (sent.field("first_name")["value"], login.field("email")["value"]) == (text, text)
    for page in (sent, login):
        assert [each for each in page.all("script") if "src" not in each] == []
        assert page.all("img") == []
        assert [name for _tag, attributes in page.tags for name in attributes if name.startswith("on")] == []
        assert "49" not in page.text("title")
    assert text not in styles
    assert f"--brand: {shades(COLOUR, GROUNDS['light']).fill};" in styles


# -- forms that only our pages send


@pytest.mark.parametrize("path", POSTS)
async def test_form_without_its_token_changes_nothing(
    visitor: Visitor, anna: str, service: Service, fired: list[Event], path: str
):
    await visitor.send("/login", email=EMAIL, password=PASSWORD)
    fired.clear()
    data = {"email": "new@example.com", "password": OTHER, "token": TOKEN}

    for token in ({}, {"form_token": ""}, {"form_token": TOKEN}, {"form_token": "x" * 5_000}, {"form_token": "ü"}):
        page = Page(await visitor.client.post(path, data=data | token))

        assert page.status == 403
        assert "Nothing was changed" in page.text()
        assert OTHER not in page.source
    assert (fired, service.users.list().total) == ([], 1)
    assert (await visitor.get("/account")).status == 200, "still signed in"


async def test_form_of_another_browser_changes_nothing(visitor: Visitor, anna: str, app: App, fired: list[Event]):
    theirs = await visitor.get("/login")
    transport = httpx.ASGITransport(app.http)
    async with httpx.AsyncClient(transport=transport, base_url=visitor.client.base_url) as other:
        await other.get("/login")
        data = hidden_of(theirs) | {"email": EMAIL, "password": PASSWORD}
        assert (await other.post("/login", data=data)).status_code == 403
        other.cookies.clear()
        assert (await other.post("/login", data=data)).status_code == 403

    assert fired == []


async def test_form_that_was_out_of_date_can_be_sent_again(visitor: Visitor, anna: str, fired: list[Event]):
    visitor.client.cookies.clear()
    stale = Page(await visitor.client.post("/login", data={"email": EMAIL, "password": PASSWORD, "form_token": TOKEN}))

    again = Page(await visitor.client.post("/login", data=hidden_of(stale) | {"email": EMAIL, "password": PASSWORD}))

    assert stale.field("email")["value"] == EMAIL
    assert again.status == 303


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["foreign", "null", "cross-site"],
)
async def test_page_of_another_site_sends_no_form(
    visitor: Visitor, anna: str, fired: list[Event], headers: dict[str, str]
):
    data = hidden_of(await visitor.get("/login")) | {"email": EMAIL, "password": PASSWORD}

    statuses = [(await visitor.client.post(path, data=data, headers=headers)).status_code for path in POSTS]

    assert (statuses, fired) == ([403] * len(POSTS), [])


async def test_body_that_is_no_form_is_refused(visitor: Visitor, anna: str, fired: list[Event]):
    token = hidden_of(await visitor.get("/login"))["form_token"]
    content = f"form_token={token}&email={EMAIL}&password={PASSWORD}"

    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", ""):
        response = await visitor.client.post("/login", content=content, headers={"Content-Type": kind})

        assert (response.status_code, fired) == (400, [])
        assert response.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"a=" + b"x" * 60_000, 413),
        (b"&".join(b"a=%d" % n for n in range(100)), 400),
        (b"email=%ff%fe", 400),
        (b"email=\xff", 400),
    ],
    ids=["large", "fields", "bytes", "raw bytes"],
)
async def test_odd_form_is_refused_with_a_page(visitor: Visitor, content: bytes, status: int):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    page = Page(await visitor.client.post("/login", content=content, headers=headers))

    assert (page.status, page.text("h1")) == (status, "That did not work")


# -- cookies


async def test_what_was_set_before_a_sign_in_is_worthless_after_it(visitor: Visitor, anna: str, service: Service):
    visitor.client.cookies.set("sAccessToken", TOKEN, domain="127.0.0.1", path="/")
    before = (await visitor.get("/login")).field("form_token")["value"]

    page = await visitor.send("/login", email=EMAIL, password=PASSWORD)

    given = page.headers.get_list("set-cookie")
    access = next(each for each in given if each.startswith("sAccessToken="))
    assert TOKEN not in access
    assert "HttpOnly" in access
    assert service.sessions.check(TOKEN) is None
    stale = await visitor.client.post("/logout", data={"form_token": before})
    assert stale.status_code == 403


@pytest.mark.parametrize("end", ["sign out", "block", "delete", "set password"])
async def test_copied_cookie_is_worthless_after_the_end(visitor: Visitor, anna: str, service: Service, end: str):
    await visitor.send("/login", email=EMAIL, password=PASSWORD)
    copied = visitor.cookies["sAccessToken"]
    assert service.sessions.check(copied)

    match end:
        case "sign out":
            token = (await visitor.get("/account")).field("form_token")["value"]
            await visitor.client.post("/logout", data={"form_token": token})
        case "block":
            service.users.block(anna)
        case "delete":
            service.users.delete(anna)
        case _:
            service.users.set_password(anna, OTHER)

    visitor.client.cookies.set("sAccessToken", copied, domain="127.0.0.1", path="/")
    assert (await visitor.get("/account")).headers["location"] == "login"


async def test_looking_at_the_sign_out_page_signs_nobody_out(visitor: Visitor, anna: str):
    await visitor.send("/login", email=EMAIL, password=PASSWORD)

    page = await visitor.get("/logout")

    assert page.text("h1") == "You are signed in"
    assert (await visitor.get("/account")).status == 200


async def test_cookies_keep_to_https_and_to_this_host(settings: Settings):
    base = "https://auth.example.com"
    app = build_app(settings.model_copy(update={"base_url": base}), embedded=True, passwords=Passwords(CHEAP))
    app.service.users.create(EMAIL, password=PASSWORD)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app.http), base_url=base) as client:
        visitor = Visitor(client)
        page = await visitor.send("/login", email=EMAIL, password=PASSWORD)
    app.service.database.dispose()

    cookies = page.headers.get_list("set-cookie")
    assert page.status == 303
    assert {each.partition("=")[0] for each in cookies} == {"__Host-pulsewire_form", "sAccessToken", "sRefreshToken"}
    assert all("Secure" in each and "HttpOnly" in each and "SameSite=lax" in each for each in cookies)
    assert "Domain" not in "".join(cookies)


# -- headers, files, switches


async def test_pages_keep_to_themselves(visitor: Visitor):
    for path in PAGES:
        keeps_to_itself(await visitor.get(path))


def keeps_to_itself(page: Page) -> None:
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert [each for each in page.all("script") if not each.get("src", "").startswith("hosted/")] == []
    assert page.all("style") == []
    assert [attributes for _tag, attributes in page.tags if "style" in attributes] == []


@pytest.mark.parametrize("path", [*FORMS, f"/set-new-password?token={TOKEN}"])
async def test_pages_can_be_used_without_seeing_them(
    visitor: Visitor, anna: str, service: Service, fired: list[Event], path: str
):
    token = await token_of(visitor, service, fired, anna, "reset")

    page = await visitor.get(path.replace(TOKEN, token))

    fields = [each for each in page.all("input") if each.get("type") != "hidden"]
    labelled = {each["for"] for each in page.all("label")}
    assert fields
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("main")) == 1
    for each in fields:
        assert each["id"] in labelled
        assert each["autocomplete"] in {"username", "current-password", "new-password", "given-name", "family-name"}
    assert page.all("form")[0]["method"] == "post"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("hosted.css", "text/css"),
        ("hosted.js", "text/javascript"),
        ("brand.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
    ],
)
async def test_files_of_the_pages_are_served(visitor: Visitor, name: str, kind: str):
    page = await visitor.get("/login")

    response = await visitor.client.get(f"/hosted/{name}")

    assert f"hosted/{name}?v=" in page.source
    assert (response.status_code, response.headers["content-type"].partition(";")[0]) == (200, kind)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in response.headers["cache-control"]


@pytest.mark.parametrize("name", ["login.html", "logo", "..%2Fapp.css", "%2e%2e/app.css", "hosted.css/", "", "\\"])
async def test_nothing_else_is_served_beside_them(visitor: Visitor, name: str):
    response = await visitor.client.get(f"/hosted/{name}")

    assert response.status_code == 404


async def test_logo_name_and_colour_are_the_owners(visitor: Visitor, hosted: Callable[..., Hosted]):
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    hosted(name="Nordlicht", colour="#0F766E", logo=f"data:image/png;base64,{png}")

    page = await visitor.get("/login")
    logo = await visitor.client.get("/hosted/logo")

    assert page.text("title") == "Sign in · Nordlicht"
    assert page.all("img")[0]["alt"] == "Nordlicht"
    assert page.all("img")[0]["src"].startswith("hosted/logo?v=")
    assert (logo.headers["content-type"], logo.content[:4]) == ("image/png", b"\x89PNG")
    assert "--brand: #0f766e;" in (await visitor.client.get("/hosted/brand.css")).text


async def test_pages_that_are_off_say_so(
    visitor: Visitor, anna: str, hosted: Callable[..., Hosted], fired: list[Event]
):
    data = hidden_of(await visitor.get("/login")) | {"email": EMAIL, "password": PASSWORD}
    hosted(is_on=False)

    shown = [await visitor.get(path) for path in PAGES]
    sent = [Page(await visitor.client.post(path, data=data)) for path in POSTS]

    for page in (*shown, *sent):
        assert (page.status, page.text("h1")) == (404, "These pages are switched off")
    assert fired == []


async def test_link_is_null_while_the_pages_are_off(
    anna: str, service: Service, hosted: Callable[..., Hosted], fired: list[Event]
):
    hosted(is_on=False)

    service.users.request_reset(anna)

    (event,) = fired
    assert isinstance(event, PasswordResetRequested)
    assert (event.link, len(event.token)) == (None, 43)


# -- what is never written down


async def test_log_has_neither_tokens_nor_passwords(
    visitor: Visitor, anna: str, service: Service, fired: list[Event], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    token = await token_of(visitor, service, fired, anna, "reset")
    await visitor.send(f"/set-new-password?token={token}", password="weak")
    await visitor.send("/login", email=EMAIL, password=PASSWORD)
    with service.database.write() as session:
        session.connection().exec_driver_sql("DROP TABLE one_time_token")
    caplog.set_level(logging.DEBUG)

    broken = await visitor.get(f"/set-new-password?token={token}")

    ours = [record for record in caplog.records if not record.name.startswith("httpx")]
    said = "\n".join(logging.Formatter().format(record) for record in ours)
    reference = re.search(r"[0-9a-f]{12}", broken.text("p"))
    assert (broken.status, "sql" in broken.source.lower()) == (500, False)
    assert reference
    assert reference[0] in said
    for secret in (token, PASSWORD, "weak"):
        assert secret not in said


# -- a database that cannot be read


async def test_page_says_that_the_settings_cannot_be_read(
    visitor: Visitor, service: Service, monkeypatch: pytest.MonkeyPatch
):
    def unread() -> Never:
        raise StorageError("The database file is damaged.")

    monkeypatch.setattr(service.hosted, "read", unread)

    page = await visitor.get("/login")

    assert page.status == 503
    assert page.headers["content-type"].startswith("text/html")
    assert "The database file is damaged." in page.text()


def test_first_page_needs_no_look_at_the_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    app = build_app(settings, embedded=True, passwords=Passwords(CHEAP))

    def unread() -> Never:
        raise StorageError("The database file is damaged.")

    monkeypatch.setattr(app.service.database, "read", unread)
    try:
        assert app.service.hosted.read() == Hosted()
    finally:
        app.service.passwords.close()
        app.service.database.dispose()
