"""What the hosted pages refuse, hide and say of themselves."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any, Never

import httpx
import pytest

from backend.events import (
    Event,
    PasswordResetRequested,
)
from backend.hosted import COLOUR, KEY, Hosted
from backend.passwords import CHEAP, Passwords
from runtime.app import App, build_app
from runtime.http.hosted_views import GROUNDS
from runtime.http.shades import shades
from runtime.service import Service
from runtime.settings import Settings
from storage.errors import StorageError
from storage.tables import Setting
from tests.http.hosted.visitor import (
    EMAIL,
    FORMS,
    OTHER,
    PAGES,
    PASSWORD,
    POSTS,
    TOKEN,
    Page,
    Visitor,
    hidden_of,
    token_of,
)

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
