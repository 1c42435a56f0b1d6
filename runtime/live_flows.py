"""One flow: reading it, making it live and taking it back, pausing it and letting it go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from sqlmodel import Session, select

from runtime import flow_queue, schedule_rows
from runtime.drafts import Drafts, flow_changed, flow_row, unknown_flow
from runtime.errors import Conflict, Invalid, NotFound, Problem
from runtime.flow_views import FlowStanding, FlowView, ScheduleView
from runtime.publishing import freeze, subscribe, unsubscribe
from storage.tables import Flow

Queue: TypeAlias = Literal["run", "discard"]  # what becomes of the runs that wait when a flow is resumed


class LiveFlows(Drafts):
    """Flows and what they do."""

    def get(self, flow_id: str) -> FlowView:
        """Return one flow with its draft and the draft's problems."""
        around, near = self._around(), self._near()
        with self._database.read() as session:
            flow = flow_row(session, flow_id)
            problems = self._problems(flow.id, flow.revision, flow.draft, around, near)
            waiting = flow_queue.waiting(session, flow_id)
            return _view(flow, problems, schedule_rows.views(session, flow), waiting)

    def schedules(self, flow_id: str) -> tuple[ScheduleView, ...]:
        """Return the schedules of the live version, and when they are due."""
        with self._database.read() as session:
            return schedule_rows.views(session, flow_row(session, flow_id))

    def standing(self, flow_id: str) -> FlowStanding:
        """Return what may have changed without the draft, to notice what other processes have done."""
        query = select(Flow.revision, Flow.state, Flow.notice).where(Flow.id == flow_id)
        with self._database.read() as session:
            found = session.exec(query).first()
            if found is None:
                raise NotFound(unknown_flow(flow_id))
            revision, state, notice = found
            return FlowStanding(
                revision, state, None if notice is None else dict(notice), flow_queue.waiting(session, flow_id)
            )

    def publish(self, flow_id: str, *, if_match: int | None = None, queue: Queue = "run") -> FlowView:
        """Make the draft the live version; Invalid with every problem while it has errors.

        Conflict when *if_match* is given and is not the revision that is kept. A paused flow is resumed by it:
        *queue* says what becomes of the runs that wait.
        """
        around, near = self._around(), self._near()

        def publish(session: Session, flow: Flow) -> bool:
            if if_match is not None and if_match != flow.revision:
                raise Conflict(flow_changed(flow.name))
            problems = self._problems(flow_id, flow.revision, flow.draft, around, near)
            if any(problem.severity == "error" for problem in problems):
                raise Invalid(*problems)
            if flow.state == "paused" and queue == "discard" and not self._discard(session, flow, flow_queue.RESUMED):
                return False
            if flow.published_version is None or flow.published_revision != flow.revision:
                flow.published_version = freeze(session, flow, self._clock())
                flow.published_revision = flow.revision
            flow.limits = flow.draft["graph"].get("settings")
            self._go_live(session, flow)
            return True

        return self._until_done(flow_id, publish)

    def unpublish(self, flow_id: str) -> FlowView:
        """Take the live version away; events start nothing from now on, and runs that wait for a resume are dropped."""

        def unpublish(session: Session, flow: Flow) -> bool:
            if flow.state == "paused" and not self._discard(session, flow, flow_queue.UNPUBLISHED):
                return False
            flow.state, flow.notice = "draft", None
            flow.published_version, flow.published_revision = None, None
            session.add(flow)
            unsubscribe(session, flow)
            schedule_rows.drop(session, flow_id)
            return True

        return self._until_done(flow_id, unpublish)

    def pause(self, flow_id: str) -> FlowView:
        """Keep runs from beginning until the flow is resumed; events are heard, and their runs wait."""

        def pause(session: Session, flow: Flow) -> bool:
            _require_version(flow)
            flow.state = "paused"
            session.add(flow)
            return True

        return self._until_done(flow_id, pause)

    def resume(self, flow_id: str, queue: Queue = "run") -> FlowView:
        """Let runs of the live version begin again; those that wait ``run``, or are ``discard``-ed first."""

        def resume(session: Session, flow: Flow) -> bool:
            _require_version(flow)
            if flow.state == "paused" and queue == "discard" and not self._discard(session, flow, flow_queue.RESUMED):
                return False
            self._go_live(session, flow)
            return True

        return self._until_done(flow_id, resume)

    def dismiss_notice(self, flow_id: str) -> FlowView:
        """Forget what the platform noticed about a live flow; a paused one says why until it is resumed."""

        def dismiss(session: Session, flow: Flow) -> bool:
            if flow.state != "paused":
                flow.notice = None
                session.add(flow)
            return True

        return self._until_done(flow_id, dismiss)

    def _go_live(self, session: Session, flow: Flow) -> None:
        flow.state, flow.notice = "published", None
        session.add(flow)
        subscribe(session, flow, self._types, self._clock())

    def _discard(self, session: Session, flow: Flow, message: str) -> bool:
        schedule_rows.let_go(session, flow.id, self._clock())
        return flow_queue.discard(session, flow.id, message, self._clock())

    def _until_done(self, flow_id: str, change: Callable[[Session, Flow], bool]) -> FlowView:
        """Commit *change* again and again until it says that it is done."""
        is_done = False
        while not is_done:
            with self._database.write() as session:
                is_done = change(session, flow_row(session, flow_id))
        self._tell_live()
        return self.get(flow_id)


def has_unpublished_changes(flow: Flow) -> bool:
    """Return whether the draft is not what is live."""
    return flow.published_version is not None and flow.published_revision != flow.revision


def _require_version(flow: Flow) -> None:
    if flow.published_version is None:
        raise Conflict(Problem("flow.not_published", f"“{flow.name}” is not published. Publish it first."))


def _view(flow: Flow, problems: tuple[Problem, ...], schedules: tuple[ScheduleView, ...], queued: int) -> FlowView:
    return FlowView(
        id=flow.id,
        name=flow.name,
        state=flow.state,
        draft=flow.draft,
        published_version=flow.published_version,
        problems=problems,
        revision=flow.revision,
        has_unpublished_changes=has_unpublished_changes(flow),
        updated_at=flow.updated_at,
        schedules=schedules,
        queued=queued,
        notice=flow.notice,
    )
