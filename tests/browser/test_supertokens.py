"""The web clients of SuperTokens, as their makers publish them, against a running server: the newest and an older one.

The front-end is served from an origin of its own, which the settings name.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request
from sqlmodel import select

from backend import one_time_tokens
from backend.hosted import HostedPages
from backend.one_time_tokens import Purpose
from storage.tables import UserRow, UserSession
from tests.browser.flow_page import Server

CLIENTS = Path(__file__).parent / "supertokens"
NPM = shutil.which("npm")
PAGE = '<!doctype html><html lang="en"><head><link rel="icon" href="data:,"><script src="{}.js"></script></head></html>'
PASSWORD = "correct horse 1"
REFRESH = "/auth/session/refresh"

pytestmark = pytest.mark.skipif(NPM is None, reason="npm is not installed, so the clients cannot be fetched")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page for each client."""
    assert NPM
    folder = tmp_path_factory.mktemp("supertokens") / "clients"
    shutil.copytree(CLIENTS, folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    for command in (["ci", "--prefer-offline", "--no-audit", "--no-fund"], ["run", "build"]):
        done = subprocess.run([NPM, *command], cwd=folder, capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    for name in ("newest", "older"):
        (folder / "dist" / f"{name}.html").write_text(PAGE.format(name))
    return folder / "dist"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def shop(pages: Path, server: Server) -> Iterator[str]:
    """The origin of the front-end, which may call the server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(pages))) as http:
        thread = Thread(target=http.serve_forever, daemon=True)
        thread.start()
        origin = f"http://127.0.0.1:{http.server_port}"
        hosted = HostedPages(server.database)
        hosted.save(replace(hosted.read(), web_origins=(origin,)))
        yield origin
        http.shutdown()
        thread.join()


@dataclass
class Tab:
    """A tab with the front-end; every call goes through the client under test."""

    page: Page
    server: Server
    address: str
    mode: str

    def open(self, query: str = "") -> None:
        self.page.goto(self.address + query)
        self.page.evaluate("([api, mode]) => client.init(api, mode)", [self.server.url, self.mode])

    def form(self, call: str, **fields: str) -> dict[str, Any]:
        """Return what *call* answers to a form, without the response it came in."""
        entered = [{"id": name, "value": value} for name, value in fields.items()]
        script = f"formFields => client.{call}({{ formFields }}).then(({{ fetchResponse, ...said }}) => said)"
        answer: dict[str, Any] = self.page.evaluate(script, entered)
        return answer

    def ask(self, call: str) -> Any:
        """Return what *call*, such as ``Session.doesSessionExist()``, answers."""
        return self.page.evaluate(f"async () => {{ const said = await client.{call}; return said?.status ?? said; }}")

    def begin_reading_user(self) -> None:
        self.page.evaluate("url => { window.answer = fetch(url).then(answer => answer.json()); }", self.user_url)

    def user(self) -> dict[str, Any]:
        self.begin_reading_user()
        return self.read_user()

    def read_user(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.page.evaluate("() => window.answer")
        return answer

    @property
    def user_url(self) -> str:
        return f"{self.server.url}/auth/user"


@pytest.fixture(params=["cookie", "header"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["newest", "older"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that was never here; a test during which a script failed fails."""
    found: list[str] = []
    context = browser.new_context()
    context.on("page", lambda page: page.on("pageerror", lambda error: found.append(str(error))))
    yield context
    context.close()
    assert not found, found


@pytest.fixture
def tab(visitor: BrowserContext, server: Server, shop: str, name: str, mode: str) -> Tab:
    tab = Tab(visitor.new_page(), server, f"{shop}/{name}.html", mode)
    tab.open()
    return tab


@pytest.fixture
def refreshes(visitor: BrowserContext) -> list[Request]:
    """Every refresh that the browser asks for."""
    found: list[Request] = []
    visitor.on("request", lambda request: found.append(request) if request.url.endswith(REFRESH) else None)
    return found


@pytest.fixture
def email() -> str:
    return f"ada-{uuid4().hex[:8]}@example.com"


def expire_access(server: Server, email: str) -> None:
    """Let the user's access tokens have run out a second ago."""
    with server.database.write() as session:
        mine = select(UserSession).join(UserRow).where(UserRow.email == email)
        for row in session.exec(mine):
            row.access_expires_at = datetime.now(UTC) - timedelta(seconds=1)
            session.add(row)


def mailed(server: Server, email: str, purpose: Purpose) -> str:
    """Return a token as a mail would bring it."""
    with server.database.write() as session:
        row = session.exec(select(UserRow).where(UserRow.email == email)).one()
        return one_time_tokens.issue(session, row, purpose, datetime.now(UTC))


def test_signing_up_out_and_in(tab: Tab, email: str):
    assert tab.ask("Session.doesSessionExist()") is False
    assert tab.page.evaluate("email => client.doesEmailExist({ email }).then(said => said.doesExist)", email) is False

    made = tab.form("signUp", email=email, password=PASSWORD)

    assert (made["status"], made["user"]["emails"]) == ("OK", [email])
    assert tab.ask("Session.doesSessionExist()") is True
    assert tab.ask("Session.getUserId()") == made["user"]["id"] == tab.user()["user"]["id"]
    cookies = {cookie["name"]: cookie for cookie in tab.page.context.cookies(f"{tab.server.url}{REFRESH}")}
    assert (cookies.keys() >= {"sAccessToken", "sRefreshToken"}) == (tab.mode == "cookie")
    assert all(cookies[found]["httpOnly"] for found in cookies.keys() & {"sAccessToken", "sRefreshToken"})

    tab.ask("Session.signOut()")

    assert tab.ask("Session.doesSessionExist()") is False
    assert tab.user() == {"message": "unauthorised"}
    assert tab.form("signIn", email=email, password="wrong horse 1") == {"status": "WRONG_CREDENTIALS_ERROR"}
    assert tab.ask("Session.doesSessionExist()") is False

    back = tab.form("signIn", email=email, password=PASSWORD)

    assert (back["status"], back["user"]["id"]) == ("OK", made["user"]["id"])
    assert tab.ask("Session.doesSessionExist()") is True
    tab.open()
    assert tab.ask("Session.doesSessionExist()") is True, "after the page was loaded again"


def test_refused_fields_reach_the_form(tab: Tab):
    refused = tab.form("signUp", email="no address", password="short")

    assert refused["status"] == "FIELD_ERROR"
    assert [each["id"] for each in refused["formFields"]] == ["email", "password"]


def test_expired_access_is_refreshed_unnoticed(tab: Tab, server: Server, email: str, refreshes: list[Request]):
    user = tab.form("signUp", email=email, password=PASSWORD)["user"]
    refreshes.clear()
    expire_access(server, email)

    answer = tab.user()

    assert answer["user"]["id"] == user["id"]
    assert [each.response().status for each in refreshes if each.method == "POST"] == [200]  # type: ignore[union-attr]
    tab.ask("Session.signOut()")
    assert tab.ask("Session.doesSessionExist()") is False


def test_client_refreshes_by_itself_when_it_knows_that_access_ended(tab: Tab, email: str, refreshes: list[Request]):
    tab.form("signUp", email=email, password=PASSWORD)
    refreshes.clear()
    tab.page.clock.set_fixed_time(datetime.now(UTC) + timedelta(minutes=31))

    exists = tab.ask("Session.doesSessionExist()")

    assert exists is True
    assert [each.response().status for each in refreshes if each.method == "POST"] == [200]  # type: ignore[union-attr]


def test_two_tabs_refresh_at_once(tab: Tab, server: Server, visitor: BrowserContext, email: str):
    user = tab.form("signUp", email=email, password=PASSWORD)["user"]
    other = Tab(visitor.new_page(), server, tab.address, tab.mode)
    other.open()
    expire_access(server, email)

    for each in (tab, other):
        each.begin_reading_user()

    assert [each.read_user()["user"]["id"] for each in (tab, other)] == [user["id"], user["id"]]
    assert [each.user()["user"]["id"] for each in (tab, other)] == [user["id"], user["id"]]
    other.ask("Session.signOut()")
    assert tab.ask("Session.doesSessionExist()") is False


def test_session_that_the_server_ended_ends_in_the_browser(tab: Tab, server: Server, email: str):
    tab.form("signUp", email=email, password=PASSWORD)
    with server.database.write() as session:
        for row in session.exec(select(UserSession).join(UserRow).where(UserRow.email == email)):
            session.delete(row)

    assert tab.user().keys() == {"message"}
    assert tab.ask("Session.doesSessionExist()") is False


def test_address_is_verified_by_its_token(tab: Tab, server: Server, email: str):
    tab.form("signUp", email=email, password=PASSWORD)
    claim = "Session.getClaimValue({ claim: client.EmailVerification.EmailVerificationClaim })"
    assert tab.ask(claim) is False
    assert tab.ask("EmailVerification.sendVerificationEmail()") == "OK"
    assert tab.ask("EmailVerification.verifyEmail()") == "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR"

    tab.open(f"?token={mailed(server, email, 'verify')}")

    assert tab.ask("EmailVerification.verifyEmail()") == "OK"
    assert tab.ask(claim) is True
    assert tab.ask("EmailVerification.isEmailVerified().then(said => said.isVerified)") is True
    assert tab.ask("EmailVerification.sendVerificationEmail()") == "EMAIL_ALREADY_VERIFIED_ERROR"
    assert tab.ask("Session.validateClaims()") == []
    assert tab.user()["user"]["emailVerified"] is True


def test_password_is_reset_by_its_token(tab: Tab, server: Server, email: str):
    tab.form("signUp", email=email, password=PASSWORD)
    assert tab.form("sendPasswordResetEmail", email=email) == {"status": "OK"}
    assert tab.form("submitNewPassword", password="another horse 2") == {"status": "RESET_PASSWORD_INVALID_TOKEN_ERROR"}

    tab.open(f"?token={mailed(server, email, 'reset')}")

    assert tab.form("submitNewPassword", password="weak")["status"] == "FIELD_ERROR"
    assert tab.form("submitNewPassword", password="another horse 2") == {"status": "OK"}
    assert tab.user().keys() == {"message"}, "every session has ended"
    assert tab.form("signIn", email=email, password=PASSWORD) == {"status": "WRONG_CREDENTIALS_ERROR"}
    assert tab.form("signIn", email=email, password="another horse 2")["status"] == "OK"


def test_front_end_that_is_not_named_gets_no_answer(visitor: BrowserContext, server: Server, shop: str, email: str):
    page = visitor.new_page()
    page.goto(f"{shop.replace('127.0.0.1', 'localhost')}/newest.html")

    outcome = page.evaluate("url => fetch(url).then(() => 'answered', () => 'refused')", f"{server.url}/auth/user")

    assert outcome == "refused"
