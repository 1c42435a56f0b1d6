"""What a node returns when its step does not end with the call: it waits, calls another flow, or repeats its body.

The platform does the rest: it suspends the run, which then holds no worker, and goes on where the step says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from nodes.context import Json


@dataclass(frozen=True)
class Sleep:
    """Go on at *until* through ``out`` with *output*."""

    until: datetime
    output: Any  # an Output


@dataclass(frozen=True)
class AwaitEvent:
    """Go on through ``out`` when an event of this name comes whose payload has the values in *match*.

    *where* is one expression over the flow's own names, with the event's payload as ``$item``. The output is
    ``{"event_id", "name", "payload"}``. At *until* the run goes on through ``timeout`` with no output.
    """

    event: str
    match: Mapping[str, Json] = field(default_factory=dict)
    where: str | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class AwaitApproval:
    """Go on through ``approved`` or ``rejected`` when a person has decided, at *until* through ``timeout``.

    The output is ``{"approved": bool, "by": str, "comment": str, "decided_at": str}``.
    """

    title: str
    message: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class CallFlow:
    """Start the live version of *flow* with *input* as its payload, and go on with what it returns."""

    flow: str
    input: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class EachItem:
    """Run the body once for each of *items*, *parallel* at a time; then fire ``done``.

    *goes_on* tells whether an item whose body fails is passed over.
    """

    items: Sequence[Json]
    parallel: int = 1
    goes_on: bool = False


@dataclass(frozen=True)
class AnotherRound:
    """Whether the body is run once more; after it the node is asked again, with what the body gave as ``$item``.

    The step fails when another round is wanted after *most*.
    """

    is_wanted: bool
    most: int


Suspended: TypeAlias = Sleep | AwaitEvent | AwaitApproval | CallFlow | EachItem | AnotherRound
