"""Parameters that are secret, and what a node that writes prepares before its transaction."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pydantic import Field

from nodes.spec import Context, NodeError, NodeType, Output, Params, Plan, action, ui
from runtime.engine_api import TestRequest
from runtime.masking import MASK
from tests.canary import leaks, stored
from tests.runtime.conftest import Rig

PASSWORD = "tr0ub4dor&3 staple"
PASSED = {"password": PASSWORD}


class JoinParams(Params):
    name: str = Field("", title="Name")
    password: str = Field("", title="Password", max_length=40, json_schema_extra=ui("password", is_secret=True))


class JoinOutput(Output):
    said: str


class Joining:
    """A node type ``join`` that hashes before it writes, and what it was called with."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.threads: list[int] = []
        self.error: NodeError | None = None

    def type(self) -> NodeType:
        async def hashed(params: JoinParams, ctx: Context) -> object:
            self.threads.append(threading.get_ident())
            if self.error is not None:
                raise self.error
            return await ctx.passwords.hash(params.password)

        def plan(params: JoinParams, ctx: Context) -> Plan:
            self.seen.append((params.password, ctx.prepared))
            return Plan({"kind": "user", "password": params.password}, JoinOutput(said="planned"))

        @action(title="Join", category="Test", effect="write", plan=plan, before=hashed)
        def join(params: JoinParams, ctx: Context) -> JoinOutput:
            self.seen.append((params.password, ctx.prepared))
            return JoinOutput(said=f"{params.name} has {params.password}")

        return join


@pytest.fixture
def joining(rig: Rig) -> Joining:
    found = Joining()
    rig.types["join"] = found.type()
    return found


def flow(name: str = "Ada") -> tuple[list[dict[str, Any]], list[str]]:
    """Return a flow whose password does not stand in its event."""
    secret = {"id": "secret", "type": "set_fields", "params": {"fields": {"a": PASSWORD[:9], "b": PASSWORD[9:]}}}
    params = {"name": name, "password": "{{ $action.secret.a ~ $action.secret.b }}"}
    return [secret, {"id": "join", "type": "join", "params": params}], ["start>secret", "secret>join"]


async def test_secret_parameter_is_masked_and_reaches_the_node(rig: Rig, joining: Joining) -> None:
    nodes, edges = flow("{{ $action.secret.a ~ $action.secret.b }}")
    nodes.append({"id": "call", "type": "call", "params": {"text": "{{ $action.join.said | urlencode }}"}})
    rig.flow(nodes, [*edges, "join>call"])

    run, steps = await rig.done()

    assert run.status == "succeeded"
    assert joining.seen[0][0] == PASSWORD
    assert steps["join"].input == {"name": MASK, "password": MASK}
    assert steps["join"].output == {"said": f"{MASK} has {MASK}"}
    assert rig.calls.seen[0][0] == "tr0ub4dor%263%20staple%20has%20tr0ub4dor%263%20staple"
    assert leaks(PASSWORD, str(steps["call"].input), str(steps["call"].output)) == []


async def test_secret_parameter_is_masked_where_the_check_refuses_it(rig: Rig, joining: Joining) -> None:
    join = {"id": "join", "type": "join", "params": {"password": "{{ $param.password ~ $param.password ~ 'xyz12' }}"}}
    rig.flow([join], ["start>join"])

    run, steps = await rig.done(PASSED)

    assert (run.status, run.error["code"]) == ("failed", "param.invalid")
    assert steps["join"].input == {"password": MASK}


async def test_simulated_effect_has_the_secret_masked_and_prepares_nothing(rig: Rig, joining: Joining) -> None:
    run_id = await rig.engine.start_test(TestRequest("f", rig.document(*flow()), "start", {}))

    assert (await rig.run(run_id)).status == "succeeded"
    assert rig.steps(run_id)["join"].effect == {"kind": "user", "password": MASK}
    assert joining.seen == [(PASSWORD, None)]
    assert joining.threads == []


async def test_what_comes_before_a_write_happens_outside_of_its_transaction(rig: Rig, joining: Joining) -> None:
    rig.flow(*flow())

    run, _steps = await rig.done()

    assert run.status == "succeeded"
    assert joining.threads == [threading.get_ident()]
    assert joining.seen[0][1].text.startswith("$argon2id$")
    assert leaks(joining.seen[0][1].text, *stored(rig.database.path.parent)) == []


async def test_failure_before_a_write_fails_the_step(rig: Rig, joining: Joining) -> None:
    rig.flow(*flow())
    joining.error = NodeError(f"{PASSWORD} is not good enough", code="password.common")

    run, steps = await rig.done()

    assert run.error == {"message": f"Join: {MASK} is not good enough", "code": "password.common", "node": "join"}
    assert joining.seen == []
    assert steps["join"].status == "failed"


async def test_weak_password_fails_the_step_in_the_words_of_the_rule(rig: Rig, joining: Joining) -> None:
    rig.flow([{"id": "join", "type": "join", "params": {"password": "Abcdefgh"}}], ["start>join"])

    run, _steps = await rig.done()

    assert run.error == {"message": "Join: A password needs a digit.", "code": "password.no_digit", "node": "join"}


def test_only_a_node_that_writes_prepares() -> None:
    async def nothing(params: JoinParams, ctx: Context) -> None: ...

    def look(params: JoinParams, ctx: Context) -> JoinOutput:
        return JoinOutput(said="")

    with pytest.raises(TypeError, match="look does not write"):
        action(title="Look", category="Test", before=nothing)(look)
