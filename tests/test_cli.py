from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from backend.audit import Audit
from runtime import outbox
from runtime.cli import app
from runtime.settings import Settings
from storage.database import Database
from tests.operators import OWNER, signed_in

Run = Callable[..., Result]
START_S = 60  # generous: other work may share the machine


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PULSEWIRE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PULSEWIRE_SECRET_KEY", "never-show-this-key")
    return tmp_path / "data"


@pytest.fixture
def run(data_dir: Path) -> Run:
    def run(*arguments: object, status: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        assert result.exit_code == status, result.output + repr(result.exception)
        return result

    return run


@pytest.fixture
def file(tmp_path: Path, document: Callable[..., dict[str, Any]]) -> Path:
    path = tmp_path / "greet.json"
    path.write_text(json.dumps(document()))
    return path


def test_created_key_is_printed_alone(run: Run):
    key = run("keys", "create", "ci").stdout

    assert key.startswith("pw_")
    assert key == key.strip() + "\n"
    (listed,) = json.loads(run("keys", "list", "--json").stdout)
    assert listed["name"] == "ci"
    assert key.strip() not in run("keys", "list").stdout
    run("keys", "delete", listed["id"])
    assert json.loads(run("keys", "list", "--json").stdout) == []


def test_secret_of_a_credential_is_read_and_never_told(run: Run, data_dir: Path):
    run(
        "credentials",
        "create",
        "Shop",
        "--kind",
        "hmac",
        "--header",
        "X-Sign",
        "--host",
        "a.example.com",
        stdin="s3cret-77\n",
    )
    refused = run("credentials", "create", "Shop", "--kind", "bearer", stdin="s3cret-78", status=1)
    shown = run("credentials", "list").stdout + run("credentials", "list", "--json").stdout
    run("credentials", "delete", "shop")

    assert "a.example.com" in shown
    assert "s3cret" not in shown + refused.output
    assert "credential.name_taken" in refused.stderr
    assert json.loads(run("credentials", "list", "--json").stdout) == []


def test_flow_leaves_and_comes_back(run: Run, file: Path, document: Callable[..., dict[str, Any]]):
    assert run("flow", "import", file).stdout == "greet\n"
    assert "version 1 is live" in run("flow", "publish", "greet").stdout
    exported = run("flow", "export", "greet").stdout
    run("flow", "unpublish", "greet")
    run("flow", "delete", "greet", "--yes")

    assert run("flow", "import", "-", stdin=exported).stdout == "greet\n"
    shown = json.loads(run("flow", "show", "greet", "--json").stdout)
    assert shown["draft"] == json.loads(exported) == document()
    assert [flow["id"] for flow in json.loads(run("flow", "list", "--json").stdout)] == ["greet"]


def test_node_gets_another_id(run: Run, file: Path):
    run("flow", "import", file)

    assert run("flow", "rename-node", "greet", "large", "is_large").stdout == "Greet: the node is “is_large” now\n"
    assert "is_large" in run("flow", "show", "greet").stdout
    assert "[node.id_duplicate]" in run("flow", "rename-node", "greet", "is_large", "start", status=1).stderr


def test_a_live_flow_shows_when_it_is_due(run: Run, file: Path, document: Callable[..., dict[str, Any]]):
    daily = {"id": "daily", "type": "on_schedule", "name": "Daily", "params": {"cron": "0 9 * * *"}}
    file.write_text(json.dumps(document(nodes=[daily, *document()["nodes"]])))
    run("flow", "import", file)
    run("flow", "publish", "greet")

    shown = run("flow", "show", "greet").stdout

    assert re.search(r"^daily +\S+T09:00:00Z +-$", shown, re.MULTILINE)


def test_a_flow_is_paused_and_resumed_with_or_without_what_waits(run: Run, file: Path, data_dir: Path):
    run("flow", "import", file)
    run("flow", "publish", "greet")

    assert run("flow", "pause", "greet").stdout == "Greet: paused\n"
    database = Database(Settings().url)
    with database.write() as session:
        outbox.record(session, "shop.order_paid", {"total": 1})
    assert "1 run waits" in run("flow", "show", "greet").stdout
    assert json.loads(run("flow", "list", "--json").stdout)[0]["queued"] == 1
    assert run("flow", "resume", "greet", "--queue", "discard").stdout == "Greet: live\n"
    assert json.loads(run("flow", "show", "greet", "--json").stdout)["queued"] == 0
    run("flow", "resume", "greet", "--queue", "later", status=2)
    database.dispose()


def test_check_needs_no_installation(run: Run, file: Path, data_dir: Path, document: Callable[..., dict[str, Any]]):
    unfinished = document()
    unfinished["nodes"][1]["params"] = {}
    bad = file.with_name("bad.json")
    bad.write_text(json.dumps(unfinished))

    assert run("flow", "check", file).stderr == ""
    (line,) = run("flow", "check", file, bad, status=1).stderr.splitlines()

    assert re.match(rf"{re.escape(str(bad))}:1:\d+: large\.if: ", line)
    assert line.endswith("[param.missing]")
    assert not data_dir.exists()


def test_problems_and_answers_come_as_json_for_programs(run: Run, file: Path, document: Callable[..., dict[str, Any]]):
    broken = document("broken")
    broken["nodes"][1]["params"] = {}
    file.write_text(json.dumps(broken))

    (problem,) = json.loads(run("flow", "check", file, "--json", status=1).stdout)["problems"]
    imported = json.loads(run("flow", "import", file, "--json").stdout)
    file.write_text(json.dumps(document()))
    sound = json.loads(run("flow", "check", file, "--json").stdout)
    run("flow", "import", file)

    assert (problem["code"], problem["node"], problem["param"]) == ("param.missing", "large", "if")
    assert (imported["id"], [each["code"] for each in imported["problems"]]) == ("broken", ["param.missing"])
    assert sound == {"problems": []}
    assert json.loads(run("flow", "publish", "greet", "--json").stdout)["published_version"] == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "other"}'])
