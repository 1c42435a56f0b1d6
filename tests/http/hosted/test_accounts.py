"""What people do on the hosted pages, with the events of each."""

from __future__ import annotations

import re
from collections.abc import Callable

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
from backend.hosted import Hosted
from runtime.service import Service
from storage.tables import UserSession
from tests.http.hosted.visitor import EMAIL, OTHER, PASSWORD, TOKEN, Page, Visitor, hidden_of, kinds, token_of

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


async def test_second_reset_request_voids_the_first(visitor: Visitor, anna: str, fired: list[Event]):
    for _ in range(2):
        await visitor.send("/forgot-password", email=EMAIL)
    first, second = (getattr(event, "token", "") for event in fired)

    assert (await visitor.get(f"/set-new-password?token={first}")).status == 410
    assert (await visitor.get(f"/set-new-password?token={second}")).status == 200
