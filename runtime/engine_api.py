"""What the rest of the runtime asks of the engine, in this process (``Engine``) or in another (``EngineLink``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from runtime.outbox import NewEvent


class Accepted(NamedTuple):
    """An event that is committed, and the runs it started; of a duplicate, those of the first time."""

    id: str
    duplicate: bool
    runs: list[int]


@dataclass(frozen=True, slots=True)
class RunResponse:
    """What a run answered to whoever called it, as the output of its Respond step; else how far it has come."""

    run: int
    status: str | None = None
    answer: dict[str, Any] | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ("succeeded", "failed", "cancelled", "removed")


@dataclass(frozen=True, slots=True)
class TestRequest:
    """A draft to run once, starting at *trigger* with *payload*.

    *scope* is the part of it that is run, see ``RunRow.scope``. Of the nodes in *taken* the steps are those of the run
    *base*.
    """

    __test__ = False  # no test case, in spite of its name

    flow_id: str
    document: dict[str, Any]
    trigger: str
    payload: dict[str, Any]
    effects: Literal["simulate", "real"] = "simulate"
    scope: dict[str, str] | None = None
    base: int | None = None
    taken: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """How the engine is; *started_at* is ISO 8601, *open_runs* those it works on or that wait their turn."""

    ready: bool
    open_runs: int
    workers: int
    storage_full: bool
    started_at: str
    version: str


class EngineApi(Protocol):
    async def accept(self, events: Sequence[NewEvent]) -> list[Accepted]:
        """Store events and the runs they start, all or none of them; return after the commit.

        Raises Invalid (``event.id_reused``, ``event.payload_invalid``), TooLarge and Unavailable.
        """

    async def start_test(self, request: TestRequest) -> int:
        """Start a test run and return its id; raises Unavailable."""

    async def wait(self, run_id: int, timeout_s: float) -> bool:
        """Return whether the run has ended, or has come to a point where a person must act, within *timeout_s*."""

    async def wait_response(self, run_id: int, timeout_s: float) -> RunResponse:
        """Return what a run answers, as soon as it is durable, or that it ended without; or how it is after the time.

        Raises Unavailable.
        """

    async def wake(self) -> None:
        """Look for runs that someone else has committed."""

    async def cancel(self, run_id: int) -> bool:
        """Stop a run; False when it had ended or does not exist."""

    async def status(self) -> EngineStatus: ...