def test_file_that_is_no_flow_is_told(run: Run, file: Path, text: str):
    file.write_text(text)

    for command in ("check", "test", "import"):
        assert run("flow", command, file, status=1).stderr.count("\n") == 1


def test_file_is_tested_without_a_server(run: Run, file: Path, data_dir: Path):
    result = json.loads(run("flow", "test", file, "--sample", "large", "--json").stdout)
    told = run("flow", "test", file, "--payload", "-", stdin='{"total": "many"}', status=1).stdout

    assert result["steps"][2]["output"] == {"text": "Thanks for 120"}
    assert "large  failed" in told
    assert not data_dir.exists()


def test_what_is_not_there_is_told_in_one_line(run: Run):
    for command in (
        ("flow", "show", "nowhere"),
        ("run", "show", 7),
        ("table", "show", "nowhere"),
        ("keys", "delete", 7),
        ("credentials", "delete", "nowhere"),
    ):
        assert run(*command, status=1).stderr.count("\n") == 1
    assert run("flow", "import", "/nowhere.json", status=1).stderr == "/nowhere.json: No such file or directory.\n"
    assert "engine" in run("event", "emit", "a", status=1).stderr


def test_config_masks_secrets(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PULSEWIRE_SMTP_URL", "smtp://user:hunter2@mail.example.com")
    monkeypatch.setenv("PULSEWIRE_DATABASE_URL", "postgresql://user:hunter2@db.example.com/pulsewire")

    shown = run("config").stdout + run("config", "--json").stdout

    assert "never-show-this-key" not in shown
    assert "hunter2" not in shown
    assert "PULSEWIRE_PORT=8080" in shown


def test_wrong_setting_is_told_by_its_name(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PULSEWIRE_PORT", "eighty")

    assert run("config", status=1).stderr.startswith("PULSEWIRE_PORT must be a whole number")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("PULSEWIRE_WORKERS", "2", "one engine process"),
        ("PULSEWIRE_WORKERS", "0", "at least 1"),
        ("PULSEWIRE_ALLOW_HOSTS", "erp.internal,:::", "':::' is no host or host:port"),
        ("PULSEWIRE_BASE_URL", "flows.example.com", "https://flows.example.com"),
        ("PULSEWIRE_PORT", "65536", "at most 65535"),
    ],
)
def test_setting_that_cannot_be_is_refused_at_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
):
    monkeypatch.setenv(name, value)

    refused = run("serve", status=1).stderr

    assert refused.startswith(f"{name} ")
    assert told in refused
    assert refused.count("\n") == 1


