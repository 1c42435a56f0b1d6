"""What a run has in memory goes with it, without a look for cycles."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from runtime.execution import Execution
from tests.runtime.conftest import Rig


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("node", ["echo", "call"])
@pytest.mark.parametrize("payload", [{"name": "Ada"}, {"password": "tr0ub4dor&3 staple"}], ids=["plain", "secret"])
async def test_nothing_is_left_of_a_run_that_has_ended(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, node: str, payload: dict[str, Any]
) -> None:
    rig.flow([{"id": "node", "type": node, "params": {"text": "hello"}}], ["start>node"])
    begin, alive = Execution.__init__, list[weakref.ref[Any]]()

    def noted(run: Execution, *args: Any) -> None:
        begin(run, *args)
        alive.extend([weakref.ref(run), weakref.ref(run.records)])

    monkeypatch.setattr(Execution, "__init__", noted)
    run, _steps = await rig.done(payload)
    for _tick in range(20):
        await asyncio.sleep(0)

    assert run.status == "succeeded"
    assert [found() for found in alive] == [None, None]
