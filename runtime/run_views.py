"""What the doors are told about runs: values, never rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

STATUSES = ("queued", "running", "waiting", "succeeded", "failed", "cancelled")
ENDED = frozenset({"succeeded", "failed", "cancelled"})


def moment(value: datetime | None) -> str | None:
    """Return a UTC time as ISO 8601."""
    return None if value is None else value.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class WaitView:
    """What a step waits for, and until when (None: as long as it takes).

    *kind* is ``retry``, ``time``, ``event`` (its name is in *event*), ``approval`` (*title* and *message* of what is
    asked; *link*, for those who may decide, is where anybody who has it does) or ``run`` (the sub-flow's run is *run*).
    """

    kind: str
    until: datetime | None = None
    event: str | None = None
    title: str | None = None
    message: str | None = None
    run: int | None = None
    link: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the published shape, without what the kind does not have."""
        shape = {"kind": self.kind, "until": moment(self.until)}
        more = {"event": self.event, "title": self.title, "message": self.message, "run": self.run}
        more["link"] = self.link
        return shape | {name: value for name, value in more.items() if value is not None}


@dataclass(frozen=True)
class StepView:
    """One node within a run; *effect* is what it did or, in a simulated run, would have done.

    *key* is the idempotency key that the outside world was called with, *is_kept* tells a step taken over from the
    run that this one repeats, *called* is the run of a sub-flow.
    """

    node: str
    iteration: str
    status: str  # planned, running, waiting, succeeded, failed, skipped, unknown
    attempt: int
    port: str | None
    input: dict[str, Any] | None
    output: dict[str, Any] | None
    error: dict[str, Any] | None
    effect: dict[str, Any] | None
    started_at: datetime | None
    ended_at: datetime | None
    wait: WaitView | None = None
    key: str | None = None
    is_kept: bool = False
    called: int | None = None

    @property
    def is_pinned(self) -> bool:
        """Whether a pinned output was taken in place of a call."""
        return (self.effect or {}).get("kind") == "pinned"

    def with_link(self, link: str | None) -> StepView:
        """Return the step with the link of the approval that it waits for."""
        return self if self.wait is None or link is None else replace(self, wait=replace(self.wait, link=link))

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
        if self.wait is not None:
            shape["waits_for"] = self.wait.as_json()
        if self.key is not None:
            shape["idempotency_key"] = self.key
        if self.called is not None:
            shape["called_run"] = self.called
        if self.is_kept:
            shape["kept"] = True
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
    is_dead: bool = False
    retried_by: tuple[int, ...] = ()

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
            "is_dead": self.is_dead,
            "retry_of": self.parent_run,
            "retried_by": list(self.retried_by),
            "error": self.error,
            "created_at": moment(self.created_at),
            "started_at": moment(self.started_at),
            "ended_at": moment(self.ended_at),
        }


@dataclass(frozen=True)
class RunView(RunSummary):
    """One run with its steps in the order of the graph, and the document that it ran on.

    Of steps inside loops only the first are among *steps*; *repeated* counts all of them, by node and status.
    *caused_by* is the run whose event or sub-flow call started this one. *chain* are the runs that it repeats, from
    the first one on. *output* is what it returned. *held* says why a queued run does not begin: its flow
    is ``paused`` or ``limited``.
    """

    payload: dict[str, Any] = field(default_factory=dict)
    output: dict[str, Any] | None = None
    steps: tuple[StepView, ...] = ()
    document: dict[str, Any] | None = None
    scope: dict[str, Any] | None = None
    order: tuple[str, ...] = ()  # the nodes of the document, as the graph leads from one to the next
    repeated: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    caused_by: int | None = None
    chain: tuple[int, ...] = ()
    key: str | None = None  # by which runs of the flow keep their order
    held: str | None = None

    @property
    def left_out(self) -> int:
        """How many steps inside loops are not among ``steps``."""
        counted = sum(sum(counts.values()) for counts in self.repeated.values())
        return counted - sum(step.iteration != "" for step in self.steps)

    @property
    def has_open_approvals(self) -> bool:
        return any(step.wait is not None and step.wait.kind == "approval" for step in self.steps)

    def with_links(self, links: Mapping[tuple[str, str], str]) -> RunView:
        """Return the run with the *links* of its open approvals, by node and item."""
        return replace(self, steps=tuple(step.with_link(links.get((step.node, step.iteration))) for step in self.steps))

    def step(self, node: str, iteration: str = "") -> StepView | None:
        """Return one of ``steps``."""
        return next((step for step in self.steps if (step.node, step.iteration) == (node, iteration)), None)

    def as_json(self) -> dict[str, Any]:
        """Return the published shape of a run."""
        steps = [step.as_json() for step in self.steps]
        shape: dict[str, Any] = {"payload": self.payload, "output": self.output, "steps": steps}
        if self.scope:
            shape["scope"] = self.scope
        if self.repeated:
            shape |= {"repeated": {node: dict(counts) for node, counts in self.repeated.items()}}
            shape |= {"steps_left_out": self.left_out}
        if self.caused_by is not None:
            shape["caused_by"] = self.caused_by
        if self.key is not None:
            shape["key"] = self.key
        if self.held is not None:
            shape["held"] = self.held
        return super().as_json() | shape


@dataclass(frozen=True)
class Page:
    """Some items of a longer list; *next* is what ``after`` takes to go on, None at the end."""

    items: list[RunSummary]
    next: int | None


@dataclass(frozen=True)
class ItemView:
    """One item of a loop: how its steps fared together; *error* is that of the first that failed."""

    iteration: str
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None

    @property
    def number(self) -> int:
        """Its place in the list, from 0."""
        return int(self.iteration.rpartition(".")[2])

    def as_json(self) -> dict[str, Any]:
        """Return the published shape of an item."""
        return {
            "iteration": self.iteration,
            "status": self.status,
            "started_at": moment(self.started_at),
            "ended_at": moment(self.ended_at),
            "error": self.error,
        }


@dataclass(frozen=True)
class ItemPage:
    """Some items of a loop; *total* counts those that fit, *counts* all of them by status."""

    items: tuple[ItemView, ...]
    total: int
    counts: Mapping[str, int]