def test_directory_that_cannot_be_made_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PULSEWIRE_DATA_DIR", str(tmp_path / "file"))

    for command in (("keys", "create", "ci"), ("flow", "list")):
        assert "cannot be made: File exists" in run(*command, status=1).stderr
    assert "fault  data directory" in run("doctor", status=1).stdout


def test_data_directory_is_for_its_owner(run: Run, data_dir: Path):
    run("keys", "create", "ci")

    assert data_dir.stat().st_mode & 0o777 == 0o700


def test_database_of_another_kind_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PULSEWIRE_DATABASE_URL", "postgresql://localhost/pulsewire")

    assert "SQLite" in run("flow", "list", status=1).stderr


def test_backup_is_whole_and_overwrites_nothing(run: Run, file: Path, tmp_path: Path):
    run("flow", "import", file)
    copy = tmp_path / "copy.db"

    run("backup", copy)
    refused = run("backup", copy, status=1)

    database = sqlite3.connect(copy)
    assert database.execute("SELECT id FROM flow").fetchall() == [("greet",)]
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert "exists" in refused.stderr
    assert sorted(path.name for path in tmp_path.glob("*copy*")) == ["copy.db"]


def test_doctor_looks_and_changes_nothing(run: Run, data_dir: Path):
    assert "does not exist yet" in run("doctor").stdout
    assert not data_dir.exists()

    run("keys", "create", "ci")
    levels = {each["what"]: each["level"] for each in json.loads(run("doctor", "--json").stdout)}

    assert levels["database"] == levels["secret key"] == levels["space"] == levels["retention"] == "ok"
    assert levels["engine"] == "note"


def test_doctor_finds_a_damaged_database(run: Run, data_dir: Path):
    run("keys", "create", "ci")
    (data_dir / "pulsewire.db").write_bytes(b"damaged" * 10_000)

    assert "fault  database" in run("doctor", status=1).stdout


def test_tables_go_in_and_out(run: Run, tmp_path: Path, data_dir: Path):
    from backend.datahub import Column
    from runtime.app import build_app
    from runtime.settings import Settings

    installation = build_app(Settings(data_dir=data_dir))
    installation.service.tables.create("orders", [Column("number", "integer")])
    installation.service.database.dispose()

    assert run("table", "import", "orders", "-", stdin="number\n1\n2\n").stdout == "2 rows added\n"
    assert [line.split(",")[1] for line in run("table", "export", "orders").stdout.splitlines()] == ["number", "1", "2"]
    assert run("table", "clear", "orders", "--yes").stdout == "2 rows deleted\n"
    assert json.loads(run("table", "list", "--json").stdout)[0]["row_count"] == 0


@pytest.mark.parametrize(
    "imported", ["nicegui", "fastapi", "uvicorn", "sqlalchemy", "networkx", "editor.app", "pydantic"]
)
def test_help_is_quick_because_little_is_imported(imported: str):
    code = f"import sys, runtime.cli; sys.exit({imported!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def server(data_dir: Path) -> Iterator[str]:
    """A whole installation, served on a free port; its address."""
    port = free_port()
    command = [sys.executable, "-m", "runtime.cli", "serve", "--port", str(port)]
    environment = os.environ.copy()
    environment.pop("PYTEST_CURRENT_TEST", None)  # NiceGUI looks for it, and would leave its processes behind
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"Pulsewire is ready: http://127.0.0.1:{port}\n"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(START_S) == 0
        process.stdout.close()


