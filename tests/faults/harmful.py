"""A node type that harms the process it runs in."""

from __future__ import annotations

import os
import signal
from typing import Literal

from pydantic import Field

from nodes.spec import Context, NodeType, Output, Params, Plan, action


class HarmParams(Params):
    how: Literal["die", "eat", "hoard", "nothing"] = Field("nothing", title="How")
    size_mb: int = Field(0, title="Megabytes")


class HarmOutput(Output):
    size: int


def harmful_types() -> dict[str, NodeType]:
    """Return ``harm`` (send), which dies by a signal, or eats memory at once or bit by bit."""

    def plan(params: HarmParams, ctx: Context) -> Plan:
        return Plan({"kind": "harm"}, HarmOutput(size=0))

    @action(title="Harm", category="Test", effect="send", plan=plan)
    async def harm(params: HarmParams, ctx: Context) -> HarmOutput:
        if params.how == "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        if params.how == "hoard":
            return HarmOutput(size=len([b"x" * 100_000 for _ in range(10 * params.size_mb)]))
        return HarmOutput(size=len(b"x" * (params.size_mb * 1_000_000)))

    return {"harm": harm}
