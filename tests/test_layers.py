"""Imports point one way, and only the named modules open connections."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "nodes": {"nodes"},
    "storage": {"storage"},
    "backend": {"backend", "storage"},
    "runtime": {"runtime", "nodes", "storage", "backend"},
    "editor": {"editor", "nodes", "runtime", "backend"},
}
SERVES = "runtime/cli.py"  # may import the editor, inside the function that serves it
CONNECTIONS = {
    "socket",
    "socketserver",
    "ssl",
    "aiohttp",
    "httpx",
    "httpcore",
    "requests",
    "urllib3",
    "urllib.request",
    "http.client",
    "smtplib",
    "imaplib",
    "poplib",
    "ftplib",
    "telnetlib",
    "xmlrpc",
    "aiosmtplib",
}
DIALS = {
    "open_connection",
    "open_unix_connection",
    "start_server",
    "start_unix_server",
    "create_connection",
    "create_unix_connection",
    "create_server",
    "create_unix_server",
    "create_datagram_endpoint",
    "sock_connect",
}  # of asyncio and its event loops
MAY_CONNECT = {
    "runtime/outbound.py": "the HTTP client of flows, behind the address guard",
    "backend/smtp.py": "mail to the server that an administrator set",
    "runtime/link.py": "the local socket between the web and the engine process",
    "runtime/link_server.py": "the engine's end of that local socket",
    "runtime/evaluator_child.py": "a pair of sockets to a process of its own, which has no other",
    "runtime/evaluator_process.py": "the other end of that pair",
    "runtime/cli.py": "binds the port that the web process serves",
}


@dataclass(frozen=True)
class Import:
    file: str
    line: int
    module: str  # dotted, with the imported name where it is a member
    is_inside_function: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def files() -> list[str]:
    return sorted(
        path.relative_to(ROOT).as_posix()
        for package in MAY_IMPORT
        for path in (ROOT / package).rglob("*.py")
        if "node_modules" not in path.parts
    )


def imports(file: str) -> Iterator[Import]:
    """Yield every import of a file, also those under TYPE_CHECKING and inside functions, each name on its own."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    inside = {
        id(part)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for part in ast.walk(function)
    }
    for node in ast.walk(tree):
        for module in _modules(node, file):
            yield Import(file, node.lineno, module, id(node) in inside)


def _modules(node: ast.AST, file: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        package = file.removesuffix(".py").removesuffix("/__init__").split("/")[: -node.level] if node.level else []
        module = ".".join([*package, *([node.module] if node.module else [])])
        return [f"{module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Attribute) and node.attr in DIALS:
        return [f"asyncio.{node.attr}"]
    if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
        "import_module",
        "__import__",
    ):
        return [argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)]
    return []


def is_part_of(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


@pytest.mark.parametrize("file", files())
def test_imports_point_one_way(file: str):
    package = file.partition("/")[0]

    wrong = [
        str(found)
        for found in imports(file)
        if found.module.partition(".")[0] in MAY_IMPORT
        and found.module.partition(".")[0] not in MAY_IMPORT[package]
        and not (file == SERVES and is_part_of(found.module, {"editor"}) and found.is_inside_function)
    ]

    assert wrong == []


@pytest.mark.parametrize("file", [file for file in files() if file.startswith("editor/")])
def test_editor_knows_declarations_only(file: str):
    found = [one for one in imports(file) if is_part_of(one.module, {"nodes"})]

    assert [str(one) for one in found if not is_part_of(one.module, {"nodes.spec"})] == []


@pytest.mark.parametrize("file", files())
def test_only_named_modules_connect(file: str):
    dials = {f"asyncio.{name}" for name in DIALS}

    found = [str(one) for one in imports(file) if is_part_of(one.module, CONNECTIONS | dials)]

    assert bool(found) == (file in MAY_CONNECT), found


@pytest.mark.parametrize("file", [file for file in files() if file.startswith("nodes/") and file != "nodes/spec.py"])
def test_node_does_no_input_or_output_of_its_own(file: str):
    closed = {"os", "io", "pathlib", "subprocess", "tempfile", "shutil", "threading", "multiprocessing", "time"}

    assert [str(one) for one in imports(file) if is_part_of(one.module, closed | {"asyncio", "sqlite3"})] == []


def test_tests_stay_out_of_the_product():
    assert [str(one) for file in files() for one in imports(file) if is_part_of(one.module, {"tests", "pytest"})] == []


def test_every_package_has_its_row():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks", "static"}

    assert packages == set(MAY_IMPORT)
