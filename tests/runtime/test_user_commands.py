from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from runtime.cli import app
from storage.database import Database

Run = Callable[..., Result]
PASSWORD = "nine lives 9"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_database: Callable[[Path], Database]) -> Run:
    monkeypatch.setenv("PULSEWIRE_DATA_DIR", str(tmp_path / "data"))
    new_database(tmp_path / "data").dispose()

    def run(*arguments: str, status: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, ["users", *arguments], input=stdin)
        assert result.exit_code == status, result.output + repr(result.exception)
        return result

    return run


def shown(run: Run, user: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("show", user).stdout)
    return found


def test_user_is_made_listed_blocked_and_deleted(run: Run):
    made = run("create", "anna@example.com", "--first-name", "Anna", "--verified").stdout.strip()
    run("create", "ben@example.com")

    assert shown(run, made) == shown(run, "ANNA@example.com")
    assert "anna@example.com  Anna" in run("list", "--search", "anna").stdout
    assert [user["email"] for user in json.loads(run("list", "--unverified", "--json").stdout)] == ["ben@example.com"]
    assert "anna@example.com is blocked" in run("block", made).stdout
    assert [user["email"] for user in json.loads(run("list", "--blocked", "--json").stdout)] == ["anna@example.com"]
    run("unblock", made)
    assert not shown(run, made)["blocked"]
    assert "Nothing was deleted" in run("delete", made, stdin="n\n", status=1).output
    assert "is deleted" in run("delete", made, "--yes").stdout
    assert "no such user" in run("show", made, status=1).output


def test_password_is_asked_for_and_never_printed(run: Run):
    made = run("create", "anna@example.com", "--password", stdin=f"{PASSWORD}\n{PASSWORD}\n")
    weak = run("create", "ben@example.com", "--password", stdin="password1\npassword1\n", status=1)

    assert PASSWORD not in made.output
    assert "one of the most common" in weak.output
    assert len(json.loads(run("list", "--json").stdout)) == 1


def test_refusal_is_told(run: Run):
    run("create", "anna@example.com")

    assert "Another user has this address" in run("create", "Anna@example.com", status=1).output
    assert "There is no role called" in run("create", "ben@example.com", "--role", "Admin", status=1).output
    assert "not exactly one address" in run("create", "ben", status=1).output


def test_cut_list_says_so(run: Run):
    for name in ("anna", "ben", "carl"):
        run("create", f"{name}@example.com")

    assert "2 of 3" in run("list", "--limit", "2").stderr
