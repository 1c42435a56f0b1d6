"""``pulsewire flow check``: what it prints for people, programs and GitHub, and with which status it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from runtime.cli import app

Run = Callable[..., Result]
Make = Callable[..., dict[str, Any]]


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PULSEWIRE_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def check(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, status: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, ["flow", "check", *map(str, arguments)], input=stdin)
        assert result.exit_code == status, result.output + repr(result.exception)
        return result

    return run


def write(name: str, document: dict[str, Any]) -> str:
    Path(name).write_text(json.dumps(document, indent=1), encoding="utf-8")
    return name


def unfinished(document: Make) -> dict[str, Any]:
    made = document()
    made["nodes"][1]["params"] = {"if": ""}
    return made


def warned(document: Make) -> dict[str, Any]:
    made = document()
    made["nodes"].append({"id": "alone", "type": "stop_with_error", "name": "Alone", "params": {"message": "no"}})
    return made


def test_sound_files_say_nothing(check: Run, document: Make, data_dir: Path):
    result = check(write("a.json", document()))

    assert result.output == ""
    assert not data_dir.exists()


def test_problem_is_told_with_its_place(check: Run, document: Make):
    (line,) = check(write("a.json", unfinished(document)), status=1).stderr.splitlines()

    row = Path("a.json").read_text().splitlines()[int(line.split(":")[1]) - 1]
    assert line.startswith("a.json:")
    assert ": large.if: Large?: “If” is empty." in line
    assert line.endswith("[param.missing]")
    assert row[int(line.split(":")[2]) - 1 :] == '""'


def test_place_in_an_expression_is_that_of_the_fault(check: Run, document: Make):
    made = document()
    made["nodes"][2]["params"]["fields"]["text"] = 'Say "hé" {{ $nope }}'

    (problem,) = json.loads(check(write("a.json", made), "--json", status=1).stdout)["problems"]

    row = Path("a.json").read_text().splitlines()[problem["line"] - 1]
    assert row[problem["column"] - 1 :].startswith("$nope }}")


def test_problems_stand_in_the_order_of_the_file(check: Run, document: Make):
    made = document()
    made["nodes"][0]["params"]["event"] = ""
    made["nodes"][1]["params"] = {}
    made["nodes"][2]["params"] = {"fields": {"a": "{{ nope }}"}}

    found = json.loads(check(write("a.json", made), "--json", status=1).stdout)["problems"]

    assert [problem["node"] for problem in found] == ["start", "large", "greet"]
    assert [problem["line"] for problem in found] == sorted(problem["line"] for problem in found)


def test_warnings_alone_are_no_failure_unless_they_shall_be(check: Run, document: Make):
    file = write("a.json", warned(document))

    assert "warning: alone: " in check(file).stderr
    assert "warning: alone: " in check(file, "--strict", status=1).stderr


def test_a_file_without_end_is_told(check: Run):
    told = check("/dev/zero", status=2).stderr

    assert "/dev/zero: The file cannot be read: it has more than 200,000,000 bytes." in told


def test_file_that_cannot_be_read_is_told_and_the_others_are_checked(check: Run, document: Make):
    Path("folder").mkdir()
    files = ["none.json", write("bad.json", unfinished(document)), "folder"]

    result = check(*files, status=2)
    found = json.loads(check(*files, "--format", "json", status=2).stdout)["problems"]

    assert "none.json: The file cannot be read: No such file or directory. [file.unreadable]" in result.stderr
    assert "[param.missing]" in result.stderr
    assert [(problem["file"], problem["code"]) for problem in found] == [
        ("none.json", "file.unreadable"),
        ("bad.json", "param.missing"),
        ("folder", "file.unreadable"),
    ]


def test_text_that_is_no_json_is_told_where_it_ends_to_be(check: Run):
    Path("a.json").write_text('{\n "format": }')

    (problem,) = json.loads(check("a.json", "--format", "json", status=1).stdout)["problems"]

    assert (problem["code"], problem["line"], problem["column"]) == ("document.json_invalid", 2, 12)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 700 + "]" * 700, '{"a": ' + "9" * 5_000 + "}"])
def test_text_that_cannot_be_read_whole_is_told_too(check: Run, text: str):
    Path("a.json").write_text(text)

    (problem,) = json.loads(check("a.json", "--format", "json", status=1).stdout)["problems"]

    assert problem["code"].startswith("document.")
    assert (problem["line"], problem["column"]) == (1, 1)


def test_standard_input_is_a_file_too(check: Run, document: Make):
    assert check("-", stdin=json.dumps(document())).output == ""
    assert check("-", "--format", "github", stdin="{", status=1).stdout.startswith("::error line=1,col=2,title=")


def test_github_is_told_in_workflow_commands(check: Run, document: Make):
    made = document()
    made["nodes"][1] |= {"name": "100 % sure", "params": {"if": ""}}
    file = write("a,b:c%.json", made)

    (line,) = check(file, "--format", "github", status=1).stdout.splitlines()

    head, message = line.removeprefix("::error ").split("::", 1)
    assert line.startswith("::error ")
    assert head.startswith("file=a%2Cb%3Ac%25.json,line=")
    assert head.endswith(",title=param.missing")
    assert message.startswith("100 %25 sure: “If” is empty.")


def test_github_is_told_of_warnings(check: Run, document: Make):
    assert check(write("a.json", warned(document)), "--format", "github").stdout.startswith("::warning file=a.json,")


def test_lines_of_a_name_cannot_become_commands(check: Run, document: Make):
    made = document()
    made["nodes"][1]["params"] = {"if": "{{ $param.x }}", "\r\n::error::x": 1}

    (line,) = check(write("a.json", made), "--format", "github", status=1).stdout.splitlines()

    assert "param.unknown" in line


def test_installation_knows_tables(check: Run, document: Make):
    made = document()
    made["nodes"][2] = {"id": "greet", "type": "find_rows", "name": "Find", "params": {"table": "orders"}}
    file = write("a.json", made)

    assert check(file).output == ""
    assert "[param.table_unknown]" in check(file, "--installation", status=1).stderr


def test_files_are_checked_together(check: Run, document: Make):
    orders, stock = document("orders"), document("stock")
    for made, event in ((orders, "shop.stock_low"), (stock, "shop.order_paid")):
        made["nodes"][2] = {"id": "greet", "type": "emit_event", "name": "Tell", "params": {"name": event}}
    stock["nodes"][0]["params"]["event"] = "shop.stock_low"
    files = [write("orders.json", orders), write("stock.json", stock)]

    assert check(files[0]).output == ""
    lines = check(*files).stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["orders.json", "stock.json"]
    assert all("[flow.circle]" in line for line in lines)


def test_files_of_one_flow_do_not_stand_in_each_others_way(check: Run, document: Make):
    nodes = [{"id": "hook", "type": "on_webhook", "name": "Hook", "params": {"path": "orders"}}]
    nodes.append({"id": "keep", "type": "set_fields", "name": "Keep", "params": {"fields": {"a": 1}}})
    edges = [{"source": "hook", "target": "keep", "key": "out"}]
    made = [document(flow_id, nodes=nodes, edges=edges, samples=[], layout={}) for flow_id in ("a", "a", "b")]
    files = [write(f"{at}.json", each) for at, each in enumerate(made)]

    assert check(*files[:2]).output == ""
    assert check(*files, status=1).stderr.count("[webhook.path_taken]") == 3


def test_installation_knows_its_flows(check: Run, document: Make, data_dir: Path):
    nodes = [*document()["nodes"], {"id": "call", "type": "run_flow", "name": "Call", "params": {"flow": "other"}}]
    edges = [*document()["edges"], {"source": "greet", "target": "call", "key": "out"}]
    file = write("a.json", document(nodes=nodes, edges=edges))

    assert check(file).output == ""
    assert "[param.flow_unknown]" in check(file, "--installation").stderr
    CliRunner().invoke(app, ["flow", "import", write("other.json", document("other"))])
    assert "[run_flow.no_start]" in check(file, "--installation").stderr
