"""The sign-in of operators over HTTP: plain forms, a cookie, and a gate in front of everything else."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from backend.errors import Fault, StorageFull
from backend.passwords import CHEAP, Passwords
from runtime.app import App, build_app
from runtime.http.operator_cookie import sign_out_token
from runtime.http.sign_in import safe_next
from runtime.service import Service
from runtime.settings import Settings
from tests.operators import COOKIE, OWNER, PASSWORD, sign_in

BROWSER = {"Accept": "text/html,application/xhtml+xml"}
FORM = re.compile(r'name="([a-z_]+)"[^>]* value="([^"]*)"')


@pytest.fixture
async def browser(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a browser, whom nobody knows yet."""
    transport = httpx.ASGITransport(app.http)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080", headers=BROWSER) as client:
        yield client


@pytest.fixture
async def owner(app: App) -> str:
    """The cookie of the owner."""
    return await sign_in(app.service.database)


def fields(page: httpx.Response) -> dict[str, str]:
    """Return what the form of a page sends when nothing is filled in."""
    return {name: html.unescape(value) for name, value in FORM.findall(page.text)}


async def filled(browser: httpx.AsyncClient, path: str, **entered: str) -> httpx.Response:
    """Open a form and send it."""
    form = fields(await browser.get(path))
    return await browser.post(urlsplit(path).path, data=form | entered)


def code(response: httpx.Response) -> str:
    return str(response.json()["problems"][0]["code"])


# -- the way in


async def test_first_owner_sets_up_signs_out_and_signs_in(service: Service, browser: httpx.AsyncClient):
    told = await browser.get("/sign-in")
    token = service.operators.set_up_link()
    made = await filled(browser, f"/set-up?token={token}", email=OWNER, name="Olivia", password=PASSWORD)
    first = browser.cookies[COOKIE]
    away = await browser.get("/sign-in?next=/runs")
    visit = service.operator_sessions.visit_by(first)
    assert visit is not None
    out = await browser.post("/sign-out", data={"form_token": sign_out_token(visit.digest)})
    left = dict(browser.cookies)
    back = await filled(browser, "/sign-in?next=/runs", email=OWNER.upper(), password=PASSWORD)

    assert (told.status_code, "not set up yet" in told.text) == (403, True)
    assert [(each.status_code, each.headers["Location"]) for each in (made, away, out, back)] == [
        (303, "/"),
        (303, "/runs"),
        (303, "/sign-in"),
        (303, "/runs"),
    ]
    assert COOKIE not in left
    assert browser.cookies[COOKIE] != first
    assert service.operator_sessions.visit_by(first) is None
    assert [(each.action, each.actor) for each in service.audit.list().items] == [
        ("operator.sign_in", "Olivia"),
        ("operator.sign_out", "Olivia"),
        ("operator.set_up", "Olivia"),
    ]


