"""What the doors are told about runs: values, never rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

STATUSES = ("queued", "running", "waiting", "succeeded", "failed", "cancelled")
ENDED = frozenset({"succeeded", "failed", "cancelled"})


def moment(value: datetime | None) -> str | None:
    """Return a UTC time as ISO 8601."""
    return None if value is None else value.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class StepView:
    """One node within a run; *effect* is what it did or, in a simulated run, would have done."""

    node: str
    iteration: str
    status: str  # running, waiting, succeeded, failed, skipped, unknown
    attempt: int
    port: str | None
    input: dict[str, Any] | None
    output: dict[str, Any] | None
    error: dict[str, Any] | None
    effect: dict[str, Any] | None
    started_at: datetime | None
    ended_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return the published shape of a step."""
        shape = {
            "node": self.node,
            "status": self.status,
            "attempt": self.attempt,
            "port": self.port,
            "started_at": moment(self.started_at),
            "ended_at": moment(self.ended_at),
            "input": self.input,
            "output": self.output,
            "error": self.error,
        }
        if self.iteration:
            shape["iteration"] = self.iteration
        if self.effect is not None:
            shape["effect"] = self.effect
        return shape


@dataclass(frozen=True)
class RunSummary:
    """One line of the list of runs; *event* is the id and name of what started it."""

    id: int
    flow: str
    flow_name: str | None  # None once the flow is deleted
    version: int | None  # None for a test of a draft
    status: str
    trigger: str
    event_id: str | None
    event_name: str | None
    is_test: bool
    is_simulated: bool
    parent_run: int | None
    error: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def as_json(self) -> dict[str, Any]:
        """Return the published shape of a run in a list."""
        return {
            "id": self.id,
            "flow": self.flow,
            "version": self.version,
            "status": self.status,
            "event": None if self.event_id is None else {"id": self.event_id, "name": self.event_name},
            "trigger": self.trigger,
            "is_test": self.is_test,
            "is_simulated": self.is_simulated,
            "retry_of": self.parent_run,
            "error": self.error,
            "created_at": moment(self.created_at),
            "started_at": moment(self.started_at),
            "ended_at": moment(self.ended_at),
        }


@dataclass(frozen=True)
class RunView(RunSummary):
    """One run with its steps in the order of the graph, and the document that it ran on."""

    payload: dict[str, Any]
    steps: tuple[StepView, ...]
    document: dict[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        """Return the published shape of a run."""
        return super().as_json() | {"payload": self.payload, "steps": [step.as_json() for step in self.steps]}


@dataclass(frozen=True)
class Page:
    """Some items of a longer list; *next* is what ``after`` takes to go on, None at the end."""

    items: list[RunSummary]
    next: int | None
