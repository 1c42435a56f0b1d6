from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import Session

from backend.errors import BackendError
from backend.hosted import REMEMBERED_S, Hosted, HostedPages, logo_from
from storage.database import Database
from storage.errors import StorageBusy
from storage.tables import Setting

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
LOGO = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
CHOSEN = Hosted(
    is_on=False,
    allow_sign_up=False,
    callback_url="https://app.example.com/welcome?from=sign-up",
    name="Example & Söhne",
    logo=LOGO,
    colour="#00Ff7f",
    web_origins=("https://app.example.com", "http://localhost:3000"),
)


def codes(caught: pytest.ExceptionInfo[BackendError]) -> list[tuple[str, str | None]]:
    return [(fault.code, fault.field) for fault in caught.value.faults]


def test_pages_are_on_until_someone_says_otherwise(hosted: HostedPages):
    assert hosted.read() == Hosted(is_on=True, allow_sign_up=True, callback_url="", web_origins=())


def test_settings_are_kept(hosted: HostedPages, database: Database):
    assert hosted.save(CHOSEN) == CHOSEN

    assert hosted.read() == HostedPages(database).read() == CHOSEN
    assert CHOSEN.as_json() == vars(CHOSEN) | {"web_origins": [*CHOSEN.web_origins]}


def test_what_another_process_saved_is_seen_within_a_second(database: Database):
    now_s = 100.0
    hosted = HostedPages(database, now_s=lambda: now_s)
    assert hosted.read().is_on
    HostedPages(database).save(CHOSEN)

    now_s += REMEMBERED_S / 2
    assert hosted.read().is_on
    now_s += REMEMBERED_S / 2
    assert hosted.read() == CHOSEN
    assert REMEMBERED_S < 1


def test_settings_stay_as_they_were_while_the_database_is_locked(database: Database, monkeypatch: pytest.MonkeyPatch):
    now_s = 100.0
    hosted = HostedPages(database, now_s=lambda: now_s)
    hosted.save(CHOSEN)
    database.dispose()
    monkeypatch.setattr("storage.database.BUSY_TIMEOUT_S", 0.01)

    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE").fetchone()
        other.execute("BEGIN EXCLUSIVE")
        now_s += REMEMBERED_S
        assert hosted.read() == CHOSEN
        with pytest.raises(StorageBusy):
            HostedPages(database).read()  # knows nothing yet


def test_what_was_read_before_a_save_does_not_undo_it(database: Database):
    class Slow(Database):
        """Answers a reader only after somebody has saved."""

        @contextmanager
        def read(self) -> Iterator[Session]:
            with super().read() as session:
                session.connection()
                session.get(Setting, "hosted_pages")  # the view of the data is as it was now
                if not saved:
                    saved.append(hosted.save(CHOSEN))
                yield session

    saved: list[Hosted] = []
    slow = Slow(f"sqlite:///{database.path}")
    hosted = HostedPages(slow)

    assert hosted.read() == CHOSEN
    assert hosted.read() == CHOSEN
    slow.dispose()


def test_every_fault_is_told_and_nothing_kept(hosted: HostedPages):
    hosted.save(CHOSEN)
    wrong = Hosted(
        is_on=1,  # type: ignore[arg-type]
        callback_url="javascript:alert(1)",
        name="x" * 101,
        logo="https://example.com/logo.png",
        colour="red",
        web_origins=("*", "https://ok.example.com"),
    )

    with pytest.raises(BackendError) as caught:
        hosted.save(wrong)

    assert codes(caught) == [
        ("hosted.switch_invalid", "is_on"),
        ("hosted.callback_invalid", "callback_url"),
        ("hosted.name_invalid", "name"),
        ("hosted.logo_invalid", "logo"),
        ("hosted.colour_invalid", "colour"),
        ("hosted.origin_invalid", "web_origins[0]"),
    ]
    assert hosted.read() == CHOSEN


