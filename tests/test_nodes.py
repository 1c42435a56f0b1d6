"""Every node type: its examples, its documentation and its declaration."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import ValidationError

import nodes
from backend import events
from nodes.spec import (
    OUT,
    AnotherRound,
    Context,
    EachItem,
    Email,
    Example,
    HttpResponse,
    NodeError,
    NodeType,
    Output,
    Routed,
    SentEmail,
    load,
)
from nodes.users import ADA
from runtime import limits
from runtime.suspending import simulated

TYPES = load()
TRIGGERS = [node for node in TYPES.values() if node.kind == "trigger"]
ACTIONS = [node for node in TYPES.values() if node.kind == "action"]
EXAMPLES = [(node, example) for node in ACTIONS for example in node.examples]
PARAMS = [(node, name) for node in TYPES.values() for name in node.params.model_json_schema().get("properties", {})]
SHARED = {
    "spec",
    "context",
    "suspending",
    "crontab",
    "table_event",
    "row_event",
    "user_event",
    "rows",
    "users",
}  # declare no node type
FILES = sorted(path for path in Path(nodes.__path__[0]).glob("*.py") if path.stem != "__init__")
FACTS = ("Out", "Units", "Effect", "Errors", "Source")
TRIGGER_CATEGORIES = {"Triggers", "Table triggers", "User triggers"}
CATEGORIES = TRIGGER_CATEGORIES | {"Logic", "Data", "Communication", "Users"}

by_type = pytest.mark.parametrize("node", TYPES.values(), ids=list(TYPES))


class FakeContext:
    """A platform of one table with two rows and two users, where nothing leaves."""

    idempotency_key = "1:step"
    now = time = datetime(2026, 1, 5, 9, tzinfo=UTC)
    approval_link = "https://flows.example.com/approve/token"

    def __init__(self) -> None:
        self.http = self
        self.mail = self
        self.tables = FakeTables()
        self.users = FakeUsers()
        self.prepared = None
        self.events = self

    def check(self, url: str, headers: Mapping[str, str]) -> None: ...

    async def request(self, method: str, url: str, **rest: Any) -> HttpResponse:
        raise AssertionError("an example must not reach out")

    def preview(self, email: Email) -> dict[str, Any]:
        return {"from": "pulsewire@localhost", "to": list(email.to), "subject": email.subject, "via": "mailbox"}

    async def send(self, email: Email, *, idempotency_key: str) -> SentEmail:
        raise AssertionError("an example must not send")

    def emit(self, name: str, payload: Mapping[str, Any]) -> str:
        raise AssertionError("an example must not report")


class FakeTables:
    def __init__(self) -> None:
        stored = {"created_at": "2026-01-05T09:00:00Z", "updated_at": "2026-01-05T09:00:00Z"}
        self.rows = [
            {"id": "0b6f3f9e-54a1-4f5a-9d0c-6a3f2f8f2a11", **stored, "customer": "Ada", "total": 120},
            {"id": "7d1c2b5e-0d3b-4a56-8a1e-3c9c5f0e4b22", **stored, "customer": "Grace", "total": 80},
        ]

    def find(
        self, table: str, where: Any = None, *, order_by: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        self._require(table)
        fits = [row for row in self.rows if all(row[name] == value for name, value in (where or {}).items())]
        return fits[:limit]

    def count(self, table: str, where: Any = None) -> int:
        return len(self.find(table, where))

    def check(self, table: str, values: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
        self._require(table)
        return dict(values)

    def insert(self, table: str, values: Mapping[str, Any]) -> dict[str, Any]:
        raise AssertionError("an example must not write")

    def update(self, table: str, where: Any, values: Mapping[str, Any]) -> int:
        raise AssertionError("an example must not write")

    def delete(self, table: str, where: Any) -> int:
        raise AssertionError("an example must not write")

    def _require(self, table: str) -> None:
        if table != "orders":
            raise NodeError(f"There is no table “{table}”.", code="table.not_found")


class FakeUsers:
    """Ada, a customer, and Alan, who is verified and blocked; the roles are “customer” and “editor”."""

    def __init__(self) -> None:
        alan = {"id": "5d6f0c8e-1f0b-4c3e-8f0a-7a1d2c3b4e5f", "email": "alan@example.com", "first_name": "Alan"}
        self.users = [ADA, ADA | alan | {"last_name": "Turing", "roles": [], "email_verified": True, "blocked": True}]

    def get(self, by: str, value: str) -> dict[str, Any]:
        for user in self.users:
            if str(user[by]).lower() == value.lower():
                return user
        raise NodeError("There is no such user.", code="user.not_found")

    def find(
        self, *, search: str = "", role: str | None = None, limit: int = 100, **wanted: Any
    ) -> list[dict[str, Any]]:
        self._require_roles([role] if role else [], "role.not_found")
        return [
            user
            for user in self.users
            if search in f"{user['email']} {user['first_name']} {user['last_name']}".lower()
            and (role is None or role in str(user["roles"]))
            and all(value in (None, user[name]) for name, value in wanted.items())
        ][:limit]

    def check(self, values: Mapping[str, Any], *, user_id: str | None = None) -> dict[str, Any]:
        self._require_roles(values.get("roles", []), "user.role_unknown")
        if any(user["email"] == values.get("email") and user["id"] != user_id for user in self.users):
            raise NodeError("Another user has this address.", code="user.email_taken")
        return dict(values)

    def _require_roles(self, names: list[str], code: str) -> None:
        if not {*names} <= {"customer", "editor"}:
            raise NodeError("There is no such role.", code=code)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"an example must not {name}")


async def outcome(node: NodeType, params: Mapping[str, Any], ctx: Context) -> Output | Routed:
    checked = node.params.model_validate(params)
    if node.plan is not None:
        return Routed(node.ports(params)[0].name, node.plan(checked, ctx).output)
    assert node.run is not None
    result = node.run(checked, ctx)
    return await result if inspect.isawaitable(result) else result


def rounds(loop: EachItem | AnotherRound) -> dict[str, Any]:
    """Return what a loop without a body comes to."""
    if isinstance(loop, AnotherRound):
        assert not loop.is_wanted
        return {"outputs": [], "rounds": 0}
    return {"outputs": [None for _ in loop.items], "count": len(loop.items), "failed": 0, "errors": []}


@pytest.mark.parametrize(
    ("node", "example"), EXAMPLES, ids=[f"{node.type}: {example.title}" for node, example in EXAMPLES]
)
async def test_example_gives_what_it_says(node: NodeType, example: Example):
    error, port, output = None, "out", None

    try:
        result = await outcome(node, example.params, FakeContext())
    except ValidationError:
        error = "param.invalid"
    except NodeError as failure:
        error = failure.code
    else:
        if isinstance(result, EachItem | AnotherRound):
            port, output = "done", rounds(result)
        elif not isinstance(result, Output | Routed):
            output = simulated(result).output
        if isinstance(result, Routed):
            port, result = result.port, result.output
        if isinstance(result, Output):
            output = result.model_dump(mode="json", by_alias=True)

    assert error == example.error
    if example.error is None:
        assert (port, output) == (example.port, example.output)
        assert port in [place.name for place in node.ports(example.params)] or node.is_returning


@pytest.mark.parametrize("node", ACTIONS, ids=lambda node: node.type)
def test_action_has_an_example(node: NodeType):
    assert node.examples


@by_type
def test_docstring_has_the_lines_of_a_node(node: NodeType):
    lines = node.doc.splitlines()

    assert lines[0].endswith(".")
    assert lines[1] == ""
    for fact in FACTS:
        assert re.search(rf"^{fact} +\S", node.doc, re.MULTILINE), f"{fact} is missing"
    effect = re.search(r"^Effect +(\w+)", node.doc, re.MULTILINE)
    assert effect is not None
    assert effect[1] == node.effect


@by_type
def test_declaration_is_complete(node: NodeType):
    assert node.title
    assert node.category in CATEGORIES
    assert (node.category in TRIGGER_CATEGORIES) == (node.kind == "trigger")
    assert re.fullmatch(r"[a-z0-9_]+", node.icon)


@by_type
def test_summary_names_parameters_only(node: NodeType):
    names = node.params.model_json_schema().get("properties", {})
    if callable(node.summary):
        assert node.summary({}) == ""
        return

    used = re.findall(r"{([^}]*)}", node.summary)

    assert set(used) <= set(names)
    assert node.summary.format_map(dict.fromkeys(names, "x")) is not None


@pytest.mark.parametrize(("node", "name"), PARAMS, ids=[f"{node.type}.{name}" for node, name in PARAMS])
def test_parameter_can_be_drawn_as_a_field(node: NodeType, name: str):
    schema = node.params.model_json_schema()
    field = schema["properties"][name]

    assert field["title"]
    assert field["description"].endswith(".")
    assert field["widget"]
    assert name in schema.get("required", []) or "default" in field
    assert "$ref" not in json.dumps(field), "a form reads the field alone"


@by_type
def test_text_parameters_take_nothing_but_text(node: NodeType):
    texts = [
        name
        for name, field in node.params.model_json_schema().get("properties", {}).items()
        if any(part.get("type") == "string" for part in (field, *field.get("anyOf", ())))
    ]

    for name in texts:
        for value in ({"path": "/etc/passwd"}, 7, True, None, {"href": "x"}, [{"path": "/"}]):
            with pytest.raises(ValidationError) as caught:
                node.params.model_validate({name: value})
            assert name in {str(error["loc"][0]) for error in caught.value.errors() if error["type"] != "missing"}


@by_type
def test_unknown_parameter_is_refused(node: NodeType):
    with pytest.raises(ValidationError) as caught:
        node.params.model_validate({"not_a_parameter": 1})

    assert "extra_forbidden" in [error["type"] for error in caught.value.errors()]


@pytest.mark.parametrize("node", TRIGGERS, ids=lambda node: node.type)
def test_sample_is_a_valid_payload(node: NodeType):
    assert node.sample is not None

    for sample in (node.sample, *(preset.sample for preset in node.presets if preset.sample is not None)):
        payload = node.output.model_validate(sample)

        assert payload.model_dump(mode="json", exclude_unset=True) == sample


BACKEND_EVENTS = [
    found
    for found in vars(events).values()
    if inspect.isclass(found) and issubclass(found, events.Event) and hasattr(found, "name")
]


@pytest.mark.parametrize("name", dict.fromkeys(event.name for event in BACKEND_EVENTS))
def test_backend_event_has_a_trigger_with_its_payload(name: str):
    node = TYPES[name]
    phases = [_fields(event) for event in BACKEND_EVENTS if event.name == name]
    always = set.intersection(*(set(phase) for phase in phases))
    published = {field: kind if field in always else kind | None for phase in phases for field, kind in phase.items()}

    assert {field: info.annotation for field, info in node.output.model_fields.items()} == published
    assert {field for field, info in node.output.model_fields.items() if info.is_required()} == always
    assert node.listen is not None
    assert node.listen(node.params()).event == name


@pytest.mark.parametrize("event", BACKEND_EVENTS, ids=lambda event: event.__name__)
def test_trigger_whose_event_carries_a_secret_needs_an_owner(event: type[events.Event]):
    if event.secret:
        assert TYPES[event.name].right == "owner"


def _fields(event: type[events.Event]) -> dict[str, Any]:
    kinds = get_type_hints(event)
    return {field.name: kinds[field.name] for field in dataclasses.fields(event)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_node_imports_only_the_contract_and_its_siblings(path: Path):
    for statement in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else []
        if isinstance(statement, ast.ImportFrom):
            names = [statement.module or ""]
        for name in names:
            assert name.partition(".")[0] not in {"runtime", "backend", "storage", "editor"}, name


@pytest.mark.parametrize("path", [path for path in FILES if path.stem not in SHARED], ids=lambda path: path.stem)
def test_file_declares_one_node_type_of_its_name(path: Path):
    members = vars(importlib.import_module(f"nodes.{path.stem}"))

    found = {name: member for name, member in members.items() if isinstance(member, NodeType)}

    assert list(found) == [path.stem]
    assert found[path.stem].kind == "trigger" or found[path.stem].type == path.stem


def test_effects_bring_a_plan():
    assert {node.type for node in ACTIONS if node.effect in ("write", "send")} == {
        "send_email",
        "http_request",
        "insert_row",
        "update_rows",
        "delete_rows",
        "emit_event",
        "create_user",
        "update_user",
        "delete_user",
        "set_user_roles",
        "block_user",
        "unblock_user",
        "send_verification",
        "send_password_reset",
        "wait_for_approval",
    }
    assert all((node.plan is not None) == (node.effect in ("write", "send")) for node in ACTIONS)


def test_only_an_owner_may_let_a_flow_see_or_change_users():
    assert {node.type for node in ACTIONS if node.right == "owner"} == {
        node.type for node in ACTIONS if node.category == "Users"
    }


def test_passwords_are_secret():
    assert {node.type: node.secret_params for node in TYPES.values() if node.secret_params} == {
        "create_user": {"password"},
        "update_user": {"password"},
    }


def test_ports_other_than_out():
    assert {node.type: [port.name for port in node.ports({})] for node in ACTIONS if node.ports({}) != OUT} == {
        "condition": ["true", "false"],
        "switch": ["default"],
        "stop_with_error": [],
        "for_each": ["each", "done"],
        "while_loop": ["each", "done"],
        "wait_for_event": ["out", "timeout"],
        "wait_for_approval": ["approved", "rejected", "timeout"],
        "return_output": [],
    }


def test_limits_of_loops_and_waits_are_those_of_the_platform():
    def most(node: str, name: str, limit: str = "maximum") -> Any:
        return (
            json.dumps(TYPES[node].params.model_json_schema()["properties"][name])
            .split(f'"{limit}": ')[1]
            .split(",")[0]
        )

    assert int(most("for_each", "items", "maxItems")) == limits.LOOP_ITEMS
    assert int(most("for_each", "parallel")) == limits.LOOP_PARALLEL
    assert int(most("while_loop", "max_rounds")) == limits.LOOP_ROUNDS
    for node in ("wait_for_event", "wait_for_approval"):
        assert float(most(node, "timeout_s")) == limits.DELAY_S
    assert float(most("delay", "seconds")) == limits.DELAY_S


def test_timeout_is_the_limit_of_the_client():
    assert (
        TYPES["http_request"].params.model_json_schema()["properties"]["timeout_s"]["maximum"] == limits.HTTP_TIMEOUT_S
    )