async def test_owner_gets_in_although_it_cannot_be_written_down(
    service: Service, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def full(*_given: object, **_named: object) -> None:
        raise StorageFull(Fault("storage.full", "The disk is full."))

    monkeypatch.setattr(service.audit, "add", full)
    made = await filled(browser, f"/set-up?token={service.operators.set_up_link()}", email=OWNER, password=PASSWORD)

    assert (made.status_code, made.headers.get("Location")) == (303, "/")
    assert service.operator_sessions.visit_by(browser.cookies[COOKIE]) is not None
    assert "operator.set_up by o" in caplog.text


async def test_opening_a_link_twice_uses_nothing_up(service: Service, browser: httpx.AsyncClient, owner: str):
    token = service.operators.invite("eve@example.com", "viewer").token
    for _ in range(3):
        page = await browser.get(f"/invitation?token={token}")

    joined = await filled(browser, f"/invitation?token={token}", name="Eve", password=PASSWORD)
    again = await browser.get(f"/invitation?token={token}")

    assert "eve@example.com" in page.text
    assert joined.status_code == 303
    assert (again.status_code, "no longer works" in again.text) == (400, True)
    assert service.operators.get("eve@example.com").name == "Eve"


async def test_faults_stand_beside_their_fields_and_the_password_is_not_shown_again(
    service: Service, browser: httpx.AsyncClient
):
    page = await filled(
        browser, f"/set-up?token={service.operators.set_up_link()}", email="nobody", name="<b>", password="TOP-SECRET"
    )

    assert page.status_code == 422
    assert "not exactly one address" in page.text
    assert "needs a digit" not in page.text, "hashing and its rules come after the address"
    assert "&lt;b&gt;" in page.text
    assert "TOP-SECRET" not in page.text
    assert COOKIE not in browser.cookies


async def test_wrong_unknown_and_disabled_get_the_same_page(service: Service, browser: httpx.AsyncClient, owner: str):
    await sign_in(service.database, "editor", "gone@example.com")
    service.operators.disable("gone@example.com")
    told = set()
    for email in (OWNER, "gone@example.com", "unknown@example.com"):
        page = await filled(browser, "/sign-in", email=email, password="wrong horse 1")
        told.add((page.status_code, page.text.replace(email, "…")))

    assert len(told) == 1


async def test_many_wrong_passwords_have_to_wait(browser: httpx.AsyncClient, owner: str):
    for _ in range(5):
        await filled(browser, "/sign-in", email=OWNER, password="wrong horse 1")

    page = await filled(browser, "/sign-in", email=OWNER, password=PASSWORD)

    assert page.status_code == 429
    assert int(page.headers["Retry-After"]) >= 1
    assert COOKIE not in browser.cookies


# -- what others may try


async def test_form_of_another_site_signs_nobody_in(browser: httpx.AsyncClient, owner: str):
    sent = {"email": OWNER, "password": PASSWORD, "next": "/"}
    form = fields(await browser.get("/sign-in"))
    for data in (sent, sent | {"form_token": ""}, sent | {"form_token": "x" * 43}):
        assert (await browser.post("/sign-in", data=data)).status_code == 403
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert (await browser.post("/sign-in", data=form | sent, headers=headers)).status_code == 403

    assert COOKIE not in browser.cookies
    assert (await browser.post("/sign-in", data=form | sent)).status_code == 303


async def test_another_site_signs_nobody_out(service: Service, browser: httpx.AsyncClient, owner: str):
    browser.cookies.set(COOKIE, owner)

    refused = [await browser.post("/sign-out", data={name: "0" * 64}) for name in ("form_token", "other")]

    assert [each.status_code for each in refused] == [403, 403]
    assert service.operator_sessions.visit_by(owner) is not None


async def test_cookie_set_before_the_sign_in_is_worthless_after_it(
    service: Service, browser: httpx.AsyncClient, owner: str
):
    fixed = "f" * 43
    browser.cookies.set(COOKIE, fixed, domain="127.0.0.1", path="/")
    form = fields(await browser.get("/sign-in"))

    response = await browser.post("/sign-in", data=form | {"email": OWNER, "password": PASSWORD})

    given = response.headers["Set-Cookie"]
    assert f"{COOKIE}={fixed}" not in given
    assert service.operator_sessions.visit_by(fixed) is None
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in given.split(";")}
    assert "Secure" not in given


async def test_signing_in_again_ends_the_sign_in_before(service: Service, browser: httpx.AsyncClient, owner: str):
    other = await sign_in(service.database, "viewer", "eve@example.com")
    token = service.operators.link_for(OWNER).token
    browser.cookies.set(COOKIE, other)

    await filled(browser, f"/invitation?token={token}", password="another horse 8")

    assert service.operator_sessions.visit_by(other) is None


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/%0d%0aSet-Cookie:a=b\r\n",
        "/\t/evil.example",
        "/a\\b",
        " /runs",
        "runs",
        "",
        "/sign-in",
        "/sign-out",
        "/ü",
        "/" + "x" * 1_000,
    ],
)
async def test_next_leads_nowhere_else(browser: httpx.AsyncClient, owner: str, target: str):
    form = fields(await browser.get("/sign-in"))

    response = await browser.post("/sign-in", data=form | {"email": OWNER, "password": PASSWORD, "next": target})

    assert (response.status_code, response.headers["Location"]) == (303, "/")


@pytest.mark.parametrize("target", ["/", "/runs?flow=a&status=failed", "/flows/a-b", "/tables/x#rows", "/a?b=//c"])
def test_next_leads_to_our_own_pages(target: str):
    assert safe_next(target) == target


async def test_page_after_signing_in_is_the_one_that_was_wanted(browser: httpx.AsyncClient, owner: str):
    response = await browser.get("/runs?flow=a%26b&status=failed")

    target = urlsplit(response.headers["Location"])
    assert (response.status_code, target.path) == (303, "/sign-in")
    assert parse_qs(target.query)["next"] == ["/runs?flow=a%26b&status=failed"]