@pytest.mark.parametrize(
    "url",
    [
        "//evil.example",
        "/welcome",
        "\\\\evil.example",
        "https:\\evil.example",
        "https://",
        "https:///path",
        "https:example.com",
        "javascript:alert(1)",
        " java\tscript:alert(1)",
        "data:text/html,x",
        "ftp://example.com",
        "https://user@example.com",
        "https://app.example.com@evil.example/",
        "https://app.example.com\r\nSet-Cookie: a=b",
        "https://exa mple.com",
        'https://example.com/"><script>',
        "https://example.com:99999/",
        "https://[::1",
        "https://example.com/\0",
        "https://example.com/\ud800",
        "https://example.com/" + "x" * 2_000,
        None,
        7,
    ],
)
def test_callback_is_a_whole_web_address(hosted: HostedPages, url: Any):
    with pytest.raises(BackendError) as caught:
        hosted.save(Hosted(callback_url=url))

    assert codes(caught) == [("hosted.callback_invalid", "callback_url")]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://app.example.com",
        "http://localhost:3000/done#here",
        " https://example.com/ä ",
        "HTTPS://EXAMPLE.com",
    ],
)
def test_callback_is_kept_as_entered(hosted: HostedPages, url: str):
    assert hosted.save(Hosted(callback_url=url)).callback_url == url.strip()


@pytest.mark.parametrize(
    ("entered", "kept"),
    [
        ("https://App.Example.com/", "https://app.example.com"),
        (" https://app.example.com:443 ", "https://app.example.com"),
        ("http://app.example.com:80", "http://app.example.com"),
        ("https://app.example.com:80", "https://app.example.com:80"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://Müller.example:8443", "https://xn--mller-kva.example:8443"),
    ],
)
def test_origin_is_kept_as_browsers_send_it(hosted: HostedPages, entered: str, kept: str):
    assert hosted.save(Hosted(web_origins=(entered, kept))).web_origins == (kept,)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "",
        "app.example.com",
        "https://*.example.com",
        "https://app.example.com/path",
        "https://app.example.com?x",
        "https://a@b.example",
        "https://a b",
        "https://",
        "chrome-extension://abc",
        "file://",
        None,
    ],
)
def test_origin_is_exactly_one_site(hosted: HostedPages, origin: Any):
    with pytest.raises(BackendError) as caught:
        hosted.save(Hosted(web_origins=("https://app.example.com", origin)))

    assert codes(caught) == [("hosted.origin_invalid", "web_origins[1]")]


def test_not_every_site_can_be_named(hosted: HostedPages):
    origins = tuple(f"https://app{index}.example.com" for index in range(21))

    with pytest.raises(BackendError, match="At most 20"):
        hosted.save(Hosted(web_origins=origins))
    assert len(hosted.save(Hosted(web_origins=origins[:20])).web_origins) == 20


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (PNG, "png"),
        (b"\xff\xd8\xff\xe0" + b"x" * 30, "jpeg"),
        (b"RIFF\n\0\0\0WEBPVP8 ", "webp"),
        (PNG.ljust(200_000), "png"),
    ],
    ids=["png", "jpeg", "webp", "the largest"],
)
def test_picture_becomes_a_logo(hosted: HostedPages, raw: bytes, kind: str):
    logo = logo_from(raw)

    assert logo.startswith(f"data:image/{kind};base64,")
    assert hosted.save(replace(CHOSEN, logo=logo)).logo == logo


@pytest.mark.parametrize(
    "raw",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", b"GIF89a", b" " + PNG, PNG.ljust(200_001)],
    ids=["nothing", "svg", "gif", "not from the start", "too large"],
)
def test_other_files_are_no_logo(raw: bytes):
    with pytest.raises(BackendError, match="at most 200 kB"):
        logo_from(raw)


@pytest.mark.parametrize(
    "logo",
    [
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:image/jpeg;base64," + base64.b64encode(PNG).decode(),
        "data:image/png;base64,!!!!",
        "data:image/png;base64,A",
        LOGO + '" onerror="alert(1)',
        "javascript:alert(1)",
        "data:image/png;base64," + base64.b64encode(PNG.ljust(200_001)).decode(),
        7,
    ],
)
def test_data_url_that_is_no_such_picture_is_refused(hosted: HostedPages, logo: Any):
    with pytest.raises(BackendError) as caught:
        hosted.save(Hosted(logo=logo))

    assert codes(caught) == [("hosted.logo_invalid", "logo")]


def test_logo_is_not_printed(hosted: HostedPages):
    assert "iVBOR" not in repr(CHOSEN)
