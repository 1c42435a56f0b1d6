from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from backend.credentials import Credentials
from backend.errors import BackendError, Conflict, NotFound
from backend.logins import KINDS, Login
from backend.secrets import CREDENTIALS, SecretBox
from storage.database import Database
from tests.backend.conftest import Clock

KEY = "the key of this installation"
NOW_S = 1_700_000_000
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EACH: dict[str, tuple[dict[str, Any], str]] = {
    "basic": ({"user": "anna"}, "päss wörd: 7"),
    "bearer": ({}, "tok-3bd1f0a2c9e84d7a"),
    "header": ({"header": "X-Api-Key"}, "key with blanks 77"),
    "hmac": ({"header": "X-Hub-Signature-256", "prefix": "sha256="}, "signing secret 9"),
    "standard_webhooks": ({}, STANDARD),
}


@pytest.fixture
def pokes() -> list[None]:
    return []


@pytest.fixture
def credentials(database: Database, pokes: list[None]) -> Credentials:
    box = SecretBox(KEY).for_purpose(CREDENTIALS)
    return Credentials(database, box, lambda: pokes.append(None), clock=Clock())


def codes(refusal: BackendError) -> list[tuple[str, str | None]]:
    return [(fault.code, fault.field) for fault in refusal.faults]


def test_every_kind_is_tried():
    assert EACH.keys() == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_login_is_kept_locked_and_only_its_own_door_opens_it(credentials: Credentials, database: Database, kind: str):
    settings, secret = EACH[kind]

    made = credentials.create("Shop", kind, secret, settings, ["API.example.com ", "127.0.0.1:9000"])
    login = credentials.login(" shop")

    assert made.as_json() == credentials.get(made.id).as_json() == credentials.list()[0].as_json()
    assert made.as_json() | {"id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "name": "Shop",
        "kind": kind,
        "settings": made.settings,
        "has_secret": True,
        "hosts": ["api.example.com", "127.0.0.1:9000"],
        "created_at": "",
        "updated_at": "",
    }
    assert login is not None
    assert (login.name, login.kind, login.secret, login.hosts) == ("Shop", kind, secret, made.hosts)
    with sqlite3.connect(database.path) as connection:
        row = str(connection.execute("SELECT * FROM credential").fetchall())
    assert secret not in row + repr(made) + repr(login) + str(made.as_json())


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_login_adds_to_a_request_is_what_it_admits(credentials: Credentials, kind: str):
    settings, secret = EACH[kind]
    credentials.create("a", kind, secret, settings)
    credentials.create("b", kind, STANDARD[:-1] + "B" if kind == "standard_webhooks" else f"{secret}b", settings)
    login, other = _login(credentials, "a"), _login(credentials, "b")

    headers = {name.lower(): value for name, value in login.headers(b"{}", "41:notify:", NOW_S).items()}

    assert login.admits(headers, b"{}", NOW_S)
    assert not other.admits(headers, b"{}", NOW_S)
    assert not login.admits({}, b"{}", NOW_S)
    assert login.admits(headers, b"[]", NOW_S) is not login.is_signing
    assert headers.keys() & login.header_names


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic !", "Basic YW5uYQ==", "Basic 4pyT", "Bearer YW5uYTpwdw==", "Basic YW5uYTo=", "Basic \xff"],
)
def test_odd_basic_login_is_admitted_nowhere(authorization: str):
    login = Login("a", "basic", {"user": "anna"}, "pw")

    assert not login.admits({"authorization": authorization}, b"", NOW_S)
    assert login.admits({"authorization": "basic YW5uYTpwdw=="}, b"", NOW_S)