@pytest.mark.parametrize("path", ["/sign-in", "/set-up?token=x", "/invitation?token=x"])
async def test_pages_of_the_way_in_allow_nothing_from_elsewhere(browser: httpx.AsyncClient, owner: str, path: str):
    page = await browser.get(path)

    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for directive in ("form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert directive in policy
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.findall(r"(?:src|href|action)=\"(?:https?:)?//", page.text)


async def test_hostile_host_changes_no_link(service: Service, browser: httpx.AsyncClient):
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/evil"}

    page = await browser.get(f"/set-up?token={service.operators.set_up_link()}", headers=headers)

    assert "evil" not in page.text


# -- the gate


@pytest.mark.parametrize("path", ["/", "/flows/a", "/settings", "/nothing", "/_nicegui/client/x/upload/1", "/hook/a"])
async def test_stranger_sees_no_page(browser: httpx.AsyncClient, owner: str, path: str):
    navigated = await browser.get(path)
    fetched = await browser.get(path, headers={"Accept": "*/*"})
    scripted = await browser.get(path, headers={"Sec-Fetch-Mode": "cors"})
    posted = await browser.post(path)

    assert (navigated.status_code, urlsplit(navigated.headers["Location"]).path) == (303, "/sign-in")
    assert [(each.status_code, code(each)) for each in (fetched, scripted, posted)] == [(401, "session.missing")] * 3


async def test_keys_open_no_page_and_cookies_no_api(
    service: Service, browser: httpx.AsyncClient, owner: str, api_key: str
):
    by_key = await browser.get("/", headers={"Authorization": f"Bearer {api_key}"})
    key_as_cookie = await browser.get("/", headers={"Cookie": f"{COOKIE}={api_key}"})
    by_cookie = await browser.get("/api/flows", headers={"Cookie": f"{COOKIE}={owner}"})
    cookie_as_key = await browser.get("/api/flows", headers={"Authorization": f"Bearer {owner}"})
    metrics = await browser.get("/metrics", headers={"Cookie": f"{COOKIE}={owner}"})

    assert [each.status_code for each in (by_key, key_as_cookie)] == [303, 303]
    assert [each.status_code for each in (by_cookie, cookie_as_key, metrics)] == [401, 401, 401]


@pytest.mark.parametrize(
    "cookie", ["", "x", "x" * 43, "x" * 100_000, "\xff", "a=b; ; =", '"', "%00"], ids=lambda text: repr(text[:8])
)
async def test_cookie_that_is_none_opens_nothing(browser: httpx.AsyncClient, owner: str, cookie: str):
    response = await browser.get("/", headers={"Cookie": f"{COOKIE}={cookie}".encode("latin-1")})

    assert response.status_code == 303


@pytest.mark.parametrize("ending", ["end", "disable", "delete"])
async def test_copied_cookie_ends_with_the_sign_in(
    service: Service, browser: httpx.AsyncClient, owner: str, ending: str
):
    copied = await sign_in(service.database, "editor", "eve@example.com")
    browser.cookies.set(COOKIE, copied)
    visit = service.operator_sessions.visit_by(copied)
    assert visit is not None
    before = await browser.get("/nothing")

    if ending == "end":
        service.operator_sessions.end(visit.digest)
    else:
        getattr(service.operators, ending)("eve@example.com")

    assert (before.status_code, (await browser.get("/nothing")).status_code) == (404, 303)


async def test_nothing_in_the_editor_answers_before_there_is_an_owner(browser: httpx.AsyncClient):
    response = await browser.get("/flows/a", follow_redirects=True)

    assert response.status_code == 403
    assert "pulsewire operators link" in response.text


async def test_strangers_leave_no_files_behind(app: App, browser: httpx.AsyncClient, settings: Settings):
    def files() -> set[Path]:
        return set(settings.data_dir.rglob("*"))

    await browser.get("/")
    before = files()

    for number in range(1_000):
        browser.cookies.clear()
        await browser.get("/sign-in" if number % 2 else f"/flows/{number}")

    assert files() == before


async def test_cookie_travels_by_https_alone_where_people_use_https(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, base_url="https://flows.example.com")
    app = build_app(settings, embedded=True, passwords=Passwords(CHEAP))
    await app.start()
    try:
        transport = httpx.ASGITransport(app.http)
        async with httpx.AsyncClient(transport=transport, base_url="https://flows.example.com") as client:
            token = app.service.operators.set_up_link()
            made = await filled(client, f"/set-up?token={token}", email=OWNER, password=PASSWORD)
    finally:
        await app.stop()

    assert made.status_code == 303
    cookies = made.headers.get_list("Set-Cookie")
    assert len(cookies) == 2
    assert all("Secure" in cookie for cookie in cookies)
