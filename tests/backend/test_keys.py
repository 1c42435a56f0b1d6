from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.errors import BackendError, NotFound
from backend.keys import Keys
from backend.secrets import SecretBox, load_or_create_key
from storage.database import Database


def test_key_is_shown_once_and_only_its_digest_is_stored(database: Database) -> None:
    keys = Keys(database)

    info, text = keys.create(" laptop ")

    assert len(text) == 46
    assert text.startswith("pw_")
    assert info.name == "laptop"
    assert text.startswith(info.prefix)
    assert keys.list() == [info]
    database.dispose()
    assert database.path
    assert text.encode() not in b"".join(path.read_bytes() for path in database.path.parent.iterdir())


def test_key_is_found_again_and_its_use_noted_once_a_minute(database: Database) -> None:
    now = datetime(2024, 5, 3, tzinfo=UTC)
    keys = Keys(database, clock=lambda: now)
    info, text = keys.create("laptop")

    assert keys.verify(text) == info
    assert keys.list()[0].last_used_at == now
    now += timedelta(seconds=59)
    keys.verify(text)
    assert keys.list()[0].last_used_at == now - timedelta(seconds=59)
    now += timedelta(seconds=1)
    keys.verify(text)
    assert keys.list()[0].last_used_at == now


def test_deleted_key_opens_nothing(database: Database) -> None:
    keys = Keys(database)
    info, text = keys.create("laptop")

    keys.delete(info.id)

    assert keys.verify(text) is None
    for gone in (info.id, 0, 10**20):
        with pytest.raises(NotFound):
            keys.delete(gone)


@pytest.mark.parametrize("change", [str.lower, str.strip, lambda t: t[:-1], lambda t: t + "x", lambda t: " " + t[1:]])
def test_text_that_is_nearly_a_key_opens_nothing(database: Database, change: object) -> None:
    keys = Keys(database)
    _, text = keys.create("laptop")

    wrong = change(text)  # type: ignore[operator]

    assert (keys.verify(wrong) is None) == (wrong != text)


@pytest.mark.parametrize(
    "text", ["", "pw_", "x" * 1_000_000, "pw_" + "é" * 43, "pw_" + "\ud800" * 43, "pw_" + "\0" * 43]
)
def test_text_that_is_no_key_opens_nothing(database: Database, text: str) -> None:
    assert Keys(database).verify(text) is None


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", None])
def test_key_needs_a_name(database: Database, name: str) -> None:
    with pytest.raises(BackendError) as caught:
        Keys(database).create(name)

    assert [(fault.code, fault.field) for fault in caught.value.faults] == [("key.name_invalid", "name")]


def test_secret_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    key = load_or_create_key(tmp_path / "data", None)

    assert load_or_create_key(tmp_path / "data", None) == key
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]
    assert (tmp_path / "data" / "secret.key").stat().st_mode & 0o777 == 0o600


def test_secret_key_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("a key that was copied here\n")
    (tmp_path / "secret.key").chmod(0o644)

    assert load_or_create_key(tmp_path, None) == "a key that was copied here"
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


def test_configured_secret_key_makes_no_file(tmp_path: Path) -> None:
    assert load_or_create_key(tmp_path, "a configured secret key") == "a configured secret key"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("configured", ["", "short", None])
def test_secret_key_that_is_too_short_is_refused(tmp_path: Path, configured: str | None) -> None:
    (tmp_path / "secret.key").write_text("")

    with pytest.raises(BackendError, match="damaged or too short"):
        load_or_create_key(tmp_path, configured)


def test_box_opens_only_with_its_own_key() -> None:
    box, other = SecretBox("one secret key of ours"), SecretBox("another secret key")

    locked = box.encrypt("pä55\n")

    assert box.decrypt(locked) == "pä55\n"
    assert "5" * 2 + "\n" not in locked
    assert box.encrypt("pä55\n") != locked
    with pytest.raises(BackendError, match="cannot be read"):
        other.decrypt(locked)
    with pytest.raises(BackendError, match="cannot be read"):
        box.decrypt(locked[:-4] + "AAAA")
