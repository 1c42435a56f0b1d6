"""What the doors are told about flows: values, never rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runtime.errors import Problem
from runtime.run_views import moment
from runtime.schedules import Timetable


@dataclass(frozen=True)
class ScheduleView:
    """A schedule of a live flow. *next_due_at* is None while the flow is paused."""

    node: str
    timetable: Timetable
    next_due_at: datetime | None
    last_due_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return the published shape of a schedule."""
        return {
            "node": self.node,
            "next_due_at": moment(self.next_due_at),
            "last_due_at": moment(self.last_due_at),
        }


@dataclass(frozen=True)
class FlowView:
    """One flow with its draft; *revision* counts the draft's changes."""

    id: str
    name: str
    state: str  # draft, published, paused
    draft: dict[str, Any]
    published_version: int | None
    problems: tuple[Problem, ...]
    revision: int
    has_unpublished_changes: bool
    updated_at: datetime
    schedules: tuple[ScheduleView, ...] = ()  # of the live version
    queued: int = 0  # runs that wait to begin
    notice: dict[str, Any] | None = None  # code, message, at: what the platform stopped or paused, and why

    def as_json(self) -> dict[str, Any]:
        """Return the published shape of a flow."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "draft": self.draft,
            "published_version": self.published_version,
            "problems": [problem.as_json() for problem in self.problems],
            "revision": self.revision,
            "has_unpublished_changes": self.has_unpublished_changes,
            "updated_at": moment(self.updated_at),
            "schedules": [schedule.as_json() for schedule in self.schedules],
            "queued": self.queued,
            "notice": self.notice,
        }


@dataclass(frozen=True)
class LastRun:
    id: int
    status: str
    created_at: datetime


@dataclass(frozen=True)
class LiveTrigger:
    """What starts a live flow: an event of this name, which is also as *match* says."""

    event: str
    match: dict[str, Any]
    flow_id: str
    flow_name: str


@dataclass(frozen=True)
class FlowSummary:
    """One line of the list of flows. *problem_count* counts errors, not warnings."""

    id: str
    name: str
    description: str
    state: str
    node_count: int
    trigger_types: tuple[str, ...]
    updated_at: datetime
    published_version: int | None
    has_unpublished_changes: bool
    problem_count: int
    last_run: LastRun | None
    next_due_at: datetime | None = None  # of its schedules, while it is live
    queued: int = 0  # runs that wait to begin
    notice: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the published shape of a flow in a list."""
        last = self.last_run
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "state": self.state,
            "node_count": self.node_count,
            "trigger_types": list(self.trigger_types),
            "updated_at": moment(self.updated_at),
            "published_version": self.published_version,
            "has_unpublished_changes": self.has_unpublished_changes,
            "problem_count": self.problem_count,
            "last_run": last and {"id": last.id, "status": last.status, "created_at": moment(last.created_at)},
            "next_due_at": moment(self.next_due_at),
            "queued": self.queued,
            "notice": self.notice,
        }


@dataclass(frozen=True)
class FlowStanding:
    """What of a flow may change without anybody editing it; *revision* is there to notice edits elsewhere, too."""

    revision: int
    state: str
    notice: dict[str, Any] | None
    queued: int


@dataclass(frozen=True)
class PublishedVersion:
    version: int
    created_at: datetime
    is_live: bool


@dataclass(frozen=True)
class EditResult:
    """What became of a list of operations; *refused* pairs each operation left out with its problem."""

    revision: int
    applied: list[dict[str, Any]]
    refused: list[tuple[dict[str, Any], Problem]]
    problems: list[Problem]


@dataclass(frozen=True)
class FlowChange:
    """A draft moved to *revision*; *operations* is None where only the whole document tells it (also: deleted).

    *origin* is whoever asked for the change, so that it can skip its own echo.
    """

    flow_id: str
    revision: int
    operations: list[dict[str, Any]] | None
    origin: str | None