def test_operators_are_invited_listed_and_let_go(run: Run):
    invited = run("operators", "invite", "eve@example.com", "--role", "viewer").stdout.strip()
    run("operators", "role", "EVE@example.com", "editor")
    run("operators", "disable", "eve@example.com")
    (disabled,) = json.loads(run("operators", "list", "--json").stdout)
    run("operators", "link", "eve@example.com", status=1)
    run("operators", "enable", "eve@example.com")
    again = run("operators", "link", "eve@example.com").stdout.strip()

    assert invited.startswith("http://127.0.0.1:8080/invitation?token=")
    assert again.startswith("http://127.0.0.1:8080/invitation?token=")
    assert again != invited
    assert {key: disabled[key] for key in ("email", "role", "invited", "disabled")} == {
        "email": "eve@example.com",
        "role": "editor",
        "invited": True,
        "disabled": True,
    }
    listed = run("operators", "list").stdout
    assert "eve@example.com  editor  invited  never" in listed
    assert invited.rpartition("=")[2] not in listed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("invite", "eve"), "not exactly one address"),
        (("invite", "eve@example.com", "--role", "boss"), "viewer, editor, owner"),
        (("role", "nobody@example.com", "owner"), "no operator “nobody@example.com”"),
        (("disable", "nobody@example.com"), "no operator “nobody@example.com”"),
    ],
)
def test_wrong_words_about_operators_are_told(run: Run, words: tuple[str, ...], told: str):
    assert told in run("operators", *words, status=1).stderr


def test_link_sets_up_the_first_owner_and_lets_them_in_again(run: Run, data_dir: Path):
    first = run("operators", "link").stdout.strip()
    database = Database(Settings(data_dir=data_dir).url)
    signed_in(database)

    refused = run("operators", "link", status=1).stderr
    again = run("operators", "link", OWNER).stdout.strip()
    noted = [entry.action for entry in Audit(database).list().items]
    database.dispose()

    assert first.startswith("http://127.0.0.1:8080/set-up?token=")
    assert "There is an owner already" in refused
    assert again.startswith("http://127.0.0.1:8080/invitation?token=")
    assert noted == ["operator.link", "operator.set_up_link"]


@pytest.mark.faults
@pytest.mark.timeout(180)
def test_served_installation_works_for_command_and_api(server: str, run: Run, file: Path):
    key = run("keys", "create", "ci").stdout.strip()
    run("flow", "import", file)
    run("flow", "publish", "greet")
    simulated = json.loads(run("flow", "test", "greet", "--json").stdout)
    event = json.loads(
        run("event", "emit", "shop.order_paid", "--payload", "-", "--json", stdin='{"total": 120}').stdout
    )

    with httpx.Client(base_url=server, headers={"Authorization": f"Bearer {key}"}) as client:
        until = time.monotonic() + START_S
        while (seen := client.get(f"/api/runs/{event['runs'][0]}").json())["status"] not in ("succeeded", "failed"):
            assert time.monotonic() < until
        ready = client.get("/readyz")
        page = client.get("/", headers={"Accept": "text/html"})

    assert (simulated["status"], simulated["is_simulated"]) == ("succeeded", True)
    assert seen["status"] == "succeeded"
    assert run("run", "show", event["runs"][0]).stdout.startswith(f"Run {event['runs'][0]} of greet: succeeded")
    assert (ready.status_code, page.status_code, page.headers["Location"]) == (200, 303, "/sign-in")
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "ok    engine" in run("doctor").stdout