@pytest.mark.parametrize("authorization", ["", "tok", "Basic tok", "Bearer tokk", "Bearer TOK", "Bearer\ttok"])
def test_odd_bearer_login_is_admitted_nowhere(authorization: str):
    login = Login("a", "bearer", {}, "tok")

    assert not login.admits({"authorization": authorization}, b"", NOW_S)
    assert login.admits({"authorization": "bearer  tok "}, b"", NOW_S)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": " "}, [("credential.name_invalid", "name")]),
        ({"name": "None"}, [("credential.name_invalid", "name")]),
        ({"name": "a\nb"}, [("credential.name_invalid", "name")]),
        ({"name": "{{ $param.x }}"}, [("credential.name_invalid", "name")]),
        ({"kind": "oauth"}, [("credential.kind_invalid", "kind")]),
        ({"secret": ""}, [("credential.secret_missing", "secret")]),
        ({"secret": "a\nb"}, [("credential.secret_invalid", "secret")]),
        ({"secret": "x" * 4_097}, [("credential.secret_invalid", "secret")]),
        ({"kind": "bearer", "settings": {}, "secret": "two words"}, [("credential.secret_invalid", "secret")]),
        ({"kind": "standard_webhooks", "settings": {}}, [("credential.secret_invalid", "secret")]),
        ({"settings": {}}, [("credential.setting_invalid", "settings.user")]),
        ({"settings": {"user": "a:b"}}, [("credential.setting_invalid", "settings.user")]),
        ({"settings": {"user": "a", "x": 1}}, [("credential.setting_unknown", "settings.x")]),
        ({"settings": []}, [("credential.settings_invalid", "settings")]),
        ({"kind": "header", "settings": {"header": "Host"}}, [("credential.setting_invalid", "settings.header")]),
        ({"kind": "header", "settings": {"header": "A: b\r\n"}}, [("credential.setting_invalid", "settings.header")]),
        (
            {"kind": "hmac", "settings": {"header": "X", "algorithm": "md5"}},
            [("credential.setting_invalid", "settings.algorithm")],
        ),
        ({"hosts": ["a", "https://b"]}, [("credential.host_invalid", "hosts[1]")]),
        ({"hosts": ["*.example.com"]}, [("credential.host_invalid", "hosts[0]")]),
        ({"hosts": ["example.com:99999"]}, [("credential.host_invalid", "hosts[0]")]),
        ({"hosts": ["127.1"]}, [("credential.host_invalid", "hosts[0]")]),
        ({"hosts": "example.com"}, [("credential.hosts_invalid", "hosts")]),
        ({"hosts": ["a"] * 51}, [("credential.hosts_invalid", "hosts")]),
        ({"name": "", "secret": ""}, [("credential.name_invalid", "name"), ("credential.secret_missing", "secret")]),
    ],
    ids=str,
)
def test_every_fault_is_told_and_nothing_is_kept(
    credentials: Credentials, pokes: list[None], changes: dict[str, Any], expected: list[tuple[str, str]]
):
    given = {"name": "Shop", "kind": "basic", "secret": "hunter2", "settings": {"user": "anna"}, "hosts": []}

    with pytest.raises(BackendError) as refused:
        credentials.create(**(given | changes))

    assert codes(refused.value) == expected
    assert "hunter2" not in str(refused.value)
    assert (credentials.list(), pokes) == ([], [])


def test_name_is_taken_in_any_spelling(credentials: Credentials):
    credentials.create("Shop", "bearer", "tok")

    with pytest.raises(Conflict):
        credentials.create("ＳＨＯＰ ", "bearer", "tok")


def test_change_keeps_what_is_left_out(credentials: Credentials, pokes: list[None]):
    settings, secret = EACH["hmac"]
    made = credentials.create("Shop", "hmac", secret, settings, ["a.example.com", "b.example.com"])

    credentials.update("shop", settings={"header": "X-Signature"})
    credentials.update(made.id, hosts=["b.example.com"])
    before = _login(credentials, "Shop")
    credentials.update(made.id, secret="another one", hosts=["c.example.com"])
    after = _login(credentials, "Shop")

    assert (before.secret, before.hosts, before.settings["header"]) == (secret, ("b.example.com",), "X-Signature")
    assert (after.secret, after.hosts) == ("another one", ("c.example.com",))
    assert len(pokes) == 4


def test_stored_secret_goes_to_no_new_host_unless_it_is_entered_again(credentials: Credentials):
    credentials.create("Shop", "bearer", "tok", {}, ["a.example.com"])

    with pytest.raises(BackendError) as refused:
        credentials.update("Shop", hosts=["a.example.com", "evil.example.com"])

    assert codes(refused.value) == [("credential.secret_missing", "secret")]
    assert _login(credentials, "Shop").hosts == ("a.example.com",)


def test_deleted_login_is_gone(credentials: Credentials):
    made = credentials.create("Shop", "bearer", "tok")

    credentials.delete("SHOP")

    assert credentials.login("Shop") is None
    for call in (credentials.get, credentials.delete, credentials.update):
        with pytest.raises(NotFound):
            call(made.id)


def test_login_of_another_key_does_not_open(credentials: Credentials, database: Database):
    credentials.create("Shop", "bearer", "tok")

    for box in (SecretBox("a key of another place").for_purpose(CREDENTIALS), SecretBox(KEY)):
        with pytest.raises(BackendError):
            Credentials(database, box).login("Shop")


def test_names_alone_tell_nothing_else(credentials: Credentials):
    made = credentials.create("Shop", "basic", "hunter2", {"user": "anna"}, ["a.example.com"])

    assert [each.as_json() for each in credentials.list(names_only=True)] == [
        {"id": made.id, "name": "Shop", "kind": "basic"}
    ]


def _login(credentials: Credentials, name: str) -> Login:
    login = credentials.login(name)
    assert login is not None
    return login
