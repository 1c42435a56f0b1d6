from __future__ import annotations

from typing import Any

import pytest

from backend.errors import BackendError
from backend.mail import MailRefused
from backend.preferences import Preferences, SmtpInput
from backend.secrets import SecretBox
from backend.smtp import Smtp
from storage.database import Database

KEY = "a secret key for tests"
PASSWORD = "correct horse battery"
OPS = SmtpInput("smtp.example.com", 587, "starttls", "ops@example.com", "ops", PASSWORD)


@pytest.fixture
def preferences(database: Database) -> Preferences:
    return Preferences(database, SecretBox(KEY))


def test_password_is_locked_in_the_database_and_never_shown(database: Database, preferences: Preferences) -> None:
    preferences.set_smtp(OPS)

    smtp = preferences.smtp()
    assert smtp
    assert smtp.password == PASSWORD
    assert PASSWORD not in repr(smtp) + repr(OPS)
    assert preferences.smtp_view() == {
        "host": "smtp.example.com",
        "port": 587,
        "tls": "starttls",
        "sender": "ops@example.com",
        "username": "ops",
        "has_password": True,
        "source": "settings",
    }
    database.dispose()
    assert database.path
    assert PASSWORD.encode() not in b"".join(path.read_bytes() for path in database.path.parent.iterdir())


@pytest.mark.parametrize(
    ("change", "kept"),
    [({}, True), ({"sender": "x@y.z", "tls": "tls"}, True), ({"host": "evil.example"}, False), ({"port": 25}, False),
     ({"username": "other"}, False), ({"password": ""}, False)],
    ids=["nothing", "sender", "host", "port", "username", "removed"],
)  # fmt: skip
def test_password_stays_with_the_login_it_was_entered_for(
    preferences: Preferences, change: dict[str, Any], kept: bool
) -> None:
    preferences.set_smtp(OPS)

    preferences.set_smtp(SmtpInput(**{**vars(OPS), "password": None, **change}))

    smtp = preferences.smtp()
    assert smtp
    assert smtp.password == (PASSWORD if kept else None)


def test_password_locked_with_another_key_is_a_plain_fault(database: Database, preferences: Preferences) -> None:
    preferences.set_smtp(OPS)
    moved = Preferences(database, SecretBox("the key of another machine"))

    with pytest.raises(BackendError, match="enter it again"):
        moved.smtp()

    assert (moved.smtp_view() or {})["has_password"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"host": ""}, "host"),
        ({"host": "a b"}, "host"),
        ({"host": "a\r\nb"}, "host"),
        ({"host": "x" * 10_000}, "host"),
        ({"host": None}, "host"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"port": "587"}, "port"),
        ({"port": True}, "port"),
        ({"tls": "ssl3"}, "tls"),
        ({"tls": []}, "tls"),
        ({"sender": ""}, "sender"),
        ({"sender": "a@b.c, d@e.f"}, "sender"),
        ({"username": "a\nb"}, "username"),
        ({"username": None}, "username"),
        ({"password": "x" * 501}, "password"),
        ({"password": 5}, "password"),
    ],
    ids=str,
)
def test_setting_that_cannot_be_is_refused_at_its_field(
    preferences: Preferences, change: dict[str, Any], expected: str
) -> None:
    with pytest.raises(BackendError) as caught:
        preferences.set_smtp(SmtpInput(**{**vars(OPS), **change}))

    assert [fault.field for fault in caught.value.faults] == [expected]
    assert preferences.smtp_view() is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "smtp://user:p%40ss@mail.example:2525?tls=tls&from=a@b.c",
            Smtp("mail.example", 2525, "tls", "a@b.c", "user", "p@ss"),
        ),
        ("smtp://mail.example", Smtp("mail.example", 587, "starttls", "Pulsewire <pulsewire@mail.example>")),
        ("smtps://mail.example?from=a@b.c", Smtp("mail.example", 465, "tls", "a@b.c")),
        ("smtp://127.0.0.1:1025?from=a@b.c", Smtp("127.0.0.1", 1025, "none", "a@b.c")),
        ("smtp://localhost:1025?tls=none&from=Ops%20%3Ca@b.c%3E", Smtp("localhost", 1025, "none", "Ops <a@b.c>")),
    ],
    ids=["whole", "short", "smtps", "loopback", "display name"],
)
def test_server_of_the_environment_is_used_until_one_is_set(database: Database, url: str, expected: Smtp) -> None:
    preferences = Preferences(database, SecretBox(KEY), url)

    assert preferences.smtp() == expected
    assert (preferences.smtp_view() or {})["source"] == "environment"
    assert "password" not in (preferences.smtp_view() or {})
    preferences.set_smtp(OPS)
    assert (preferences.smtp() or expected).host == "smtp.example.com"
    preferences.clear_smtp()
    assert preferences.smtp() == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://hidden@x",
        "smtp://",
        "smtp://a:99999",
        "smtp://a?tls=yes",
        "smtp://a?x=1",
        "smtp://a?from=b",
        "mail",
        "smtp://[a",
    ],
)
def test_url_that_is_none_is_refused_without_showing_it(database: Database, url: str) -> None:
    with pytest.raises(BackendError, match="PULSEWIRE_SMTP_URL is not like") as caught:
        Preferences(database, SecretBox(KEY), url)

    assert "hidden" not in str(caught.value)


async def test_testing_without_a_server_says_so(preferences: Preferences) -> None:
    with pytest.raises(MailRefused, match="No mail server is set"):
        await preferences.test_smtp("a@b.c")
