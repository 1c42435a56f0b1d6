"""``pulsewire backup`` and ``pulsewire restore``, as somebody types them."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import Result

from backend.preferences import SmtpInput
from runtime import open_lock
from runtime.app import build_service, open_database
from runtime.link import EngineLink
from runtime.settings import Settings

Run = Callable[..., Result]


@pytest.fixture
def used(data_dir: Path, run: Run) -> Path:
    """An installation with a locked password, and its database."""
    settings = Settings()
    database = open_database(settings)
    service = build_service(settings, database, EngineLink(data_dir))
    smtp = SmtpInput(host="smtp.example.com", sender="a@example.com", username="u", password="hidden-word")
    service.preferences.set_smtp(smtp)
    service.passwords.close()
    database.dispose()
    return database.path


def keys_in(run: Run) -> list[str]:
    return [line.split()[1] for line in run("keys", "list").stdout.splitlines()[1:]]


def test_backup_tells_its_size_and_where_the_key_is(run: Run, used: Path, tmp_path: Path) -> None:
    made = run("backup", tmp_path / "b.db")

    size = (tmp_path / "b.db").stat().st_size
    assert f"b.db: {size:,} bytes, checked" in made.stdout
    assert str(used.with_name("secret.key")) in made.stderr
    with closing(sqlite3.connect(used)) as raw:
        assert raw.execute("SELECT action FROM audit_entry").fetchall() == [("settings.backup",)]


def test_backup_with_its_key_is_two_files_for_their_owner_only(run: Run, used: Path, tmp_path: Path) -> None:
    made = run("backup", "--with-key", tmp_path / "b.db")

    assert (tmp_path / "b.db.key").read_text() == used.with_name("secret.key").read_text()
    assert stat.S_IMODE((tmp_path / "b.db.key").stat().st_mode) == 0o600
    assert "hidden-word" not in made.output
    assert used.with_name("secret.key").read_text().strip() not in made.output


@pytest.mark.parametrize("existing", ["b.db", "b.db.key"])
def test_backup_replaces_files_only_when_told_to(run: Run, used: Path, tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("a letter")

    refused = run("backup", "--with-key", tmp_path / "b.db", status=1)
    before = sorted(path.name for path in tmp_path.iterdir())
    run("backup", "--with-key", "--force", tmp_path / "b.db")

    assert f"{existing} exists" in refused.stderr
    assert before == sorted([existing, "data"])
    assert (tmp_path / existing).read_bytes() != b"a letter"


def test_backup_onto_standard_output_or_the_database_itself_is_refused(run: Run, used: Path) -> None:
    assert "A backup is a file" in run("backup", "-", status=1).stderr
    assert "the database itself" in run("backup", "--force", used, status=1).stderr
    assert "the database itself" in run("restore", used, status=1).stderr
    assert run("keys", "list").exit_code == 0


def test_backup_into_a_folder_that_is_not_there_says_so(run: Run, used: Path, tmp_path: Path) -> None:
    refused = run("backup", tmp_path / "nowhere" / "copy.db", status=1)

    assert refused.stderr == f"There is no folder {tmp_path / 'nowhere'}. Make it first.\n"


def test_restore_brings_back_what_the_backup_has_and_keeps_the_present(run: Run, used: Path, tmp_path: Path) -> None:
    run("keys", "create", "old")
    run("backup", tmp_path / "b.db")
    run("keys", "create", "new")

    done = run("restore", tmp_path / "b.db")

    assert keys_in(run) == ["old"]
    (kept,) = used.parent.glob("pulsewire.db.before-restore-*")
    assert str(kept) in done.stdout
    assert "cannot be opened" not in done.stdout


def test_restore_is_refused_while_anybody_has_the_database_open(run: Run, used: Path, tmp_path: Path) -> None:
    run("backup", tmp_path / "b.db")
    before = used.read_bytes()

    lock = open_lock.share(used)
    refused = run("restore", tmp_path / "b.db", status=1)
    os.close(lock)

    assert "Stop it first; nothing was changed" in refused.stderr
    assert used.read_bytes() == before
    run("restore", tmp_path / "b.db")


def test_nobody_opens_the_database_while_it_is_restored(run: Run, used: Path) -> None:
    lock = open_lock.alone(used)
    assert lock is not None

    refused = run("keys", "list", status=1)
    os.close(lock)

    assert "is being restored" in refused.stderr
    run("keys", "list")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """Let commands work on another, empty data directory."""

    def move() -> Path:
        monkeypatch.setenv("PULSEWIRE_DATA_DIR", str(tmp_path / "elsewhere"))
        return tmp_path / "elsewhere"

    return move


def test_restore_elsewhere_without_the_key_tells_what_stays_locked(
    run: Run, used: Path, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    run("backup", tmp_path / "b.db")
    new = elsewhere()

    done = run("restore", tmp_path / "b.db")

    assert f"put your copy of it to {new / 'secret.key'}" in done.stdout
    assert "stay locked: the mail server's password" in done.stdout
    assert not (new / "secret.key").exists()


def test_restore_elsewhere_takes_the_key_beside_the_backup(
    run: Run, used: Path, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    run("backup", "--with-key", tmp_path / "b.db")
    new = elsewhere()

    done = run("restore", tmp_path / "b.db")

    assert "locked" not in done.stdout
    assert (new / "secret.key").read_text() == used.with_name("secret.key").read_text()
    assert stat.S_IMODE((new / "secret.key").stat().st_mode) == 0o600


def test_another_key_is_told_and_given_up_only_when_asked_for(
    run: Run, used: Path, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    run("backup", "--with-key", tmp_path / "b.db")
    new = elsewhere()
    run("keys", "create", "of the new one")
    own = (new / "secret.key").read_text()

    first = run("restore", tmp_path / "b.db")
    kept_own = (new / "secret.key").read_text()
    second = run("restore", "--with-key", tmp_path / "b.db")

    assert "another one than when the backup was made" in first.stdout
    assert "cannot be opened: the mail server's password" in first.stdout
    assert kept_own == own
    assert "cannot be opened" not in second.stdout
    assert (new / "secret.key").read_text() == used.with_name("secret.key").read_text()
    (aside,) = new.glob("secret.key.before-restore-*")
    assert aside.read_text() == own


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.db"], "There is no file"),
        (["README.md"], "no database"),
        (["--with-key", "README.md"], "README.md.key"),
    ],
)
def test_restore_of_what_is_no_backup_says_so(run: Run, used: Path, arguments: list[str], words: str) -> None:
    before = used.read_bytes()

    refused = run("restore", *arguments, status=1)

    assert words in refused.stderr
    assert used.read_bytes() == before


def test_doctor_tells_of_backups_rules_and_room(run: Run, used: Path, tmp_path: Path) -> None:
    before = run("doctor").stdout
    run("backup", tmp_path / "b.db")
    with closing(sqlite3.connect(used)) as raw, raw:
        rules = '{"keep_days": 7.5, "keep_runs": null, "keep_mb": 1000000}'
        raw.execute("INSERT INTO setting (key, value, updated_at) VALUES ('retention', ?, 0)", (rules,))
    after = run("doctor").stdout
    with closing(sqlite3.connect(used)) as raw, raw:
        raw.execute("UPDATE setting SET value = '{}' WHERE key = 'retention'")

    assert "note  backup          None was made yet" in before
    assert "of each flow 30 days or 100,000 runs or 1,000 MB, whichever is less; 0 flows" in before
    assert "ok    backup          20" in after
    assert "of each flow 7.5 days or 1,000,000 MB" in after
    assert "auto_vacuum: free pages go back to the disk" in after
    assert "note  retention       Runs are kept for ever" in run("doctor").stdout
